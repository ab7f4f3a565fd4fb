"""A cluster whose time passes when a test says so, and what people do to it."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tidegate_dev.kubernetes.controllers import Controllers, Faults, Timings
from tidegate_dev.kubernetes.logs import Logs
from tidegate_dev.kubernetes.resources import (
    DEPLOYMENTS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    Resource,
)
from tidegate_dev.kubernetes.store import Store

NAMESPACE = "staging"
REGISTRY = "registry.example.com"
Object = dict[str, Any]


@dataclass(order=True)
class Appointment:
    """Something that is going to happen."""

    at: float
    number: int
    act: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """Time that passes when told, appointment by appointment."""

    def __init__(self) -> None:
        self._now = 1_795_000_000.0
        self._numbers = itertools.count()
        self._due: list[Appointment] = []

    def now(self) -> float:
        return self._now

    def call_later(self, delay: float, act: Callable[[], None]) -> Appointment:
        appointment = Appointment(self._now + delay, next(self._numbers), act)
        heapq.heappush(self._due, appointment)
        return appointment

    def step(self, until: float) -> bool:
        """Keep the next appointment up to *until*; return whether there was one."""
        while self._due and self._due[0].at <= until:
            appointment = heapq.heappop(self._due)
            if not appointment.cancelled:
                self._now = max(self._now, appointment.at)
                appointment.act()
                return True
        self._now = max(self._now, until)
        return False

    @property
    def moments(self) -> list[float]:
        return sorted(entry.at for entry in self._due if not entry.cancelled)


class Stage:
    """A store with controllers, and a hand that changes what is wanted."""

    def __init__(
        self,
        *,
        timings: Timings | None = None,
        faults: Faults | None = None,
        seed: int = 1,
        start: bool = True,
    ) -> None:
        self.clock = ManualClock()
        self.store = Store(self.clock.now)
        self.logs = Logs(self.clock.now)
        self.controllers = Controllers(
            self.store,
            self.logs,
            timings=timings or Timings(chatter=0),
            faults=faults,
            clock=self.clock,
            random=Random(seed),
        )
        if start:
            self.controllers.start()

    def settle(self) -> None:
        """What is due at this very moment has happened."""
        while self.clock.step(self.clock.now()):
            pass

    def wait(self, seconds: float, look: Callable[[], None] | None = None) -> None:
        """So much time passes; *look* is called whenever nothing is due at that moment."""
        end = self.clock.now() + seconds
        self.settle()
        if look:
            look()
        while moments := [at for at in self.clock.moments if at <= end]:
            self.clock.step(moments[0])
            self.settle()
            if look:
                look()
        self.clock.step(end)

    # --- what people do -----------------------------------------------------------

    def deploy(self, name: str = "web", **spec: Any) -> Object:
        return self.store.create(DEPLOYMENTS, deployment(name, **spec))

    def change(
        self,
        act: Callable[[Object], None],
        name: str = "web",
        resource: Resource = DEPLOYMENTS,
    ) -> None:
        obj = self.get(resource, name)
        act(obj)
        self.store.update(resource, obj)

    def scale(self, replicas: int, name: str = "web", resource: Resource = DEPLOYMENTS) -> None:
        self.change(lambda obj: obj["spec"].update(replicas=replicas), name, resource)

    def set_image(self, tag: str, name: str = "web", resource: Resource = DEPLOYMENTS) -> None:
        def act(obj: Object) -> None:
            obj["spec"]["template"]["spec"]["containers"][0]["image"] = image(tag, name)

        self.change(act, name, resource)

    def pause(self, paused: bool, name: str = "web") -> None:
        self.change(lambda obj: obj["spec"].update(paused=paused), name)

    def undo(self, to: int, name: str = "web") -> bool:
        """Roll back as kubectl does: the template of that revision is wanted again."""
        for replica_set in self.replica_sets(name):
            if revision(replica_set) == to:
                template = replica_set["spec"]["template"]
                template["metadata"]["labels"].pop("pod-template-hash")

                def act(obj: Object, template: Object = template) -> None:
                    obj["spec"]["template"] = template

                self.change(act, name)
                return True
        return False

    # --- what they see --------------------------------------------------------------

    def get(self, resource: Resource, name: str) -> Object:
        namespace = NAMESPACE if resource.namespaced else None
        found = self.store.get(resource, namespace, name)
        assert found is not None, f"there is no {resource.kind} {name}"
        return found

    def all(self, resource: Resource) -> list[Object]:
        return self.store.list(resource, NAMESPACE if resource.namespaced else None)[0]

    def deployment(self, name: str = "web") -> Object:
        return self.get(DEPLOYMENTS, name)

    def replica_sets(self, name: str = "web") -> list[Object]:
        """Return a Deployment's ReplicaSets, the newest revision last."""
        found = [
            entry
            for entry in self.all(REPLICA_SETS)
            if entry["metadata"]["ownerReferences"][0]["name"] == name
        ]
        return sorted(found, key=revision)

    def pods(self, name: str = "web", *, going: bool = False) -> list[Object]:
        found = [pod for pod in self.all(PODS) if pod["metadata"]["labels"]["app"] == name]
        return [pod for pod in found if going or "deletionTimestamp" not in pod["metadata"]]

    def events(self, name: str = "", reason: str = "") -> list[Object]:
        return [
            event
            for event in self.store.list(EVENTS)[0]
            if event["involvedObject"]["name"].startswith(name)
            and event["reason"].startswith(reason)
        ]

    def messages(self, name: str = "", reason: str = "") -> list[str]:
        return [event["message"] for event in self.events(name, reason)]

    def condition(self, kind: str, name: str = "web") -> tuple[str, str]:
        for entry in self.deployment(name)["status"].get("conditions", []):
            if entry["type"] == kind:
                return entry["status"], entry["reason"]
        return "", ""


def revision(obj: Object) -> int:
    return int(obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"])


def image(tag: str, name: str = "web") -> str:
    return f"{REGISTRY}/{name}:{tag}"


def template(name: str, tag: str) -> Object:
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": name, "image": image(tag, name)}]},
    }


def deployment(name: str = "web", tag: str = "1.0.0", **spec: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, tag),
            **spec,
        },
    }


def ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def waiting(pod: Object) -> str:
    states = [entry["state"] for entry in pod["status"].get("containerStatuses", [])]
    return next((state["waiting"]["reason"] for state in states if "waiting" in state), "")
