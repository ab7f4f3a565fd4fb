"""The cluster that the workspace shows: a Kubernetes API, what runs in it, and who did what.

Everything here is read from the cluster itself: its objects, and its audit of who asked for what.
"""

import asyncio
import shlex
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tidegate_dev import rights
from tidegate_dev.kubernetes import KubernetesFarEnd
from tidegate_dev.kubernetes.audit import AuditEntry
from tidegate_dev.kubernetes.controllers import Faults
from tidegate_dev.kubernetes.controllers.faults import CRASH
from tidegate_dev.kubernetes.controllers.view import state
from tidegate_dev.kubernetes.resources import (
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)
from tidegate_dev.kubernetes.seed import AGENT_NAMESPACE, APPLICATION_NAMESPACES
from tidegate_dev.kubernetes.store import WatchEvent

Json = dict[str, Any]

NAMESPACES: Final = (*APPLICATION_NAMESPACES, "kube-system")
DEADLINE_SECONDS: Final = 12
TELL_SECONDS: Final = 0.08
RECORDS: Final = {"tidegate.dev/record": "operation"}
_SHOWN: Final = frozenset(
    {
        CONTROLLER_REVISIONS,
        DAEMON_SETS,
        DEPLOYMENTS,
        EVENTS,
        PODS,
        REPLICA_SETS,
        STATEFUL_SETS,
    }
)


class Cluster:
    """One cluster, with the agent's rights in it.

    Args:
        on_change: Called when what it shows has changed; once for what changes together.
        on_request: Called with each request that somebody made on a person's behalf, and its run.
    """

    def __init__(
        self,
        *,
        on_change: Callable[[], None],
        on_request: Callable[[str, Json], None],
    ) -> None:
        self._on_change = on_change
        self._on_request = on_request
        self._workload_faults = Faults()
        self._effects: Counter[str] = Counter()
        self._far_end: KubernetesFarEnd | None = None
        self._kubeconfig: Path | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsubscribe: list[Callable[[], None]] = []

    @property
    def far_end(self) -> KubernetesFarEnd:
        """Return the Kubernetes API; it is there once started."""
        if self._far_end is None:
            raise RuntimeError("the cluster has not been started")
        return self._far_end

    async def start(self, sock: socket.socket, kubeconfig: Path) -> str:
        """Return the agent's token, once the API answers and everything runs.

        Args:
            sock: Where it listens.
            kubeconfig: Where to write what lets a person's `kubectl` in.
        """
        self._far_end = far_end = KubernetesFarEnd(
            sock=sock,
            # Whatever else runs on this machine, pages in its browser included, gets no word.
            allow_anonymous=False,
            deadline_seconds=DEADLINE_SECONDS,
            workload_faults=self._workload_faults,
        )
        rights.grant(far_end.store)
        await far_end.start()
        if far_end.controllers is not None:
            await far_end.controllers.catch_up()
        self._unsubscribe = [
            far_end.store.subscribe(self._stored),
            far_end.audit.subscribe(self._asked),
        ]
        far_end.write_kubeconfig(kubeconfig, namespace=APPLICATION_NAMESPACES[0])
        self._kubeconfig = kubeconfig
        return far_end.add_service_account_token(AGENT_NAMESPACE, rights.AGENT)

    async def stop(self) -> None:
        """Its port is free again, and nothing more is told."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        if self._timer is not None:
            self._timer.cancel()
        if self._far_end is not None:
            await self._far_end.stop()

    def fail_rollouts(self, on: bool) -> None:
        """Every container that starts from now on ends again at once, or fares as it should."""
        switches = self._workload_faults.switches
        (switches.add if on else switches.discard)(CRASH)

    def state(self) -> Json:
        """Return everything there is to see, as JSON has it."""
        return {
            **self._shown(),
            "effects": {"distinct": len(self._effects), "performed": self._effects.total()},
            "operations": self._operations(),
            "url": "" if self._far_end is None else self._far_end.url,
            "kubectl": self.kubectl_line,
        }

    def _shown(self) -> Json:
        if self._far_end is None:
            return {"namespaces": []}
        return state(self._far_end.store, time.time(), namespaces=NAMESPACES)

    @property
    def kubectl_line(self) -> str:
        """Return the line that looks into the cluster from a shell, as it is typed."""
        if self._kubeconfig is None:
            return ""
        place = shlex.quote(str(self._kubeconfig))
        return f"KUBECONFIG={place} kubectl get pods -n {APPLICATION_NAMESPACES[0]}"

    def _operations(self) -> int:
        """Return how many operations the agent keeps a record of."""
        if self._far_end is None:
            return 0
        kept, _ = self._far_end.store.list(CONFIG_MAPS, AGENT_NAMESPACE)
        return sum(RECORDS.items() <= (obj["metadata"].get("labels") or {}).items() for obj in kept)

    # --- what the cluster tells ---------------------------------------------------

    def _stored(self, event: WatchEvent) -> None:
        if event.resource in _SHOWN and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(TELL_SECONDS, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._on_change()

    def _asked(self, entry: AuditEntry) -> None:
        named = () if entry.acting_as is None else entry.acting_as.extra.get(rights.RUN, ())
        run = next(iter(named), "")
        if not run:
            return
        if entry.wanted.verb == "patch" and entry.code == 200 and not entry.dry_run:
            self._effects[run] += 1
        self._on_request(run, entry.to_dict())
