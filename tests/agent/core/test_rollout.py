"""A rollout is as far as `kubectl rollout status` says that it is.

The cases are those of kubectl's own tests:
https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status_test.go
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.core.objects import deployment, other, read
from tidegate_agent.core import rollout
from tidegate_agent.core.kinds import DAEMON_SET, STATEFUL_SET
from tidegate_agent.core.rollout import State

ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


def state_of(
    generation: int, spec: int, *, observed: int, total: int, updated: int, available: int
) -> tuple[State, str]:
    raw = deployment(
        generation=generation,
        replicas=spec,
        status={
            "observedGeneration": observed,
            "replicas": total,
            "updatedReplicas": updated,
            "availableReplicas": available,
        },
    )
    found = rollout.of(read(raw))
    return found.state, found.message


@pytest.mark.parametrize(
    ("figures", "state", "words"),
    [
        ((0, 1, 0, 1, 0, 1), State.WAITING, "0 of 1 new pods have been started."),
        ((1, 1, 1, 2, 1, 2), State.WAITING, "1 old pod is being stopped."),
        ((1, 2, 1, 2, 2, 1), State.WAITING, "1 of 2 new pods are available."),
        ((1, 2, 1, 2, 2, 2), State.DONE, "2 of 2 new pods are available."),
        ((2, 2, 1, 2, 2, 2), State.WAITING, "Waiting for the change to be observed."),
    ],
)
def test_a_deployment_is_as_far_as_kubectl_says(
    figures: tuple[int, int, int, int, int, int], state: State, words: str
) -> None:
    generation, spec, observed, total, updated, available = figures
    found = state_of(
        generation, spec, observed=observed, total=total, updated=updated, available=available
    )
    assert found == (state, words)


@pytest.mark.parametrize(
    ("total", "updated", "available", "done"),
    [(4, 1, 3, 0), (4, 2, 3, 1), (3, 3, 2, 2), (3, 3, 3, 3), (5, 3, 2, 0)],
)
def test_of_the_pods_that_are_ready_the_old_ones_do_not_count(
    total: int, updated: int, available: int, done: int
) -> None:
    status = {"replicas": total, "updatedReplicas": updated, "availableReplicas": available}
    assert rollout.of(read(deployment(status=status))).done == done


def test_a_deployment_past_its_deadline_has_failed_whatever_its_figures_are() -> None:
    conditions = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]
    status = {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3, "conditions": conditions}
    assert rollout.of(read(deployment(status=status))).state is State.FAILED
    late = {**status, "observedGeneration": 3}
    assert rollout.of(read(deployment(status=late))).state is State.WAITING, "of the one before"


@pytest.mark.parametrize(
    ("strategy", "status", "state", "words"),
    [
        ({"type": "OnDelete"}, {}, State.BY_HAND, "OnDelete"),
        (ROLLING, {"observedGeneration": 0}, State.WAITING, "to be observed"),
        (ROLLING, {"observedGeneration": 3}, State.WAITING, "to be observed"),
        (ROLLING, {"readyReplicas": 2}, State.WAITING, "2 of 3 pods are ready"),
        (ROLLING, {"readyReplicas": 3, "updatedReplicas": 2}, State.WAITING, "2 of 3 new pods"),
        (ROLLING, {"readyReplicas": 3, "updatedReplicas": 3}, State.DONE, "3 new pods are there."),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
            {"readyReplicas": 3, "updatedReplicas": 1},
            State.DONE,
            "below number 2 keep the old template",
        ),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
            {"readyReplicas": 3, "updatedReplicas": 0},
            State.WAITING,
            "0 of 1 new pods",
        ),
        (
            {"type": "RollingUpdate"},
            {"readyReplicas": 3, "currentRevision": "a", "updateRevision": "b"},
            State.WAITING,
            "new pods have been started",
        ),
        (
            {"type": "RollingUpdate"},
            {"readyReplicas": 3, "currentRevision": "b", "updateRevision": "b"},
            State.DONE,
            "pods are there",
        ),
    ],
)
def test_a_stateful_set_is_as_far_as_kubectl_says(
    strategy: dict[str, Any], status: dict[str, Any], state: State, words: str
) -> None:
    revisions = {"currentRevision": "a", "updateRevision": "b"}
    found = rollout.of(other(STATEFUL_SET, strategy, {**revisions, **status}))
    assert found.state is state
    assert words in found.message


@pytest.mark.parametrize(
    ("strategy", "status", "state", "words"),
    [
        ("OnDelete", {}, State.BY_HAND, "OnDelete"),
        ("RollingUpdate", {"observedGeneration": 3}, State.WAITING, "to be observed"),
        ("RollingUpdate", {"updatedNumberScheduled": 1}, State.WAITING, "1 of 2 new pods have"),
        (
            "RollingUpdate",
            {"updatedNumberScheduled": 2, "numberAvailable": 1},
            State.WAITING,
            "1 of 2 new pods are available",
        ),
        (
            "RollingUpdate",
            {"updatedNumberScheduled": 2, "numberAvailable": 2},
            State.DONE,
            "2 of 2 new pods",
        ),
    ],
)
def test_a_daemon_set_is_as_far_as_kubectl_says(
    strategy: str, status: dict[str, Any], state: State, words: str
) -> None:
    found = rollout.of(
        other(DAEMON_SET, {"type": strategy}, {"desiredNumberScheduled": 2, **status})
    )
    assert found.state is state
    assert words in found.message
    assert found.total == 2


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        ({"observedGeneration": 3}, State.WAITING, "to be observed"),
        ({"replicas": 5, "availableReplicas": 5}, State.WAITING, "2 pods are too many"),
        ({"replicas": 3, "availableReplicas": 2}, State.WAITING, "2 of 3 pods are ready"),
        ({"replicas": 3, "availableReplicas": 3}, State.DONE, "3 of 3 pods are ready"),
    ],
)
def test_a_scale_is_done_once_as_many_are_ready_as_were_asked_for(
    status: dict[str, Any], state: State, words: str
) -> None:
    found = rollout.of_scale(read(deployment(status=status)))
    assert found.state is state
    assert words in found.message


COUNT = st.integers(0, 5)


@given(COUNT, COUNT, COUNT, COUNT, st.booleans(), st.booleans())
def test_a_deployment_is_done_exactly_if_kubectl_would_end(
    spec: int, total: int, updated: int, available: int, seen: bool, late: bool
) -> None:
    raw = deployment(
        replicas=spec,
        status={
            "observedGeneration": 4 if seen else 3,
            "replicas": total,
            "updatedReplicas": updated,
            "availableReplicas": available,
            "conditions": [
                {"type": "Progressing", "reason": "ProgressDeadlineExceeded" if late else "Fine"}
            ],
        },
    )
    found = rollout.of(read(raw))
    done = seen and not late and updated >= spec and total <= updated and available >= updated
    assert (found.state is State.DONE) == done
    assert (found.state is State.FAILED) == (seen and late)
    assert 0 <= found.done <= found.total
