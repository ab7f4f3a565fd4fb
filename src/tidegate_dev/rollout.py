"""Workloads as Kubernetes keeps them, and the steps by which a change reaches each pod.

Nothing here runs by itself: an operation is a list of moments and what happens at each, and
whoever looks first carries out what has become due.
"""

import hashlib
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

MAX_REVISIONS: Final = 10

_NAME_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes': no vowels, so no words


@dataclass(slots=True, kw_only=True)
class Pod:
    """One pod, as it is now."""

    name: str
    image: str
    revision: int
    born: float
    phase: str = "ContainerCreating"

    @property
    def ready(self) -> bool:
        """Whether it takes traffic."""
        return self.phase == "Running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a workload was told to be at some time, and by whom."""

    number: int
    image: str
    at: float
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something worth telling."""

    at: float
    text: str
    level: str = "info"

    def to_dict(self) -> dict[str, str]:
        """Return the event as JSON has it."""
        return {"at": iso(self.at), "text": self.text, "level": self.level}


@dataclass(slots=True, kw_only=True)
class Workload:
    """A deployment with its pods and its past; the latest revision is the one it is meant to be."""

    name: str
    namespace: str
    replicas: int
    revisions: list[Revision]
    pods: list[Pod] = field(default_factory=list)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=50))

    @property
    def revision(self) -> Revision:
        """The revision it is meant to be."""
        return self.revisions[-1]

    @property
    def ready(self) -> int:
        """How many pods take traffic."""
        return sum(pod.ready for pod in self.pods)

    @property
    def status(self) -> str:
        """One word or two for how it is."""
        if any(pod.phase == "CrashLoopBackOff" for pod in self.pods):
            return "degraded"
        current = all(pod.ready and pod.revision == self.revision.number for pod in self.pods)
        if not current or len(self.pods) != self.replicas:
            return "updating"
        return "healthy" if self.replicas else "scaled to zero"

    def create_pod(self, now: float) -> Pod:
        """Return a new pod of the current revision; it is not ready yet."""
        digest = hashlib.sha256(f"{self.namespace}/{self.name}/{self.revision.number}".encode())
        tail = "".join(secrets.choice(_NAME_LETTERS) for _ in range(5))
        replica_set = "".join(_NAME_LETTERS[o % len(_NAME_LETTERS)] for o in digest.digest()[:9])
        pod = Pod(
            name=f"{self.name}-{replica_set}-{tail}",
            image=self.revision.image,
            revision=self.revision.number,
            born=now,
        )
        self.pods.append(pod)
        return pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happens at a moment of an operation."""

    at: float
    act: Callable[[float], None]


