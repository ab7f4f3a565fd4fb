"""What people do with each capability, as far as it asks something of the API server."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from tests.agent.app import mishaps
from tests.agent.app.stage import REGISTRY, Stage
from tests.deploy.stand import WORKLOADS, by_hand, workload
from tidegate_agent.errors import AmbiguousError
from tidegate_agent.ports import Kubernetes

NEW: Final = f"{REGISTRY}/new:2.0.0"

Journey = Callable[[Stage, str], Awaitable[list[int]]]


async def status(stage: Stage, kind: str) -> list[int]:
    """One workload, all of them, and one that there is not."""
    one = await stage.ask("status", **_target(kind))
    every = await stage.ask("status")
    await stage.ask("status", **_target(kind, "gone"))
    return [one.status, every.status]


async def logs(stage: Stage, kind: str) -> list[int]:
    return [(await stage.ask("logs", **_target(kind))).status]


async def deploy(stage: Stage, kind: str) -> list[int]:
    """To its end; and once with the connection lost when it was sent."""
    image = f"{REGISTRY}/{_name(stage, kind)}"
    return [
        await _to_the_end(stage, "deploy", kind, f"deploy-{kind}-1", image=f"{image}:2.0.1"),
        await _broken_off(stage, "deploy", kind, f"deploy-{kind}-2", image=f"{image}:2.0.2"),
    ]


async def restart(stage: Stage, kind: str) -> list[int]:
    return [
        await _to_the_end(stage, "restart", kind, f"restart-{kind}-1"),
        await _broken_off(stage, "restart", kind, f"restart-{kind}-2"),
    ]


async def rollback(stage: Stage, kind: str) -> list[int]:
    await by_hand(stage, kind, NEW)
    return [await _to_the_end(stage, "rollback", kind, f"rollback-{kind}-1")]


async def scale(stage: Stage, kind: str) -> list[int]:
    return [await _to_the_end(stage, "scale", kind, f"scale-{kind}-1", replicas=4)]


JOURNEYS: Final[Mapping[str, Journey]] = {
    "status": status,
    "logs": logs,
    "deploy": deploy,
    "scale": scale,
    "restart": restart,
    "rollback": rollback,
}


def kinds_of(capability: str) -> list[str]:
    """Return the kinds of workloads for which a capability makes sense."""
    return [kind for kind in WORKLOADS if (capability, kind) != ("scale", "daemonset")]


def _target(kind: str, name: str | None = None) -> dict[str, Any]:
    return {kind: name or WORKLOADS[kind][1]}


def _name(stage: Stage, kind: str) -> str:
    """Return the repository of the image that the workload runs, without its registry."""
    image = str(workload(stage, kind)["spec"]["template"]["spec"]["containers"][0]["image"])
    return image.removeprefix(f"{REGISTRY}/").partition(":")[0]


async def _to_the_end(stage: Stage, verb: str, kind: str, run: str, **params: Any) -> int:
    told = await stage.ask(verb, run, **_target(kind), **params)
    if told.status != 202:
        return told.status
    await stage.follow(run)  # while it is under way: its pods, and the warnings about them
    ended = await stage.followed(run)
    return 202 if ended.get("phase") == "succeeded" else 500


async def _broken_off(stage: Stage, verb: str, kind: str, run: str, **params: Any) -> int:
    agent = stage.new_agent(through=_losing_the_first_patch())
    told = await stage.ask(verb, run, agent=agent, **_target(kind), **params)
    return told.status


def _losing_the_first_patch() -> Callable[[Kubernetes], Any]:
    """Return what loses the connection once the API server has made the first change."""
    lost: list[str] = []

    def lose(_: int, name: str) -> None:
        if name == "patch" and not lost:
            lost.append(name)
            raise AmbiguousError("connection reset")

    return lambda inner: mishaps.Between(inner, after=lose)
