"""The admission policies let through what the agent does, and nothing else of it."""

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.deploy import chart, stand
from tests.deploy.chart import CAPABILITIES, ROLES, Json, changed
from tests.deploy.fence import Attempt, Fence
from tests.deploy.journeys import JOURNEYS, kinds_of
from tidegate_agent.core import image
from tidegate_agent.errors import NotAllowedError

REGISTRY: Final = "registry.example.com"
DIGEST: Final = "sha256:" + "0123456789abcdef" * 4
ROLE: Final = ("tidegate:deployer", "system:authenticated")
ACCOUNT: Final = "system:serviceaccount:tidegate:tidegate-agent"
#: Everybody whom the agent is or may act as, with what else they may be.
FENCED: Final = {
    "the agent": (ACCOUNT, ("system:serviceaccounts", "system:authenticated")),
    "a role": ("tidegate", ROLE),
    "the user alone": ("tidegate", ("system:authenticated",)),
    "an individual": ("tidegate-ada", ("system:masters", "system:authenticated")),
    "a group of ours": ("somebody", ROLE),
}

WORKLOAD: Final[Json] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "staging",
        "uid": "6d0d1f4b",
        "resourceVersion": "7",
        "generation": 3,
        "labels": {"app": "web"},
        "annotations": {
            "deployment.kubernetes.io/revision": "3",
            "kubernetes.io/change-cause": "installed",
            "example.com/owner": "shop",
        },
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate"},
        "template": {
            "metadata": {
                "creationTimestamp": None,
                "labels": {"app": "web"},
                "annotations": {
                    "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z",
                    "example.com/scrape": "true",
                },
            },
            "spec": {
                "serviceAccountName": "web",
                "initContainers": [{"name": "migrate", "image": f"{REGISTRY}/migrate:1"}],
                "containers": [
                    {
                        "name": "web",
                        "image": f"{REGISTRY}/web:1",
                        "env": [{"name": "LEVEL", "value": "info"}],
                        "resources": {"limits": {"memory": "64Mi"}},
                    },
                    {"name": "proxy", "image": f"{REGISTRY}/proxy:1"},
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
                "securityContext": {"runAsNonRoot": True},
            },
        },
    },
    "status": {"replicas": 3},
}

Change = Callable[[Json], None]


def put(path: str, value: Any) -> Change:
    """Return what puts a value at a path; numbers are places in lists."""

    def change(obj: Json) -> None:
        *steps, last = path.split(" ")
        at: Any = obj
        for step in steps:
            at = at[int(step)] if step.isdigit() else at.setdefault(step, {})
        if value is GONE:
            del at[int(last) if last.isdigit() else last]
        elif isinstance(at, list):
            at.insert(int(last), value) if int(last) >= len(at) else at.__setitem__(
                int(last), value
            )
        else:
            at[last] = value

    return change


def both(*changes: Change) -> Change:
    def change(obj: Json) -> None:
        for each in changes:
            each(obj)

    return change


GONE: Final = object()
POD: Final = "spec template spec"
WEB: Final = f"{POD} containers 0"

ALLOWED: Final[dict[str, Change]] = {
    "another image": put(f"{WEB} image", f"{REGISTRY}/web:2"),
    "another image of the second container": put(f"{POD} containers 1 image", f"{REGISTRY}/x/y:2"),
    "a restart": put("spec template metadata annotations kubectl.kubernetes.io/restartedAt", "now"),
    "a restart never before": put(
        "spec template metadata annotations kubectl.kubernetes.io/restartedAt", GONE
    ),
    "our annotations": both(
        put("metadata annotations tidegate.dev/run", "run-1"),
        put("metadata annotations kubernetes.io/change-cause", "tidegate: deploy"),
    ),
    "our annotations gone": put("metadata annotations kubernetes.io/change-cause", GONE),
    "what the server counts": both(
        put("metadata resourceVersion", "8"),
        put("metadata generation", 4),
        put("metadata managedFields", [{"manager": "tidegate"}]),
    ),
    "null for nothing": put("spec template metadata creationTimestamp", GONE),
    "nothing": lambda _: None,
}

