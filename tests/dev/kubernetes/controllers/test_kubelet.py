"""Pods: from Pending to Running, what may go wrong on the way, and how they end."""

import pytest

from tests.dev.kubernetes.controllers.stage import (
    NAMESPACE,
    Object,
    Stage,
    image,
    ready,
    template,
    waiting,
)
from tidegate_dev.kubernetes.controllers import Fate, Faults, Timings
from tidegate_dev.kubernetes.logs import Logs
from tidegate_dev.kubernetes.resources import NODES, PODS


def pod_of(tag: str = "1.0.0", **spec: object) -> Object:
    made = template("web", tag)
    made["metadata"] |= {"name": "web", "namespace": NAMESPACE}
    made["spec"] |= spec
    made["status"] = {"phase": "Pending"}
    return made


def bare(tag: str = "1.0.0", faults: Faults | None = None, **spec: object) -> Stage:
    """Return a stage with one pod that nobody owns."""
    stage = Stage(faults=faults, timings=Timings(chatter=0))
    stage.store.create(PODS, pod_of(tag, **spec))
    return stage


def entry(stage: Stage) -> Object:
    found: Object = stage.get(PODS, "web")["status"]["containerStatuses"][0]
    return found


def lines(logs: Logs, *, previous: bool = False) -> list[str]:
    return [line.text for line in logs.read(NAMESPACE, "web", "web", previous=previous)]


def test_a_pod_goes_from_pending_over_creating_to_running_and_ready() -> None:
    stage = bare()
    seen: list[tuple[str, str, bool]] = []

    def look() -> None:
        pod = stage.get(PODS, "web")
        now = (pod["status"].get("phase", ""), waiting(pod), ready(pod))
        if now not in seen:
            seen.append(now)

    stage.wait(5, look)
    assert seen == [
        ("Pending", "", False),
        ("Pending", "ContainerCreating", False),
        ("Running", "", False),
        ("Running", "", True),
    ]


def test_a_running_pod_says_where_it_is_and_what_it_runs() -> None:
    stage = bare()
    stage.wait(5)
    pod = stage.get(PODS, "web")
    assert pod["spec"]["nodeName"] == "node-1"
    assert pod["status"]["hostIP"] == "172.18.0.2"
    assert pod["status"]["podIP"].startswith("10.244.1.")
    assert pod["status"]["startTime"]
    assert entry(stage)["imageID"].startswith("registry.example.com/web@sha256:")
    conditions = {item["type"]: item["status"] for item in pod["status"]["conditions"]}
    assert conditions == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"),
        "True",
    )


def test_each_step_of_a_pod_is_an_event_in_the_words_of_kubernetes() -> None:
    stage = bare()
    stage.wait(5)
    said = {event["reason"]: event for event in stage.events("web")}
    assert said["Scheduled"]["message"] == "Successfully assigned staging/web to node-1"
    assert said["Scheduled"]["source"] == {"component": "default-scheduler"}
    assert said["Pulling"]["message"] == f'Pulling image "{image("1.0.0")}"'
    assert said["Pulled"]["message"].startswith(
        f'Successfully pulled image "{image("1.0.0")}" in 250ms (250ms including waiting).'
    )
    assert said["Created"]["message"] == "Created container: web"
    assert said["Started"]["message"] == "Started container web"
    assert said["Started"]["source"] == {"component": "kubelet", "host": "node-1"}
    assert said["Started"]["involvedObject"]["fieldPath"] == "spec.containers{web}"


def test_an_image_is_pulled_to_a_node_once() -> None:
    stage = Stage()
    stage.deploy(replicas=6)
    stage.wait(5)
    pulls = [event["source"]["host"] for event in stage.events("web", "Pulling")]
    stage.scale(9)
    stage.wait(5)
    assert len(stage.events("web", "Pulling")) == len(pulls)
    assert f'Container image "{image("1.0.0")}" already present on machine' in stage.messages(
        "web", "Pulled"
    )


