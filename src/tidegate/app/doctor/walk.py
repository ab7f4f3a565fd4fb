"""The walk over a live set-up: what does not wait for anything else is tried at once.

Each step has a time of its own, and so has the whole. What needs something that is not there is
not tried, and says so. Nothing is changed anywhere, and nothing has an effect at a service.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tidegate.core.diagnosis.finding import Check, Diagnosis, Path, Seen, State, Words, finding

STEP_SECONDS: Final = 10.0
WALK_SECONDS: Final = 60.0
AT_ONCE: Final = 16
NO_TIME: Final = "not tried: the time for all of it was up"

WORDS: Final[Mapping[str, Words]] = {
    "doctor.no_end": Words(
        what="it did not come to an end within {seconds} s",
        why="something on the way takes what is sent and says nothing",
        mend="look at the lines above, and at what stands between the gateway and the far end",
    ),
    "doctor.broke": Words(
        what="the look itself broke down ({error})",
        why="what came back was not foreseen",
        mend="please report it, with the kind of far end that is there",
    ),
}

#: Told whenever a step ends: how many have, of how many, and which.
Progress = Callable[[int, int, Path], None]
Look = Callable[[], Awaitable[Seen]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to look at.

    Attributes:
        path: Where it stands in the tree; unique.
        title: What is looked at, for people.
        look: Looks, and changes nothing.
        needs: What has to be there before: otherwise it is not tried.
        seconds: How long it may take.
    """

    path: Path
    title: str
    look: Look
    needs: tuple[Path, ...] = ()
    seconds: float = STEP_SECONDS


@dataclass(slots=True)
class _Walk:
    """One walk under way."""

    steps: Sequence[Step]
    progress: Progress
    ends_at: float
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    done: dict[Path, asyncio.Future[Check]] = field(default_factory=dict)
    count: int = 0


async def walk(
    steps: Sequence[Step],
    *,
    before: Diagnosis | None = None,
    within: float = WALK_SECONDS,
    progress: Progress = lambda *_: None,
) -> Diagnosis:
    """Return what was found at each step, in their order, after what was found before.

    Args:
        steps: What to look at; what one needs stands anywhere among them, or was looked at before.
        before: An earlier walk, which this one goes on with.
        within: How many seconds all of it may take.
        progress: Is told of each step that has ended.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    going = _Walk(steps=steps, progress=progress, ends_at=began + within)
    known = before.checks if before is not None else ()
    going.done = {path: loop.create_future() for path in (*_paths(known), *_paths(steps))}
    for check in known:
        going.done[check.path].set_result(check)
    async with asyncio.TaskGroup() as group:
        for step in steps:
            group.create_task(_take(going, step))
    checks = tuple(going.done[step.path].result() for step in steps)
    seconds = loop.time() - began + (before.seconds if before is not None else 0.0)
    return Diagnosis(checks=(*known, *checks), seconds=seconds)


def _paths(every: Sequence[Step] | Sequence[Check]) -> list[Path]:
    return [each.path for each in every]


async def _take(going: _Walk, step: Step) -> None:
    """Take one step once all that it needs is known."""
    missing = ""
    for path in step.needs:
        needed = going.done.get(path)
        check = await needed if needed is not None else None
        if check is not None and check.state in (State.WRONG, State.SKIPPED):
            missing = missing or _because(check)
    check = await _looked(going, step) if not missing else _skipped(step, missing)
    going.count += 1
    going.done[step.path].set_result(check)
    going.progress(going.count, len(going.steps), step.path)


def _skipped(step: Step, why: str) -> Check:
    return Check(path=step.path, title=step.title, state=State.SKIPPED, said=why)


def _because(check: Check) -> str:
    if check.state is State.SKIPPED:
        return check.said  # the first cause, and not each of those that came of it
    code = next((each.code for each in check.findings if each.grave), "")
    return f"not tried because of {'/'.join(check.path)}: {code}"


async def _looked(going: _Walk, step: Step) -> Check:
    loop = asyncio.get_running_loop()
    async with going.free:
        seconds = min(step.seconds, going.ends_at - loop.time())
        if seconds <= 0:
            return _skipped(step, NO_TIME)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                seen = await step.look()
        except TimeoutError:
            late = finding(WORDS, "doctor.no_end", seconds=f"{seconds:.1f}")
            seen = Seen(findings=(late,))
        except Exception as error:  # noqa: BLE001 - one look that breaks must not hide the others
            broke = finding(WORDS, "doctor.broke", error=type(error).__name__)
            seen = Seen(findings=(broke,))
        spent = round((time.perf_counter() - began) * 1000)
    return Check(
        path=step.path,
        title=step.title,
        state=seen.state,
        said=seen.said or seen.untold,
        findings=seen.findings,
        milliseconds=spent,
    )
