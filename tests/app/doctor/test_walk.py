"""The walk: what it tries, what it does not, and that it ends."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.app.doctor.walk import AT_ONCE, NO_TIME, Look, Step, walk
from tidegate.core.diagnosis.finding import Finding, Path, Seen, State

GRAVE = Finding(code="a.grave", what="x", why="y", mend="z")
MILD = Finding(code="a.mild", what="x", why="y", mend="z", grave=False)


def seeing(seen: Seen) -> Look:
    async def look() -> Seen:
        return seen

    return look


def step(name: str, look: Look | None = None, *needs: str, seconds: float = 5.0) -> Step:
    return Step(
        path=(name,),
        title=name.upper(),
        look=look or seeing(Seen(said="fine")),
        needs=tuple((each,) for each in needs),
        seconds=seconds,
    )


async def states(*steps: Step) -> dict[str, State]:
    found = await walk(steps)
    return {check.path[0]: check.state for check in found.checks}


async def test_each_step_is_taken_once_and_told_in_its_order() -> None:
    found = await walk([step("b", None, "a"), step("a"), step("c")])
    assert [check.path for check in found.checks] == [("b",), ("a",), ("c",)]
    assert [check.said for check in found.checks] == ["fine"] * 3


@pytest.mark.parametrize(
    ("seen", "after"),
    [
        (Seen(), State.OK),
        (Seen(findings=(MILD,)), State.OK),
        (Seen(untold="cannot be told"), State.OK),
        (Seen(findings=(GRAVE,)), State.SKIPPED),
    ],
)
async def test_only_what_is_wrong_keeps_others_from_being_tried(seen: Seen, after: State) -> None:
    found = await states(step("a", seeing(seen)), step("b", None, "a"), step("c", None, "b"))
    assert found["b"] is after
    assert found["c"] is after


async def test_what_is_not_tried_names_the_first_cause() -> None:
    wrong = seeing(Seen(findings=(MILD, GRAVE)))
    found = await walk([step("a", wrong), step("b", None, "a"), step("c", None, "b", "a")])
    assert [check.said for check in found.checks[1:]] == [
        "not tried because of a: a.grave",
        "not tried because of a: a.grave",
    ]


async def test_what_nobody_looks_at_keeps_nothing_from_being_tried() -> None:
    assert (await states(step("a", None, "nowhere")))["a"] is State.OK


async def test_a_walk_goes_on_with_what_was_found_before() -> None:
    before = await walk([step("secret", seeing(Seen(findings=(GRAVE,))))])
    found = await walk([step("a", None, "secret"), step("b")], before=before)
    assert [(check.path[0], check.state) for check in found.checks] == [
        ("secret", State.WRONG),
        ("a", State.SKIPPED),
        ("b", State.OK),
    ]
    assert found.seconds >= before.seconds


async def test_a_step_that_does_not_end_is_ended() -> None:
    async def hang() -> Seen:
        await asyncio.Event().wait()
        return Seen()

    found = await walk([step("a", hang, seconds=0.02), step("b")])
    assert [each.code for each in found.findings] == ["doctor.no_end"]
    assert found.checks[1].state is State.OK


async def test_a_step_that_breaks_does_not_hide_the_others() -> None:
    async def broken() -> Seen:
        raise RuntimeError("with a secret in it")

    found = await walk([step("a", broken), step("b")])
    assert [each.code for each in found.findings] == ["doctor.broke"]
    assert "RuntimeError" in found.findings[0].what
    assert "secret" not in str(found)
    assert found.checks[1].state is State.OK


async def test_what_is_not_begun_when_time_is_up_is_not_called_wrong() -> None:
    found = await walk([step("a")], within=0.0)
    assert (found.checks[0].state, found.checks[0].said) == (State.SKIPPED, NO_TIME)


async def test_what_does_not_wait_for_others_is_tried_at_once_but_not_all_of_it() -> None:
    going = most = 0
    gate = asyncio.Event()

    async def look() -> Seen:
        nonlocal going, most
        going += 1
        most = max(most, going)
        if going == AT_ONCE:
            gate.set()
        await gate.wait()
        going -= 1
        return Seen()

    await walk([step(str(number), look) for number in range(2 * AT_ONCE)])
    assert most == AT_ONCE


async def test_who_looks_on_is_told_of_each_step() -> None:
    told: list[tuple[int, int, Path]] = []
    await walk([step("a"), step("b", None, "a")], progress=lambda *each: told.append(each))
    assert told == [(1, 2, ("a",)), (2, 2, ("b",))]


@given(st.data())
def test_whatever_needs_what_the_walk_ends_and_skips_below_what_is_wrong(
    data: st.DataObject,
) -> None:
    count = data.draw(st.integers(1, 8))
    wrong = data.draw(st.sets(st.integers(0, count - 1)))
    needs = {
        number: data.draw(st.sets(st.integers(0, number - 1))) if number else set()
        for number in range(count)
    }
    bad: Callable[[int], Seen] = lambda number: Seen(  # noqa: E731
        findings=(GRAVE,) if number in wrong else ()
    )
    steps = [
        step(str(number), seeing(bad(number)), *map(str, needs[number])) for number in range(count)
    ]
    found = {check.path[0]: check.state for check in asyncio.run(walk(steps)).checks}
    stopped: set[int] = set()
    for number in range(count):
        expected = State.WRONG if number in wrong else State.OK
        if needs[number] & stopped:
            expected = State.SKIPPED
        if expected is not State.OK:
            stopped.add(number)
        assert found[str(number)] is expected
