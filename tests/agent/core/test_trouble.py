"""Why a workload is not as it should be, in one plain sentence."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.core.objects import IMAGE, deployment, event, other, pod, read
from tidegate_agent.core import moment, trouble
from tidegate_agent.core.kinds import STATEFUL_SET

NOW = read(deployment())
BACK_OFF = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "web:9"'}
CRASH = {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}


def sentence(*pods: dict[str, Any], raw: dict[str, Any] | None = None, **more: Any) -> str:
    found = trouble.find(read(raw) if raw else NOW, pods, **more)
    return found.sentence if found else ""


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            {"waiting": BACK_OFF},
            f"The image {IMAGE} cannot be pulled (ImagePullBackOff): "
            'Back-off pulling image "web:9".',
        ),
        (
            {"waiting": {"reason": "ErrImagePull", "message": "no image: " * 50 + "Not found"}},
            f"The image {IMAGE} cannot be pulled (ErrImagePull): there is none of that name, or "
            "the cluster may not see it.",
        ),
        (
            {"waiting": {"reason": "ErrImagePull", "message": "pull access denied, x"}},
            f"The image {IMAGE} cannot be pulled (ErrImagePull): the registry does not let the "
            "cluster in; look at its pull secret.",
        ),
        (
            {"waiting": {"reason": "ImagePullBackOff", "message": "dial tcp: no such host"}},
            f"The image {IMAGE} cannot be pulled (ImagePullBackOff): "
            "the registry cannot be reached.",
        ),
        (
            {"waiting": {"reason": "ErrImagePull", "message": "something else"}},
            f"The image {IMAGE} cannot be pulled (ErrImagePull): something else.",
        ),
        (
            {"waiting": {"reason": "InvalidImageName"}},
            f"The image {IMAGE} cannot be pulled (InvalidImageName).",
        ),
        (
            {"waiting": CRASH, "last": {"exitCode": 3, "reason": "Error"}},
            "The container web keeps ending with exit code 3.",
        ),
        (
            {"waiting": CRASH, "last": {"exitCode": 137, "reason": "OOMKilled"}},
            "The container web keeps ending, killed for using more memory than it may "
            "(OOMKilled, exit code 137).",
        ),
        ({"waiting": CRASH}, "The container web keeps ending (CrashLoopBackOff)."),
        (
            {"waiting": CRASH, "last": {"exitCode": 0, "reason": "Completed"}},
            "The container web keeps ending with exit code 0.",
        ),
        (
            {"terminated": {"exitCode": 1, "reason": "Error"}},
            "The container web ended with exit code 1.",
        ),
        (
            {"waiting": {"reason": "CreateContainerConfigError", "message": "no secret db"}},
            "The container web cannot be started (CreateContainerConfigError): no secret db.",
        ),
        ({"waiting": {"reason": "ContainerCreating"}}, ""),
        ({"waiting": {"reason": "PodInitializing"}}, ""),
        ({"terminated": {"exitCode": 0, "reason": "Completed"}}, ""),
        ({"ready": True}, ""),
    ],
)
def test_what_keeps_a_container_from_running_is_told(state: dict[str, Any], words: str) -> None:
    assert sentence(pod(**state)) == words


def test_a_pod_without_a_node_is_told_with_the_schedulers_words() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient cpu.",
    }
    assert sentence(pod(waiting={}, conditions=[condition])) == (
        "There is no node for a new pod (Unschedulable): "
        "0/3 nodes are available: 3 Insufficient cpu."
    )


def test_a_container_that_runs_and_is_not_ready_is_told_with_its_probe() -> None:
    warned = trouble.warnings(
        NOW,
        [event("web-abc-1", "Unhealthy", "Readiness probe failed: 500")],
        pods=["web-abc-1"],
        since=0,
    )
    assert sentence(pod(), warnings=warned) == (
        "The container web runs, and is not ready: Readiness probe failed: 500."
    )


def test_a_pod_of_the_template_before_is_not_blamed() -> None:
    old = pod("web-old-1", image="registry.example.com/web:1", waiting=CRASH)
    assert sentence(old) == ""
    assert "cannot be pulled" in sentence(old, pod(waiting=BACK_OFF))


def test_pods_whose_images_a_webhook_rewrote_are_known_by_the_newest() -> None:
    mirrored = "mirror.example.com/web@sha256:1"
    old = pod("web-old-1", image=mirrored, at="2027-01-15T07:00:00Z", waiting=CRASH)
    new = pod("web-new-1", image=mirrored, waiting=BACK_OFF)
    for each, name in ((old, "old"), (new, "new")):
        each["metadata"]["labels"] = {"pod-template-hash": name}
    raw = deployment(status={"updatedReplicas": 1})
    assert "cannot be pulled" in sentence(old, new, raw=raw)
    assert sentence(old, raw=deployment()) == "", "there are no new ones to blame"
    late = deployment(status={"updatedReplicas": 1, "observedGeneration": 3})
    assert sentence(old, raw=late) == "", "they are those of the template before"


def test_of_several_new_pods_the_newest_speaks() -> None:
    older = pod("a", at="2027-01-15T08:00:00Z", waiting=CRASH)
    newer = pod("b", at="2027-01-15T08:00:09Z", waiting=BACK_OFF)
    assert "cannot be pulled" in sentence(older, newer)


def test_a_quota_is_told_by_the_deployments_condition() -> None:
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": 'pods "web-1" is forbidden: exceeded quota: few, requested: pods=1',
    }
    raw = deployment(status={"conditions": [condition]})
    assert sentence(raw=raw).startswith(
        "No new pods can be made, the quota is used up (FailedCreate): pods"
    )


def test_a_refusal_to_make_a_pod_is_told_by_events_where_there_is_no_condition() -> None:
    now = other(STATEFUL_SET, {}, {})
    made = event("web", "FailedCreate", "denied by policy", kind="StatefulSet")
    warned = trouble.warnings(now, [made], pods=[], since=0)
    found = trouble.find(now, [], warned)
    assert found is not None
    assert found.sentence == (
        "No new pods can be made, the cluster refuses them (FailedCreate): denied by policy."
    )


def test_a_deadline_that_has_passed_is_told_where_nothing_tells_more() -> None:
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    raw = deployment(status={"conditions": [condition]}, progressDeadlineSeconds=30)
    assert sentence(raw=raw) == "Nothing has moved for 30 s (ProgressDeadlineExceeded)."
    assert "cannot be pulled" in sentence(pod(waiting=BACK_OFF), raw=raw)


def test_warnings_are_those_about_the_workload_and_what_belongs_to_it_newest_first() -> None:
    events = [
        event("web-abc-1", "Failed", "one", at="2027-01-15T08:00:01Z"),
        event("web-5f7", "FailedCreate", "two", kind="ReplicaSet", at="2027-01-15T08:00:03Z"),
        event("web", "Other", "three", kind="Deployment", at="2027-01-15T08:00:02Z"),
        event("web-api-5f7", "Failed", "another's", kind="ReplicaSet"),
        event("api-abc-1", "Failed", "another's"),
        event("web", "Failed", "another kind's", kind="Service"),
        event("web-abc-1", "Pulled", "fine", type="Normal"),
        event("web-abc-1", "Failed", "long ago", at="2027-01-15T07:00:00Z"),
    ]
    since = moment.seconds({"at": "2027-01-15T07:30:00Z"}, "at")
    assert since is not None
    found = trouble.warnings(NOW, events, pods=["web-abc-1"], since=since)
    assert [each.text for each in found] == ["two", "three", "one"]


def test_the_clusters_words_are_cut_and_hold_no_secret() -> None:
    message = "cannot pull with password=hunter2 \n" + "x" * 1000
    told = sentence(pod(waiting={"reason": "ErrImagePull", "message": message}))
    assert "hunter2" not in told
    assert "\n" not in told
    assert len(told) < 450


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.sampled_from(["status", "spec", "metadata"]), JSON)), JSON)
def test_no_object_however_odd_can_raise(pods: list[dict[str, Any]], status: Any) -> None:
    raw = {**deployment(), "status": status}
    warned = trouble.warnings(read(raw), pods, pods=[], since=0)
    found = trouble.find(read(raw), pods, warned)
    assert found is None or found.sentence
