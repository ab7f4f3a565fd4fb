"""The way behind the edge: throttles, the VPC link, and the service's certificate."""

from dataclasses import dataclass

import pytest

from tests.dev.edge_stage import Service, staged
from tidegate_dev.authority import Authority
from tidegate_dev.edge import FAULTS, BackendTls, Route, Throttle, VpcLink
from tidegate_dev.edge.routes import choose
from tidegate_dev.edge.throttle import TokenBucket
from tidegate_dev.listener import Listener


@dataclass
class Clock:
    at: float = 100.0

    def __call__(self) -> float:
        return self.at


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(Throttle(rate=2.0, burst=3), clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.at += 0.4
    assert not bucket.take()
    clock.at += 0.2
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.at += 3600.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("POST", "/api/v1/deploy", "POST /api/v1/deploy"),
        ("PUT", "/api/v1/deploy", "ANY /api/v1/deploy"),
        ("PUT", "/api/v1/scale", "PUT /api/v1/{name}"),
        ("GET", "/api/v1/scale", "ANY /api/{proxy+}"),
        ("POST", "/api/v1", "ANY /api/{proxy+}"),
        ("POST", "/api/", "$default"),
        ("POST", "/api", "$default"),
        ("PUT", "/api/v1/", "ANY /api/{proxy+}"),
        ("POST", "/other", "$default"),
        ("POST", "/", "$default"),
    ],
)
def test_the_route_that_fits_best_is_chosen(method: str, path: str, key: str) -> None:
    keys = (
        "$default",
        "ANY /api/{proxy+}",
        "ANY /api/v1/deploy",
        "PUT /api/v1/{name}",
        "POST /api/v1/deploy",
    )
    for turned in (keys, keys[::-1]):
        chosen = choose([Route(key=each) for each in turned], method, path)
        assert chosen is not None
        assert chosen.key == key


def test_where_no_route_fits_none_is_chosen() -> None:
    assert choose([Route(key="POST /a")], "POST", "/b") is None
    assert choose([], "POST", "/") is None


async def test_each_route_has_a_throttle_of_its_own() -> None:
    clock = Clock()
    routes = (
        Route(key="POST /api/v1/deploy", throttle=Throttle(rate=1.0, burst=1)),
        Route(key="$default"),
    )
    throttle = Throttle(rate=1.0, burst=2)
    async with staged(routes=routes, throttle=throttle, monotonic=clock) as stage:

        async def statuses(path: str, count: int) -> list[int]:
            return [(await stage.ask(path))[0] for _ in range(count)]

        assert await statuses("/api/v1/deploy", 2) == [202, 429]
        assert await statuses("/api/v1/other", 3) == [202, 202, 429]
        clock.at += 1.0
        assert await statuses("/api/v1/deploy", 2) == [202, 429]
        assert len(stage.service.requests) == 4


async def test_a_link_that_was_given_up_wakes_and_loses_what_comes_meanwhile() -> None:
    clock = Clock()
    link = VpcLink("INACTIVE", wakes_in_seconds=120.0, monotonic=clock)
    async with staged(link=link) as stage:
        assert stage.edge.state()["vpc_link"] == "INACTIVE"
        assert (await stage.ask())[0] == 503
        clock.at += 119.0
        assert (await stage.ask())[0] == 503
        assert [exchange.verdict for exchange in stage.seen] == ["VpcLinkInactive"] * 2
        clock.at += 1.0
        assert (await stage.ask())[0] == 202
        assert stage.edge.state()["vpc_link"] == "AVAILABLE"


async def test_a_link_that_nothing_wakes_stays_as_it_is() -> None:
    async with staged(link=VpcLink("FAILED")) as stage:
        assert (await stage.ask())[0] == 500
        stage.edge.config.link.state = "PENDING"
        assert (await stage.ask())[0] == 503
        assert stage.service.requests == []


@pytest.mark.parametrize(
    ("shown", "trusted", "status"),
    [("agent.internal", True, 202), ("other.internal", True, 500), ("agent.internal", False, 500)],
)
async def test_the_services_certificate_has_to_bear_the_name(
    authority: Authority, shown: str, trusted: bool, status: int
) -> None:
    service = Service()
    service.may_answer.set()
    ca = authority if trusted else Authority("another")
    tls = BackendTls(server_name="agent.internal", ca_pem=ca.pem)
    context = authority.issue(shown).server_context()
    async with (
        Listener(service, tls=context) as private,
        staged(integration_url=private.url, backend_tls=tls) as stage,
    ):
        assert (await stage.ask())[0] == status
        assert stage.seen[-1].verdict == ("accepted" if status == 202 else "BackendNotTrusted")
        assert len(service.requests) == (status == 202)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def test_without_a_name_to_verify_the_certificate_is_taken_as_it_is(
    authority: Authority,
) -> None:
    service = Service()
    service.may_answer.set()
    context = authority.issue("whoever.internal").server_context()
    async with (
        Listener(service, tls=context) as private,
        staged(integration_url=private.url) as stage,
    ):
        assert (await stage.ask())[0] == 202


async def test_whose_answer_is_not_waited_for_has_been_asked() -> None:
    async with staged() as stage:
        stage.edge.set_fault("integration_timeout", True)
        assert (await stage.ask())[0] == 504
        assert len(stage.service.requests) == 1


async def test_every_fault_keeps_a_good_request_from_its_answer() -> None:
    async with staged() as stage:
        for fault in sorted(set(FAULTS) - {"integration_slow"}):
            stage.edge.set_fault(fault, True)
            assert (await stage.ask())[0] >= 400, fault
            stage.edge.set_fault(fault, False)
            assert (await stage.ask())[0] == 202, fault