@pytest.mark.parametrize("tag", ["does-not-exist", "2.0.0-missing"])
def test_a_bad_image_is_pulled_again_and_again_with_longer_breaks(tag: str) -> None:
    stage = bare(tag)
    stage.wait(0.35)
    assert entry(stage)["state"]["waiting"]["reason"] == "ErrImagePull"
    stage.wait(0.2)
    assert entry(stage)["state"]["waiting"]["reason"] == "ImagePullBackOff"
    stage.wait(30)
    pulls = stage.events("web", "Pulling")
    assert [event["count"] for event in pulls] == [4]  # after 2, 4 and 8 s; then 16
    assert stage.get(PODS, "web")["status"]["phase"] == "Pending"
    messages = stage.messages("web")
    assert f'Back-off pulling image "{image(tag)}"' in messages
    assert "Error: ErrImagePull" in messages
    assert "Error: ImagePullBackOff" in messages
    assert any(text.startswith(f'Failed to pull image "{image(tag)}": rpc') for text in messages)


def test_only_known_images_are_there_when_a_list_is_given() -> None:
    faults = Faults(known=[image("1.0.0")])
    stage = bare("1.0.0", faults)
    stage.wait(5)
    assert ready(stage.get(PODS, "web"))
    stage = bare("1.0.1", faults)
    stage.wait(5)
    assert waiting(stage.get(PODS, "web")) == "ImagePullBackOff"


def test_a_pull_succeeds_once_the_switch_is_off() -> None:
    faults = Faults()
    faults.switches.add("image_pull")
    stage = bare("1.0.0", faults)
    stage.wait(1)
    assert waiting(stage.get(PODS, "web")) == "ImagePullBackOff"
    faults.switches.clear()
    stage.wait(5)
    assert ready(stage.get(PODS, "web"))


def test_a_crash_loop_counts_its_restarts_and_waits_longer_each_time() -> None:
    stage = bare("crash")
    restarts: list[int] = []
    for seconds in (4, 5, 10, 20):
        stage.wait(seconds)
        restarts.append(entry(stage)["restartCount"])
    assert restarts == sorted(set(restarts))
    assert restarts[0] >= 2
    waits = stage.events("web", "BackOff")
    assert len(waits) == 1
    assert waits[0]["count"] >= 3
    assert waits[0]["message"].startswith("Back-off restarting failed container web in pod web_")