FORBIDDEN: Final[dict[str, tuple[Change, str]]] = {
    "replicas": (put("spec replicas", 4), "its scale"),
    "replicas gone": (put("spec replicas", GONE), "its scale"),
    "the selector": (put("spec selector matchLabels app", "api"), "the spec of a workload"),
    "the strategy": (put("spec strategy type", "Recreate"), "the spec of a workload"),
    "paused": (put("spec paused", True), "the spec of a workload"),
    "a field of a later version": (put("spec zone", "b"), "the spec of a workload"),
    "labels": (put("metadata labels app", "api"), "the metadata of a workload"),
    "owners": (put("metadata ownerReferences", [{"name": "x"}]), "the metadata of a workload"),
    "finalizers": (put("metadata finalizers", ["x"]), "the metadata of a workload"),
    "others' annotations": (put("metadata annotations example.com/owner", "me"), "own annotations"),
    "others' annotations gone": (
        put("metadata annotations example.com/owner", GONE),
        "own annotations",
    ),
    "a new annotation": (
        put("metadata annotations meta.helm.sh/release-name", "x"),
        "own annotations",
    ),
    "the revision": (
        put("metadata annotations deployment.kubernetes.io/revision", "9"),
        "own annotations",
    ),
    "all annotations gone": (put("metadata annotations", GONE), "own annotations"),
    "a part of its own": (put("extra", {"a": 1}), "but its spec and its annotations"),
    "pod labels": (put("spec template metadata labels app", "api"), "metadata of the pod template"),
    "pod labels gone": (put("spec template metadata labels", GONE), "metadata of the pod template"),
    "pod annotations": (
        put("spec template metadata annotations example.com/scrape", "false"),
        "restartedAt",
    ),
    "a pod annotation more": (
        put("spec template metadata annotations sidecar", "in"),
        "restartedAt",
    ),
    "pod annotations gone": (put("spec template metadata annotations", GONE), "restartedAt"),
    "a part of the template": (put("spec template extra", 1), "but for images and the restart"),
    "the service account": (put(f"{POD} serviceAccountName", "admin"), "may not change the pod"),
    "no service account": (put(f"{POD} serviceAccountName", GONE), "may not change the pod"),
    "the host's network": (put(f"{POD} hostNetwork", True), "may not change the pod"),
    "the host's processes": (put(f"{POD} hostPID", True), "may not change the pod"),
    "the node": (put(f"{POD} nodeName", "control-plane"), "may not change the pod"),
    "volumes": (put(f"{POD} volumes 0 hostPath", {"path": "/"}), "may not change the pod"),
    "volumes gone": (put(f"{POD} volumes", GONE), "may not change the pod"),
    "security": (put(f"{POD} securityContext runAsNonRoot", False), "may not change the pod"),
    "an init container's image": (
        put(f"{POD} initContainers 0 image", f"{REGISTRY}/migrate:2"),
        "may not change the pod",
    ),
    "an init container more": (put(f"{POD} initContainers 1", {"name": "x"}), "the pod"),
    "the token": (put(f"{POD} automountServiceAccountToken", True), "may not change the pod"),
    "a container more": (
        put(f"{POD} containers 2", {"name": "x", "image": f"{REGISTRY}/x:1"}),
        "add, remove, rename or reorder",
    ),
    "a container less": (put(f"{POD} containers 1", GONE), "add, remove, rename or reorder"),
    "a container by another name": (put(f"{WEB} name", "www"), "add, remove, rename or reorder"),
    "another order": (
        lambda obj: obj["spec"]["template"]["spec"]["containers"].reverse(),
        "add, remove, rename or reorder",
    ),
    "the command": (put(f"{WEB} command", ["sh"]), "a container but for its image"),
    "the arguments": (put(f"{WEB} args", ["-c", "id"]), "a container but for its image"),
    "the environment": (put(f"{WEB} env 0 value", "debug"), "a container but for its image"),
    "the environment gone": (put(f"{WEB} env", GONE), "a container but for its image"),
    "a secret": (put(f"{WEB} envFrom", [{"secretRef": {"name": "db"}}]), "but for its image"),
    "mounts": (put(f"{WEB} volumeMounts", [{"name": "tmp"}]), "a container but for its image"),
    "resources": (put(f"{WEB} resources limits memory", "9Gi"), "a container but for its image"),
    "privileges": (put(f"{WEB} securityContext", {"privileged": True}), "but for its image"),
    "probes": (put(f"{WEB} livenessProbe", {"exec": {"command": ["id"]}}), "but for its image"),
    "lifecycle": (put(f"{WEB} lifecycle", {"postStart": {}}), "a container but for its image"),
    "when it is pulled": (put(f"{WEB} imagePullPolicy", "Never"), "a container but for its image"),
    "a field of a container of a later version": (put(f"{WEB} zone", "b"), "but for its image"),
    "an image from elsewhere": (put(f"{WEB} image", "docker.io/evil/web:1"), "images from"),
    "an image of a name alike": (put(f"{WEB} image", f"{REGISTRY}.evil.io/web:1"), "images from"),
    "an image of another port": (put(f"{WEB} image", f"{REGISTRY}:5000/web:1"), "images from"),
    "an image without a registry": (put(f"{WEB} image", "web:2"), "images from"),
    "an image that hides it": (put(f"{WEB} image", f"evil.io/x@{REGISTRY}/web"), "images from"),
}


