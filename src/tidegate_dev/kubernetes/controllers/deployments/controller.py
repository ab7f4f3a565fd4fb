"""Brings each Deployment on: rolls out, rolls back, scales, pauses, and tells."""

from typing import Final

from tidegate_dev.kubernetes.controllers.clock import Clock
from tidegate_dev.kubernetes.controllers.conditions import condition, set_condition
from tidegate_dev.kubernetes.controllers.deployments.family import Family
from tidegate_dev.kubernetes.controllers.deployments.lineage import Lineage
from tidegate_dev.kubernetes.controllers.deployments.scaling import Scaler, is_resized
from tidegate_dev.kubernetes.controllers.deployments.status import (
    PAUSED,
    TIMED_OUT,
    Status,
    counted,
    deadline_at,
    has_deadline,
    is_complete,
    progressing,
    rolled,
)
from tidegate_dev.kubernetes.controllers.deployments.strategies import Recreate, RollingUpdate
from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.controllers.ownership import Object, is_going
from tidegate_dev.kubernetes.controllers.queue import Key, WorkQueue
from tidegate_dev.kubernetes.resources import DEPLOYMENTS
from tidegate_dev.kubernetes.store import Store

_AFTER_DEADLINE: Final = 0.05  # seconds; by then the deadline has surely passed


class Deployments:
    """The Deployment controller."""

    def __init__(self, store: Store, clock: Clock, recorder: Recorder, queue: WorkQueue) -> None:
        scaler = Scaler(store, recorder)
        self._store = store
        self._clock = clock
        self._queue = queue
        self._scaler = scaler
        self._lineage = Lineage(store, clock, scaler)
        self._rolling = RollingUpdate(self._lineage, scaler)
        self._recreate = Recreate(store, self._lineage, scaler)

    def sync(self, namespace: str, name: str) -> None:
        """The Deployment is one step further, and its status says where it is."""
        deployment = self._store.get(DEPLOYMENTS, namespace, name)
        if deployment is None:
            return
        self._note_pause(deployment)
        family = self._lineage.family(deployment)
        status = self._step(family)
        deployment["status"] = status
        deployment.update(self._store.update(DEPLOYMENTS, deployment, subresource="status"))
        self._watch_deadline(deployment)

    def _step(self, family: Family) -> Status:
        """Return the status after what there is to do now."""
        deployment, now = family.deployment, self._clock.now()
        if is_going(deployment):
            return counted(family, now)
        if deployment["spec"].get("paused") or is_resized(family):
            self._scaler.spread(family)
            if deployment["spec"].get("paused"):
                self._lineage.clean_up(family)
            return counted(family, now)
        if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            self._recreate.step(family)
        else:
            self._rolling.step(family)
        if is_complete(deployment, deployment.get("status") or {}):
            self._lineage.clean_up(family)
        return rolled(family, now)

    def _note_pause(self, deployment: Object) -> None:
        """A pause, and its end, are told, so that the time in between does not count."""
        known = condition(deployment.get("status") or {}, "Progressing")
        reason = known["reason"] if known else None
        if not has_deadline(deployment) or reason == TIMED_OUT:
            return
        paused = bool(deployment["spec"].get("paused"))
        if paused == (reason == PAUSED):
            return
        what = ("DeploymentPaused", "Deployment is paused")
        if not paused:
            what = ("DeploymentResumed", "Deployment is resumed")
        note = progressing("Unknown", *what, self._clock.now())
        set_condition(deployment.setdefault("status", {}), note)
        deployment.update(self._store.update(DEPLOYMENTS, deployment, subresource="status"))

    def _watch_deadline(self, deployment: Object) -> None:
        """The Deployment is looked at again when its time is up."""
        at = deadline_at(deployment)
        if at is not None:
            delay = max(0.0, at - self._clock.now()) + _AFTER_DEADLINE
            key = Key(
                DEPLOYMENTS, deployment["metadata"]["namespace"], deployment["metadata"]["name"]
            )
            self._queue.add_later(key, delay)
