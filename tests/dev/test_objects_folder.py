"""A bucket as the folder that it is: what is dropped, changed and removed there."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.dev.objects_client import BUCKET, Changes, Stage, staged
from tidegate_dev.objects.blobs import Blob, Blobs
from tidegate_dev.objects.errors import S3Error
from tidegate_dev.objects.folders import Folder
from tidegate_dev.objects.names import MAX_KEY_BYTES, encoded_place, key_at, plain_place
from tidegate_dev.objects.store import ObjectStore


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "s3") as stage:
        yield stage


async def test_a_dropped_file_is_there_at_the_next_request(stage: Stage) -> None:
    stage.drop("q3/über report.pdf", b"%PDF-1.7")
    got = await stage.get("q3/über report.pdf")
    assert got["Body"] == b"%PDF-1.7"
    assert got["ContentType"] == "application/pdf"
    assert got["VersionId"] not in ("", "null")
    stage.drop("new.csv", b"a,b")
    assert await stage.keys() == ["new.csv", "q3/über report.pdf"]


async def test_a_file_that_was_written_over_is_a_new_version(stage: Stage) -> None:
    path = stage.drop("k.txt", b"one")
    first = await stage.get("k.txt")
    path.write_bytes(b"two")
    second = await stage.get("k.txt")
    assert second["Body"] == b"two"
    assert second["VersionId"] != first["VersionId"]
    old = await stage.get("k.txt", VersionId=first["VersionId"])
    assert old["Body"] == b"one"
    assert old["LastModified"] == first["LastModified"]


async def test_what_is_appended_to_a_file_does_not_reach_the_version_before(stage: Stage) -> None:
    path = stage.drop("log.txt", b"one\n")
    first = await stage.get("log.txt")
    with path.open("ab") as file:
        file.write(b"two\n")
    assert (await stage.get("log.txt"))["Body"] == b"one\ntwo\n"
    assert (await stage.get("log.txt", VersionId=first["VersionId"]))["Body"] == b"one\n"


async def test_permissions_and_a_move_within_do_not_make_a_version(stage: Stage) -> None:
    path = stage.drop("k", b"one")
    first = await stage.get("k")
    path.chmod(0o600)
    path.rename(stage.root / "aside")
    (stage.root / "aside").rename(path)
    assert (await stage.get("k"))["VersionId"] == first["VersionId"]
    versions = await stage.call("list_object_versions")
    assert len(versions["Versions"]) == 1


async def test_a_file_that_was_removed_is_deleted_and_its_versions_stay(stage: Stage) -> None:
    path = stage.drop("k", b"one")
    first = await stage.get("k")
    path.unlink()
    assert await stage.refusal("get_object", Key="k") == (404, "NoSuchKey")
    assert (await stage.get("k", VersionId=first["VersionId"]))["Body"] == b"one"
    listed = await stage.call("list_object_versions")
    assert [entry["IsLatest"] for entry in listed["DeleteMarkers"]] == [True]


async def test_an_upload_and_a_deletion_are_seen_in_the_folder(stage: Stage) -> None:
    await stage.put("q3/sub/k.txt", b"one")
    assert (stage.folder / "q3/sub/k.txt").read_bytes() == b"one"
    await stage.call("delete_object", Key="q3/sub/k.txt")
    assert list(stage.folder.iterdir()) == []


async def test_a_dropped_file_replaces_an_upload_and_the_other_way_round(stage: Stage) -> None:
    await stage.put("k", b"uploaded")
    stage.drop("k", b"dropped")
    assert (await stage.get("k"))["Body"] == b"dropped"
    await stage.put("k", b"again")
    assert (stage.folder / "k").read_bytes() == b"again"
    versions = await stage.call("list_object_versions")
    assert len(versions["Versions"]) == 3


async def test_a_new_folder_is_a_new_bucket(stage: Stage) -> None:
    (stage.root / "from-hand").mkdir()
    (stage.root / "from-hand" / "k").write_bytes(b"one")
    (stage.root / "Not A Bucket").mkdir()
    assert (await stage.get("k", Bucket="from-hand"))["Body"] == b"one"
    answer = await asyncio.to_thread(stage.client.list_buckets)
    assert [bucket["Name"] for bucket in answer["Buckets"]] == [BUCKET, "from-hand"]


async def test_no_link_leads_out_of_the_root(stage: Stage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(b"secret")
    (stage.folder / "link.txt").symlink_to(outside / "secret.txt")
    (stage.folder / "folder").symlink_to(outside)
    (stage.root / "linked-bucket").symlink_to(outside)
    for key in ("link.txt", "folder/secret.txt"):
        assert await stage.refusal("get_object", Key=key) == (404, "NoSuchKey")
    assert await stage.keys() == []
    refused = await stage.refusal("get_object", Bucket="linked-bucket", Key="secret.txt")
    assert refused == (404, "NoSuchBucket")
    await stage.put("folder/secret.txt", b"mine")
    await stage.put("folder/new.txt", b"mine")
    await stage.put("link.txt", b"mine")
    assert (outside / "secret.txt").read_bytes() == b"secret"
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert await stage.keys() == ["folder/new.txt", "folder/secret.txt", "link.txt"]
    await stage.call("delete_object", Key="folder/secret.txt")
    assert (outside / "secret.txt").exists()


def test_a_link_is_not_opened_whenever_it_appears(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "inside" / "folder").symlink_to(tmp_path)
    folder = Folder(tmp_path / "inside")
    assert folder.open(("link",)) is None
    assert folder.open(("folder", "secret")) is None
    assert folder.mark(("link",)) is None
    assert list(folder.marks()) == []


def test_a_file_that_is_written_to_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / BUCKET).mkdir()
    file = tmp_path / BUCKET / "k"
    file.write_bytes(b"one")
    copy_in, copies = Blobs.copy_in, []

    def while_it_grows(blobs: Blobs, source: int) -> Blob:
        copies.append(copy_in(blobs, source))
        if len(copies) == 1:
            file.write_bytes(b"one and two")
        return copies[-1]

    monkeypatch.setattr(Blobs, "copy_in", while_it_grows)
    [version] = ObjectStore(tmp_path, tell=lambda _: None).bucket(BUCKET).history()
    assert [blob.size for blob in copies] == [3, 11]
    assert version.size == 11
    assert len(list((tmp_path / ".s3" / BUCKET / "blobs").iterdir())) == 1


async def test_what_is_no_file_is_no_object(stage: Stage) -> None:
    os.mkfifo(stage.folder / "pipe")
    (stage.folder / "empty-folder").mkdir()
    stage.drop(".DS_Store", b"x")
    stage.drop(".git/config", b"x")
    (stage.folder / os.fsdecode(b"not-utf8-\xff")).write_bytes(b"x")
    assert await stage.keys() == []
    assert await stage.refusal("get_object", Key="pipe") == (404, "NoSuchKey")


async def test_the_state_beside_the_buckets_is_no_bucket(stage: Stage) -> None:
    await stage.put("k", b"one")
    for bucket in (".s3", "..", "."):
        with pytest.raises(S3Error):
            stage.s3.store.bucket(bucket)


async def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        first = await stage.put("k", b"one", Tagging="a=b", ContentType="text/x")
        second = await stage.put("k", b"two")
        await stage.put("a//b", b"odd")
        await stage.put("gone", b"gone")
        marker = await stage.call("delete_object", Key="gone")
        stage.drop("dropped.png", b"\x89PNG")
        dropped = await stage.get("dropped.png")
    async with staged(tmp_path) as stage:
        changes = Changes(stage.s3)
        await stage.s3.look()
        assert await stage.keys() == ["a//b", "dropped.png", "k"]
        assert (await stage.get("k"))["VersionId"] == second["VersionId"]
        old = await stage.get("k", VersionId=first["VersionId"])
        assert (old["Body"], old["ContentType"], old["TagCount"]) == (b"one", "text/x", 1)
        assert (await stage.get("dropped.png"))["VersionId"] == dropped["VersionId"]
        listed = await stage.call("list_object_versions", Prefix="gone")
        assert listed["DeleteMarkers"][0]["VersionId"] == marker["VersionId"]
        assert changes.told == []


async def test_what_changed_while_nothing_ran_is_noticed_at_the_start(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await stage.put("gone", b"one")
        await stage.put("changed", b"one")
    (tmp_path / BUCKET / "gone").unlink()
    (tmp_path / BUCKET / "changed").write_bytes(b"two")
    (tmp_path / ".s3" / BUCKET / "blobs" / "left-over").write_bytes(b"half an upload")
    async with staged(tmp_path) as stage:
        assert await stage.keys() == ["changed"]
        assert (await stage.get("changed"))["Body"] == b"two"
    assert not (tmp_path / ".s3" / BUCKET / "blobs" / "left-over").exists()


async def test_a_journal_that_was_cut_short_loses_its_last_line_only(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        first = await stage.put("k", b"one")
    journal = tmp_path / ".s3" / BUCKET / "journal"
    with journal.open("a") as file:
        file.write('{"add":{"key":"k2"')
    async with staged(tmp_path) as stage:
        assert (await stage.get("k"))["VersionId"] == first["VersionId"]
        await stage.put("after", b"two")
    async with staged(tmp_path) as stage:
        assert await stage.keys() == ["after", "k"]


async def test_the_id_of_a_content_s_state_does_not_depend_on_what_was_remembered(
    tmp_path: Path,
) -> None:
    told: list[object] = []
    (tmp_path / "one" / BUCKET).mkdir(parents=True)
    file = tmp_path / "one" / BUCKET / "k"
    file.write_bytes(b"content")
    ids = []
    for name in ("two", "three"):
        other = tmp_path / name / BUCKET
        other.mkdir(parents=True)
        (other / "k").write_bytes(b"content")
        os.utime(other / "k", ns=(file.stat().st_mtime_ns, file.stat().st_mtime_ns))
        [version] = ObjectStore(tmp_path / name, tell=told.append).bucket(BUCKET).objects()
        ids.append(version.id)
    [version] = ObjectStore(tmp_path / "one", tell=told.append).bucket(BUCKET).objects()
    assert ids == [version.id, version.id]


# What is told


async def test_every_change_in_the_folder_is_told_without_a_request(stage: Stage) -> None:
    changes = Changes(stage.s3)
    path = stage.drop("q3/k.csv", b"a,b")
    [new] = await changes.first(1)
    assert (new.kind, new.bucket, new.key, new.size) == ("new", BUCKET, "q3/k.csv", 3)
    assert new.event_name == "ObjectCreated:Put"
    path.write_bytes(b"a,b,c")
    [_, changed] = await changes.first(2)
    assert (changed.kind, changed.size) == ("changed", 5)
    path.unlink()
    [_, _, removed] = await changes.first(3)
    assert (removed.kind, removed.size, removed.etag) == ("removed", 0, "")
    assert removed.event_name == "ObjectRemoved:DeleteMarkerCreated"
    assert new.sequencer < changed.sequencer < removed.sequencer
    got = await stage.get("q3/k.csv", VersionId=new.version_id)
    assert got["ETag"] == f'"{new.etag}"'


async def test_what_a_request_changes_is_told_once(stage: Stage) -> None:
    changes = Changes(stage.s3)
    put = await stage.put("k", b"one")
    await stage.s3.look()
    await stage.call("delete_object", Key="k")
    await stage.s3.look()
    [new, removed] = await changes.first(2)
    assert (new.kind, new.version_id) == ("new", put["VersionId"])
    assert removed.kind == "removed"
    await stage.s3.look()
    assert len(changes.told) == 2


async def test_a_file_that_is_still_being_written_is_left_alone_for_the_moment(
    tmp_path: Path,
) -> None:
    told: list[object] = []
    (tmp_path / BUCKET).mkdir()
    store = ObjectStore(tmp_path, tell=told.append)
    file = tmp_path / BUCKET / "k"
    file.write_bytes(b"half")
    store.scan(quiet_seconds=3600)
    assert told == []
    os.utime(file, (1, 1))
    store.scan(quiet_seconds=3600)
    assert len(told) == 1


async def test_who_does_not_want_to_know_any_more_is_not_told(stage: Stage) -> None:
    changes, others = Changes(stage.s3), Changes(stage.s3)
    changes.end()
    await stage.put("k", b"one")
    await others.first(1)
    assert changes.told == []


async def test_versions_of_a_bucket_without_any_have_no_id(stage: Stage) -> None:
    stage.s3.add_bucket("plain-bucket", versioned=False)
    changes = Changes(stage.s3)
    await stage.put("k", b"one", Bucket="plain-bucket")
    await stage.call("delete_object", Bucket="plain-bucket", Key="k")
    [new, removed] = await changes.first(2)
    assert (new.version_id, removed.version_id) == ("", "")
    assert removed.event_name == "ObjectRemoved:Delete"
    assert new.sequencer < removed.sequencer


# Names

any_key = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80).filter(
    lambda key: len(key.encode()) <= MAX_KEY_BYTES
)


@given(key=any_key)
@example(key="ü" * 512)
@example(key=".encoded/x")
@example(key="a" * 256)
@example(key="..")
def test_a_place_stands_for_its_key_and_never_leads_out(key: str) -> None:
    for place in (plain_place(key), encoded_place(key)):
        if place is not None:
            assert key_at(place) == key
            assert all(0 < len(name.encode()) <= 255 for name in place)
            assert not {"", ".", ".."}.intersection(place)
            assert not any("/" in name or "\0" in name for name in place)


@given(one=any_key, other=any_key)
def test_two_keys_never_share_a_place(one: str, other: str) -> None:
    if one != other:
        assert encoded_place(one) != encoded_place(other)


@given(place=st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_a_file_below_encoded_that_we_did_not_name_is_no_object(place: list[str]) -> None:
    found = (".encoded", *place)
    key = key_at(found)
    assert key is None or encoded_place(key) == found
