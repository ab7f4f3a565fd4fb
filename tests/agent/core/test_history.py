"""Which revisions there are, and which of them `kubectl rollout undo` would take."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.core.objects import IMAGE, deployment, other, read, replica_set, template
from tidegate_agent.core import history
from tidegate_agent.core.kinds import STATEFUL_SET
from tidegate_agent.errors import RefusedError

NOW = read(deployment())


def test_revisions_are_the_replica_sets_that_the_deployment_controls_in_order() -> None:
    owned = [
        replica_set(3, IMAGE),
        replica_set(10, "web:10"),
        replica_set(2, "web:2", owner="another"),
        {**replica_set(1, "web:1"), "metadata": {"annotations": {}}},
    ]
    assert [each.number for each in history.of(NOW, owned)] == [3, 10]


def test_the_label_that_the_controller_adds_is_not_the_templates() -> None:
    (found,) = history.of(NOW, [replica_set(3, IMAGE)])
    assert found.template == template()
    assert history.current(NOW, [found]) == 3


def test_the_revision_before_is_the_second_highest() -> None:
    found = history.of(NOW, [replica_set(n, f"web:{n}") for n in (7, 3, 5)])
    assert history.choose(NOW, found, 0).number == 5
    assert history.choose(NOW, found, 3).images == "web:3"


@pytest.mark.parametrize(
    ("numbers", "wanted", "status", "words"),
    [
        ((), 0, 409, "no earlier"),
        ((3,), 0, 409, "no earlier"),
        ((3, 4), 9, 404, "no revision 9; there are 3, 4"),
    ],
)
def test_what_there_is_not_is_told_with_what_there_is(
    numbers: tuple[int, ...], wanted: int, status: int, words: str
) -> None:
    found = history.of(NOW, [replica_set(n, f"web:{n}") for n in numbers])
    with pytest.raises(RefusedError, match=words) as caught:
        history.choose(NOW, found, wanted)
    assert caught.value.status == status


def revision(number: int, image: str) -> dict[str, Any]:
    patched = {"$patch": "replace", **template(image)}
    return {
        "metadata": {"ownerReferences": [{"uid": "uid-web", "controller": True}]},
        "revision": number,
        "data": {"spec": {"template": patched}},
    }


def test_the_revisions_of_a_stateful_set_are_controller_revisions() -> None:
    now = other(STATEFUL_SET, {}, {})
    found = history.of(now, [revision(2, IMAGE), revision(1, "web:1")])
    assert [each.number for each in found] == [1, 2]
    assert found[1].template == template(), "without what makes it a patch"
    assert history.current(now, found) == 2
    assert history.choose(now, found, 0).images == "web:1"


@given(st.sets(st.integers(1, 50), min_size=2))
def test_going_back_twice_names_the_same_revision_as_long_as_nothing_is_made(
    numbers: set[int],
) -> None:
    found = history.of(NOW, [replica_set(n, f"web:{n}") for n in numbers])
    chosen = history.choose(NOW, found, 0)
    assert chosen.number == sorted(numbers)[-2]
    assert history.choose(NOW, found, chosen.number) == chosen


@pytest.mark.parametrize("said", ["9" * 5_000, "9" * 19, "\u00b2", "\u0663", "-1", "1.0", " 1", ""])
def test_a_revision_that_is_no_number_of_a_revision_is_left_out(said: str) -> None:
    raw = replica_set(3, IMAGE)
    raw["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = said
    assert history.of(NOW, [raw]) == ()
