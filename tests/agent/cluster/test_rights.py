"""As whom an agent acts, what the cluster lets it, and how a missing right is told."""

import pytest

from tests.agent.app.stage import DEPLOYER, STRANGER, VIEWER
from tests.agent.cluster import agents
from tests.agent.cluster.gate import Call
from tests.agent.cluster.ground import Ground, Installed
from tests.agent.cluster.workload import NEW, OLD, REPOSITORY
from tests.agent.entry.door import Door
from tests.agent.entry.signer import Signer
from tidegate_agent.adapters.kubernetes import KubernetesClient, from_kubeconfig
from tidegate_agent.core.access import Impersonation
from tidegate_agent.core.kinds import CONFIG_MAP, POD
from tidegate_agent.errors import ForbiddenError

pytestmark = pytest.mark.asyncio(loop_scope="session")

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def acting_as(call: Call) -> tuple[str, tuple[str, ...], str]:
    """Return as whom a call was made: user, groups and person."""
    headers = call.headers
    return (
        headers.get("impersonate-user", ""),
        tuple(headers.getlist("impersonate-group")),
        headers.get("impersonate-extra-tidegate.dev%2fperson", ""),
    )


async def test_a_change_is_made_as_the_role_and_names_the_person_and_the_run(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload(replicas=1)
    told = await at.ask("deploy", {**what.params, "image": NEW}, run=f"who-{what.name}")
    assert told.status == 202
    (change,) = ground.gate.changes(what.path)
    assert acting_as(change) == ("tidegate", (f"tidegate:{ground.deployer}",), DEPLOYER)
    assert change.run == f"who-{what.name}"
    annotations = (await what.read())["metadata"]["annotations"]
    assert (annotations["tidegate.dev/by"], annotations["tidegate.dev/run"]) == (
        DEPLOYER,
        f"who-{what.name}",
    )
    records = [
        each
        for each in ground.gate.calls
        if each.path.startswith(f"/api/v1/namespaces/{ground.home}/configmaps")
    ]
    assert {acting_as(each)[0] for each in records} == {""}, "records are the agent's own"


@pytest.mark.parametrize(
    ("verb", "params", "right"),
    [
        ("deploy", {"image": NEW}, "patch deployments.apps"),
        ("restart", {}, "patch deployments.apps"),
        ("scale", {"replicas": 2}, "patch deployments.apps/scale"),
        ("logs", {}, "get pods/log"),
    ],
)
async def test_a_missing_right_is_told_as_which_verb_on_what_where_for_whom(
    ground: Ground, at: Door, verb: str, params: dict[str, object], right: str
) -> None:
    what = await ground.workload(replicas=1)
    told = await at.ask(verb, {**what.params, **params}, who=VIEWER, run=f"no-{what.name}")
    assert told.status == 403
    assert told.content["message"] == (
        f"The cluster does not allow it: tidegate (group tidegate:{ground.viewer}) lacks the "
        f"right to {right} in {ground.place}."
    )
    assert ground.gate.changes(what.path) == []
    again = await at.ask(verb, {**what.params, **params}, who=VIEWER, run=f"no-{what.name}")
    assert (again.status, again.content) == (403, told.content), "a refusal is kept"


@pytest.mark.parametrize(
    "somebody",
    [
        Impersonation(user="kubernetes-admin", groups=()),
        Impersonation(user="tidegate", groups=("tidegate:others",)),
        Impersonation(user="tidegate", groups=(), extra={"example.com/other": ("x",)}),
    ],
    ids=["user", "group", "extra"],
)
async def test_the_cluster_lets_the_agent_act_as_nobody_else(
    ground: Ground, installed: Installed, somebody: Impersonation
) -> None:
    client = _client(ground, installed)
    try:
        with pytest.raises(ForbiddenError, match="impersonate"):
            await client.list(POD, ground.place, as_=somebody)
        with pytest.raises(ForbiddenError):
            await client.list(CONFIG_MAP, ground.place)
        assert (await client.list(CONFIG_MAP, ground.home)).items is not None
    finally:
        await client.close()


def _client(ground: Ground, installed: Installed) -> KubernetesClient:
    credentials = from_kubeconfig([installed.kubeconfig], {})
    return KubernetesClient(credentials, sleep=_do_not_wait)


async def _do_not_wait(_: float) -> None:
    return


async def test_without_impersonation_an_access_review_decides(
    ground: Ground, signer: Signer
) -> None:
    release = f"tidegate-{ground.suffix}-itself"
    installed = await ground.install(release, impersonation={"enabled": False})
    what = await ground.workload(replicas=1)
    begun = len(ground.gate.calls)
    async with agents.beside(ground, installed, signer) as at:
        told = await at.ask("deploy", {**what.params, "image": NEW}, who=VIEWER)
        assert told.status == 403
        assert "lacks the right to patch deployments.apps in" in told.content["message"]
        assert f"tidegate (group tidegate:{ground.viewer})" in told.content["message"]
        assert await what.image() == f"{REPOSITORY}:{OLD}"
        run = f"itself-{what.name}"
        told = await at.ask("deploy", {**what.params, "image": NEW}, run=run)
        assert told.status == 202, told
        assert (await at.ended(told.headers["Location"], run)).content["phase"] == "succeeded"
        assert (await at.ask("status", what.params, who=STRANGER)).status == 403
    calls = ground.gate.calls[begun:]
    assert {acting_as(each) for each in calls} == {("", (), "")}
    assert any(each.path == REVIEWS and each.status == 201 for each in calls)
    assert len(ground.gate.changes(what.path)) == 1
