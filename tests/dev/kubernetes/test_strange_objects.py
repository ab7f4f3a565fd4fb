"""Objects that make no sense are refused or taken, and never bring the API down."""

import copy
import json
import time
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from tests.dev.kubernetes.api_client import JSON_PATCH, MERGE, STRATEGIC, TABLE, deployment
from tidegate_dev.kubernetes import resources
from tidegate_dev.kubernetes.api import Api
from tidegate_dev.kubernetes.audit import Audit
from tidegate_dev.kubernetes.bootstrap import add_namespace, bootstrap
from tidegate_dev.kubernetes.faults import ApiFaults
from tidegate_dev.kubernetes.logs import Logs
from tidegate_dev.kubernetes.resources import Resource
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.users import Token, Tokens, User

STRANGE: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 2**70, "", "text", "a b", [], [None], [[]], ["x"], {}, {"a": None}]
)
SAMPLES: dict[Resource, dict[str, Any]] = {
    resources.DEPLOYMENTS: deployment("x"),
    resources.PODS: {
        "metadata": {"name": "x"},
        "spec": deployment("x")["spec"]["template"]["spec"],
    },
    resources.STATEFUL_SETS: {**deployment("x"), "kind": "StatefulSet"},
    resources.DAEMON_SETS: {**deployment("x"), "kind": "DaemonSet"},
    resources.SERVICES: {
        "metadata": {"name": "x"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}], "externalIPs": ["1.2.3.4"]},
    },
    resources.CONFIG_MAPS: {"metadata": {"name": "x", "labels": {"a": "b"}}, "data": {"a": "b"}},
    resources.SECRETS: {"metadata": {"name": "x"}, "stringData": {"a": "b"}},
    resources.RESOURCE_QUOTAS: {"metadata": {"name": "x"}, "spec": {"hard": {"pods": "3"}}},
    resources.EVENTS: {
        "metadata": {"name": "x"},
        "involvedObject": {"kind": "Pod", "name": "p"},
        "source": {"component": "c"},
        "lastTimestamp": "2026-01-01T00:00:00Z",
    },
    resources.HORIZONTAL_POD_AUTOSCALERS: {
        "metadata": {"name": "x"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "x"}, "maxReplicas": 3},
    },
    resources.ROLES: {
        "metadata": {"name": "x"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    },
    resources.ROLE_BINDINGS: {
        "metadata": {"name": "x"},
        "roleRef": {"kind": "Role", "name": "x"},
        "subjects": [{"kind": "User", "name": "ada"}],
    },
}


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every value inside *value*."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))


@st.composite
def strange(draw: st.DrawFn, resource: Resource) -> dict[str, Any]:
    """Return a sample with something else in one or two places."""
    obj = copy.deepcopy(SAMPLES[resource])
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([each for each in places(obj) if each[0] != "kind"]))
        holder: Any = obj
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = copy.deepcopy(draw(STRANGE))
    return obj


def collection(resource: Resource) -> str:
    group = f"/apis/{resource.group}" if resource.group else "/api"
    return f"{group}/{resource.version}/namespaces/staging/{resource.plural}"


@pytest.fixture(params=list(SAMPLES), ids=lambda resource: resource.plural)
def resource(request: pytest.FixtureRequest) -> Resource:
    found = request.param
    assert isinstance(found, Resource)
    return found


def served() -> tuple[ASGIApp, str]:
    """Return an API without a port, and a token that opens it."""
    store, tokens = Store(time.time), Tokens(time.time)
    bootstrap(store)
    add_namespace(store, "staging")
    tokens.add("root", Token(user=User(name="root", groups=("system:masters",))))
    api = Api(store, Logs(time.time), tokens, audit=Audit(), faults=ApiFaults(), now=time.time)
    return api.app, "root"


@dataclass(frozen=True)
class Client:
    """Calls an application in the process, for which whatever it raises is raised here."""

    app: ASGIApp
    token: str

    async def __call__(self, method: str, path: str, content: Any = None, **headers: str) -> int:
        codes: list[int] = []
        body = b"" if content is None else json.dumps(content).encode()
        sent = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                codes.append(message["status"])

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
        await self.app(scope, receive, send)
        return codes[0]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=40,
    phases=[Phase.generate],
)
@given(data=st.data())
async def test_whatever_is_sent_is_answered_and_the_rest_goes_on(
    resource: Resource, data: st.DataObject
) -> None:
    call = Client(*served())
    path, obj = collection(resource), data.draw(strange(resource))
    assert await call("POST", path, obj) in (201, 400, 409, 422)
    await call("POST", path, SAMPLES[resource])
    kind = data.draw(st.sampled_from([MERGE, STRATEGIC, JSON_PATCH]))
    operations = [{"op": "add", "path": "/spec", "value": obj.get("spec")}]
    content = operations if kind == JSON_PATCH else obj
    patched = await call("PATCH", f"{path}/x", content, content_type=kind)
    assert patched in (200, 400, 404, 409, 422)
    assert await call("GET", path, accept=TABLE) == 200
    assert await call("GET", f"{path}/x/scale") in (200, 404)
    review = {"spec": {"user": "ada", "resourceAttributes": {"namespace": "staging"}}}
    reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert await call("POST", reviews, review) == 201
