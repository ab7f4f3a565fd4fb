"""ReplicaSets and the quotas that hold them back."""

from tests.dev.kubernetes.controllers.stage import NAMESPACE, Object, Stage, ready
from tidegate_dev.kubernetes.controllers.clock import stamp
from tidegate_dev.kubernetes.controllers.pods import least_missed
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, PODS, REPLICA_SETS, RESOURCE_QUOTAS


def quota(pods: int) -> Object:
    return {
        "metadata": {"name": "small", "namespace": NAMESPACE},
        "spec": {"hard": {"pods": str(pods)}},
    }


def pod(name: str, *, phase: str = "Running", node: str = "node-1", **more: object) -> Object:
    """Return a pod as far as it matters to who goes first."""
    since = float(str(more.get("since", 1_000)))
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": stamp(since)}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": stamp(float(str(more.get("born", 1_000)))),
            "annotations": more.get("annotations", {}),
        },
        "spec": {"nodeName": node} if node else {},
        "status": {
            "phase": phase,
            "conditions": [condition] if more.get("is_ready", True) else [],
            "containerStatuses": [{"restartCount": more.get("restarts", 0)}],
        },
    }


def test_a_quota_keeps_pods_away_and_everybody_says_so() -> None:
    stage = Stage()
    stage.store.create(RESOURCE_QUOTAS, quota(2))
    stage.deploy()
    stage.wait(0.5)
    assert len(stage.pods()) == 2
    [replica_set] = stage.replica_sets()
    [failure] = replica_set["status"]["conditions"]
    assert (failure["type"], failure["status"]) == ("ReplicaFailure", "True")
    assert failure["reason"] == "FailedCreate"
    assert (
        "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"
        in (failure["message"])
    )
    assert stage.condition("ReplicaFailure") == ("True", "FailedCreate")
    [message] = stage.messages("web", "FailedCreate")
    assert message.startswith('Error creating: pods "web-')


def test_a_larger_quota_lets_the_missing_pods_come() -> None:
    stage = Stage()
    stage.store.create(RESOURCE_QUOTAS, quota(2))
    stage.deploy()
    stage.wait(5)
    stage.change(lambda obj: obj["spec"]["hard"].update(pods="5"), "small", RESOURCE_QUOTAS)
    stage.wait(2)
    assert sum(map(ready, stage.pods())) == 3
    assert stage.condition("ReplicaFailure") == ("", "")
    assert "conditions" not in stage.replica_sets()[0]["status"]


def test_a_rollout_under_a_full_quota_goes_on_as_pods_are_freed() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    stage.store.create(RESOURCE_QUOTAS, quota(3))
    stage.set_image("1.1.0")
    stage.wait(5)
    assert stage.condition("ReplicaFailure") == ("True", "FailedCreate")
    assert stage.condition("Progressing")[1] != "NewReplicaSetAvailable"


def test_a_quota_tells_how_much_of_it_is_used() -> None:
    stage = Stage()
    stage.store.create(RESOURCE_QUOTAS, quota(9))
    stage.deploy()
    stage.wait(5)
    assert stage.get(RESOURCE_QUOTAS, "small")["status"] == {
        "hard": {"pods": "9"},
        "used": {"pods": "3"},
    }
    stage.scale(1)
    stage.wait(5)
    assert stage.get(RESOURCE_QUOTAS, "small")["status"]["used"] == {"pods": "1"}


def test_the_pods_that_are_missed_least_go_first() -> None:
    cost = {"controller.kubernetes.io/pod-deletion-cost": "-5"}
    in_order = [
        pod("unassigned", phase="Pending", node="", is_ready=False),
        pod("pending", phase="Pending", is_ready=False, node="node-2"),
        pod("not-ready", is_ready=False, node="node-3"),
        pod("cheap", annotations=cost, node="node-4"),
        pod("crowded-and-ready-for-less", since=900, node="node-5"),
        pod("crowded", since=800, node="node-5"),
        pod("restarted", restarts=3, node="node-6"),
        pod("younger", born=2_000, node="node-7"),
        pod("oldest", born=500, node="node-8"),
    ]
    sorted_back = least_missed(reversed(in_order))
    assert [entry["metadata"]["name"] for entry in sorted_back] == [
        entry["metadata"]["name"] for entry in in_order
    ]


def test_a_replica_set_of_its_own_keeps_its_number() -> None:
    stage = Stage()
    stage.deploy(replicas=0)
    stage.settle()
    alone = {**stage.replica_sets()[0]}
    place = {"name": "alone", "namespace": NAMESPACE}
    spec = {**alone["spec"], "replicas": 2}
    stage.store.create(REPLICA_SETS, {"metadata": place, "spec": spec})
    stage.wait(5)
    status = stage.get(REPLICA_SETS, "alone")["status"]
    assert (status["replicas"], status["readyReplicas"], status["fullyLabeledReplicas"]) == (
        2,
        2,
        2,
    )
    stage.scale(1, "alone", REPLICA_SETS)
    stage.wait(5)
    assert stage.get(REPLICA_SETS, "alone")["status"]["replicas"] == 1
    assert len(stage.messages("alone", "SuccessfulDelete")) == 1


def test_a_pod_that_is_labelled_otherwise_is_let_go_and_replaced() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    name = stage.pods()[0]["metadata"]["name"]
    stage.change(lambda obj: obj["metadata"]["labels"].update(app="looked-at"), name, PODS)
    stage.wait(5)
    assert "ownerReferences" not in stage.get(PODS, name)["metadata"]
    assert ready(stage.get(PODS, name))
    assert sum(map(ready, stage.pods())) == 3
    stage.change(lambda obj: obj["metadata"]["labels"].update(app="web"), name, PODS)
    stage.wait(5)
    assert len(stage.pods()) == 3


def test_what_an_orphaned_deployment_left_is_taken_over_by_the_next() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    before = {pod["metadata"]["uid"] for pod in stage.pods()}
    stage.store.delete(DEPLOYMENTS, NAMESPACE, "web", propagation="Orphan")
    stage.wait(5)
    assert {pod["metadata"]["uid"] for pod in stage.pods()} == before
    stage.deploy()
    stage.wait(5)
    assert {pod["metadata"]["uid"] for pod in stage.pods()} == before
    assert len(stage.all(REPLICA_SETS)) == 1
    assert stage.condition("Progressing") == ("True", "NewReplicaSetAvailable")
