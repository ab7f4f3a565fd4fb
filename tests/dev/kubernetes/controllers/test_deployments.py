"""Deployments: rollouts, their record and what people read of them."""

import pytest

from tests.dev.kubernetes.controllers.stage import (
    NAMESPACE,
    Object,
    Stage,
    image,
    ready,
    revision,
    waiting,
)
from tidegate_dev.kubernetes.controllers import Timings
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from tidegate_dev.kubernetes.watches import WatchEvent

REVISION = "deployment.kubernetes.io/revision"


def rolling(surge: int | str, unavailable: int | str) -> Object:
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    }


def counts(stage: Stage) -> list[tuple[int, int]]:
    """Return revision and size of each ReplicaSet that has pods."""
    found = stage.replica_sets()
    return [(revision(entry), entry["spec"]["replicas"]) for entry in found if size(entry)]


def size(replica_set: Object) -> int:
    return int(replica_set["spec"]["replicas"])


def test_a_new_deployment_gets_a_replica_set_named_after_the_hash_of_its_template() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    [replica_set] = stage.replica_sets()
    hashed = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{hashed}"
    assert replica_set["spec"]["selector"]["matchLabels"] == {
        "app": "web",
        "pod-template-hash": hashed,
    }
    assert replica_set["metadata"]["annotations"] == {
        REVISION: "1",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    assert stage.deployment()["metadata"]["annotations"][REVISION] == "1"
    assert all(pod["metadata"]["name"].startswith(f"web-{hashed}-") for pod in stage.pods())
    assert [ready(pod) for pod in stage.pods()] == [True] * 3


def test_the_same_template_has_the_same_hash_in_every_cluster() -> None:
    names = set()
    for seed in (1, 2):
        stage = Stage(seed=seed)
        stage.deploy()
        stage.settle()
        names.add(stage.replica_sets()[0]["metadata"]["name"])
    assert len(names) == 1


def test_the_status_counts_what_is_there_and_says_that_it_was_seen() -> None:
    stage = Stage()
    stage.deploy()
    stage.settle()
    status = stage.deployment()["status"]
    assert status["observedGeneration"] == 1
    assert status["unavailableReplicas"] == 3
    assert stage.condition("Available") == ("False", "MinimumReplicasUnavailable")
    stage.wait(5)
    status = stage.deployment()["status"]
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (3, 3, 3)
    assert "unavailableReplicas" not in status
    assert stage.condition("Available") == ("True", "MinimumReplicasAvailable")
    assert stage.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_the_progressing_condition_goes_from_created_over_updated_to_available() -> None:
    stage = Stage()
    seen: list[str] = []

    def look() -> None:
        reason = stage.condition("Progressing")[1]
        if reason not in seen[-1:]:
            seen.append(reason)

    stage.deploy()
    stage.settle()
    look()
    stage.wait(5, look)
    stage.set_image("1.1.0")
    stage.wait(10, look)
    assert seen == [
        "ReplicaSetUpdated",
        "NewReplicaSetAvailable",
        "ReplicaSetUpdated",
        "NewReplicaSetAvailable",
    ]


def test_a_rollout_with_no_room_to_begin_says_that_the_replica_set_was_created() -> None:
    stage = Stage()
    stage.deploy(replicas=0)
    stage.settle()
    assert stage.condition("Progressing")[1] in ("NewReplicaSetCreated", "NewReplicaSetAvailable")


@pytest.mark.parametrize(
    ("surge", "unavailable"), [("25%", "25%"), (1, 0), (0, 1), (2, 2), ("100%", "50%"), (0, 0)]
)
@pytest.mark.parametrize("replicas", [1, 3, 4, 7])
def test_a_rolling_update_stays_between_surge_and_unavailability(
    surge: int | str, unavailable: int | str, replicas: int
) -> None:
    stage = Stage()
    stage.deploy(replicas=replicas, strategy=rolling(surge, unavailable))
    stage.wait(5)
    most, least = 0, replicas

    def look() -> None:
        nonlocal most, least
        most = max(most, len(stage.pods()))
        least = min(least, sum(map(ready, stage.pods())))

    stage.set_image("1.1.0")
    stage.wait(60, look)
    budget_up = {"25%": -(-replicas // 4), "100%": replicas}.get(str(surge), surge)
    budget_down = {"25%": replicas // 4, "50%": replicas // 2}.get(str(unavailable), unavailable)
    if budget_up == budget_down == 0:
        budget_down = 1
    assert most <= replicas + int(budget_up)
    assert least >= replicas - int(budget_down)
    assert counts(stage) == [(2, replicas)]


def test_recreate_lets_no_new_pod_come_before_the_last_old_one_is_gone() -> None:
    stage = Stage()
    stage.deploy(strategy={"type": "Recreate"})
    stage.wait(5)
    mixed: list[set[str]] = []

    def look() -> None:
        pods = stage.pods(going=True)
        mixed.append({pod["spec"]["containers"][0]["image"] for pod in pods})

    stage.set_image("1.1.0")
    stage.wait(10, look)
    assert max(map(len, mixed)) == 1
    assert mixed[0] == {image("1.0.0")}
    assert mixed[-1] == {image("1.1.0")}
    assert len(stage.pods()) == 3


def test_an_undo_uses_the_old_replica_set_again_under_a_new_revision() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    stage.set_image("1.1.0")
    stage.wait(10)
    first = stage.replica_sets()[0]["metadata"]["name"]
    assert stage.undo(1)
    stage.wait(10)
    assert [entry["metadata"]["name"] for entry in stage.replica_sets()][-1] == first
    assert [revision(entry) for entry in stage.replica_sets()] == [2, 3]
    assert revision(stage.deployment()) == 3
    newest = stage.replica_sets()[-1]
    assert newest["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    stage.undo(2)
    stage.wait(10)
    stage.undo(3)
    stage.wait(10)
    history = "deployment.kubernetes.io/revision-history"
    assert stage.replica_sets()[-1]["metadata"]["annotations"][history] == "1,3"


def test_the_change_cause_goes_to_the_revision_that_it_explains() -> None:
    stage = Stage()

    def because(why: str, tag: str) -> None:
        def act(obj: Object) -> None:
            obj["metadata"].setdefault("annotations", {})["kubernetes.io/change-cause"] = why
            obj["spec"]["template"]["spec"]["containers"][0]["image"] = image(tag)

        stage.change(act)

    stage.deploy()
    stage.wait(5)
    because("Ada: fix the tariffs", "1.1.0")
    stage.wait(10)
    because("Grace: faster orders", "1.2.0")
    stage.wait(10)
    causes = [
        entry["metadata"]["annotations"].get("kubernetes.io/change-cause")
        for entry in stage.replica_sets()
    ]
    assert causes == [None, "Ada: fix the tariffs", "Grace: faster orders"]


def test_old_replica_sets_beyond_the_history_limit_are_deleted() -> None:
    stage = Stage()
    stage.deploy(revisionHistoryLimit=2)
    stage.wait(5)
    for minor in range(1, 6):
        stage.set_image(f"1.{minor}.0")
        stage.wait(10)
    assert [revision(entry) for entry in stage.replica_sets()] == [4, 5, 6]


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    stage.pause(True)
    stage.set_image("1.1.0")
    stage.scale(5)
    stage.wait(10)
    assert stage.condition("Progressing") == ("Unknown", "DeploymentPaused")
    assert {pod["spec"]["containers"][0]["image"] for pod in stage.pods()} == {image("1.0.0")}
    assert len(stage.pods()) == 5
    stage.pause(False)
    stage.settle()
    stage.wait(15)
    assert stage.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    assert {pod["spec"]["containers"][0]["image"] for pod in stage.pods()} == {image("1.1.0")}


def test_a_rollout_that_makes_no_progress_fails_at_its_deadline() -> None:
    stage = Stage()
    stage.deploy(progressDeadlineSeconds=5)
    stage.wait(5)
    stage.set_image("does-not-exist")
    stage.wait(4)
    assert stage.condition("Progressing") == ("True", "ReplicaSetUpdated")
    stage.wait(3)
    assert stage.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    assert stage.condition("Available") == ("True", "MinimumReplicasAvailable")
    assert sum(map(ready, stage.pods())) == 3


@pytest.mark.parametrize(("ready", "min_ready"), [(3.0, 0), (3.0, 4)])
def test_a_slow_rollout_does_not_fail_while_it_makes_progress(ready: float, min_ready: int) -> None:
    stage = Stage(timings=Timings(chatter=0, ready=ready))
    stage.deploy(strategy=rolling(1, 0), progressDeadlineSeconds=5, minReadySeconds=min_ready)
    stage.wait(20)
    seen: set[str] = set()
    stage.set_image("1.1.0")
    stage.wait(40, lambda: seen.add(stage.condition("Progressing")[1]))
    assert seen == {"ReplicaSetUpdated", "NewReplicaSetAvailable"}


def test_the_time_before_a_rollout_does_not_count_against_its_deadline() -> None:
    stage = Stage()
    seen: set[str] = set()

    def notice(event: WatchEvent) -> None:
        if event.resource is DEPLOYMENTS:
            conditions = event.object["status"].get("conditions", [])
            seen.update(entry["reason"] for entry in conditions)

    stage.deploy(progressDeadlineSeconds=5)
    stage.wait(5)
    stage.set_image("1.1.0")
    stage.wait(100)
    stage.store.subscribe(notice)
    stage.undo(1)
    stage.wait(5)
    assert "NewReplicaSetAvailable" in seen
    assert "ProgressDeadlineExceeded" not in seen


def test_an_undo_after_a_failed_rollout_heals_the_deployment() -> None:
    stage = Stage()
    stage.deploy(progressDeadlineSeconds=5)
    stage.wait(5)
    stage.set_image("crash")
    stage.wait(10)
    assert stage.condition("Progressing")[1] == "ProgressDeadlineExceeded"
    stage.undo(1)
    stage.wait(5)
    assert stage.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    assert counts(stage) == [(3, 3)]


def test_pods_count_as_available_only_after_min_ready_seconds() -> None:
    stage = Stage()
    stage.deploy(minReadySeconds=10)
    stage.wait(5)
    status = stage.deployment()["status"]
    assert (status["readyReplicas"], status.get("availableReplicas", 0)) == (3, 0)
    stage.wait(10)
    assert stage.deployment()["status"]["availableReplicas"] == 3


def test_scaling_in_the_middle_of_a_rollout_keeps_the_shares_of_old_and_new() -> None:
    stage = Stage()
    stage.deploy(replicas=10, strategy=rolling(3, 2), progressDeadlineSeconds=600)
    stage.wait(10)
    stage.set_image("does-not-exist")
    stage.wait(5)
    assert counts(stage) == [(1, 8), (2, 5)]
    stage.scale(15)
    stage.settle()
    # The example of the documentation: 18 pods in all, 11 of them old, 7 new.
    assert counts(stage) == [(1, 11), (2, 7)]


@pytest.mark.parametrize("replicas", [11, 12, 14, 17, 19, 23, 31])
def test_scaling_between_three_revisions_leaves_nothing_over(replicas: int) -> None:
    stage = Stage()
    stage.deploy(replicas=10, strategy=rolling(3, 2))
    stage.wait(10)
    stage.set_image("1.1.0")
    stage.wait(0.9)
    stage.set_image("missing")
    stage.wait(5)
    assert len(counts(stage)) == 3
    stage.scale(replicas)
    stage.settle()
    assert sum(size(entry) for entry in stage.replica_sets()) == replicas + 3


def test_an_old_replica_set_that_has_pods_is_kept_whatever_the_limit() -> None:
    stage = Stage()
    stage.deploy(revisionHistoryLimit=0)
    stage.wait(5)
    stage.set_image("missing")
    stage.wait(5)
    stage.pause(True)
    stage.wait(5)
    assert counts(stage) == [(1, 3), (2, 1)]


@pytest.mark.parametrize("by_hand", [0, 1, 9])
def test_a_replica_set_that_is_scaled_by_hand_is_brought_back(by_hand: int) -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    name = stage.replica_sets()[0]["metadata"]["name"]
    stage.scale(by_hand, name, REPLICA_SETS)
    stage.wait(5)
    assert counts(stage) == [(1, 3)]


def test_scaling_to_zero_ends_every_pod() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    stage.scale(0)
    stage.settle()
    assert {pod["metadata"]["deletionGracePeriodSeconds"] for pod in stage.pods(going=True)} == {30}
    assert stage.deployment()["status"]["terminatingReplicas"] == 3
    stage.wait(5)
    assert stage.pods(going=True) == []
    assert stage.deployment()["status"]["terminatingReplicas"] == 0
    assert stage.deployment()["status"].get("replicas", 0) == 0
    assert stage.condition("Available")[0] == "True"


def test_what_a_deleted_deployment_owned_ends() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    stage.store.delete(DEPLOYMENTS, NAMESPACE, "web")
    assert len(stage.pods(going=True)) == 3
    stage.wait(5)
    assert stage.all(REPLICA_SETS) == []
    assert stage.all(PODS) == []


def test_a_pod_deleted_by_hand_comes_back_under_another_name() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    before = {pod["metadata"]["name"] for pod in stage.pods()}
    stage.store.delete(PODS, NAMESPACE, min(before))
    stage.wait(5)
    after = {pod["metadata"]["name"] for pod in stage.pods()}
    assert len(after) == 3
    assert before - after == {min(before)}


def test_a_replica_set_name_that_is_taken_counts_as_a_collision() -> None:
    other = Stage()
    other.deploy()
    other.settle()
    [taken] = other.replica_sets()
    stage = Stage()
    spec = {**taken["spec"], "replicas": 0}
    place = {"name": taken["metadata"]["name"], "namespace": NAMESPACE}
    stage.store.create(REPLICA_SETS, {"metadata": place, "spec": spec})
    stage.deploy()
    stage.wait(5)
    assert stage.deployment()["status"]["collisionCount"] == 1
    names = {entry["metadata"]["name"] for entry in stage.all(REPLICA_SETS)}
    assert len(names) == 2
    assert sum(map(ready, stage.pods())) == 3


def test_scaling_is_told_in_the_words_of_kubernetes() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    name = stage.replica_sets()[0]["metadata"]["name"]
    stage.scale(4)
    stage.wait(5)
    stage.scale(2)
    stage.settle()
    assert stage.messages("web", "ScalingReplicaSet") == [
        f"Scaled up replica set {name} from 0 to 3",
        f"Scaled up replica set {name} from 3 to 4",
        f"Scaled down replica set {name} from 4 to 2",
    ]


def test_a_bad_image_leaves_the_old_pods_serving() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(5)
    stage.set_image("missing")
    stage.wait(20)
    assert sum(map(ready, stage.pods())) == 3
    assert [waiting(pod) for pod in stage.pods() if not ready(pod)] == ["ImagePullBackOff"]


def test_nothing_is_due_once_everything_is_as_it_should_be() -> None:
    stage = Stage()
    stage.deploy()
    stage.wait(10)
    version = stage.store.version
    stage.wait(600)
    assert stage.store.version == version
    assert len(stage.clock.moments) == 1  # the next event's expiry
