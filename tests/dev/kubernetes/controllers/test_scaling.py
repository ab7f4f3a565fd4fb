"""How a Deployment's new size is shared among ReplicaSets in the middle of a rollout."""

import pytest

from tests.dev.kubernetes.controllers.stage import (
    NAMESPACE,
    ManualClock,
    Object,
    deployment,
    template,
)
from tidegate_dev.kubernetes.controllers.deployments.family import family_of
from tidegate_dev.kubernetes.controllers.deployments.scaling import Scaler
from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, REPLICA_SETS
from tidegate_dev.kubernetes.store import Store


def replica_set(number: int, size: int, most: int) -> Object:
    """Return the ReplicaSet of a revision, which had its share of *most* pods."""
    annotations = {
        "deployment.kubernetes.io/revision": str(number),
        "deployment.kubernetes.io/max-replicas": str(most),
    }
    return {
        "metadata": {
            "name": f"web-{number}",
            "namespace": NAMESPACE,
            "annotations": annotations,
        },
        "spec": {"replicas": size, "template": template("web", f"{number}.0")},
    }


def spread(before: int, after: int, surge: int, sizes: list[int]) -> list[int]:
    """Return the sizes after a Deployment was scaled; the oldest ReplicaSet comes first."""
    clock = ManualClock()
    store = Store(clock.now)
    made = [
        store.create(REPLICA_SETS, replica_set(number, size, before + surge))
        for number, size in enumerate(sizes, 1)
    ]
    rolling = {"maxSurge": surge, "maxUnavailable": 1}
    wanted = deployment(
        tag=f"{len(sizes)}.0",
        replicas=after,
        strategy={"type": "RollingUpdate", "rollingUpdate": rolling},
    )
    family = family_of(store.create(DEPLOYMENTS, wanted), made)
    Scaler(store, Recorder(store, clock)).spread(family)
    return [entry["spec"]["replicas"] for entry in store.list(REPLICA_SETS)[0]]


@pytest.mark.parametrize(
    ("before", "after", "surge", "sizes", "result"),
    [
        (10, 20, 0, [5, 5], [10, 10]),
        (10, 5, 0, [5, 5], [2, 3]),  # of equal ones the older gives up what is left over
        (10, 15, 3, [8, 5], [11, 7]),  # the documentation's example
        (10, 11, 0, [3, 3, 4], [3, 3, 5]),  # what is left over goes to the largest
        (10, 14, 0, [3, 3, 4], [4, 4, 6]),
        (10, 0, 3, [8, 5], [0, 0]),
        (4, 5, 1, [0, 5], [0, 5]),
        (4, 8, 1, [0, 4], [0, 8]),  # where only one has pods, it gets all
        (4, 8, 1, [0, 0], [0, 8]),
        (4, 8, 1, [4, 0], [8, 0]),
    ],
)
def test_each_replica_set_keeps_its_share(
    before: int, after: int, surge: int, sizes: list[int], result: list[int]
) -> None:
    assert spread(before, after, surge, sizes) == result
