"""Sharing from a real S3 into a real Slack: what arrives, what is refused, what a fault leaves."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.app.sharer import BUCKET, CHANNEL, CSV, PDF, Sharer, pictures, sharer
from tests.dev.pictures import GIF, png
from tidegate.app import share as journey
from tidegate.app import transfer
from tidegate.core.share import MIB, Mode, Order, Scan
from tidegate.core.steps import FileStep, Stage, Steps, may_be_shown
from tidegate.errors import ShareError
from tidegate_dev.slack.faults import Fault

ODD_NAME = "a|b>c&d <!channel> 🌊.pdf"
#: Faults that mean that Slack did nothing, and those after which it is not known.
BEFORE: tuple[Fault, ...] = ("timeout_before", "limited_before", "error_before", "drop_before")
AFTER: tuple[Fault, ...] = ("drop_after", "error_after")


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Sharer]:
    async with sharer(tmp_path / "buckets") as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at Slack's work after moments, not after seconds."""
    for module in (transfer, journey):
        monkeypatch.setattr(module, "LOOKS", (0.02,) * 15)


async def refused(gate: Sharer, order: Order, **given: Any) -> ShareError:
    """Return why an order was refused, having seen that nothing of it is in the channel."""
    before = len(gate.messages)
    with pytest.raises(ShareError) as caught:
        await gate.share(order, **given)
    gate.slack.files.hurry()
    assert len(gate.messages) == before
    return caught.value


# --- what arrives --------------------------------------------------------------------------


async def test_an_upload_arrives_byte_for_byte_with_its_title_and_comment(gate: Sharer) -> None:
    gate.put("q3/revenue.pdf", PDF)
    shared = await gate.share(
        gate.order("q3/revenue.pdf", title="Q3 <revenue>", comment="see *this* <!channel>")
    )
    [message] = gate.messages
    [file] = message.files
    assert (file.sha256, file.title) == (hashlib.sha256(PDF).hexdigest(), "Q3 <revenue>")
    assert file.name == "revenue.pdf"
    assert message.text == "see *this* &lt;!channel&gt;"
    assert shared.ts == (message.ts,)
    assert shared.items[0].file_id == file.id


async def test_a_link_is_opened_by_anyone_and_saves_the_reviewed_version(gate: Sharer) -> None:
    gate.put("q3/revenue.pdf", PDF)
    shared = await gate.share(gate.order("q3/revenue.pdf", mode="link", title="Q3"))
    gate.put("q3/revenue.pdf", PDF + b"tampered")
    assert shared.url is not None
    async with aiohttp.ClientSession() as session, session.get(shared.url) as response:
        assert await response.read() == PDF
        assert response.headers["Content-Disposition"].startswith("attachment;")
    [message] = gate.messages
    assert shared.url in str(message.blocks)
    assert (shared.items[0].version_id or "none") in shared.url


async def test_an_objects_name_stays_text_wherever_it_stands(gate: Sharer) -> None:
    gate.put(ODD_NAME, PDF)
    await gate.share(gate.order(ODD_NAME, mode="link"))
    await gate.share(gate.order(ODD_NAME))
    link, upload = gate.messages
    assert "<!channel>" not in link.text + upload.text
    for block in link.blocks:
        for element in block.get("elements", []):
            assert element["type"] != "mrkdwn" or "channel" not in element["text"]
    assert link.blocks[0]["elements"][0]["elements"][0]["text"] == "a_b_c&d _!channel_ 🌊.pdf"


async def test_an_image_is_a_block_over_a_file_that_stands_in_no_other_message(
    gate: Sharer,
) -> None:
    gate.put("charts/tide.png", png(40, 30))
    shared = await gate.share(
        gate.order("charts/tide.png", mode="image", title="Tide", alt_text="High at noon")
    )
    [message] = gate.messages
    [block] = message.blocks
    assert (block["type"], block["alt_text"]) == ("image", "High at noon")
    assert block["title"]["text"] == "Tide"
    assert block["slack_file"] == {"id": shared.items[0].file_id}
    assert message.files == []


