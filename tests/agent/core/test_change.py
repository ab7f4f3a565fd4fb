"""The one patch that carries an order out, what it replaces, and what would differ."""

from typing import Any

import pytest

from tests.agent.core.objects import AT, IMAGE, WEB, WHO, deployment, other, read, replica_set
from tidegate_agent.core import change, history
from tidegate_agent.core.kinds import STATEFUL_SET
from tidegate_agent.core.patches import PatchType
from tidegate_agent.core.request import ChangeOrder, Deploy, Restart, Rollback, Scale
from tidegate_agent.errors import StateError

NOW = read(deployment())
STAMP = {
    "tidegate.dev/run": "run-1",
    "tidegate.dev/by": "slack:T1:U1",
    "tidegate.dev/at": "2027-01-15T08:00:00Z",
}


def planned(asked: ChangeOrder, raw: dict[str, Any] | None = None, **more: Any) -> change.Plan:
    return change.plan(asked, read(raw) if raw else NOW, who=WHO, at=AT, **more)


def test_a_deploy_names_the_container_and_the_version_that_was_read() -> None:
    plan = planned(Deploy(target=WEB, image="web:2.4.1"))
    assert (plan.type, plan.subresource) == (PatchType.STRATEGIC, None)
    cause = "tidegate: deploy registry.example.com/web:2.4.1 by slack:T1:U1"
    assert plan.patch == {
        "metadata": {
            "resourceVersion": "41",
            "annotations": {**STAMP, "kubernetes.io/change-cause": cause},
        },
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "web", "image": "registry.example.com/web:2.4.1"}]}
            }
        },
    }
    assert plan.before == {"container": "web", "image": IMAGE}


def test_a_restart_touches_one_annotation_of_the_template() -> None:
    plan = planned(Restart(target=WEB))
    assert isinstance(plan.patch, dict)
    assert plan.patch["spec"] == {
        "template": {
            "metadata": {
                "annotations": {"kubectl.kubernetes.io/restartedAt": "2027-01-15T08:00:00Z"}
            }
        }
    }
    assert plan.patch["metadata"]["resourceVersion"] == "41"


def test_a_scale_touches_the_number_and_no_annotation() -> None:
    plan = planned(Scale(target=WEB, replicas=5))
    assert (plan.type, plan.subresource) == (PatchType.MERGE, "scale")
    assert plan.patch == {"metadata": {"resourceVersion": "41"}, "spec": {"replicas": 5}}
    assert (plan.before, plan.after) == ({"replicas": "3"}, {"replicas": "5"})


KEPT = {
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
    "deployment.kubernetes.io/revision": "3",
}


def test_an_undo_replaces_template_and_annotations_as_kubectl_does_and_tests_the_version() -> None:
    raw = deployment(annotations={**KEPT, "mine": "present"})
    owned = [replica_set(3, IMAGE), replica_set(2, "web:2", mine="past")]
    plan = planned(Rollback(target=WEB), raw, revisions=history.of(read(raw), owned))
    assert plan.type is PatchType.JSON
    assert isinstance(plan.patch, list)
    test, template, annotations = plan.patch
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "41"}
    assert template["path"] == "/spec/template"
    assert template["value"]["metadata"]["labels"] == {"app": "web"}
    cause = "tidegate: rollback to revision 2 by slack:T1:U1"
    assert annotations["value"] == {
        **KEPT,
        "mine": "past",
        **STAMP,
        "kubernetes.io/change-cause": cause,
    }
    assert plan.before == {"revision": "3", "image": IMAGE}
    assert plan.after == {"revision": "2", "image": "web:2"}


def test_an_undo_to_what_is_there_changes_nothing() -> None:
    revisions = history.of(NOW, [replica_set(3, IMAGE), replica_set(2, "web:2")])
    plan = planned(Rollback(target=WEB, revision=3), revisions=revisions)
    assert plan.patch is None
    assert "already is at revision 3" in plan.message


def test_an_undo_leaves_a_stateful_sets_own_annotations_alone() -> None:
    now = other(STATEFUL_SET, {}, {})
    owner = {"ownerReferences": [{"uid": "uid-web", "controller": True}]}
    past = {"spec": {"template": {"$patch": "replace", "spec": {"containers": []}}}}
    owned = [{"metadata": owner, "revision": number, "data": past} for number in (1, 2)]
    plan = change.plan(
        Rollback(target=now.target), now, who=WHO, at=AT, revisions=history.of(now, owned)
    )
    assert isinstance(plan.patch, list)
    assert plan.patch[2]["value"]["deployment.kubernetes.io/revision"] == "3"
    assert "$patch" not in plan.patch[1]["value"]


@pytest.mark.parametrize(
    "asked", [Deploy(target=WEB, image="web:1"), Restart(target=WEB), Rollback(target=WEB)]
)
def test_a_paused_rollout_is_left_alone(asked: ChangeOrder) -> None:
    with pytest.raises(StateError, match="paused"):
        change.check_paused(asked, read(deployment(paused=True)))
    change.check_paused(asked, NOW)
    change.check_paused(Scale(target=WEB, replicas=1), read(deployment(paused=True)))
