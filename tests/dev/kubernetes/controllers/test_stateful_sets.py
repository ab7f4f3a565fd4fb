"""StatefulSets: pods with a number, and the order in which they come and go."""

from typing import Any

from tests.dev.kubernetes.controllers.stage import (
    NAMESPACE,
    Object,
    Stage,
    image,
    ready,
    template,
    waiting,
)
from tidegate_dev.kubernetes.resources import (
    CONTROLLER_REVISIONS,
    PODS,
    RESOURCE_QUOTAS,
    STATEFUL_SETS,
)


def stateful(stage: Stage, **spec: Any) -> Object:
    wanted = {
        "replicas": 3,
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": template("db", "1.0.0"),
        **spec,
    }
    place = {"name": "db", "namespace": NAMESPACE}
    return stage.store.create(STATEFUL_SETS, {"metadata": place, "spec": wanted})


def names(stage: Stage) -> list[str]:
    return [pod["metadata"]["name"] for pod in stage.pods("db")]


def images(stage: Stage) -> dict[str, str]:
    return {
        pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"].rpartition(":")[2]
        for pod in stage.pods("db")
    }


def status(stage: Stage) -> Object:
    found: Object = stage.get(STATEFUL_SETS, "db")["status"]
    return found


def set_image(stage: Stage, tag: str) -> None:
    stage.set_image(tag, "db", STATEFUL_SETS)


def test_pods_come_one_after_the_other_each_when_the_one_before_is_ready() -> None:
    stage = Stage()
    order: list[str] = []

    def look() -> None:
        pods = stage.pods("db")
        unready = [pod for pod in pods if not ready(pod)]
        assert len(unready) <= 1
        order.extend(name for name in names(stage) if name not in order)

    stateful(stage)
    stage.wait(10, look)
    assert order == ["db-0", "db-1", "db-2"]
    assert status(stage)["readyReplicas"] == 3
    assert stage.messages("db", "SuccessfulCreate") == [
        f"create Pod db-{number} in StatefulSet db successful" for number in range(3)
    ]


def test_pods_come_together_when_they_may() -> None:
    stage = Stage()
    stateful(stage, podManagementPolicy="Parallel")
    stage.settle()
    assert names(stage) == ["db-0", "db-1", "db-2"]


def test_a_pod_knows_its_number_and_its_revision() -> None:
    stage = Stage()
    stateful(stage)
    stage.wait(10)
    pod = stage.get(PODS, "db-1")
    assert pod["metadata"]["labels"] == {
        "app": "db",
        "controller-revision-hash": status(stage)["currentRevision"],
        "statefulset.kubernetes.io/pod-name": "db-1",
        "apps.kubernetes.io/pod-index": "1",
    }
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")


def test_scaling_down_takes_the_highest_numbers_first_one_at_a_time() -> None:
    stage = Stage()
    stateful(stage)
    stage.wait(10)
    left: list[list[str]] = []

    def look() -> None:
        now = [pod["metadata"]["name"] for pod in stage.pods("db", going=True)]
        if now not in left:
            left.append(now)

    stage.scale(1, "db", STATEFUL_SETS)
    stage.wait(10, look)
    assert left == [["db-0", "db-1", "db-2"], ["db-0", "db-1"], ["db-0"]]


def test_a_rolling_update_goes_from_the_highest_number_down() -> None:
    stage = Stage()
    stateful(stage)
    stage.wait(10)
    before = status(stage)["currentRevision"]
    seen: list[dict[str, str]] = []

    def look() -> None:
        assert sum(map(ready, stage.pods("db"))) >= 2
        if len(stage.pods("db")) == 3 and images(stage) not in seen:
            seen.append(images(stage))

    set_image(stage, "1.1.0")
    stage.settle()
    assert status(stage)["currentRevision"] == before
    assert status(stage)["updateRevision"] != before
    stage.wait(20, look)
    assert [list(now.values()) for now in seen] == [
        ["1.0.0", "1.0.0", "1.1.0"],
        ["1.0.0", "1.1.0", "1.1.0"],
        ["1.1.0", "1.1.0", "1.1.0"],
    ]
    assert status(stage)["currentRevision"] == status(stage)["updateRevision"] != before
    assert status(stage)["updatedReplicas"] == status(stage)["currentReplicas"] == 3