async def test_an_image_by_url_is_fetched_by_slack(gate: Sharer) -> None:
    gate.put("charts/tide.png", png(40, 30))
    await gate.share(gate.order("charts/tide.png", mode="image", by_url=True))
    [message] = gate.messages
    assert message.blocks[0]["image_url"].startswith(gate.s3.url)


async def test_a_gallery_keeps_its_order_and_splits_over_messages(gate: Sharer) -> None:
    names = [f"charts/{number:02d}.png" for number in range(60)]
    for name, content in zip(names, pictures(60), strict=True):
        gate.put(name, content)
    gate.put("charts/notes.txt", b"not an image")
    shared = await gate.share(gate.order(mode="gallery", prefix="charts/", title="This week"))
    first, second = gate.messages
    assert (len(first.blocks), len(second.blocks)) == (50, 11)
    images = [block for message in (first, second) for block in message.blocks][1:]
    assert [block["title"]["text"] for block in images] == [
        name.removeprefix("charts/") for name in names
    ]
    assert shared.ts == (first.ts, second.ts)


async def test_one_image_that_fails_does_not_lose_the_others(gate: Sharer) -> None:
    for name, content in zip("abc", pictures(3), strict=True):
        gate.put(f"{name}.png", content)
    gate.put("b.png", b"\x7fELF" + bytes(100))
    shared = await gate.share(gate.order("a.png", "b.png", "c.png", "d.png", mode="gallery"))
    [message] = gate.messages
    assert [b["type"] for b in message.blocks] == ["image", "image", "context"]
    missing = message.blocks[2]["elements"][0]["text"]
    assert "b.png: It is a program" in missing
    assert "d.png: There is no object" in missing
    assert [item.error.code if item.error else "" for item in shared.items] == [
        "",
        "executable",
        "",
        "not_found",
    ]


async def test_what_keeps_every_image_back_alike_is_said_once_in_its_own_words(
    gate: Sharer,
) -> None:
    for name in ("a.png", "b.png"):
        gate.put(name, png(20, 10))
    nobody = gate.rules(scan=Scan(clamd="127.0.0.1:1"))
    error = await refused(gate, gate.order(prefix="", mode="gallery", rules=nobody))
    assert (error.code, error.again) == ("scanner_unreachable", True)
    gate.put("a.png", b"\x7fELF" + bytes(100))
    gate.put("b.png", b"\x7fELF" + bytes(100))
    error = await refused(gate, gate.order("a.png", "b.png", mode="gallery"))
    assert (error.code, error.again) == ("all_failed", False)
    assert error.notice.startswith("None of the objects could be shared. It is a program")


async def test_several_files_go_into_one_message(gate: Sharer) -> None:
    gate.put("a.pdf", PDF)
    gate.put("b.csv", CSV)
    await gate.share(gate.order("a.pdf", "b.csv"))
    [message] = gate.messages
    assert [file.name for file in message.files] == ["a.pdf", "b.csv"]


async def test_a_channel_is_found_by_its_name(gate: Sharer) -> None:
    assert await gate.sharing.channel("#reports") == CHANNEL
    assert await gate.sharing.channel("C0ANY") == "C0ANY"
    with pytest.raises(ShareError, match="channel_not_found"):
        await gate.sharing.channel("nowhere")


