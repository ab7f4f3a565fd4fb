"""Which store a configuration names, and where it is refused."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import yaml
from starlette.responses import Response

from tests.adapters.databases import Database, kept_in
from tests.core.test_settings import SMALLEST
from tests.entry.commands import Said, tidegate
from tests.service import Seen
from tests.stand import Stand, stand
from tidegate.core.configuration import parse
from tidegate.entry import store_wiring
from tidegate.errors import ConfigError

MOUNTS = """\
22 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/a
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 0:22 / /tmp rw,nosuid - tmpfs tmpfs rw
25 22 0:50 / /var/lib/tidegate rw,relatime shared:1 - nfs4 127.0.0.1:/ rw
26 22 259:1 /data /mnt/with\\040space rw,relatime - ext4 /dev/nvme1n1 rw
27 26 0:60 / /mnt/with\\040space/upper rw - overlay overlay rw
"""
ECS = {store_wiring.ECS: "http://169.254.170.2/v4/x"}


@pytest.mark.parametrize(
    ("folder", "lasts"),
    [
        ("/var/lib/tidegate", True),
        ("/var/lib/tidegate/below/it", True),
        ("/mnt/with space", True),
        ("/mnt/with space/upper", False),
        ("/var/lib", False),
        ("/var/lib/tidegate-else", False),
        ("/tmp/x", False),
        ("/", False),
    ],
)
def test_a_folder_lasts_that_is_on_a_volume(folder: str, lasts: bool) -> None:
    assert store_wiring.lasts(Path(folder), MOUNTS) == lasts


def test_nothing_lasts_where_it_is_not_known_what_is_mounted() -> None:
    assert not store_wiring.lasts(Path("/var/lib/tidegate"), "")


def test_a_file_on_the_containers_own_disk_is_refused_in_ecs_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(store_wiring, "_MOUNTS", mounts)
    kept = parse(SMALLEST, source="t.yaml")
    lost = parse(SMALLEST.replace("/var/lib/tidegate/", "/srv/"), source="t.yaml")
    store_wiring.refuse_passing_disk(kept, tmp_path, ECS)
    store_wiring.refuse_passing_disk(lost, tmp_path, {})
    with pytest.raises(ConfigError) as raised:
        store_wiring.refuse_passing_disk(lost, tmp_path, ECS)
    (problem,) = raised.value.problems
    assert (problem.key, "ECS" in problem.what) == ("store.url", True)
    assert "postgresql://" in problem.mend
    shared = SMALLEST.replace("sqlite:////var/lib/tidegate/tidegate.db", "postgresql://db/t")
    store_wiring.refuse_passing_disk(parse(shared, source="t.yaml"), tmp_path, ECS)


def test_serve_does_not_start_in_ecs_on_a_disk_that_does_not_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setattr(store_wiring, "_MOUNTS", tmp_path / "mountinfo")
    for name, value in {**ECS, "SLACK_BOT_TOKEN": "x", "SLACK_SIGNING_SECRET": "y"}.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "tidegate.yaml"
    file.write_text(SMALLEST.replace("sqlite:////var/lib/tidegate/", "sqlite:///"))
    said = tidegate("serve", "--config", str(file))
    assert said.code == 2
    assert "store.url" in said.err
    assert "mount a volume" in said.err
    assert not (tmp_path / "tidegate.db").exists()


def test_a_database_without_its_driver_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tidegate.adapters.postgres", None)
    file = tmp_path / "tidegate.yaml"
    file.write_text(
        SMALLEST.replace("sqlite:////var/lib/tidegate/tidegate.db", "postgresql://127.0.0.1/t")
    )
    said = tidegate("runs", "--config", str(file))
    assert said.code == 2
    assert "tidegate[postgres]" in said.err


def test_gateways_that_share_a_database_do_not_start_without_a_key_to_sign_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database()
    monkeypatch.setenv("SLACK_BOT_TOKEN", "x")
    monkeypatch.setenv("SLACK_SIGNING_SECRET", "y")
    file = tmp_path / "tidegate.yaml"
    file.write_text(SMALLEST.replace("sqlite:////var/lib/tidegate/tidegate.db", database.url))
    said = tidegate("serve", "--config", str(file))
    asyncio.run(database.close())
    assert said.code == 2
    assert "identity.signing_key" in said.err
    assert "openssl genpkey" in said.err


def _broken(_seen: Seen) -> Response:
    return Response(status_code=500)


async def _run(found: Stand, *words: str) -> Said:
    return await asyncio.to_thread(tidegate, *words, "--config", str(found.gateway.file))


async def test_runs_and_the_audit_log_are_shown_settled_and_retried_over_a_database(
    tmp_path: Path,
) -> None:
    database = Database()
    empty = tmp_path / "empty.yaml"
    async with stand(
        tmp_path, change=kept_in(database, tmp_path), answer=_broken, idempotent=False
    ) as found:
        ts = found.message()
        run = (await found.click(ts)).run
        assert run
        await found.told(ts, "nknown")
        listed = await _run(found, "runs", "list", "--state", "unknown", "--json")
        assert [each["id"] for each in json.loads(listed.out)["runs"]] == [run]
        shown = json.loads((await _run(found, "runs", "show", run, "--json")).out)
        assert shown["audit"][0]["event"] == "received"
        settled = await _run(found, "runs", "resolve", run, "failed", "--note", "looked")
        assert settled.code == 0
        retried = await _run(found, "runs", "retry", run, "--json")
        assert retried.code == 0
        logged = json.loads((await _run(found, "audit", "--json")).out)
        events = [entry["event"] for entry in logged["audit"]]
        assert "unknown → failed" in events
        other = found.gateway.config | {"store": {"url": f"{database.url}_none"}}
        empty.write_text(yaml.safe_dump(other))
        nothing = await asyncio.to_thread(tidegate, "runs", "--config", str(empty))
        assert (nothing.code, "no store in this database yet" in nothing.err) == (1, True)
    await database.close()
