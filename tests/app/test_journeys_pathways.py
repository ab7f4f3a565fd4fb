"""What keeps a click from its service: said plainly in Slack, and with the mend in the log."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.service import Service
from tests.stand import Stand, buttons, stand
from tidegate.core import notices
from tidegate.core.remedy import remedy
from tidegate_dev.edge import Edge, EdgeConfig, edge_app
from tidegate_dev.listener import Listener
from tidegate_dev.sigv4_check import IssuedKeys

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = IssuedKeys(access_key="ASIGATE", secret_key="gate+secret", session_token="gate//token==")
#: What API Gateway says in ARNs, ids, hashes and tokens, and nobody in Slack is to read.
FOREIGN = ("arn:aws", "123456789012", "execute-api", "token==", "Canonical", "AWS4-HMAC")


@dataclass
class Edged:
    stand: Stand
    edge: Edge
    service: Service
    presses: int = 0

    @property
    def latest(self) -> str:
        """What was to be deployed by the latest press."""
        return f"web-{self.presses}"

    async def press(self, fault: str, *words: str) -> tuple[str, dict[str, Any]]:
        """Press a button while the edge has a fault; return the message and the log's line."""
        self.presses += 1
        before = len(self.stand.gateway.events("pathway_fault"))
        self.edge.set_fault(fault, True)
        try:
            ts = self.stand.message(blocks=buttons(("k8s_deploy", self.latest)))
            await self.stand.click(ts)
            text = ""
            for each in words:
                text = await self.stand.told(ts, each)
        finally:
            self.edge.set_fault(fault, False)
        return text, await self._line(before)

    async def _line(self, before: int) -> dict[str, Any]:
        """Return the line that was logged first since there were so many of them."""
        async with asyncio.timeout(10):
            # What another process writes gives no event.
            while len(lines := self.stand.gateway.events("pathway_fault")) <= before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return lines[before]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edged]:
    service = Service()
    await service.start()
    config = EdgeConfig(integration_url=service.url, keys={KEYS.access_key: KEYS}, kind="rest")
    edge = edge_app(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
        patch.setenv("AWS_SESSION_TOKEN", str(KEYS.session_token))
        async with Listener(edge) as listener:

            def change(configuration: dict[str, Any]) -> None:
                configuration["pathways"]["cluster"] = {
                    "type": "api_gateway",
                    "url": f"{listener.url}/prod",
                    "region": "eu-west-1",
                }

            folder = tmp_path_factory.mktemp("edged")
            async with stand(folder, change=change, idempotent=False) as found:
                yield Edged(found, edge, service)
            await edge.aclose()
    await service.stop()


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("bad_signature", "bad_signature"),
        ("clock_skew", "clock_skew"),
        ("not_permitted", "not_permitted"),
        ("expired_token", "expired_credentials"),
        ("unknown_route", "no_route"),
    ],
)
async def test_what_never_reached_the_service_fails_and_can_be_pressed_again(
    edged: Edged, fault: str, word: str
) -> None:
    text, line = await edged.press(fault, "· failed")
    assert notices.reason(word) in text
    assert '"action_id": "k8s_deploy"' in text
    assert (line["reason"], line["mend"]) == (word, remedy(word))
    assert (line["pathway"], line["level"], line["status"]) == ("cluster", "warning", 403)
    assert line["request_id"]
    assert edged.service.posts_for(edged.latest) == []
    said = text + "".join(edged.stand.gateway.raw)
    assert [each for each in FOREIGN[:2] + FOREIGN[3:] if each in said] == []


async def test_a_throttle_is_waited_for(edged: Edged) -> None:
    text, line = await edged.press("throttle", "trying again")
    assert line["reason"] == "throttled"
    assert "failed" not in text
    await edged.service.wait_for(lambda: len(edged.service.posts_for(edged.latest)) == 1)


async def test_an_integration_that_was_given_up_may_have_done_it(edged: Edged) -> None:
    text, line = await edged.press("integration_timeout", "outcome unknown")
    assert notices.reason("integration_timeout") in text
    assert (line["reason"], line["status"]) == ("integration_timeout", 504)
    await edged.service.wait_for(lambda: len(edged.service.posts_for(edged.latest)) == 1)