async def test_a_plan_says_what_would_be_and_shares_nothing(gate: Sharer) -> None:
    gate.put("a.pdf", PDF)
    planned = await gate.sharing.plan(gate.order("a.pdf", mode="link", title="Q3"))
    assert gate.messages == []
    assert (planned.ts, planned.url) == ((), None)
    assert "a.pdf" in str(planned.blocks)
    assert not any(seen.presigned for seen in gate.s3.served)
    with pytest.raises(ShareError, match="not_found"):
        await gate.sharing.plan(gate.order("b.pdf", mode="link"))


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "rules", "code"),
    [
        ("q3/../secret.pdf", {}, "key_not_allowed"),
        ("other/a.pdf", {"prefix": "q3/"}, "key_outside_prefix"),
        ("a.pdf", {"modes": frozenset({Mode.LINK})}, "mode_not_allowed"),
        ("a.pdf", {"channels": frozenset({"C0OPS"})}, "channel_not_allowed"),
        ("a.pdf", {"max_bytes": 100}, "too_large"),
        ("a.pdf", {"types": ("image/*",)}, "type_not_allowed"),
        ("elf.pdf", {}, "executable"),
        ("png.pdf", {}, "type_mismatch"),
        ("empty.txt", {}, "empty"),
        ("gone.pdf", {}, "not_found"),
        ("a.pdf", {"bucket": "another-bucket"}, "not_found"),
    ],
)
async def test_what_the_rules_do_not_allow_is_refused(
    gate: Sharer, key: str, rules: dict[str, Any], code: str
) -> None:
    gate.put("a.pdf", PDF)
    gate.put("other/a.pdf", PDF)
    gate.put("elf.pdf", b"\x7fELF" + bytes(200))
    gate.put("png.pdf", png(10, 10))
    gate.put("empty.txt", b"")
    error = await refused(gate, gate.order(key, rules=gate.rules(**rules)))
    assert error.code == code
    assert error.notice.endswith(".")


async def test_a_channel_shared_with_outsiders_is_refused_unless_allowed(gate: Sharer) -> None:
    gate.put("a.pdf", PDF)
    gate.slack.workspace.channels[CHANNEL].is_ext_shared = True
    rules = gate.rules(external=False)
    assert (await refused(gate, gate.order("a.pdf", rules=rules))).code == "channel_external"
    await gate.share(gate.order("a.pdf"))
    assert len(gate.messages) == 1


@pytest.mark.parametrize("mode", ["upload", "link", "image"])
@pytest.mark.parametrize("bucket", ["acme-reports", "plain"])
@pytest.mark.parametrize("deed", ["deleted", "replaced"])
async def test_what_is_gone_or_other_after_it_was_looked_at_is_refused(
    gate: Sharer, mode: str, bucket: str, deed: str
) -> None:
    gate.s3.add_bucket("plain", versioned=False)
    gate.put("a.png", png(10, 10), bucket=bucket)

    def meddle(_bucket: str, _key: str) -> None:
        if deed == "deleted":
            (gate.root / bucket / "a.png").unlink(missing_ok=True)
        else:
            gate.put("a.png", png(11, 11), bucket=bucket)

    gate.s3.faults.before_get = meddle
    rules = gate.rules(bucket=bucket, unversioned=True)
    error = await refused(gate, gate.order("a.png", mode=mode, rules=rules))
    assert error.code == ("not_found" if deed == "deleted" else "changed")


@pytest.mark.parametrize("bucket", ["acme-reports", "plain"])
@pytest.mark.parametrize("deed", ["deleted", "replaced"])
async def test_what_is_gone_or_other_while_it_is_on_its_way_for_long_is_refused(
    gate: Sharer, monkeypatch: pytest.MonkeyPatch, bucket: str, deed: str
) -> None:
    monkeypatch.setattr(journey, "MOMENT_SECONDS", 0.0)
    gate.s3.add_bucket("plain", versioned=False)
    gate.put("a.png", png(10, 10), bucket=bucket)

    def meddle(_key: str, _moved: int, _total: int) -> None:
        if deed == "deleted":
            (gate.root / bucket / "a.png").unlink()
        else:
            gate.put("a.png", png(11, 11), bucket=bucket)

    rules = gate.rules(bucket=bucket)
    error = await refused(gate, gate.order("a.png", rules=rules), watch=meddle)
    assert error.code == ("not_found" if deed == "deleted" else "changed")


