"""A watch goes on where it broke off, and says so when it cannot."""

import json
from typing import Any

import pytest

from tests.agent.adapters.scripted import answer, failure
from tests.agent.adapters.test_kubernetes_failures import Stand, stand
from tidegate_agent.core.kinds import POD
from tidegate_agent.errors import BusyError, ExpiredError, ForbiddenError, UnreachableError


def _event(kind: str, version: str, **more: Any) -> bytes:
    obj = {"metadata": {"name": "web-1", "resourceVersion": version}, **more}
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


async def _seen(at: Stand, *, most: int) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    async for event in at.client.watch(POD, "staging", resource_version="5"):
        seen.append((event.type, event.object["metadata"]["resourceVersion"]))
        if len(seen) == most:
            break
    return seen


def _asked_versions(at: Stand) -> list[str]:
    return [head.split("resourceVersion=")[1].split("&")[0] for head in at.server.asked]


async def test_a_watch_that_ends_goes_on_after_the_last_thing_it_told() -> None:
    first = answer(200, _event("ADDED", "6") + _event("MODIFIED", "9"))
    async with stand(first, answer(200, _event("DELETED", "12"))) as at:
        seen = await _seen(at, most=3)
        assert seen == [("ADDED", "6"), ("MODIFIED", "9"), ("DELETED", "12")]
        assert _asked_versions(at) == ["5", "9"]


async def test_a_bookmark_moves_the_place_to_go_on_from() -> None:
    first = answer(200, _event("BOOKMARK", "40"))
    async with stand(first, answer(200, _event("ADDED", "41"))) as at:
        assert await _seen(at, most=2) == [("BOOKMARK", "40"), ("ADDED", "41")]
        assert _asked_versions(at) == ["5", "40"]


async def test_half_a_line_is_not_told() -> None:
    cut = _event("ADDED", "6") + _event("MODIFIED", "9")[:20]
    async with stand(answer(200, cut), answer(200, _event("MODIFIED", "9"))) as at:
        assert await _seen(at, most=2) == [("ADDED", "6"), ("MODIFIED", "9")]


async def test_a_line_in_pieces_is_told_whole() -> None:
    whole = answer(200, _event("ADDED", "6", text="x" * 200_000))
    async with stand(whole) as at:
        assert await _seen(at, most=1) == [("ADDED", "6")]


@pytest.mark.parametrize("is_event", [True, False])
async def test_a_version_that_is_too_old_is_the_callers_to_list_anew(*, is_event: bool) -> None:
    told = {"type": "ERROR", "object": failure(410, "Expired", "too old resource version")}
    gone = answer(200, json.dumps(told).encode() + b"\n")
    async with stand(gone if is_event else answer(410, failure(410, "Expired"))) as at:
        with pytest.raises(ExpiredError):
            await _seen(at, most=1)


async def test_a_watch_that_is_not_allowed_ends() -> None:
    async with stand(answer(403, failure(403, "Forbidden"))) as at:
        with pytest.raises(ForbiddenError):
            await _seen(at, most=1)


async def test_a_watch_waits_longer_each_time_and_gives_up_in_the_end() -> None:
    async with stand() as at:
        with pytest.raises(UnreachableError):
            await _seen(at, most=1)
        assert at.waits == sorted(at.waits)
        assert len(at.server.asked) == 6


async def test_a_watch_waits_as_long_as_a_busy_server_asks() -> None:
    busy = answer(429, failure(429), Retry_After="4")
    async with stand(busy, answer(200, _event("ADDED", "6"))) as at:
        assert await _seen(at, most=1) == [("ADDED", "6")]
        assert at.waits == [4.0]


async def test_a_server_that_stays_busy_is_told() -> None:
    async with stand(*[answer(503, failure(503), Retry_After="1")] * 6) as at:
        with pytest.raises(BusyError):
            await _seen(at, most=1)


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b'{"type":"ADDED"}\n', b'{"type":1,"object":[]}\n']
)
async def test_nonsense_is_taken_for_a_broken_connection(line: bytes) -> None:
    async with stand(answer(200, line), answer(200, _event("ADDED", "6"))) as at:
        assert await _seen(at, most=1) == [("ADDED", "6")]
