"""`POST /api/v1/shares`: what a named caller may have shared, once for each key."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.app.sharer import PDF
from tests.app.test_share_clicks import CHANNEL, Gate, gate
from tests.dev.pictures import png

ORDER = {"bucket": "reports", "key": "a.pdf", "channel": CHANNEL}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Gate]:
    async with gate(tmp_path) as found:
        yield found


async def ask(
    here: Gate,
    body: Any,
    *,
    key: str | None = None,
    token: str = "ci-token",
    kind: str = "application/json",
) -> tuple[int, dict[str, Any]]:
    port = here.stand.gateway.config["admin"]["port"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    if key is not None:
        headers["Idempotency-Key"] = key
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"http://127.0.0.1:{port}/api/v1/shares"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=data, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def runs(here: Gate, path: str, token: str) -> tuple[int, dict[str, Any]]:
    url = f"http://127.0.0.1:{here.stand.gateway.config['admin']['port']}/api/v1/runs{path}"
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        return answer.status, await answer.json()


async def succeeded(here: Gate, run: str) -> None:
    """Return once a run has ended well."""
    out = ""
    async with asyncio.timeout(15):
        while '"succeeded"' not in out:  # another process's store gives no event
            _, out, _ = await here.stand.gateway.command("runs", "show", run, "--json")


async def test_an_order_is_carried_out_and_answered(here: Gate) -> None:
    here.put("a.pdf", PDF)
    status, answer = await ask(here, {**ORDER, "title": "Q3", "comment": "fresh"})
    assert (status, answer["ok"], answer["mode"]) == (200, True, "upload")
    [message] = here.shared()
    assert answer["file_id"] == message.files[0].id
    assert answer["ts"] == message.ts
    assert message.files[0].sha256 == hashlib.sha256(PDF).hexdigest()
    code, out, _ = await here.stand.gateway.command("runs", "show", answer["run"], "--json")
    assert code == 0
    assert json.loads(out)["run"]["user_name"] == "ci"


async def test_a_link_is_in_the_answer_and_nowhere_else(here: Gate) -> None:
    here.put("a.pdf", PDF)
    order = {**ORDER, "mode": "link", "expires": "24h"}
    status, answer = await ask(here, order, key="k1")
    assert status == 200
    async with aiohttp.ClientSession() as http, http.get(answer["url"]) as got:
        assert await got.read() == PDF
    assert "X-Amz-Signature" not in "\n".join(here.stand.gateway.raw)
    _, again = await ask(here, order, key="k1")
    assert again["ts"] == answer["ts"]
    assert again["run"] == answer["run"]
    assert "url" not in again


async def test_a_token_that_may_share_sees_the_runs_that_it_ordered_and_no_others(
    here: Gate,
) -> None:
    here.put("a.pdf", PDF)
    await here.told(await here.press("upload", "a.pdf"), "done")
    _, answer = await ask(here, ORDER)
    ordered = answer["run"]
    _, all_runs = await runs(here, "", "reader-token")
    (pressed,) = [run["id"] for run in all_runs["runs"] if run["id"] != ordered]
    for query in ("", "?user=U0ADA"):
        _, seen = await runs(here, query, "ci-token")
        assert [run["id"] for run in seen["runs"]] == [ordered]
    assert (await runs(here, f"/{ordered}", "ci-token"))[0] == 200
    assert (await runs(here, f"/{pressed}", "ci-token"))[0] == 404
    assert (await runs(here, f"/{pressed}", "reader-token"))[0] == 200


async def test_the_same_key_is_the_same_share_and_another_body_is_a_conflict(here: Gate) -> None:
    here.put("a.pdf", PDF)
    answers = await asyncio.gather(*(ask(here, ORDER, key="build-7") for _ in range(4)))
    assert {status for status, _ in answers} == {200}
    assert len({answer["file_id"] for _, answer in answers}) == 1
    here.stand.slack.files.hurry()
    assert len(here.shared()) == 1
    status, answer = await ask(here, {**ORDER, "title": "other"}, key="build-7")
    assert (status, answer["error"]["code"]) == (409, "other_request")
    assert len(here.shared()) == 1


async def test_a_gallery_answers_for_each_of_its_images(here: Gate) -> None:
    here.put("charts/a.png", png(10, 10))
    here.put("charts/b.png", b"\x7fELF" + bytes(50))
    order = {**ORDER, "mode": "gallery", "key": "charts/"}
    status, answer = await ask(here, order)
    assert status == 200
    codes = [item.get("error", {}).get("code") for item in answer["items"]]
    assert codes == [None, "executable"]


async def test_who_may_not_share_from_a_bucket_has_slack_asked_for_nothing(here: Gate) -> None:
    before = len(here.stand.slack.calls)
    order = {**ORDER, "bucket": "another", "channel": "nowhere"}
    assert (await ask(here, order))[1]["error"]["code"] == "bucket_not_allowed"
    asked = [call.method for call in here.stand.slack.calls[before:]]
    assert "conversations.list" not in asked


async def test_a_share_that_failed_or_was_made_can_be_started_anew(here: Gate) -> None:
    status, answer = await ask(here, ORDER)
    assert (status, answer["error"]["code"]) == (422, "not_found")
    here.put("a.pdf", PDF)
    await here.s3.look()
    for count in (1, 2):
        code, out, _ = await here.stand.gateway.command("runs", "retry", answer["run"], "--json")
        assert code == 0
        new = json.loads(out)["run"]["id"]

        def shown(wanted: int = count) -> bool:
            return len(here.shared()) == wanted

        await here.stand.slack.wait_for(shown)
        await succeeded(here, new)
        answer = {"run": new}


async def test_only_known_tokens_and_json_of_bounded_size_are_taken(here: Gate) -> None:
    here.put("a.pdf", PDF)
    assert (await ask(here, ORDER, token="wrong"))[0] == 401
    assert (await ask(here, ORDER, token="reader-token"))[0] == 403
    assert (await ask(here, ORDER, kind="text/plain"))[0] == 415
    assert (await ask(here, b" " * 300_000))[0] == 413
    assert (await ask(here, ORDER, key="x" * 300))[0] == 400
    assert here.shared() == []


async def test_a_token_that_shares_too_often_is_asked_to_wait(here: Gate) -> None:
    here.put("a.pdf", PDF)
    answers = [await ask(here, {**ORDER, "mode": "link"}) for _ in range(21)]
    assert [status for status, _ in answers] == [200] * 20 + [429]


async def test_an_order_that_was_taken_outlives_the_gateway(here: Gate) -> None:
    here.put("a.pdf", PDF)
    here.stand.slack.faults.once("upload", "drop_after")
    asking = asyncio.ensure_future(ask(here, ORDER, key="k"))
    await here.stand.slack.wait_for(lambda: bool(here.stand.slack.uploads_made))
    await here.stand.gateway.kill()
    with pytest.raises(aiohttp.ClientError):
        await asking
    await here.stand.gateway.start()
    status, answer = await ask(here, ORDER, key="k")
    assert (status, answer["ok"]) == (200, True)
    here.stand.slack.files.hurry()
    assert len(here.shared()) == 1