@dataclass(slots=True, kw_only=True)
class Operation:
    """Long work, followed under its `Location`."""

    id: str
    verb: str
    workload: Workload
    begun: float
    total: int
    phase: str = "running"
    message: str = ""
    done: int = 0
    steps: deque[Step] = field(default_factory=deque)
    events: list[Event] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Where it is followed."""
        return f"/api/v1/{self.verb}/operations/{self.id}"

    def tell(self, at: float, text: str, level: str = "info") -> None:
        """Add an event to the operation and to its workload."""
        event = Event(at=at, text=text, level=level)
        self.events.append(event)
        self.workload.events.append(event)

    def plan(self, at: float, act: Callable[[float], None]) -> None:
        """Have *act* happen at *at*; moments are planned in their order."""
        self.steps.append(Step(at=at, act=act))

    def plan_end(self, message: str) -> None:
        """Have the operation succeed when everything planned so far has happened."""
        at = self.steps[-1].at if self.steps else self.begun
        self.plan(at, lambda _: self.end("succeeded", message))

    def advance(self, now: float) -> bool:
        """Carry out what is due; return whether anything was."""
        due = False
        while self.steps and self.steps[0].at <= now:
            step = self.steps.popleft()
            step.act(step.at)
            due = True
        return due

    def end(self, phase: str, message: str) -> None:
        """Leave the operation finished: nothing more of it happens."""
        self.phase = phase
        self.message = message
        self.steps.clear()

    def to_dict(self) -> dict[str, Any]:
        """Return what a poll is answered."""
        return {
            "phase": self.phase,
            "message": self.message,
            "progress": {"done": self.done, "total": self.total},
            "events": [event.to_dict() for event in self.events],
        }


def roll_out(
    operation: Operation, image: str, *, cause: str, seconds: float, failing: bool = False
) -> None:
    """Plan a rolling update: one pod comes, one goes, as many times as there are replicas."""
    workload, now = operation.workload, operation.begun
    settle(workload)
    number = workload.revision.number + 1
    workload.revisions.append(Revision(number=number, image=image, at=now, cause=cause))
    del workload.revisions[:-MAX_REVISIONS]
    operation.total = workload.replicas
    operation.tell(now, f"Revision {number}: {tag(image)} ({cause}).")
    each = seconds / max(1, workload.replicas)
    turns = [now + turn * each for turn in range(workload.replicas)]
    if failing and turns:
        _plan_failure(operation, each)
        return
    for begin in turns:
        operation.plan(begin, lambda at: _start_pod(operation, at))
        operation.plan(begin + 0.6 * each, lambda at: _ready_pod(operation, at))
        operation.plan(begin + each, lambda at: _retire_pods(operation, at))
    operation.plan_end(
        f"{workload.name} {tag(image)} is running in {workload.namespace}: "
        f"{workload.replicas} of {workload.replicas} pods."
    )


def scale(operation: Operation, replicas: int, *, cause: str, seconds: float) -> None:
    """Plan for as many pods as *replicas*, coming or going one after another."""
    workload, now = operation.workload, operation.begun
    settle(workload)
    operation.tell(now, f"Scaled from {workload.replicas} to {replicas} ({cause}).")
    workload.replicas = replicas
    surplus = sorted(workload.pods, key=lambda pod: not pod.ready)[replicas:]
    fresh = [workload.create_pod(now) for _ in range(replicas - len(workload.pods))]
    for pod in surplus:
        pod.phase = "Terminating"
    operation.total = len(surplus) + len(fresh)
    each = min(1.0, seconds / max(1, operation.total))
    for number in range(1, operation.total + 1):
        operation.plan(now + number * each, lambda at: _next_pod(operation, at))
    operation.plan_end(f"{workload.name} in {workload.namespace} runs {replicas} replicas.")


def settle(workload: Workload) -> None:
    """Leave no pod half-way: what was going is gone, what was coming is there."""
    workload.pods = [pod for pod in workload.pods if pod.phase != "Terminating"]
    for pod in workload.pods:
        if pod.phase == "ContainerCreating":
            pod.phase = "Running"


def tag(image: str) -> str:
    """Return the part of an image's name that tells its version."""
    name = image.rpartition("/")[2]
    if "@" in name:
        return name.rpartition("@")[2][:19]
    return name.partition(":")[2] or "latest"


def iso(at: float) -> str:
    """Return a time as JSON has it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _plan_failure(operation: Operation, each: float) -> None:
    workload = operation.workload

    def crash(at: float) -> None:
        pod = workload.pods[-1]
        pod.phase = "CrashLoopBackOff"
        operation.tell(at, f"Pod {pod.name} crashes right after it starts.", "error")

    def give_up(at: float) -> None:
        operation.tell(at, "The rollout was given up.", "error")
        operation.end(
            "failed",
            f"The new {workload.name} crashes right after it starts. The previous version still "
            f"serves with {workload.ready} pods. Roll back, or deploy another version.",
        )

    operation.plan(operation.begun, lambda at: _start_pod(operation, at))
    operation.plan(operation.begun + each, crash)
    operation.plan(operation.begun + 2 * each, give_up)


def _start_pod(operation: Operation, at: float) -> None:
    pod = operation.workload.create_pod(at)
    operation.tell(at, f"Pod {pod.name} is starting.")


def _ready_pod(operation: Operation, at: float) -> None:
    workload = operation.workload
    pod = workload.pods[-1]
    pod.phase = "Running"
    operation.done += 1
    operation.message = f"{operation.done} of {operation.total} pods are ready."
    operation.tell(at, f"Pod {pod.name} is ready.")
    current = workload.revision.number
    old = [pod for pod in workload.pods if pod.revision != current]
    old.sort(key=lambda pod: pod.ready)  # what does not serve goes first
    # The last turn takes whatever an interrupted rollout has left over.
    for pod in old if operation.done == operation.total else old[:1]:
        pod.phase = "Terminating"


def _retire_pods(operation: Operation, at: float) -> None:
    for pod in _going(operation.workload.pods):
        operation.workload.pods.remove(pod)
        operation.tell(at, f"Pod {pod.name} is gone.")


def _next_pod(operation: Operation, at: float) -> None:
    pods = operation.workload.pods
    operation.done += 1
    operation.message = f"{operation.done} of {operation.total} pods are done."
    for pod in _going(pods)[:1]:
        pods.remove(pod)
        operation.tell(at, f"Pod {pod.name} is gone.")
        return
    for pod in [pod for pod in pods if pod.phase == "ContainerCreating"][:1]:
        pod.phase = "Running"
        operation.tell(at, f"Pod {pod.name} is ready.")


def _going(pods: Iterable[Pod]) -> list[Pod]:
    return [pod for pod in pods if pod.phase == "Terminating"]
