"""The admin listener: metrics for whoever can reach it, runs for named callers."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.stand import Stand, stand

TOKEN, SECRET = "t0ken-of-ci", "s3cret-image"
BLOCKS: list[dict[str, Any]] = [
    {
        "type": "actions",
        "block_id": "b1",
        "elements": [
            {
                "type": "button",
                "action_id": "k8s_deploy",
                "text": {"type": "plain_text", "text": "Deploy"},
                "value": json.dumps({"namespace": "staging", "deployment": SECRET}),
            }
        ],
    }
]


@dataclass(slots=True)
class Admin:
    """Asks the admin listener."""

    stand: Stand
    http: aiohttp.ClientSession

    async def get(
        self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET"
    ) -> tuple[int, str]:
        port = self.stand.gateway.config["admin"]["port"]
        url = f"http://127.0.0.1:{port}{path}"
        async with self.http.request(method, url, headers=headers) as answer:
            return answer.status, await answer.text()

    async def api(self, path: str) -> tuple[int, Any]:
        status, text = await self.get(path, {"Authorization": f"Bearer {TOKEN}"})
        return status, json.loads(text)


def _named_callers(config: dict[str, Any]) -> None:
    config["api"] = {"tokens": [{"name": "ci", "secret": {"file": "token"}}]}
    config["actions"]["deploy"]["params"]["deployment"]["secret"] = True


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    async with stand(tmp_path, change=_named_callers) as found, aiohttp.ClientSession() as http:
        yield Admin(found, http)


async def test_without_configured_tokens_there_is_no_api(tmp_path: Path) -> None:
    async with stand(tmp_path) as found, aiohttp.ClientSession() as http:
        admin = Admin(found, http)
        for path in ("/api/v1/runs", "/api/v1/runs/01JD8S3Q9X2V4W6Y8Z0A1B2C3D"):
            status, answer = await admin.api(path)
            assert status == 404
            assert "api.tokens" in answer["error"]["message"]
        assert (await admin.get("/metrics"))[0] == 200
        assert (await admin.get("/slack/actions", method="POST"))[0] == 404


async def test_runs_are_for_named_callers_and_hold_no_secrets(admin: Admin) -> None:
    ts = admin.stand.message(blocks=BLOCKS)
    delivery = await admin.stand.click(ts)
    assert delivery.run
    await admin.stand.told(ts, "all done")
    assert admin.stand.service.posts[0].json()["params"]["deployment"] == SECRET

    status, listed = await admin.api("/api/v1/runs?limit=50")
    assert status == 200
    (run,) = listed["runs"]
    assert (run["id"], run["action"], run["state"]) == (delivery.run, "deploy", "succeeded")
    assert run["params"] == {"namespace": "staging", "deployment": "•••"}
    status, shown = await admin.api(f"/api/v1/runs/{delivery.run}")
    assert (status, shown["run"]) == (200, run)
    assert shown["audit"][0]["actor"] == "U0ADA"
    assert shown["audit"][-1]["event"].endswith("succeeded")
    _, out, _ = await admin.stand.gateway.command("runs", "show", delivery.run)
    for text in (json.dumps([listed, shown]), out, *admin.stand.gateway.raw):
        assert SECRET not in text
        assert "response_url" not in text
        assert "/response/" not in text
        assert TOKEN not in text
    # Nor does Slack show it.
    assert SECRET not in json.dumps(admin.stand.slack.message("C0OPS", ts).blocks)


async def test_only_the_right_token_opens_the_api(admin: Admin) -> None:
    refused: list[Mapping[str, str]] = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer é\u00ff"},
        {"X-Authorization": f"Bearer {TOKEN}"},
    ]
    for headers in refused:
        status, text = await admin.get("/api/v1/runs", headers)
        assert (status, json.loads(text)["error"]["code"]) == (401, "unauthorized")
        assert (await admin.get("/api/v1/runs/01JD", headers))[0] == 401
    assert (await admin.get("/api/v1/runs", {"Authorization": f"bearer {TOKEN}"}))[0] == 200
    assert (await admin.get(f"/api/v1/runs?token={TOKEN}"))[0] == 401


async def test_odd_questions_are_answered(admin: Admin) -> None:
    for query, expected in {
        "limit=0": 200,
        "limit=999999": 200,
        "limit=many": 400,
        f"limit={'9' * 5000}": 400,
        "state=unknown": 200,
        "state=sleeping": 400,
        "action=%00%ff&user=%27%20OR%201=1": 200,
        "before=nothing": 200,
    }.items():
        status, answer = await admin.api(f"/api/v1/runs?{query}")
        assert status == expected, query
        assert ("runs" in answer) == (expected == 200)
    assert (await admin.api("/api/v1/runs/none"))[0] == 404
    assert (await admin.api("/api/v1/runs/%00%ff"))[0] == 404
    assert (await admin.get("/api/v1/runs", method="POST"))[0] == 405
    assert not [line for line in admin.stand.gateway.lines if line["level"] == "error"]


async def test_metrics_are_in_prometheus_format(admin: Admin) -> None:
    ts = admin.stand.message(blocks=BLOCKS)
    await admin.stand.click(ts)
    await admin.stand.told(ts, "all done")
    await admin.stand.click(admin.stand.message(), action_id="other")
    status, text = await admin.get("/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    requests = {
        (s.labels["kind"], s.labels["outcome"], s.labels["status"]): s.value
        for s in families["tidegate_requests"].samples
        if s.name == "tidegate_requests_total"
    }
    assert requests == {
        ("block_actions", "recorded", "200"): 1.0,
        ("block_actions", "unrouted", "200"): 1.0,
    }
    (count,) = [s for s in families["tidegate_ack_seconds"].samples if s.name.endswith("_count")]
    assert count.value == 2.0
    assert ("deploy", "cluster", "succeeded") in {
        (s.labels["action"], s.labels["pathway"], s.labels["state"])
        for s in families["tidegate_outcomes"].samples
    }
    assert SECRET not in text
    assert "U0ADA" not in text
