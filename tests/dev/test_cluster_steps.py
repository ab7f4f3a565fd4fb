"""What the agent and the cluster did, as steps of a journey: by the audit and by the answers."""

from typing import Any

import pytest

from tests.dev.test_journey import SECRET, Scene, told, values

FOLLOWED = {"phase": "running", "progress": {"done": 1, "total": 3}}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def asked(scene: Scene, verb: str = "get", resource: str = "deployments", **more: Any) -> None:
    entry = {
        "acting_as": {
            "username": "tidegate",
            "groups": ["tidegate:deployer", "system:authenticated"],
            "extra": {"tidegate.dev/person": ["slack:T0:U0ADA"], "tidegate.dev/run": ["run1"]},
        },
        "verb": verb,
        "resource": resource,
        "subresource": "",
        "namespace": "staging",
        "name": "web",
        "code": 200,
        "dry_run": False,
    }
    scene.journeys.asked_of_cluster("run1", {**entry, **more})


def answered(scene: Scene, answer: Any, **more: Any) -> None:
    exchange = {"run_id": "run1", "method": "GET", "path": "/x", "status": 200, "forwarded": True}
    scene.journeys.exchanged({**exchange, "answer": answer, **more})


def test_who_asked_was_verified_and_acts_as_a_group_of_the_cluster(scene: Scene) -> None:
    journey = scene.recorded()
    scene.log("sending", attempt=1, auth="sigv4", path="/api/v1/deploy")
    asked(scene)
    asked(scene, "list", "replicasets", name="")
    assert values(journey)["identified"] == "U0ADA"
    assert values(journey)["acted"] == "tidegate:deployer"
    details = journey.steps["acted"].details
    assert details is not None
    assert details["requests"] == [
        "get deployments web in staging: 200",
        "list replicasets in staging: 200",
    ]
    keys = [key for key, _ in told(journey)]
    assert keys[keys.index("sent") :] == ["sent", "identified", "acted", "answered", "told"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            {"image": "r.example/web:2.4.0", "container": "web"},
            {"image": "r.example/web:2.4.1", "container": "web"},
            "Deployment web: image 2.4.0 → 2.4.1",
        ),
        ({"replicas": "3"}, {"replicas": "5"}, "Deployment web: replicas 3 → 5"),
        (
            {"revision": "5", "image": "r.example:5000/web:2.5"},
            {"revision": "4", "image": "r.example:5000/web"},
            "Deployment web: revision 5 → 4, image 2.5 → r.example:5000/web",
        ),
        ({"restarted_at": "never"}, {"restarted_at": "now"}, "Deployment web: every pod anew"),
        ({"replicas": "3"}, {"replicas": "3"}, "Deployment web: as it was"),
        ({}, {}, "Deployment web"),
    ],
)
def test_what_was_changed_is_told_as_the_agent_says_it(
    scene: Scene, before: dict[str, str], after: dict[str, str], words: str
) -> None:
    journey = scene.recorded()
    asked(scene, "patch")
    assert values(journey)["changed"] == "Deployment web"
    answered(scene, {**FOLLOWED, "before": before, "after": after})
    answered(scene, {**FOLLOWED, "before": before, "after": after})
    assert values(journey)["changed"] == words


def test_how_far_the_rollout_is_is_told_with_what_stands_in_its_way(scene: Scene) -> None:
    journey = scene.recorded()
    asked(scene, "patch")
    answered(scene, {**FOLLOWED, "reason": "ImagePullBackOff"})
    assert values(journey)["progress"] == "1 of 3 · ImagePullBackOff"
    scene.log("progress", phase="running", done=1, total=3)
    assert values(journey)["progress"] == "1 of 3 · ImagePullBackOff"
    answered(scene, {"phase": "running", "progress": {"done": 2, "total": 3}})
    scene.log("progress", phase="running", done=2, total=3)
    assert values(journey)["progress"] == "2 of 3"
    scene.log("outcome", state="succeeded", status=200)
    assert values(journey)["progress"] == "3 of 3"


def test_what_the_cluster_refuses_is_told_with_the_right(scene: Scene) -> None:
    journey = scene.recorded()
    asked(scene, "patch", subresource="scale", namespace="production", code=403)
    assert ("changed", "failed") in told(journey)
    assert journey.steps["changed"].label == "refused by the cluster"
    assert values(journey)["changed"] == "may not patch deployments/scale in production"
    answered(scene, {"message": "no", "status": "refused", "before": {}, "after": {}}, status=403)
    assert values(journey)["changed"] == "may not patch deployments/scale in production"


def test_a_change_that_met_another_is_not_told_as_made(scene: Scene) -> None:
    journey = scene.recorded()
    asked(scene, "patch", code=409)
    assert ("changed", "active") in told(journey)
    asked(scene, "patch", code=200)
    assert ("changed", "done") in told(journey)


def test_a_dry_run_changes_nothing(scene: Scene) -> None:
    journey = scene.recorded()
    asked(scene, "patch", dry_run=True)
    assert "changed" not in values(journey)


def test_a_statement_that_is_not_believed_is_told(scene: Scene) -> None:
    journey = scene.recorded()
    message = {"message": "The request does not prove who asked.", "status": "refused"}
    answered(scene, message, status=401)
    assert ("identified", "failed") in told(journey)
    assert values(journey)["identified"] == message["message"]


@pytest.mark.parametrize("answer", [None, {}, {"phase": 1}, {"phase": "running", "progress": 1}])
def test_an_answer_of_another_shape_tells_nothing(scene: Scene, answer: Any) -> None:
    journey = scene.recorded()
    answered(scene, answer)
    assert "progress" not in values(journey)


def test_what_the_edge_itself_answers_is_not_the_agent_s(scene: Scene) -> None:
    journey = scene.recorded()
    answered(scene, FOLLOWED, forwarded=False)
    assert "progress" not in values(journey)


def test_a_run_that_nobody_knows_is_left_alone(scene: Scene) -> None:
    scene.journeys.asked_of_cluster("run9", {})
    scene.journeys.agent_logged({"event": "made", "run": "run9"})
    assert scene.changes == []


def test_what_the_agent_logs_is_kept_without_secrets(scene: Scene) -> None:
    journey = scene.recorded()
    scene.journeys.agent_logged({"event": "made", "run": "run1", "by": SECRET})
    assert journey.lines[-1] == {"of": "agent", "event": "made", "run": "run1", "by": "•••"}
