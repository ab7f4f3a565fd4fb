"""DaemonSets: one pod a node."""

from typing import Any

from tests.dev.kubernetes.controllers.stage import NAMESPACE, Object, Stage, ready, template
from tidegate_dev.kubernetes.resources import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS


def daemon(stage: Stage, **spec: Any) -> Object:
    wanted = {
        "selector": {"matchLabels": {"app": "agent"}},
        "template": template("agent", "1.0.0"),
        **spec,
    }
    place = {"name": "agent", "namespace": NAMESPACE}
    return stage.store.create(DAEMON_SETS, {"metadata": place, "spec": wanted})


def status(stage: Stage) -> Object:
    found: Object = stage.get(DAEMON_SETS, "agent")["status"]
    return found


def places(stage: Stage) -> list[str]:
    return sorted(pod["spec"]["nodeName"] for pod in stage.pods("agent"))


def tags(stage: Stage) -> list[str]:
    found = stage.pods("agent")
    return sorted(pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in found)


def test_each_node_has_one_pod() -> None:
    stage = Stage()
    daemon(stage)
    stage.wait(5)
    assert places(stage) == ["node-1", "node-2", "node-3"]
    assert status(stage) == {
        "currentNumberScheduled": 3,
        "desiredNumberScheduled": 3,
        "numberMisscheduled": 0,
        "numberReady": 3,
        "numberAvailable": 3,
        "updatedNumberScheduled": 3,
        "observedGeneration": 1,
    }


def test_pods_and_revision_carry_the_same_hash() -> None:
    stage = Stage()
    daemon(stage)
    stage.wait(5)
    [kept] = stage.all(CONTROLLER_REVISIONS)
    hashed = kept["metadata"]["labels"]["controller-revision-hash"]
    assert kept["metadata"]["name"] == f"agent-{hashed}"
    labels = [pod["metadata"]["labels"] for pod in stage.pods("agent")]
    assert {entry["controller-revision-hash"] for entry in labels} == {hashed}
    assert {entry["pod-template-generation"] for entry in labels} == {"1"}


def test_a_new_node_gets_its_pod_and_a_lost_one_loses_it() -> None:
    stage = Stage()
    daemon(stage)
    stage.wait(5)
    node = stage.get(NODES, "node-3")
    node["metadata"] |= {"name": "node-4"}
    stage.store.create(NODES, node)
    stage.wait(5)
    assert places(stage) == ["node-1", "node-2", "node-3", "node-4"]
    stage.store.delete(NODES, None, "node-1")
    stage.wait(5)
    assert places(stage) == ["node-2", "node-3", "node-4"]


def test_only_nodes_with_the_labels_asked_for_get_a_pod() -> None:
    stage = Stage()
    wanted = template("agent", "1.0.0")
    wanted["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "node-2"}
    daemon(stage, template=wanted)
    stage.wait(5)
    assert places(stage) == ["node-2"]
    assert status(stage)["desiredNumberScheduled"] == 1


def test_a_cordoned_node_has_its_pod_nonetheless() -> None:
    stage = Stage()
    stage.change(lambda node: node["spec"].update(unschedulable=True), "node-1", NODES)
    daemon(stage)
    stage.wait(5)
    assert places(stage) == ["node-1", "node-2", "node-3"]


def test_an_update_takes_one_node_after_the_other() -> None:
    stage = Stage()
    daemon(stage)
    stage.wait(5)
    seen: list[list[str]] = []

    def look() -> None:
        assert sum(map(ready, stage.pods("agent"))) >= 2
        assert len(stage.pods("agent", going=True)) <= 3
        if len(tags(stage)) == 3 and tags(stage) not in seen:
            seen.append(tags(stage))

    stage.set_image("1.1.0", "agent", DAEMON_SETS)
    stage.wait(20, look)
    assert seen == [
        ["1.0.0", "1.0.0", "1.1.0"],
        ["1.0.0", "1.1.0", "1.1.0"],
        ["1.1.0", "1.1.0", "1.1.0"],
    ]
    assert status(stage)["updatedNumberScheduled"] == 3
    assert sorted(entry["revision"] for entry in stage.all(CONTROLLER_REVISIONS)) == [1, 2]


def test_a_bad_image_costs_one_node_and_no_more() -> None:
    stage = Stage()
    daemon(stage)
    stage.wait(5)
    stage.set_image("missing", "agent", DAEMON_SETS)
    stage.wait(30)
    assert tags(stage) == ["1.0.0", "1.0.0", "missing"]
    assert status(stage)["numberUnavailable"] == 1
    stage.set_image("1.0.0", "agent", DAEMON_SETS)
    stage.wait(30)
    assert status(stage)["numberReady"] == 3
    assert sorted(entry["revision"] for entry in stage.all(CONTROLLER_REVISIONS)) == [2, 3]


def test_on_delete_waits_for_somebody_to_delete() -> None:
    stage = Stage()
    daemon(stage, updateStrategy={"type": "OnDelete"})
    stage.wait(5)
    stage.set_image("1.1.0", "agent", DAEMON_SETS)
    stage.wait(10)
    assert tags(stage) == ["1.0.0"] * 3
    stage.store.delete(PODS, NAMESPACE, stage.pods("agent")[0]["metadata"]["name"])
    stage.wait(5)
    assert tags(stage) == ["1.0.0", "1.0.0", "1.1.0"]
