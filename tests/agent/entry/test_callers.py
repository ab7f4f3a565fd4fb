"""Programs inside the cluster show a token, where the configuration wants one."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from tests.agent.app import stage as stages
from tests.agent.app.stage import HOME, MovableClock, Notes
from tests.agent.entry.door import door
from tidegate_agent.core.access import TokenReviewed
from tidegate_agent.entry.callers import CallerCheck
from tidegate_agent.entry.settings import Callers
from tidegate_agent.errors import (
    ForbiddenError,
    IdentityError,
    UnavailableError,
    UnreachableError,
)
from tidegate_agent.ports import Kubernetes
from tidegate_dev.kubernetes.bootstrap import add
from tidegate_dev.kubernetes.resources import CLUSTER_ROLE_BINDINGS

GATEWAY = "system:serviceaccount:tidegate:tidegate-gateway"
WANTED = Callers(audiences=("tidegate-agent",), users=frozenset({GATEWAY}))
GOOD = TokenReviewed(authenticated=True, username=GATEWAY, audiences=("tidegate-agent",))


class TickingClock(MovableClock):
    """Stands still until it is moved."""

    def monotonic(self) -> float:  # type: ignore[explicit-override]
        return self.ahead


class Reviewing:
    """An API server that says the same of every token."""

    def __init__(self, said: TokenReviewed | Exception) -> None:
        self.said = said
        self.asked: list[str] = []

    async def token_review(self, token: str, audiences: Sequence[str]) -> TokenReviewed:
        assert list(audiences) == ["tidegate-agent"]
        self.asked.append(token)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def _check(said: TokenReviewed | Exception) -> tuple[CallerCheck, Reviewing, TickingClock, Notes]:
    server, clock, notes = Reviewing(said), TickingClock(), Notes()
    kubernetes = cast("Kubernetes", server)
    return CallerCheck(WANTED, kubernetes, clock=clock, journal=notes), server, clock, notes


async def test_a_good_token_is_asked_about_once_a_minute() -> None:
    check, server, clock, _ = _check(GOOD)
    for seconds in (0, 30, 59):
        clock.ahead = seconds
        await check.check("Bearer one")
    assert server.asked == ["one"]
    clock.ahead = 61
    await check.check("bearer one")
    assert server.asked == ["one", "one"]


async def test_a_bad_token_is_asked_about_each_time() -> None:
    check, server, _, _ = _check(TokenReviewed(authenticated=False))
    for _ in range(2):
        with pytest.raises(IdentityError):
            await check.check("Bearer one")
    assert len(server.asked) == 2


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate_agent.entry.callers.MAX_REMEMBERED", 2)
    check, server, _, _ = _check(GOOD)
    for token in ("a", "b", "c", "a"):
        await check.check(f"Bearer {token}")
    assert server.asked == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (TokenReviewed(authenticated=False), "caller_token_unknown"),
        (TokenReviewed(authenticated=True, username=GATEWAY), "caller_token_for_another"),
        (
            TokenReviewed(authenticated=True, username=GATEWAY, audiences=("other",)),
            "caller_token_for_another",
        ),
        (
            TokenReviewed(authenticated=True, username="x", audiences=("tidegate-agent",)),
            "caller_not_listed",
        ),
    ],
)
async def test_another_token_is_not_believed(said: TokenReviewed, reason: str) -> None:
    check, _, _, _ = _check(said)
    with pytest.raises(IdentityError) as caught:
        await check.check("Bearer one")
    assert caught.value.reason == reason


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer", "Bearer ", "token"])
async def test_no_token_is_not_asked_about(header: str) -> None:
    check, server, _, _ = _check(GOOD)
    with pytest.raises(IdentityError):
        await check.check(header)
    assert server.asked == []


@pytest.mark.parametrize("failure", [UnreachableError("x"), ForbiddenError("x", verb="create")])
async def test_nobody_gets_in_while_nobody_can_tell(failure: Exception) -> None:
    check, _, _, notes = _check(failure)
    with pytest.raises(UnavailableError):
        await check.check("Bearer one")
    assert ("token_review_forbidden" in notes.names) == isinstance(failure, ForbiddenError)


async def test_a_gateway_in_the_cluster_gets_in_with_its_token_and_its_statement() -> None:
    async with stages.stage() as stage:
        binding: dict[str, Any] = {
            "roleRef": {"kind": "ClusterRole", "name": "system:auth-delegator"},
            "subjects": [{"kind": "ServiceAccount", "name": "tidegate-agent", "namespace": HOME}],
        }
        add(stage.cluster.store, CLUSTER_ROLE_BINDINGS, "tidegate-agent-delegator", **binding)
        check = CallerCheck(WANTED, stage.client, clock=stage.clock, journal=stage.notes)

        def token(name: str, audience: str) -> str:
            audiences = (audience,)
            return stage.cluster.add_service_account_token(HOME, name, audiences=audiences)

        async with door(stage, callers=check) as at:

            async def status(authorization: str | None) -> int:
                at.headers.clear()
                if authorization is not None:
                    at.headers["Authorization"] = f"Bearer {authorization}"
                return (await at.ask("status", {"namespace": "staging"})).status

            assert await status(None) == 401
            assert await status("made-up") == 401
            assert await status(token("tidegate-gateway", "other")) == 401
            assert await status(token("tidegate-agent", "tidegate-agent")) == 401
            assert await status(token("tidegate-gateway", "tidegate-agent")) == 200
