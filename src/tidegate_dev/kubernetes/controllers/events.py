"""Events: what a controller has to tell about an object, for `kubectl describe` and people.

The same thing said again is counted on the same event. Events go an hour after they last happened,
as in Kubernetes, and their number is bounded.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, Literal

from tidegate_dev.kubernetes.controllers.clock import Clock, Timer, stamp
from tidegate_dev.kubernetes.controllers.ownership import Object
from tidegate_dev.kubernetes.resources import EVENTS
from tidegate_dev.kubernetes.store import NotFoundError, Store

Kind = Literal["Normal", "Warning"]

MAX_EVENTS: Final = 1_000
_NO_NAMESPACE: Final = "default"  # where the events of Nodes are found


@dataclass(frozen=True, slots=True)
class _Said:
    """What makes two events the same."""

    about: str
    field_path: str
    kind: str
    reason: str
    message: str
    component: str


@dataclass(slots=True)
class _Kept:
    """Where an event is, and when it last happened."""

    namespace: str
    name: str
    last: float


class Recorder:
    """Writes events into the store.

    Args:
        life: Seconds that an event is kept after it last happened.
        most: How many are kept at most.
    """

    def __init__(
        self, store: Store, clock: Clock, *, life: float = 3_600.0, most: int = MAX_EVENTS
    ) -> None:
        self._store = store
        self._clock = clock
        self._life = life
        self._most = most
        self._kept: OrderedDict[_Said, _Kept] = OrderedDict()
        self._expiry: Timer | None = None
        self._number = 0

    def record(
        self,
        about: Object,
        reason: str,
        message: str,
        *,
        component: str,
        kind: Kind = "Normal",
        host: str = "",
        field_path: str = "",
    ) -> None:
        """It is known that this happened to *about*, and how often by now.

        *component* says who says so, as `kubelet`; *host* on which node, *field_path* to which
        part of *about* it happened, as `spec.containers{web}`.
        """
        said = _Said(about["metadata"]["uid"], field_path, kind, reason, message, component)
        if not self._count_on(said):
            self._create(said, about, host)
        self._kept.move_to_end(said)
        while len(self._kept) > self._most:
            self._drop_oldest()
        self._plan_expiry()

    def stop(self) -> None:
        """Nothing expires any more."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _count_on(self, said: _Said) -> bool:
        """Return whether the event is there; if so, it happened once more."""
        kept = self._kept.get(said)
        event = kept and self._store.get(EVENTS, kept.namespace, kept.name)
        if not kept or not event:
            return False
        kept.last = self._clock.now()
        event["count"] += 1
        event["lastTimestamp"] = stamp(kept.last)
        self._store.update(EVENTS, event)
        return True

    def _create(self, said: _Said, about: Object, host: str) -> None:
        now = self._clock.now()
        self._number += 1
        name = f"{about['metadata']['name']}.{int(now * 1e9) + self._number:x}"
        namespace = about["metadata"].get("namespace") or _NO_NAMESPACE
        source = {"component": said.component, **({"host": host} if host else {})}
        event: dict[str, Any] = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": _involved(about, said.field_path),
            "reason": said.reason,
            "message": said.message,
            "source": source,
            "firstTimestamp": stamp(now),
            "lastTimestamp": stamp(now),
            "count": 1,
            "type": said.kind,
            "eventTime": None,
            "reportingComponent": said.component,
            "reportingInstance": host,
        }
        self._store.create(EVENTS, event)
        self._kept[said] = _Kept(namespace, name, now)

    def _drop_oldest(self) -> None:
        _, kept = self._kept.popitem(last=False)
        try:
            self._store.delete(EVENTS, kept.namespace, kept.name)
        except NotFoundError:
            return  # gone with its namespace, or by hand

    def _plan_expiry(self) -> None:
        if self._expiry is None and self._kept:
            oldest = next(iter(self._kept.values()))
            delay = max(0.0, oldest.last + self._life - self._clock.now())
            self._expiry = self._clock.call_later(delay, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        limit = self._clock.now() - self._life
        while self._kept and next(iter(self._kept.values())).last <= limit:
            self._drop_oldest()
        self._plan_expiry()


def _involved(about: Object, field_path: str) -> Object:
    metadata = about["metadata"]
    involved = {
        "kind": about["kind"],
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": about["apiVersion"],
        "resourceVersion": metadata.get("resourceVersion", ""),
        "fieldPath": field_path,
    }
    return {field: value for field, value in involved.items() if value}