def test_a_partition_keeps_the_lower_numbers_as_they_are() -> None:
    stage = Stage()
    partition = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    stateful(stage, updateStrategy=partition)
    stage.wait(10)
    set_image(stage, "1.1.0")
    stage.wait(20)
    assert images(stage) == {"db-0": "1.0.0", "db-1": "1.0.0", "db-2": "1.1.0"}
    assert status(stage)["currentRevision"] != status(stage)["updateRevision"]
    assert (status(stage)["currentReplicas"], status(stage)["updatedReplicas"]) == (2, 1)
    stage.store.delete(PODS, NAMESPACE, "db-0")
    stage.wait(5)
    assert images(stage)["db-0"] == "1.0.0"


def test_on_delete_replaces_only_what_somebody_deletes() -> None:
    stage = Stage()
    stateful(stage, updateStrategy={"type": "OnDelete"})
    stage.wait(10)
    set_image(stage, "1.1.0")
    stage.wait(10)
    assert set(images(stage).values()) == {"1.0.0"}
    stage.store.delete(PODS, NAMESPACE, "db-1")
    stage.wait(5)
    assert images(stage) == {"db-0": "1.0.0", "db-1": "1.1.0", "db-2": "1.0.0"}


def test_a_bad_image_stops_the_update_at_its_first_pod() -> None:
    stage = Stage()
    stateful(stage)
    stage.wait(10)
    set_image(stage, "missing")
    stage.wait(30)
    assert images(stage) == {"db-0": "1.0.0", "db-1": "1.0.0", "db-2": "missing"}
    assert waiting(stage.get(PODS, "db-2")) == "ImagePullBackOff"


def test_pods_that_come_together_are_replaced_one_at_a_time_nonetheless() -> None:
    stage = Stage()
    stateful(stage, podManagementPolicy="Parallel")
    stage.wait(10)
    set_image(stage, "missing")
    stage.wait(30)
    assert images(stage) == {"db-0": "1.0.0", "db-1": "1.0.0", "db-2": "missing"}


def test_each_template_is_a_revision_and_one_that_comes_back_gets_a_new_number() -> None:
    stage = Stage()
    stateful(stage)
    stage.wait(10)
    set_image(stage, "1.1.0")
    stage.wait(20)
    set_image(stage, "1.0.0")
    stage.wait(20)
    found = sorted(stage.all(CONTROLLER_REVISIONS), key=lambda entry: int(entry["revision"]))
    assert [entry["revision"] for entry in found] == [2, 3]
    newest = found[-1]["data"]["spec"]["template"]
    assert newest["spec"]["containers"][0]["image"] == image("1.0.0", "db")
    assert newest["$patch"] == "replace"
    assert status(stage)["currentRevision"] == found[-1]["metadata"]["name"]


def test_old_revisions_beyond_the_limit_are_deleted() -> None:
    stage = Stage()
    stateful(stage, revisionHistoryLimit=1)
    stage.wait(10)
    for minor in range(1, 5):
        set_image(stage, f"1.{minor}.0")
        stage.wait(20)
    assert sorted(entry["revision"] for entry in stage.all(CONTROLLER_REVISIONS)) == [4, 5]


def test_numbers_may_begin_elsewhere() -> None:
    stage = Stage()
    stateful(stage, ordinals={"start": 5}, replicas=2)
    stage.wait(10)
    assert names(stage) == ["db-5", "db-6"]


def test_a_quota_is_told_by_the_stateful_set() -> None:
    stage = Stage()
    place = {"name": "small", "namespace": NAMESPACE}
    stage.store.create(RESOURCE_QUOTAS, {"metadata": place, "spec": {"hard": {"pods": "1"}}})
    stateful(stage)
    stage.wait(10)
    assert names(stage) == ["db-0"]
    [message] = stage.messages("db", "FailedCreate")
    assert message.startswith("create Pod db-1 in StatefulSet db failed error: pods")


def test_pods_of_a_deleted_stateful_set_end() -> None:
    stage = Stage()
    stateful(stage)
    stage.wait(10)
    stage.store.delete(STATEFUL_SETS, NAMESPACE, "db")
    stage.wait(5)
    assert stage.all(PODS) == []
    assert stage.all(CONTROLLER_REVISIONS) == []
