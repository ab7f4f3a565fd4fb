"""What the page shows of the cluster."""

from typing import Any

import pytest

from tests.dev.kubernetes.controllers.stage import NAMESPACE, Object, Stage, image, template
from tidegate_dev.kubernetes.controllers.view import MOST_EVENTS, state
from tidegate_dev.kubernetes.resources import DAEMON_SETS, NAMESPACES, STATEFUL_SETS


def workload(stage: Stage, name: str = "web") -> Object:
    [namespace] = state(stage.store, stage.clock.now(), [NAMESPACE])["namespaces"]
    assert namespace["name"] == NAMESPACE
    [found] = [entry for entry in namespace["workloads"] if entry["name"] == name]
    return dict(found)


def running(**spec: Any) -> Stage:
    stage = Stage()
    stage.deploy(**spec)
    stage.wait(5)
    return stage


def test_a_healthy_deployment_is_shown_with_its_pods_and_its_past() -> None:
    stage = running()
    stage.set_image("1.1.0")
    stage.wait(10)
    shown = workload(stage)
    assert shown["kind"] == "Deployment"
    assert (shown["image"], shown["tag"]) == (image("1.1.0"), "1.1.0")
    assert (shown["replicas"], shown["ready"], shown["status"]) == (3, 3, "healthy")
    assert shown["revision"] == 2
    assert [entry["number"] for entry in shown["revisions"]] == [2, 1]
    assert [entry["tag"] for entry in shown["revisions"]] == ["1.1.0", "1.0.0"]
    assert [pod["phase"] for pod in shown["pods"]] == ["Running"] * 3
    assert {pod["tag"] for pod in shown["pods"]} == {"1.1.0"}
    assert {pod["age_seconds"] for pod in shown["pods"]} <= {9, 10}


@pytest.mark.parametrize(
    ("tag", "status", "phase"),
    [
        ("missing", "degraded", "ImagePullBackOff"),
        ("crash", "degraded", "CrashLoopBackOff"),
        ("slow", "updating", "Running"),
    ],
)
def test_what_goes_wrong_is_said_in_one_word(tag: str, status: str, phase: str) -> None:
    stage = running()
    stage.set_image(tag)
    stage.wait(2.8)
    shown = workload(stage)
    assert shown["status"] == status
    assert phase in [pod["phase"] for pod in shown["pods"] if not pod["ready"]]


def test_a_rollout_past_its_deadline_has_failed() -> None:
    stage = running(progressDeadlineSeconds=5)
    stage.set_image("slow")
    stage.wait(10)
    assert workload(stage)["status"] == "failed"


def test_a_change_that_is_under_way_is_an_update() -> None:
    stage = running()
    stage.set_image("1.1.0")
    assert workload(stage)["status"] == "updating"
    stage.wait(0.5)
    assert workload(stage)["status"] == "updating"
    stage.wait(10)
    stage.scale(0)
    stage.wait(0.1)
    assert workload(stage)["status"] == "updating"
    assert {pod["phase"] for pod in workload(stage)["pods"]} == {"Terminating"}
    stage.wait(5)
    assert workload(stage)["status"] == "scaled to zero"


def test_a_paused_deployment_says_so() -> None:
    stage = running()
    stage.pause(True)
    stage.wait(1)
    assert workload(stage)["status"] == "paused"


def test_events_come_newest_first_and_of_gone_pods_too() -> None:
    stage = running()
    gone = stage.pods()[0]["metadata"]["name"]
    stage.wait(5)
    stage.set_image("missing")
    stage.wait(5)
    stage.scale(0)
    stage.wait(5)
    shown = workload(stage)["events"]
    assert [entry["at"] for entry in shown] == sorted(
        (entry["at"] for entry in shown), reverse=True
    )
    assert any(entry["text"].startswith(f"{gone}: Stopping container") for entry in shown)
    assert {entry["level"] for entry in shown} == {"info", "warning"}
    assert any(entry["text"].endswith("(2 times)") for entry in shown)
    assert len(shown) <= MOST_EVENTS


def test_events_of_another_workload_are_not_among_them() -> None:
    stage = running()
    stage.deploy("web-admin")
    stage.wait(5)
    assert not any("web-admin" in entry["text"] for entry in workload(stage)["events"])


def test_stateful_and_daemon_sets_are_shown_as_well() -> None:
    stage = Stage()
    for resource, name in ((STATEFUL_SETS, "db"), (DAEMON_SETS, "agent")):
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template(name, "1.0.0")}
        place = {"name": name, "namespace": NAMESPACE}
        stage.store.create(resource, {"metadata": place, "spec": {"replicas": 2, **spec}})
    stage.wait(10)
    for name, count in (("db", 2), ("agent", 3)):
        shown = workload(stage, name)
        assert (shown["replicas"], shown["ready"], shown["status"]) == (count, count, "healthy")
        assert [entry["number"] for entry in shown["revisions"]] == [1]
        assert any("Started container" in entry["text"] for entry in shown["events"])


def test_only_namespaces_with_workloads_are_shown_when_none_is_named() -> None:
    stage = running()
    for name in ("empty", NAMESPACE):
        stage.store.create(NAMESPACES, {"metadata": {"name": name}})
    shown = state(stage.store, stage.clock.now())["namespaces"]
    assert [entry["name"] for entry in shown] == [NAMESPACE]