def test_a_crashed_container_tells_how_it_ended() -> None:
    stage = bare("crash")
    stage.wait(3)
    found = entry(stage)
    assert found["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert found["state"]["waiting"]["message"].startswith("back-off 2s restarting failed")
    assert found["lastState"]["terminated"]["reason"] == "Error"
    assert found["lastState"]["terminated"]["exitCode"] == 1
    assert stage.get(PODS, "web")["status"]["phase"] == "Running"
    assert not ready(stage.get(PODS, "web"))


def test_the_log_before_the_last_restart_is_kept() -> None:
    stage = bare("crash")
    stage.wait(0.9)
    assert lines(stage.logs, previous=True) == []
    stage.wait(3)
    assert "FATAL giving up, exit status 1" in lines(stage.logs, previous=True)
    assert "INFO web crash starting" in lines(stage.logs)


def test_a_crash_loop_ends_once_its_image_is_well() -> None:
    faults = Faults()
    faults.images[image("1.0.0")] = Fate.CRASHES
    stage = bare("1.0.0", faults)
    stage.wait(3)
    assert waiting(stage.get(PODS, "web")) == "CrashLoopBackOff"
    del faults.images[image("1.0.0")]
    stage.wait(5)
    assert ready(stage.get(PODS, "web"))
    assert entry(stage)["lastState"]["terminated"]["exitCode"] == 1


def test_a_slow_service_runs_long_before_it_is_ready() -> None:
    stage = bare("slow")
    stage.wait(20)
    assert stage.get(PODS, "web")["status"]["phase"] == "Running"
    assert not ready(stage.get(PODS, "web"))
    assert any(text.startswith("Readiness probe failed") for text in stage.messages("web"))
    stage.wait(20)
    assert ready(stage.get(PODS, "web"))


def test_a_deleted_pod_takes_a_moment_to_stop() -> None:
    stage = bare()
    stage.wait(5)
    stage.store.delete(PODS, NAMESPACE, "web")
    stage.wait(0.3)
    assert "deletionTimestamp" in stage.get(PODS, "web")["metadata"]
    assert stage.messages("web", "Killing") == ["Stopping container web"]
    assert lines(stage.logs)[-1] == "INFO stopped"
    stage.wait(0.2)
    assert stage.store.get(PODS, NAMESPACE, "web") is None
    assert lines(stage.logs) == []


def test_a_pod_deleted_without_grace_is_gone_at_once() -> None:
    stage = bare()
    stage.wait(5)
    stage.store.delete(PODS, NAMESPACE, "web", grace_seconds=0)
    stage.wait(5)
    assert stage.store.get(PODS, NAMESPACE, "web") is None


def test_a_pod_deleted_before_it_runs_never_starts() -> None:
    stage = bare()
    stage.wait(0.1)
    stage.store.delete(PODS, NAMESPACE, "web")
    stage.wait(5)
    assert stage.events("web", "Started") == []
    assert stage.store.get(PODS, NAMESPACE, "web") is None


def test_a_pod_that_is_not_to_be_restarted_has_failed_when_it_crashes() -> None:
    stage = bare("crash", restartPolicy="Never")
    stage.wait(5)
    assert stage.get(PODS, "web")["status"]["phase"] == "Failed"


def test_init_containers_have_done_their_work_before_the_others_start() -> None:
    first = {"name": "migrate", "image": image("1.0.0", "migrate")}
    stage = bare(initContainers=[first])
    stage.wait(0.1)
    assert waiting(stage.get(PODS, "web")) == "PodInitializing"
    stage.wait(5)
    status = stage.get(PODS, "web")["status"]
    assert status["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"
    assert ready(stage.get(PODS, "web"))


def test_a_service_writes_about_its_work() -> None:
    stage = Stage(timings=Timings(chatter=2))
    stage.store.create(PODS, pod_of())
    stage.wait(30)
    written = lines(stage.logs)
    assert written[:3] == [
        "INFO web 1.0.0 starting",
        "INFO configuration read",
        "INFO listening on :8080",
    ]
    assert len(written) > 10


def test_pods_are_spread_over_the_nodes() -> None:
    stage = Stage()
    stage.deploy(replicas=6)
    stage.wait(5)
    places = sorted(pod["spec"]["nodeName"] for pod in stage.pods())
    assert places == ["node-1"] * 2 + ["node-2"] * 2 + ["node-3"] * 2


def test_a_pod_that_fits_nowhere_waits_until_a_node_does() -> None:
    stage = bare(nodeSelector={"disk": "ssd"})
    stage.wait(5)
    pod = stage.get(PODS, "web")
    assert "nodeName" not in pod["spec"]
    [scheduled] = [item for item in pod["status"]["conditions"] if item["type"] == "PodScheduled"]
    assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
    assert stage.messages("web", "FailedScheduling") == [
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
    ]
    stage.change(lambda node: node["metadata"]["labels"].update(disk="ssd"), "node-2", NODES)
    stage.wait(5)
    assert stage.get(PODS, "web")["spec"]["nodeName"] == "node-2"
    assert ready(stage.get(PODS, "web"))


def test_no_pod_comes_to_a_cordoned_node() -> None:
    stage = Stage()
    stage.change(lambda node: node["spec"].update(unschedulable=True), "node-1", NODES)
    stage.deploy(replicas=4)
    stage.wait(5)
    assert {pod["spec"]["nodeName"] for pod in stage.pods()} == {"node-2", "node-3"}


def test_pods_of_a_node_that_is_gone_come_back_on_another() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    stage.store.delete(NODES, None, "node-1")
    stage.wait(5)
    assert {pod["spec"]["nodeName"] for pod in stage.pods()} == {"node-2", "node-3"}
    assert sum(map(ready, stage.pods(going=True))) == 3


def test_controllers_that_come_back_go_on_where_they_were() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(0.2)
    stage.controllers.stop()
    stage.wait(60)
    assert not any(map(ready, stage.pods()))
    stage.controllers.start()
    stage.wait(5)
    assert sum(map(ready, stage.pods())) == 3
    before = {pod["metadata"]["uid"] for pod in stage.pods()}
    stage.controllers.stop()
    stage.controllers.start()
    stage.wait(5)
    assert {pod["metadata"]["uid"] for pod in stage.pods()} == before
    assert sum(map(ready, stage.pods())) == 3
