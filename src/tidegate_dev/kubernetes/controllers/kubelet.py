"""The kubelets of all nodes: they pull, start, restart and stop what is not really there.

Each pod goes through its life by appointments with the clock; what there is to know about it is
in its status. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tidegate_dev.kubernetes.controllers import service_log
from tidegate_dev.kubernetes.controllers.clock import Clock, Timer, stamp
from tidegate_dev.kubernetes.controllers.container_status import (
    Entry,
    completed,
    conclude,
    end,
    entry_of,
    fresh,
    run,
    wait,
)
from tidegate_dev.kubernetes.controllers.events import Kind, Recorder
from tidegate_dev.kubernetes.controllers.faults import Fate, Faults
from tidegate_dev.kubernetes.controllers.ownership import Object, is_going
from tidegate_dev.kubernetes.controllers.timings import Timings
from tidegate_dev.kubernetes.logs import Logs
from tidegate_dev.kubernetes.resources import NODES, PODS
from tidegate_dev.kubernetes.store import NotFoundError, Store

COMPONENT: Final = "kubelet"
_ENDED: Final = ("Succeeded", "Failed")
_STOP: Final = "the pod's end"


@dataclass(slots=True)
class _Life:
    """One pod on its node, and what is going to happen to it, by container."""

    uid: str
    namespace: str
    name: str
    node: str
    appointments: dict[str, Timer] = field(default_factory=dict)
    failed_pulls: dict[str, int] = field(default_factory=dict)


class Kubelet:
    """Brings every pod that has a node to life, keeps it there, and ends it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        recorder: Recorder,
        logs: Logs,
        faults: Faults,
        timings: Callable[[], Timings],
        random: Random,
    ) -> None:
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._logs = logs
        self._faults = faults
        self._timings = timings
        self._random = random
        self._lives: dict[tuple[str, str], _Life] = {}
        self._images: set[tuple[str, str]] = set()
        self._addresses: dict[str, int] = {}

    def sync(self, namespace: str, name: str) -> None:
        """The pod is on its way to what it should be."""
        pod = self._store.get(PODS, namespace, name)
        life = self._lives.get((namespace, name))
        if life is not None and (pod is None or pod["metadata"]["uid"] != life.uid):
            self._bury(life)
            life = None
        if pod is None or not pod["spec"].get("nodeName"):
            return
        if life is None:
            metadata = pod["metadata"]
            life = _Life(metadata["uid"], namespace, name, pod["spec"]["nodeName"])
            self._lives[namespace, name] = life
            if not is_going(pod):
                self._admit(life, pod)
        if is_going(pod) and _STOP not in life.appointments:
            self._stop(life, pod)

    def stop(self) -> None:
        """Nothing happens to any pod any more."""
        for life in self._lives.values():
            _cancel(life)
        self._lives.clear()

    # --- the beginning -----------------------------------------------------------

    def _admit(self, life: _Life, pod: Object) -> None:
        """The node has taken the pod; its containers are going to start."""
        if pod["status"].get("phase") in _ENDED:
            return
        if not pod["status"].get("containerStatuses"):
            self._prepare(life, pod)
        before = pod["spec"].get("initContainers") or []
        for container in pod["spec"]["containers"]:
            state = entry_of(pod, container["name"])["state"]
            if "running" in state:
                self._resume(life, container)
            elif before:
                delay = self._timings().start * len(before)
                self._later(life, container, delay, self._initialize)
            else:
                self._pull(life, container)

    def _prepare(self, life: _Life, pod: Object) -> None:
        now, status = self._clock.now(), pod["status"]
        before = pod["spec"].get("initContainers") or []
        reason = "PodInitializing" if before else "ContainerCreating"
        node = self._store.get(NODES, None, life.node) or {}
        addresses = (node.get("status") or {}).get("addresses") or []
        host = next((entry["address"] for entry in addresses), "127.0.0.1")
        status.update(hostIP=host, hostIPs=[{"ip": host}], startTime=stamp(now))
        status["containerStatuses"] = [fresh(entry, reason) for entry in pod["spec"]["containers"]]
        if before:
            status["initContainerStatuses"] = [fresh(entry, reason) for entry in before]
        self._write(pod)

    def _initialize(self, life: _Life, container: Object) -> None:
        """The init containers have done their work."""
        pod = self._pod(life)
        if pod is None:
            return
        now = self._clock.now()
        before = pod["spec"].get("initContainers") or []
        pod["status"]["initContainerStatuses"] = [completed(entry, now) for entry in before]
        self._write(pod)
        self._pull(life, container)

    def _resume(self, life: _Life, container: Object) -> None:
        """A container that ran when the kubelet came goes on as it was."""
        pod = self._pod(life)
        if pod is None:
            return
        if entry_of(pod, container["name"])["ready"]:
            self._chat(life, container)
        else:
            self._settle(life, pod, container)

    # --- images ------------------------------------------------------------------

    def _pull(self, life: _Life, container: Object) -> None:
        pod = self._pod(life)
        if pod is None:
            return
        image = container["image"]
        has_it = (life.node, image) in self._images
        if has_it and container.get("imagePullPolicy") != "Always":
            message = f'Container image "{image}" already present on machine'
            self._record(pod, container, "Pulled", message)
            self._later(life, container, self._timings().start, self._start)
            return
        self._record(pod, container, "Pulling", f'Pulling image "{image}"')
        delay = 0.0 if has_it else self._timings().pull
        self._later(life, container, delay, self._finish_pull)

    def _finish_pull(self, life: _Life, container: Object) -> None:
        pod = self._pod(life)
        if pod is None:
            return
        image = container["image"]
        if self._faults.fate(image) is Fate.NO_IMAGE:
            self._fail_pull(life, pod, container)
            return
        took = f"{max(1, round(self._timings().pull * 1000))}ms"
        size = 20_000_000 + 1_000_003 * (len(image) % 40)
        message = (
            f'Successfully pulled image "{image}" in {took} ({took} including waiting). '
            f"Image size: {size} bytes."
        )
        self._record(pod, container, "Pulled", message)
        self._images.add((life.node, image))
        life.failed_pulls.pop(container["name"], None)
        self._later(life, container, self._timings().start, self._start)

    def _fail_pull(self, life: _Life, pod: Object, container: Object) -> None:
        error = _pull_error(container["image"])
        message = f'Failed to pull image "{container["image"]}": {error}'
        self._record(pod, container, "Failed", message, kind="Warning")
        self._record(pod, container, "Failed", "Error: ErrImagePull", kind="Warning")
        wait(entry_of(pod, container["name"]), "ErrImagePull", error)
        self._write(pod)
        self._later(life, container, self._timings().start, self._back_off_pull)

    def _back_off_pull(self, life: _Life, container: Object) -> None:
        pod = self._pod(life)
        if pod is None:
            return
        name, image = container["name"], container["image"]
        failures = life.failed_pulls[name] = life.failed_pulls.get(name, 0) + 1
        message = f'Back-off pulling image "{image}"'
        self._record(pod, container, "BackOff", message)
        self._record(pod, container, "Failed", "Error: ImagePullBackOff", kind="Warning")
        why = f"{message}: ErrImagePull: {_pull_error(image)}"
        wait(entry_of(pod, name), "ImagePullBackOff", why)
        self._write(pod)
        self._later(life, container, self._timings().wait(failures), self._pull)

    # --- running -----------------------------------------------------------------

    def _start(self, life: _Life, container: Object) -> None:
        pod = self._pod(life)
        if pod is None:
            return
        name = container["name"]
        entry = entry_of(pod, name)
        ran_before = bool(entry.get("containerID"))
        if not pod["status"].get("podIP"):
            address = self._address(life.node)
            pod["status"].update(podIP=address, podIPs=[{"ip": address}])
        run(entry, pod, self._clock.now())
        self._record(pod, container, "Created", f"Created container: {name}")
        self._record(pod, container, "Started", f"Started container {name}")
        if ran_before:
            self._logs.restart(life.namespace, life.name, name)
        self._say(life, container, *service_log.starting(name, container["image"]))
        self._write(pod)
        self._settle(life, pod, container)

    def _settle(self, life: _Life, pod: Object, container: Object) -> None:
        """The container, which has started, is going to be ready, or to crash."""
        timings = self._timings()
        match self._faults.fate(container["image"]):
            case Fate.CRASHES:
                self._later(life, container, timings.crash, self._crash)
            case Fate.SLOW:
                self._say(life, container, *service_log.waiting())
                message = "Readiness probe failed: HTTP probe failed with statuscode: 503"
                self._record(pod, container, "Unhealthy", message, kind="Warning")
                self._later(life, container, timings.slow_ready, self._become_ready)
            case Fate.WELL | Fate.NO_IMAGE:
                self._later(life, container, timings.ready, self._become_ready)

    def _become_ready(self, life: _Life, container: Object) -> None:
        pod = self._pod(life)
        if pod is None:
            return
        entry_of(pod, container["name"])["ready"] = True
        self._say(life, container, *service_log.listening())
        self._write(pod)
        self._chat(life, container)

    def _chat(self, life: _Life, container: Object) -> None:
        """The service writes a line now and then."""
        average = self._timings().chatter
        if average > 0:
            delay = average * self._random.uniform(0.5, 1.5)
            self._later(life, container, delay, self._write_line)

    def _write_line(self, life: _Life, container: Object) -> None:
        self._say(life, container, service_log.working(self._random))
        self._chat(life, container)

    def _crash(self, life: _Life, container: Object) -> None:
        pod = self._pod(life)
        if pod is None:
            return
        entry = entry_of(pod, container["name"])
        self._say(life, container, *service_log.failing())
        end(entry, 1, self._clock.now())
        self._write(pod)
        if pod["spec"].get("restartPolicy", "Always") == "Never":
            return
        # The first restart comes at once, as Kubernetes has it; only then does it wait.
        start = self._timings().start
        again = self._back_off_start if entry["restartCount"] else self._pull
        self._later(life, container, start, again)

    def _back_off_start(self, life: _Life, container: Object) -> None:
        pod = self._pod(life)
        if pod is None:
            return
        name = container["name"]
        entry = entry_of(pod, name)
        delay = self._timings().wait(max(1, entry["restartCount"]))
        subject = f"{life.name}_{life.namespace}({life.uid})"
        message = f"Back-off restarting failed container {name} in pod {subject}"
        self._record(pod, container, "BackOff", message, kind="Warning")
        why = f"back-off {delay:.0f}s restarting failed container={name} pod={subject}"
        wait(entry, "CrashLoopBackOff", why)
        self._write(pod)
        self._later(life, container, delay, self._pull)

    # --- the end -----------------------------------------------------------------

    def _stop(self, life: _Life, pod: Object) -> None:
        """The containers are told to stop; the pod goes when they have."""
        _cancel(life)
        for container in pod["spec"]["containers"]:
            if _is_running(pod, container["name"]):
                message = f"Stopping container {container['name']}"
                self._record(pod, container, "Killing", message)
                self._say(life, container, *service_log.stopping())
        grace = pod["metadata"].get("deletionGracePeriodSeconds", 30)
        delay = min(self._timings().stop, grace)
        life.appointments[_STOP] = self._clock.call_later(delay, lambda: self._end(life))

    def _end(self, life: _Life) -> None:
        try:
            self._store.delete(PODS, life.namespace, life.name, uid=life.uid, grace_seconds=0)
        except NotFoundError:
            return

    def _bury(self, life: _Life) -> None:
        """Nothing is left of the pod."""
        _cancel(life)
        self._logs.forget(life.namespace, life.name)
        del self._lives[life.namespace, life.name]

    # --- what all of it needs ------------------------------------------------------

    def _pod(self, life: _Life) -> Object | None:
        """Return the pod of *life*, if it is still the same."""
        pod = self._store.get(PODS, life.namespace, life.name)
        return pod if pod is not None and pod["metadata"]["uid"] == life.uid else None

    def _later(
        self,
        life: _Life,
        container: Object,
        delay: float,
        act: Callable[[_Life, Object], None],
    ) -> None:
        """*act* is the next thing that happens to the container."""
        timer = self._clock.call_later(delay, lambda: act(life, container))
        life.appointments[container["name"]] = timer

    def _write(self, pod: Object) -> None:
        conclude(pod, self._clock.now())
        pod.update(self._store.update(PODS, pod, subresource="status"))

    def _say(self, life: _Life, container: Object, *lines: str) -> None:
        for line in lines:
            self._logs.append(life.namespace, life.name, container["name"], line)

    def _record(
        self, pod: Object, container: Object, reason: str, message: str, *, kind: Kind = "Normal"
    ) -> None:
        self._recorder.record(
            pod,
            reason,
            message,
            component=COMPONENT,
            kind=kind,
            host=pod["spec"]["nodeName"],
            field_path=f"spec.containers{{{container['name']}}}",
        )

    def _address(self, node: str) -> str:
        """Return an address in the node's range that no pod had lately."""
        count = self._addresses[node] = self._addresses.get(node, 1) + 1
        found = self._store.get(NODES, None, node) or {}
        spec = found.get("spec") or {}
        network = str(spec.get("podCIDR", "10.244.0.0/24")).rpartition(".")[0]
        return f"{network}.{2 + (count - 2) % 250}"


def _cancel(life: _Life) -> None:
    for timer in life.appointments.values():
        timer.cancel()
    life.appointments.clear()


def _is_running(pod: Object, container: str) -> bool:
    entries: list[Entry] = pod["status"].get("containerStatuses") or []
    return any(entry["name"] == container and "running" in entry["state"] for entry in entries)


def _pull_error(image: str) -> str:
    """Return what containerd says of an image that is not there."""
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": '
        f'failed to resolve reference "{image}": {image}: not found'
    )
