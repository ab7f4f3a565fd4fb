"""What monitoring is told."""

import aiohttp

from tests.agent.app.stage import MovableClock
from tests.agent.entry.door import listening
from tidegate_agent.entry.metrics import Metrics
from tidegate_agent.entry.monitoring import Readiness, monitoring_app
from tidegate_agent.errors import UnreachableError


class Server:
    """An API server that is there or not."""

    def __init__(self) -> None:
        self.there = False
        self.asked = 0

    async def probe(self) -> None:
        self.asked += 1
        if not self.there:
            raise UnreachableError("no connection")


async def test_an_agent_is_ready_once_the_api_server_has_answered_and_until_it_stops() -> None:
    server, clock = Server(), MovableClock()
    readiness = Readiness(server.probe, clock)
    async with (
        listening(monitoring_app(readiness, Metrics())) as url,
        aiohttp.ClientSession() as session,
    ):

        async def told(path: str) -> tuple[int, object]:
            async with session.get(f"{url}{path}") as response:
                return response.status, await response.json()

        assert await told("/healthz") == (200, {"ok": True})
        status, content = await told("/readyz")
        assert status == 503
        assert "UnreachableError" in str(content)
        await told("/readyz")
        assert server.asked == 1  # not for each probe
        server.there = True
        readiness = Readiness(server.probe, clock)
    async with (
        listening(monitoring_app(readiness, Metrics())) as url,
        aiohttp.ClientSession() as session,
    ):
        assert (await told("/readyz"))[0] == 200
        server.there = False
        assert (await told("/readyz"))[0] == 200
        readiness.stopping = True
        assert await told("/readyz") == (503, {"ok": False, "why": "stopping"})
        assert (await told("/healthz"))[0] == 200


async def test_counts_are_told_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    metrics.answered("deploy", 202, 0.02)
    metrics.called("PATCH", "deployments", 200, 0.01)
    metrics.refused("expired")
    metrics.noted("made")
    readiness = Readiness(Server().probe, MovableClock())
    async with (
        listening(monitoring_app(readiness, metrics)) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/metrics") as response,
    ):
        text = await response.text()
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'tidegate_agent_requests_total{status="202",verb="deploy"} 1.0' in text
    assert (
        'tidegate_agent_kubernetes_requests_total{method="PATCH",resource="deployments",'
        'status="200"} 1.0' in text
    )
    assert 'tidegate_agent_identity_refused_total{reason="expired"} 1.0' in text
    assert 'tidegate_agent_events_total{event="made"} 1.0' in text
    assert "process_resident_memory_bytes" in text


async def test_keys_that_cannot_be_read_are_counted_until_they_can() -> None:
    metrics = Metrics()
    for usable, number in ((True, "0.0"), (False, "1.0"), (True, "0.0")):
        metrics.keys_usable(usable)
        assert f"\ntidegate_agent_identity_keys_lost {number}\n" in metrics.text().decode()
