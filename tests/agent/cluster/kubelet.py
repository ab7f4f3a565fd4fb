"""A node and its kubelet, played through the API: for clusters in which none runs.

What a kubelet tells the API server is written by hand: that the node is ready, that pods run, and
that those which are to go have gone. No container runs, so there are no logs.

https://kubernetes.io/docs/concepts/architecture/nodes/#self-registration-of-nodes
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.agent.cluster.administrator import NODE, Administrator
from tidegate_agent.core.kinds import EVENT, POD
from tidegate_agent.errors import ConflictError, NotFoundError
from tidegate_agent.ports import Object, PatchType

#: Keeps everybody else's pods away from a node that runs none.
TAINT: Final = "tidegate.dev/played"
#: An image of this tag cannot be pulled, anywhere.
NO_IMAGE: Final = "does-not-exist"
_HEARTBEAT_SECONDS: Final = 10.0
_ROOM: Final = {"cpu": "64", "memory": "64Gi", "pods": "1000"}


@asynccontextmanager
async def played(admin: Administrator, node: str, *namespaces: str) -> AsyncIterator[None]:
    """There is a node, and the pods of those namespaces come and go on it."""
    kubelet = _Kubelet(admin, node)
    await kubelet.register()
    tasks = [asyncio.create_task(kubelet.look_after(each)) for each in namespaces]
    tasks.append(asyncio.create_task(kubelet.stay_ready()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(NotFoundError):
            await admin.delete(NODE, None, node)
        broken = [each for each in ended if isinstance(each, Exception)]
        assert broken == [], "the kubelet broke down"


class _Kubelet:
    def __init__(self, admin: Administrator, node: str) -> None:
        self._admin = admin
        self._node = node
        self._numbers = itertools.count(1)

    async def register(self) -> None:
        taint = {"key": TAINT, "effect": "NoSchedule"}
        metadata = {"name": self._node, "labels": {"kubernetes.io/hostname": self._node}}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
        await self._admin.create(NODE, None, {**node, "spec": {"taints": [taint]}})
        await self._tell_ready()

    async def stay_ready(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            await self._tell_ready()

    async def look_after(self, namespace: str) -> None:
        """Pods are bound, run and end as they are made and deleted."""
        listed = await self._admin.list(POD, namespace)
        for pod in listed.items:
            await self._look(pod)
        watch = self._admin.watch(POD, namespace, resource_version=listed.resource_version)
        async for event in watch:
            if event.type in ("ADDED", "MODIFIED"):
                await self._look(event.object)

    async def _look(self, pod: Object) -> None:
        # A scheduler, or whoever deletes it, may have been faster.
        with contextlib.suppress(ConflictError, NotFoundError):
            metadata = pod["metadata"]
            place = (metadata["namespace"], metadata["name"])
            if "deletionTimestamp" in metadata:
                await self._admin.delete_at_once(POD, *place, metadata["uid"])
            elif not pod["spec"].get("nodeName"):
                await self._bind(*place)
            elif pod["spec"]["nodeName"] == self._node and "startTime" not in pod["status"]:
                await self._start(pod, *place)

    async def _bind(self, namespace: str, name: str) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": self._node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}}
        content = {**binding, "target": target}
        await self._admin.create_below(POD, namespace, name, "binding", content)

    async def _start(self, pod: Object, namespace: str, name: str) -> None:
        containers = pod["spec"]["containers"]
        fails = any(str(each["image"]).endswith(f":{NO_IMAGE}") for each in containers)
        now = _now()
        status = {
            "phase": "Pending" if fails else "Running",
            "startTime": now,
            "conditions": list(_conditions(now, ready=not fails)),
            "containerStatuses": [_container(each, now, fails=fails) for each in containers],
        }
        patch = {"status": status}
        await self._admin.patch(
            POD, namespace, name, patch, type=PatchType.MERGE, subresource="status"
        )
        if fails:
            await self._warn(pod, namespace, name)

    async def _warn(self, pod: Object, namespace: str, name: str) -> None:
        now = _now()
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{next(self._numbers)}"},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": namespace,
                "name": name,
                "uid": pod["metadata"]["uid"],
            },
            "type": "Warning",
            "reason": "Failed",
            "message": "Error: ImagePullBackOff",
            "source": {"component": "kubelet", "host": self._node},
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }
        await self._admin.create(EVENT, namespace, event)

    async def _tell_ready(self) -> None:
        now = _now()
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "played"}
        condition = {**ready, "lastHeartbeatTime": now, "lastTransitionTime": now}
        status = {"conditions": [condition], "capacity": _ROOM, "allocatable": _ROOM}
        patch = {"status": status}
        await self._admin.patch(
            NODE, None, self._node, patch, type=PatchType.MERGE, subresource="status"
        )


def _conditions(now: str, *, ready: bool) -> Iterator[dict[str, Any]]:
    for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready"):
        is_so = ready or kind in ("PodScheduled", "Initialized")
        yield {"type": kind, "status": str(is_so), "lastTransitionTime": now}


def _container(container: Mapping[str, Any], now: str, *, fails: bool) -> dict[str, Any]:
    image = container["image"]
    message = f'Back-off pulling image "{image}"'
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
    return {
        "name": container["name"],
        "image": image,
        "imageID": "",
        "ready": not fails,
        "started": not fails,
        "restartCount": 0,
        "state": waiting if fails else {"running": {"startedAt": now}},
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