@pytest.fixture(scope="module")
def fence() -> Fence:
    return Fence(
        chart.objects(changed(ROLES, "agent.individuals", {"slack:T1:U1": "tidegate-ada"}))
    )


def attempt(change: Change, who: str = "a role", **more: Any) -> Attempt:
    new = copy.deepcopy(WORKLOAD)
    change(new)
    user, groups = FENCED[who]
    return Attempt(user=user, groups=groups, old=copy.deepcopy(WORKLOAD), new=new, **more)


@pytest.mark.parametrize("resource", ["deployments", "statefulsets", "daemonsets"])
@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED)
def test_it_may_be_changed(fence: Fence, change: Change, resource: str) -> None:
    assert fence.refusals(attempt(change, resource=resource)) == []


@pytest.mark.parametrize(("change", "words"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_it_may_not_be_changed(fence: Fence, change: Change, words: str) -> None:
    for resource in ("deployments", "statefulsets", "daemonsets"):
        refused = fence.refusals(attempt(change, resource=resource))
        assert refused != []
        assert words in refused[0]


@pytest.mark.parametrize("who", FENCED)
def test_everybody_whom_the_agent_may_act_as_is_fenced(fence: Fence, who: str) -> None:
    change, words = FORBIDDEN["the service account"]
    (refused,) = fence.refusals(attempt(change, who))
    assert words in refused
    assert fence.refusals(attempt(ALLOWED["another image"], who)) == []


def test_others_are_left_alone(fence: Fence) -> None:
    change, _ = FORBIDDEN["the service account"]
    for user, groups in (
        ("kubernetes-admin", ("system:masters",)),
        ("system:serviceaccount:kube-system:deployment-controller", ("system:serviceaccounts",)),
        ("system:serviceaccount:other:tidegate-agent", ("system:serviceaccounts",)),
        ("tidegate-bob", ("tidegates",)),
    ):
        tried = attempt(change)
        tried = Attempt(user=user, groups=groups, old=tried.old, new=tried.new)
        assert fence.refusals(tried) == [], user


def scale_to(replicas: int | None, **more: Any) -> Attempt:
    spec: Json = {} if replicas is None else {"replicas": replicas}
    scale: Json = {"kind": "Scale", "metadata": {"name": "web"}, "spec": spec}
    return Attempt(user="tidegate", groups=ROLE, subresource="scale", old=scale, new=scale, **more)


@pytest.mark.parametrize("resource", ["deployments", "statefulsets"])
def test_the_scale_may_be_as_large_as_the_limit(fence: Fence, resource: str) -> None:
    for replicas in (None, 0, 1, 10):
        assert fence.refusals(scale_to(replicas, resource=resource)) == []
    (refused,) = fence.refusals(scale_to(11, resource=resource))
    assert refused == "tidegate may not scale to more than 10 replicas"


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE", "DELETE"])
def test_of_config_maps_the_agent_may_only_write_its_records(fence: Fence, operation: str) -> None:
    def tried(name: str, user: str = ACCOUNT) -> list[str]:
        obj: Json = {"metadata": {"name": name, "namespace": "tidegate"}, "data": {}}
        new = None if operation == "DELETE" else obj
        old = None if operation == "CREATE" else obj
        return fence.refusals(
            Attempt(
                user=user, group="", resource="configmaps", operation=operation, new=new, old=old
            )
        )

    assert tried("tidegate-operation-0123") == []
    for name in ("tidegate-jwks", "tidegate-gateway", "tidegate-agent", "kube-root-ca.crt"):
        assert tried(name) == [
            "the agent may only write the records of its operations (tidegate-operation-...)"
        ]
        assert tried(name, "kubernetes-admin") == []


def test_a_digest_can_be_required() -> None:
    strict = Fence(chart.objects(changed(ROLES, "agent.requireDigest", True)))
    for reference, allowed in {
        f"{REGISTRY}/web@{DIGEST}": True,
        f"{REGISTRY}/web:2@{DIGEST}": True,
        f"{REGISTRY}/web:2": False,
        f"{REGISTRY}/web@sha256:0123": False,
    }.items():
        refused = strict.refusals(attempt(put(f"{WEB} image", reference)))
        assert (refused == []) is allowed, reference
    assert strict.refusals(attempt(ALLOWED["a restart"])) == [], "an image that stays may stay"


def test_fields_that_a_rollback_shall_bring_back_can_be_let_through() -> None:
    wide = Fence(
        chart.objects(
            changed(ROLES, "agent.admissionPolicy", {"containerFields": ["env", "resources"]})
        )
    )
    for name in ("the environment", "the environment gone", "resources"):
        assert wide.refusals(attempt(FORBIDDEN[name][0])) == [], name
    for name in ("the command", "a secret", "mounts", "privileges", "the service account"):
        assert wide.refusals(attempt(FORBIDDEN[name][0])) != [], name


PLACES: Final = (
    "",
    f"{REGISTRY}/",
    f"{REGISTRY}:5000/",
    f"{REGISTRY}/team/",
    "docker.io/",
    "docker.io/library/",
    "localhost/",
    "team/",
    "Team/",
    "evil.io/",
)
IMAGES: Final = [
    f"{place}{name}{version}"
    for place in PLACES
    for name in ("web", "team/web", "team", "teamwork/web", "a/b/c")
    for version in ("", ":2", f"@{DIGEST}", f":1.0-rc_1@{DIGEST}")
]
REGISTRIES: Final[tuple[list[str], ...]] = (
    ["*"],
    [REGISTRY],
    [f"{REGISTRY}/team"],
    ["docker.io"],
    ["docker.io/library"],
    ["localhost", f"{REGISTRY}:5000"],
    ["team"],
)


def assert_agreed(policies: Fence, registries: list[str], wanted: str, had: str) -> None:
    parsed = image.parse(wanted)
    assert parsed is not None, wanted
    old, new = copy.deepcopy(WORKLOAD), copy.deepcopy(WORKLOAD)
    put(f"{WEB} image", had)(old)
    put(f"{WEB} image", wanted)(new)
    allowed = policies.refusals(Attempt(user="tidegate", old=old, new=new)) == []
    try:
        image.check(parsed, now=had, registries=registries, digest_required=False)
    except NotAllowedError:
        assert not allowed, (registries, wanted, had)
    else:
        assert allowed, (registries, wanted, had)


@pytest.mark.parametrize("registries", REGISTRIES, ids=str)
def test_the_policy_and_the_agent_agree_on_where_images_may_come_from(
    registries: list[str],
) -> None:
    policies = Fence(chart.objects(changed(ROLES, "agent.registries", registries)))
    for wanted in IMAGES:
        assert_agreed(policies, registries, wanted, had=f"{REGISTRY}/before:1")


def test_they_agree_on_what_the_same_repository_is_where_no_registry_is_named() -> None:
    policies = Fence(chart.objects(changed(ROLES, "agent.registries", [])))
    for had in ("web:0", "docker.io/library/web:0", "team/web", f"{REGISTRY}:5000/a/b/c@{DIGEST}"):
        for wanted in IMAGES:
            assert_agreed(policies, [], wanted, had)


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("impersonate", [True, False])
async def test_all_that_the_agent_does_passes_the_policies(
    capability: str, impersonate: bool
) -> None:
    found = chart.objects(changed(ROLES, "agent.impersonation.enabled", impersonate))
    policies = Fence(found)
    seen: list[str] = []

    def admit(request: Any) -> None:
        if request.user.name in ("tidegate", ACCOUNT):
            seen.append(request.resource.plural)
        policies.admit(request)

    async with stand.installed(found) as stage:
        stage.cluster.admissions.add(admit)
        for kind in kinds_of(capability):
            statuses = await JOURNEYS[capability](stage, kind)
            assert all(status in (200, 202) for status in statuses), (kind, statuses)
    changes = {"configmaps", *(f"{kind}s" for kind in kinds_of(capability))}
    assert set(seen) == (set() if capability in ("status", "logs") else changes)


async def test_what_a_policy_refuses_is_told_in_its_words() -> None:
    values = changed(ROLES, "agent.registries", ["*"])
    async with stand.installed(chart.objects(values)) as stage:
        stage.cluster.admissions.add(Fence(chart.objects(ROLES)).admit)
        told = await stage.ask("deploy", image="evil.io/web:2")
        assert told.status == 403
        assert (
            "tidegate may only bring in images from registry.example.com" in told.content["message"]
        )
        assert stage.effects() == []


async def test_a_rollback_to_another_environment_is_refused_and_told_why() -> None:
    found = chart.objects(ROLES)
    async with stand.installed(found) as stage:

        def edit(obj: Json) -> None:
            obj["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]

        stage.edit(edit)
        await stage.clock.sleep(0.5)
        stage.cluster.admissions.add(Fence(found).admit)
        told = await stage.ask("rollback")
        assert told.status == 403
        assert "may not change a container but for its image" in told.content["message"]


def test_every_policy_is_bound_and_refuses_what_it_cannot_evaluate(fence: Fence) -> None:
    policies = chart.of_kind(chart.objects(ROLES), "ValidatingAdmissionPolicy")
    assert {each["spec"]["failurePolicy"] for each in policies} == {"Fail"}
    assert {each["metadata"]["name"] for each in policies} == {each.name for each in fence.policies}
    assert len(policies) == 3
