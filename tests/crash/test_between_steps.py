"""The process dies between two steps, whichever they are: the record says how to go on.

A rigged gateway (`killing_gateway`) kills itself before or after a named call; then the
ordinary one takes over the same store.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.crash import killing_gateway
from tests.crash.aftermath import (
    KINDS,
    Work,
    all_told,
    configure,
    folder_for,
    prepare,
    press_all,
    problems,
    settled,
)
from tests.crash.killing_gateway import VARIABLE
from tests.stand import GatewayProcess, Stand, stand

# Most of each case is spent waiting for the dead process's leases to end.
pytestmark = pytest.mark.timeout(180)

SIDE_BY_SIDE = 5
LEASE_SECONDS = 2
TOLD_SECONDS = 25.0

#: One press of each kind at once: a single kill meets them in four different places.
MIXED = ("own", "own_once", "own_long", "foreign")


def short_leases(config: dict[str, Any]) -> None:
    configure(config)
    config["worker"] = {"lease_seconds": LEASE_SECONDS}


def rigged(s: Stand, fuse: str) -> GatewayProcess:
    """Return a gateway on the same store that is to die at *fuse*."""
    environment = {**s.gateway.environment, VARIABLE: fuse}
    script = str(Path(killing_gateway.__file__))
    return GatewayProcess(s.gateway.config, s.gateway.folder, environment, module=(script,))


async def case(folder: Path, fuses: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Press one button of each kind, die at each fuse in turn, go on; return what is wrong."""
    async with stand(folder, change=short_leases, answer=Work(), start=False) as s:
        presses = [
            prepare(s, KINDS[kind], "C0OPS", f"web-{number}-x") for number, kind in enumerate(kinds)
        ]
        for life, fuse in enumerate(fuses):
            doomed = rigged(s, fuse)
            try:
                await doomed.start(ready=life == 0)
                if life == 0:
                    await press_all(s, presses)
                assert await doomed.exited(seconds=25.0) == -9, doomed.raw[-10:]
            except TimeoutError:
                return [f"{fuses}: {fuse} was never reached"]
            finally:
                await doomed.kill()
        await s.gateway.start()
        await all_told(s, presses, seconds=TOLD_SECONDS)
        await settled(folder)
        return [f"{fuses}: {text}" for text in problems(s, presses)]


async def survive(folder: Path, cases: Iterable[tuple[Sequence[str], Sequence[str]]]) -> None:
    """Assert that each case leaves nothing lost and nothing twice; a few at a time."""
    room = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(number: int, fuses: Sequence[str], kinds: Sequence[str]) -> list[str]:
        async with room:
            return await case(folder_for(folder, f"case-{number}"), fuses, kinds)

    async with asyncio.TaskGroup() as group:
        jobs = [
            group.create_task(one(number, fuses, kinds))
            for number, (fuses, kinds) in enumerate(cases)
        ]
    assert [text for job in jobs for text in job.result()] == []


# Here the steps that differ in what the record says; every step of every kind of press is in
# the long test below.


async def test_dying_around_the_record_loses_and_doubles_nothing(tmp_path: Path) -> None:
    fuses = ("store.record before 2", "store.record after 2")
    await survive(tmp_path, [((fuse,), MIXED) for fuse in fuses])


@pytest.mark.long
async def test_dying_with_a_lease_loses_and_doubles_nothing(tmp_path: Path) -> None:
    fuses = ("store.lease after 1", "store.lease_views after 1")
    await survive(tmp_path, [((fuse,), MIXED) for fuse in fuses])


async def test_dying_around_a_request_loses_and_doubles_nothing(tmp_path: Path) -> None:
    fuses = (
        "store.advance before 1",
        "store.advance after 2",
        "upstream.send after 3",
        "store.advance before 6",
    )
    await survive(tmp_path, [((fuse,), MIXED) for fuse in fuses])


@pytest.mark.long
async def test_dying_around_a_poll_loses_and_doubles_nothing(tmp_path: Path) -> None:
    # One run: sending, running, polled, done.
    fuses = ("upstream.send after 2", "store.advance before 3")
    await survive(tmp_path, [((fuse,), ("own_long",)) for fuse in fuses])


@pytest.mark.long
async def test_dying_around_an_update_loses_and_doubles_nothing(tmp_path: Path) -> None:
    fuses = ("slack.update before 1", "slack.update after 1")
    await survive(tmp_path, [((fuse,), ("own", "own_once")) for fuse in fuses])


async def test_dying_around_a_post_loses_and_doubles_nothing(tmp_path: Path) -> None:
    fuses = ("store.view_intent after 1", "slack.post after 1", "store.view_told after 1")
    await survive(tmp_path, [((fuse,), ("foreign", "command_once")) for fuse in fuses])


@pytest.mark.long
async def test_dying_again_while_a_post_is_looked_up_doubles_nothing(tmp_path: Path) -> None:
    lives = (
        ("slack.post after 1", "slack.find after 1"),
        ("slack.post after 1", "store.view_told after 1"),
    )
    await survive(tmp_path, [(fuses, ("foreign", "command_once")) for fuses in lives])


async def test_dying_while_the_service_works_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with stand(tmp_path, change=short_leases, start=False) as s:
        presses = [
            prepare(s, KINDS[kind], "C0OPS", f"web-{number}-x")
            for number, kind in enumerate(("own", "own_once", "foreign_once"))
        ]
        s.service.answer = Work(30.0)
        await s.gateway.start()
        await press_all(s, presses)
        await s.service.wait_for(lambda: len(s.service.posts) == 3)
        await s.gateway.kill()
        s.service.answer = Work()
        await s.gateway.start()
        await all_told(s, presses, seconds=TOLD_SECONDS)
        await settled(tmp_path)
        assert problems(s, presses) == []
        sent = [len(s.service.posts_for(press.deployment)) for press in presses]
        assert sent == [2, 1, 1]  # the key again where it is honoured, else never


#: Every call that does something, in the order in which a run meets them.
EVERY_STEP = (
    "store.record",
    "store.lease",
    "slack.person",
    "slack.channel_external",
    "store.advance",
    "upstream.send",
    "store.lease_views",
    "store.view_intent",
    "slack.post",
    "slack.update",
    "store.view_told",
)
#: Calls that this kind of press never makes, or not so often.
_NOT_MET: dict[str, Callable[[str, int], bool]] = {
    "own": lambda step, _: step in ("store.view_intent", "slack.post"),
    "foreign": lambda step, _: step == "slack.update",
}


def reached(kind: str, step: str, position: str, number: int) -> bool:
    """Whether a lone press of *kind* comes by this step so often, and it counts there."""
    if step in ("store.lease", "store.lease_views") and position == "before":
        return False
    met = _NOT_MET["own" if kind.startswith("own") else "foreign"]
    if met(step, number):
        return False
    twice = {"store.advance"}
    if kind == "own_long":
        twice |= {"upstream.send", "store.lease", "slack.update", "store.view_told"}
        twice |= {"store.lease_views"}
    return (
        number == 1
        or (number == 2 and step in twice)
        or (number == 3 and kind == "own_long" and step == "store.advance")
    )


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", list(KINDS))
async def test_dying_anywhere_loses_and_doubles_nothing(tmp_path: Path, kind: str) -> None:
    everywhere = itertools.product(EVERY_STEP, ("before", "after"), (1, 2, 3))
    await survive(
        tmp_path,
        [
            ((f"{step} {position} {number}",), (kind,))
            for step, position, number in everywhere
            if reached(kind, step, position, number)
        ],
    )
