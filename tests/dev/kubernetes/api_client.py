"""A plain HTTP client of the far end's API, which shows what really went over the wire."""

import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tidegate_dev.kubernetes import KubernetesFarEnd

DEPLOYMENTS = "/apis/apps/v1/namespaces/staging/deployments"
PODS = "/api/v1/namespaces/staging/pods"
CONFIG_MAPS = "/api/v1/namespaces/staging/configmaps"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True)
class Answer:
    code: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def message(self) -> str:
        return str(self.body["message"])

    @property
    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.body["items"]]


@dataclass(frozen=True)
class ApiClient:
    session: aiohttp.ClientSession
    url: str
    token: str | None

    def as_token(self, token: str | None) -> "ApiClient":
        return ApiClient(self.session, self.url, token)

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        **params: str,
    ) -> Answer:
        return await self._send(method, path, body, headers or {}, params)

    async def get(self, path: str, **params: str) -> Answer:
        return await self._send("GET", path, None, {}, params)

    async def patch(self, path: str, body: Any, kind: str = MERGE, **params: str) -> Answer:
        return await self._send("PATCH", path, body, {"Content-Type": kind}, params)

    async def _send(
        self,
        method: str,
        path: str,
        body: Any,
        headers: Mapping[str, str],
        params: Mapping[str, str],
    ) -> Answer:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        content = {} if data is None else {"Content-Type": "application/json"}
        async with self.session.request(
            method,
            self.url + path,
            data=None if data is None else io.BytesIO(data),
            headers={**self.authorization, **content, **headers},
            params=params,
        ) as response:
            return Answer(response.status, await response.text(), dict(response.headers))

    @property
    def authorization(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    @asynccontextmanager
    async def watch(self, path: str, **params: str) -> AsyncIterator["Events"]:
        async with self.session.get(
            self.url + path, params={"watch": "1", **params}, headers=self.authorization
        ) as response:
            yield Events(response)


@dataclass(frozen=True)
class Events:
    response: aiohttp.ClientResponse

    async def next(self) -> Any:
        line = await self.response.content.readline()
        return json.loads(line) if line else None

    async def rest(self) -> list[Any]:
        return [json.loads(line) async for line in self.response.content]


@asynccontextmanager
async def api_client(cluster: KubernetesFarEnd) -> AsyncIterator[ApiClient]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield ApiClient(session, cluster.url, cluster.admin_token)


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def deployment(name: str, image: str = "x/demo:1", replicas: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    }