@pytest.mark.parametrize("mode", ["upload", "image", "link"])
async def test_a_channel_that_is_opened_to_outsiders_meanwhile_is_refused(
    gate: Sharer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(journey, "MOMENT_SECONDS", 0.0)
    gate.put("a.png", png(10, 10))

    def open_it(_bucket: str, _key: str) -> None:
        gate.slack.workspace.channels[CHANNEL].is_ext_shared = True

    gate.s3.faults.before_get = open_it
    error = await refused(gate, gate.order("a.png", mode=mode, rules=gate.rules(external=False)))
    assert error.code == "channel_external"


async def test_a_file_that_is_gone_before_the_message_of_all_is_left_out(
    gate: Sharer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journey, "MOMENT_SECONDS", 0.0)
    gate.put("a.pdf", PDF)
    gate.put("b.csv", CSV)

    async def note(steps: Steps) -> None:
        sent = {step.key for step in steps.files if step.stage is Stage.SENT}
        if sent == {"a.pdf", "b.csv"} and (gate.root / BUCKET / "a.pdf").exists():
            gate.remove("a.pdf")

    shared = await gate.sharing.share(gate.order("a.pdf", "b.csv"), ledger=note)
    [message] = gate.messages
    assert [file.name for file in message.files] == ["b.csv"]
    assert [item.error.code for item in shared.items if item.error] == ["not_found"]


@pytest.mark.parametrize(
    ("deed", "code"),
    [("deleted", "not_found"), ("replaced", "changed"), ("forbidden", "type_not_allowed")],
)
async def test_a_share_that_is_gone_on_with_checks_again_what_it_had_sent(
    gate: Sharer, deed: str, code: str
) -> None:
    gate.put("a.pdf", PDF)
    order = gate.order("a.pdf")

    async def die(steps: Steps) -> None:
        if steps.files[0].stage is Stage.ASKED:
            raise RuntimeError
        gate.noted.append(steps)

    with pytest.raises(RuntimeError):
        await gate.sharing.share(order, ledger=die)
    sent = gate.noted[-1]
    assert sent.files[0].stage is Stage.SENT
    if deed == "deleted":
        gate.remove("a.pdf")
    elif deed == "replaced":
        gate.put("a.pdf", PDF[:-1] + b"!")
    else:
        order = replace(order, rules=gate.rules(types=("image/*",)))
    assert (await refused(gate, order, steps=sent)).code == code


@pytest.mark.parametrize("mode", ["upload", "image", "link"])
async def test_what_slack_was_too_busy_for_is_not_in_doubt_at_the_next_try(
    gate: Sharer, mode: str
) -> None:
    gate.put("a.png", png(10, 10))
    gate.slack.faults.retry_after_seconds = 60  # longer than anybody waits
    step = "chat.postMessage" if mode == "link" else "files.completeUploadExternal"
    order, steps = gate.order("a.png", mode=mode), Steps()
    for _ in range(3):
        gate.slack.faults.once(step, "limited_before")
        error = await refused(gate, order, steps=steps)
        assert (error.code, error.again, error.unknown) == ("slack_busy", True, False)
        steps = gate.noted[-1]
        assert not may_be_shown(steps)
    await gate.share(order, steps=steps)
    assert len(gate.messages) == 1
    assert len(gate.slack.uploads_made) == (0 if mode == "link" else 1)


async def test_an_answer_that_was_lost_is_looked_up_once_slack_has_time_for_it(
    gate: Sharer,
) -> None:
    gate.put("a.pdf", PDF)
    gate.slack.faults.retry_after_seconds = 60
    order = gate.order("a.pdf", mode="link")
    gate.slack.faults.once("chat.postMessage", "drop_after")
    gate.slack.faults.once("conversations.history", "limited_before", times=2)
    with pytest.raises(ShareError) as caught:
        await gate.share(order)
    assert (caught.value.code, caught.value.unknown, caught.value.again) == (
        "unconfirmed",
        True,
        True,
    )
    await gate.share(order, steps=gate.noted[-1])
    assert len(gate.messages) == 1


async def test_a_small_file_costs_two_requests_to_s3(gate: Sharer) -> None:
    gate.put("a.pdf", PDF)
    await gate.share(gate.order("a.pdf"))
    assert [seen.operation for seen in gate.s3.served] == ["HeadObject", "GetObject"]


async def test_a_link_to_a_bucket_without_versions_needs_the_operators_word(
    tmp_path: Path, gate: Sharer
) -> None:
    gate.s3.add_bucket("plain", versioned=False)
    gate.put("a.pdf", PDF, bucket="plain")
    rules = gate.rules(bucket="plain")
    error = await refused(gate, gate.order("a.pdf", mode="link", rules=rules))
    assert error.code == "unversioned"
    said = replace(rules, unversioned=True)
    shared = await gate.share(gate.order("a.pdf", mode="link", rules=said))
    assert shared.url is not None


async def test_a_gif_that_is_called_png_is_no_image(gate: Sharer) -> None:
    gate.put("a.png", GIF)
    assert (await refused(gate, gate.order("a.png", mode="image"))).code == "type_mismatch"


# --- what a fault leaves -------------------------------------------------------------------


@pytest.mark.parametrize("what", [*BEFORE, *AFTER])
@pytest.mark.parametrize("step", ["files.getUploadURLExternal", "upload"])
async def test_a_fault_before_the_file_is_complete_is_outlived(
    gate: Sharer, step: str, what: Fault
) -> None:
    gate.put("a.pdf", PDF)
    gate.slack.faults.once(step, what)
    await gate.share(gate.order("a.pdf"))
    [message] = gate.messages
    assert message.files[0].sha256 == hashlib.sha256(PDF).hexdigest()


@pytest.mark.parametrize("what", [*BEFORE, *AFTER])
async def test_a_fault_at_the_last_step_neither_loses_nor_doubles_the_file(
    gate: Sharer, what: Fault
) -> None:
    gate.put("a.pdf", PDF)
    gate.slack.faults.once("files.completeUploadExternal", what)
    await gate.share(gate.order("a.pdf"))
    gate.slack.files.hurry()
    [message] = gate.messages
    assert message.files[0].name == "a.pdf"
    assert len(gate.slack.uploads_made) == 1


@pytest.mark.parametrize("what", ["refused", "gone"])
async def test_an_upload_url_that_refuses_for_good_leaves_nothing(
    gate: Sharer, what: Fault
) -> None:
    gate.put("a.pdf", PDF)
    gate.slack.faults.always("upload", what)
    assert (await refused(gate, gate.order("a.pdf"))).code == "upload_failed"


async def test_a_share_that_never_appears_is_told_as_unknown_and_not_repeated(
    gate: Sharer,
) -> None:
    gate.put("a.pdf", PDF)
    gate.slack.faults.always("sharing", "lost")
    error = await refused(gate, gate.order("a.pdf"))
    assert (error.code, error.unknown) == ("unconfirmed", True)
    assert len(gate.slack.uploads_made) == 1


@pytest.mark.parametrize("what", [*BEFORE, *AFTER])
async def test_a_link_is_posted_once_whatever_becomes_of_the_call(
    gate: Sharer, what: Fault
) -> None:
    gate.put("a.pdf", PDF)
    gate.slack.faults.once("chat.postMessage", what)
    shared = await gate.share(gate.order("a.pdf", mode="link"))
    [message] = gate.messages
    assert shared.ts == (message.ts,)


async def test_an_s3_that_breaks_off_mid_stream_is_resumed(gate: Sharer) -> None:
    content = PDF * 40
    gate.put("a.pdf", content)
    gate.s3.faults.once("GetObject", "drop", times=2)
    await gate.share(gate.order("a.pdf"))
    [message] = gate.messages
    assert message.files[0].sha256 == hashlib.sha256(content).hexdigest()


async def test_slack_that_is_slow_with_an_image_is_waited_for(tmp_path: Path) -> None:
    async with sharer(tmp_path / "buckets", processing_seconds=0.15) as gate:
        gate.put("a.png", png(10, 10))
        await gate.share(gate.order("a.png", mode="image"))
        assert len(gate.messages) == 1


class _KilledError(Exception):
    """Stands for the death of the process."""


@pytest.mark.parametrize("mode", ["upload", "link", "image", "gallery"])
async def test_a_share_that_dies_between_any_two_steps_is_finished_once(
    gate: Sharer, mode: str
) -> None:
    for name, content in zip("abc", pictures(3), strict=True):
        gate.put(f"{name}.png", content)
    keys = ("a.png", "b.png", "c.png") if mode in ("gallery", "upload") else ("a.png",)
    deaths = 0
    for step in range(30):
        before = len(gate.messages)
        order = gate.order(*keys, mode=mode)
        noted = [Steps()]

        async def note(steps: Steps, noted: list[Steps] = noted, step: int = step) -> None:
            noted.append(steps)  # it is written down, and then the process dies
            if len(noted) == step + 2:
                raise _KilledError

        try:
            await gate.sharing.share(order, ledger=note)
        except _KilledError:
            deaths += 1
            await gate.sharing.share(order, steps=noted[-1])
            gate.slack.files.hurry()
            assert len(gate.messages) == before + 1, (mode, step)
        else:
            break
    assert deaths >= 2
    assert len(gate.messages) == deaths + 1


async def test_a_file_id_is_written_down_before_a_byte_of_it_is_sent(gate: Sharer) -> None:
    gate.put("a.pdf", PDF)
    sent_at: list[int] = []

    async def note(steps: Steps) -> None:
        if steps.files and steps.files[0].stage is Stage.BEGUN:
            sent_at.append(len(gate.slack.uploads_made))
            assert steps.files[0].file_id is not None

    await gate.sharing.share(gate.order("a.pdf"), ledger=note)
    assert sent_at == [0]


async def test_what_failed_for_good_is_not_tried_again_after_a_crash(gate: Sharer) -> None:
    gate.put("a.png", png(10, 10))
    failed = FileStep(key="b.png", stage=Stage.FAILED, code="executable")
    shared = await gate.sharing.share(
        gate.order("a.png", "b.png", mode="gallery"), steps=Steps(files=(failed,))
    )
    error = shared.items[1].error
    assert error is not None
    assert "executable" in error.notice


async def test_what_was_not_among_the_files_that_were_shown_is_not_called_shared(
    gate: Sharer,
) -> None:
    gate.put("a.pdf", PDF)
    gate.put("b.csv", CSV)
    await gate.share(gate.order("a.pdf"))
    shown = gate.noted[-1].files[0]
    begun = Steps(files=(replace(shown, stage=Stage.ASKED),))
    shared = await gate.sharing.share(gate.order("a.pdf", "b.csv"), steps=begun)
    assert [item.error is None for item in shared.items] == [True, False]
    assert len(gate.messages) == 1


@pytest.mark.parametrize("what", AFTER)
async def test_a_file_that_slack_takes_its_time_to_show_is_not_called_unknown(
    tmp_path: Path, what: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LOOKS", (0.2,) * 25)
    async with sharer(tmp_path / "slow", processing_seconds=1.5) as gate:
        gate.put("a.pdf", PDF)
        gate.slack.faults.once("files.completeUploadExternal", what)
        await gate.share(gate.order("a.pdf"))
        assert len(gate.messages) == 1


async def test_bytes_are_told_as_they_move(gate: Sharer) -> None:
    gate.put("a.csv", b"a,b\n" * MIB)
    told: list[tuple[str, int, int]] = []
    await gate.share(gate.order("a.csv"), watch=lambda *moved: told.append(moved))
    assert told[-1] == ("a.csv", 4 * MIB, 4 * MIB)
    assert len(told) > 4
