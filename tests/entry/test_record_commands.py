"""`tidegate runs`, `audit` and `identity` beside a gateway that is running."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from starlette.responses import Response

from tests.entry.commands import tidegate
from tests.service import Seen
from tests.stand import Stand, stand


def _broken(_seen: Seen) -> Response:
    return Response(status_code=500)


async def _run(found: Stand, *words: str) -> tuple[int, str, str]:
    said = await asyncio.to_thread(tidegate, *words, "--config", str(found.gateway.file))
    return said.code, said.out, said.err


async def _json(found: Stand, *words: str) -> Any:
    code, out, err = await _run(found, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


async def test_an_unknown_run_is_listed_shown_settled_and_retried(tmp_path: Path) -> None:
    async with stand(tmp_path, answer=_broken, idempotent=False) as found:
        ts = found.message()
        run = (await found.click(ts)).run
        assert run
        await found.told(ts, "nknown")
        await _listed(found, run)
        await _shown(found, run)
        await _settled(found, run, ts)
        await _retried(found, run)
        await _audited(found, run)


async def _listed(found: Stand, run: str) -> None:
    (listed,) = (await _json(found, "runs", "list", "--state", "unknown"))["runs"]
    assert listed["id"] == run
    assert "response_url" not in listed
    for more in (["--state", "failed"], ["--action", "none"], ["--user", "U0GRACE"]):
        assert (await _json(found, "runs", "list", *more))["runs"] == []
    code, out, err = await _run(found, "runs")
    assert (code, err, len(out.splitlines())) == (0, "", 1)
    assert out.startswith(f"{run}  ")
    assert "unknown    deploy" in out


async def _shown(found: Stand, run: str) -> None:
    shown = await _json(found, "runs", "show", run)
    assert shown["run"]["state"] == "unknown"
    assert shown["audit"][0]["event"] == "received"
    code, out, _ = await _run(found, "runs", "show", run)
    assert code == 0
    assert "state          unknown" in out
    assert "\naudit\n" in out
    code, out, err = await _run(found, "runs", "show", "01JD8S3Q9X2V4W6Y8Z0A1B2C3D")
    assert (code, out) == (1, "")
    assert "`tidegate runs` lists them" in err


async def _settled(found: Stand, run: str, ts: str) -> None:
    resolve = ("runs", "resolve", run, "succeeded", "--note", "seen in the cluster")
    would = await _json(found, *resolve, "--dry-run")
    assert (would["dry_run"], would["run"]["state"]) == (True, "unknown")
    assert (await _json(found, "runs", "show", run))["run"]["state"] == "unknown"
    code, out, err = await _run(found, *resolve)
    assert (code, out, err) == (0, f"{run} is succeeded now.\n", "")
    await found.told(ts, "seen in the cluster")
    code, out, err = await _run(found, *resolve)
    assert (code, out) == (1, "")
    assert "only an unknown one is settled" in err


async def _retried(found: Stand, run: str) -> None:
    code, out, _ = await _run(found, "runs", "retry", run, "--dry-run")
    assert code == 0
    assert out.endswith(" would be queued.\n")
    assert len((await _json(found, "runs"))["runs"]) == 1
    again = await _json(found, "runs", "retry", run)
    assert (again["dry_run"], again["run"]["parent_id"]) == (False, run)
    # The gateway that is running carries it out.
    await found.service.wait_for(lambda: again["run"]["id"] in found.service.effects)
    assert set(found.service.effects) == {run, again["run"]["id"]}


async def _audited(found: Stand, run: str) -> None:
    of_run = (await _json(found, "audit", "--run", run))["audit"]
    assert [entry["run_id"] for entry in of_run] == [run] * len(of_run)
    assert [entry["seq"] for entry in of_run] == sorted(entry["seq"] for entry in of_run)
    assert of_run[0]["actor"] == "U0ADA"
    assert any(entry["actor"].startswith("operator:") for entry in of_run)
    newest = (await _json(found, "audit", "--limit", "2"))["audit"]
    assert len(newest) == 2
    assert newest[0]["seq"] > newest[1]["seq"]
    older = await _json(found, "audit", "--before", str(newest[1]["seq"]), "--limit", "1")
    assert older["audit"][0]["seq"] < newest[1]["seq"]
    code, out, err = await _run(found, "audit", "--run", run)
    assert (code, err, len(out.splitlines())) == (0, "", len(of_run))


async def test_before_anything_has_happened_the_commands_say_so(tmp_path: Path) -> None:
    async with stand(tmp_path) as found:
        assert (await _json(found, "runs")) == {"runs": []}
        assert (await _json(found, "audit")) == {"audit": []}
        assert await _run(found, "runs") == (0, "No runs yet.\n", "")
        assert await _run(found, "audit") == (0, "Nothing has happened yet.\n", "")


async def test_the_keys_that_services_verify_us_by_are_printed(tmp_path: Path) -> None:
    async with stand(tmp_path) as found:
        code, out, err = await _run(found, "identity", "jwks")
        assert (code, err) == (0, "")
        (key,) = json.loads(out)["keys"]
        assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
        assert "d" not in key  # the private half
        await found.click(found.message())
        await found.service.wait_for(lambda: len(found.service.seen) == 1)
        statement = found.service.seen[0].headers["tidegate-identity"]
        part = statement.partition(".")[0]
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        assert header["kid"] == key["kid"]
        assert (tmp_path / "tidegate.db.identity.pem").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "tidegate.db").stat().st_mode & 0o777 == 0o600
