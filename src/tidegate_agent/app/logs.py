"""The journey of a look at logs: the last lines of a workload's pods, fit to be shown."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegate_agent.app.cluster import Cluster
from tidegate_agent.app.world import World
from tidegate_agent.core import answer, fields, moment, redaction, workload
from tidegate_agent.core.answer import Answer
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.request import Logs
from tidegate_agent.core.workload import Workload
from tidegate_agent.errors import InvalidError, KubernetesError, MissingError, NotFoundError
from tidegate_agent.ports import Object

#: How many pods are read where none is named.
MAX_PODS: Final = 5
_READ_TRIES: Final = 6
# https://kubernetes.io/docs/reference/labels-annotations-taints/#kubectl-kubernetes-io-default-container
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a pod's log; `at` is when it was written, as Kubernetes has it."""

    at: str
    pod: str
    text: str


async def tell(world: World, asked: Logs, who: Statement) -> Answer:
    """Return the last lines that a workload's pods wrote, secrets of a known shape struck out.

    Raises:
        RefusedError: There is no such workload, pod or container, or no role there.
        KubernetesError: The cluster does not tell.
    """
    cluster = world.cluster(who, asked.target.namespace)
    now = await cluster.workload(asked.target)
    container = _container(now, asked.container)
    pods = _chosen(await cluster.pods(now), asked)
    most = min(asked.tail, world.rules.max_log_lines)
    share = world.rules.max_log_bytes // max(1, len(pods))
    read = await asyncio.gather(
        *(_read(cluster, asked, pod, container=container, tail=most, most=share) for pod in pods)
    )
    found = sorted((line for each in read for line in each), key=lambda line: line.at)[-most:]
    world.journal.note(
        "logs",
        run=who.run,
        by=who.subject,
        namespace=asked.target.namespace,
        workload=asked.target.name,
        container=container,
        lines=len(found),
    )
    return _answer(asked, container, pods, found)


def _container(now: Workload, name: str | None) -> str:
    annotations = fields.texts(now.template, "metadata", "annotations")
    return workload.container(now.containers, name or annotations.get(_DEFAULT_CONTAINER)).name


def _chosen(pods: Sequence[Object], asked: Logs) -> tuple[str, ...]:
    """Return the pods to read: the one that was named, or those whose lines help most.

    Raises:
        MissingError: The one that was named is none of the workload's.
    """
    names = [fields.text(pod, "metadata", "name") for pod in pods]
    if asked.pod is not None:
        if asked.pod not in names:
            there = ", ".join(sorted(names)[:10]) or "none"
            raise MissingError(
                f"{asked.target.words} has no pod {asked.pod}; there are {there}.", field="pod"
            )
        return (asked.pod,)
    ordered = sorted(pods, key=_telling, reverse=True)
    return tuple(fields.text(pod, "metadata", "name") for pod in ordered[:MAX_PODS])


def _telling(pod: Object) -> tuple[bool, int, float]:
    """Return how much a pod's lines help: those in trouble first, then the newest."""
    statuses = fields.mappings(pod, "status", "containerStatuses")
    unready = any(status.get("ready") is not True for status in statuses)
    restarts = sum(fields.number(status, "restartCount") for status in statuses)
    return unready, restarts, moment.seconds(pod, "metadata", "creationTimestamp") or 0.0


async def _read(
    cluster: Cluster, asked: Logs, pod: str, *, container: str, tail: int, most: int
) -> list[Line]:
    """Return the last lines of a pod: as many as were asked for, or as *most* bytes hold.

    The API server cuts what is too long at its end, where the newest lines are. So fewer are
    asked for until they fit.
    """
    raw = b""
    for _ in range(_READ_TRIES):
        try:
            raw = await cluster.logs(
                asked.target.namespace,
                pod,
                container=container,
                tail=tail,
                since_seconds=asked.since_seconds,
                previous=asked.previous,
                limit_bytes=most,
            )
        except (InvalidError, NotFoundError):
            return []  # it has not begun to write, never ended before, or is gone
        except KubernetesError as error:
            if error.code == 400:
                return []
            raise
        if len(raw) < most or tail == 1:
            break
        tail = max(1, raw.count(b"\n") // 2)
    if len(raw) >= most and b"\n" in raw:
        raw = raw[: raw.rindex(b"\n")]  # a line that was cut could hold half a secret
    return [_line(pod, text) for text in redaction.lines(raw, most=tail)]


def _line(pod: str, text: str) -> Line:
    """Return a line, taken apart from the time that stands before it."""
    at, space, rest = text.partition(" ")
    if space and at[:4].isdigit() and "T" in at:
        return Line(at=at, pod=pod, text=rest)
    return Line(at="", pod=pod, text=text)


def _answer(asked: Logs, container: str, pods: Sequence[str], found: Sequence[Line]) -> Answer:
    several = len({line.pod for line in found}) > 1
    shown = [f"{line.at[11:19]} {line.pod + ' ' if several else ''}{line.text}" for line in found]
    message = _last(shown) or _nothing(asked, container, pods)
    return Answer(
        status=200,
        content={
            "message": message,
            "status": f"{len(found)} lines" if len(found) != 1 else "1 line",
            "container": container,
            "pods": list(pods),
            "lines": [{"at": line.at, "pod": line.pod, "text": line.text} for line in found],
        },
    )


def _last(lines: Sequence[str]) -> str:
    """Return as many of the last lines as a message holds."""
    kept: list[str] = []
    room = answer.MAX_MESSAGE
    for line in reversed(lines):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join(reversed(kept)) or "\n".join(lines)[: answer.MAX_MESSAGE]


def _nothing(asked: Logs, container: str, pods: Sequence[str]) -> str:
    if not pods:
        return f"{asked.target.words} has no pods."
    which = " before it was last started" if asked.previous else ""
    return f"The container {container} of {asked.target.words} has written nothing{which}."
