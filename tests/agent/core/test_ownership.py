"""Who else decides about a workload."""

import pytest

from tests.agent.core.objects import WEB, deployment, read
from tidegate_agent.core import ownership
from tidegate_agent.core.request import ChangeOrder, Deploy, Restart, Rollback, Scale
from tidegate_agent.errors import StateError

DEPLOY = Deploy(target=WEB, image="web:1")


def owner(**marks: str) -> str | None:
    raw = deployment(labels=marks)
    found = ownership.by_tool(read(raw))
    return found.name if found else None


@pytest.mark.parametrize(
    ("mark", "value", "name"),
    [
        ("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:staging/web", "Argo CD"),
        ("argocd.argoproj.io/instance", "shop", "Argo CD"),
        ("kustomize.toolkit.fluxcd.io/name", "apps", "Flux"),
        ("helm.toolkit.fluxcd.io/name", "web", "Flux"),
        ("app.kubernetes.io/managed-by", "argocd", "Argo CD"),
        ("app.kubernetes.io/managed-by", "Helm", None),
        ("app.kubernetes.io/instance", "web", None),
        ("meta.helm.sh/release-name", "web", None),
    ],
)
def test_tools_that_undo_changes_are_known_by_their_marks(
    mark: str, value: str, name: str | None
) -> None:
    assert owner(**{mark: value}) == name
    found = ownership.by_tool(read(deployment(annotations={mark: value})))
    assert (found.name if found else None) == name


def test_a_tool_that_was_told_to_leave_an_object_alone_does() -> None:
    marks = {
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    }
    assert owner(**marks) is None


def test_a_controller_of_a_workload_is_an_owner_too() -> None:
    raw = deployment()
    raw["metadata"]["ownerReferences"] = [{"kind": "Shop", "name": "one", "controller": True}]
    with pytest.raises(StateError, match="The Shop one decides about its configuration"):
        ownership.check(DEPLOY, read(raw))


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        (DEPLOY, True),
        (Scale(target=WEB, replicas=1), True),
        (Rollback(target=WEB), True),
        (Restart(target=WEB), False),
        (Deploy(target=WEB, image="web:1", force=True), False),
    ],
)
def test_what_would_be_undone_is_refused_unless_told(asked: ChangeOrder, refused: bool) -> None:
    now = read(deployment(labels={"argocd.argoproj.io/instance": "shop"}))
    if refused:
        with pytest.raises(StateError, match="Argo CD"):
            ownership.check(asked, now)
    else:
        ownership.check(asked, now)


def test_an_autoscaler_decides_about_the_replicas_of_its_target_alone() -> None:
    def scaler(name: str, kind: str = "Deployment") -> dict[str, object]:
        target = {"kind": kind, "name": name}
        return {"metadata": {"name": "hpa"}, "spec": {"scaleTargetRef": target}}

    scale, now = Scale(target=WEB, replicas=1), read(deployment())
    with pytest.raises(StateError, match="The autoscaler hpa decides about its replicas"):
        ownership.check(scale, now, [scaler("web")])
    ownership.check(scale, now, [scaler("api"), scaler("web", "StatefulSet")])
    ownership.check(DEPLOY, now, [scaler("web")])
