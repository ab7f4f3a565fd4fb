"""How long things take in the pretend cluster."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Durations in seconds; the defaults let a person watch a rollout of three pods in 2-3 s.

    Attributes:
        schedule: From a pod's creation to its place on a node.
        pull: For an image that the node does not have.
        start: For a container to be created and started.
        ready: From a container's start to its first passed readiness probe.
        slow_ready: The same, for a service that is told to be slow.
        stop: From SIGTERM to the pod's end.
        crash: How long a container lives that is told to crash.
        back_off: The first wait after a failed pull or a crash; each further one doubles.
        back_off_limit: No wait is longer. Kubernetes has 10 s and 300 s.
        chatter: Between two lines that a running service writes, on average; 0 for none.
        retry: The first wait after a pod could not be created; doubles as well.
        event_life: How long an event is kept after it last happened; Kubernetes has one hour.
    """

    schedule: float = 0.05
    pull: float = 0.25
    start: float = 0.1
    ready: float = 0.3
    slow_ready: float = 30.0
    stop: float = 0.4
    crash: float = 0.6
    back_off: float = 2.0
    back_off_limit: float = 60.0
    chatter: float = 8.0
    retry: float = 1.0
    event_life: float = 3_600.0

    def at_once(self) -> Self:
        """Return timings in which nothing takes time that goes well."""
        return replace(self, schedule=0, pull=0, start=0, ready=0, slow_ready=0, stop=0)

    def faster(self, times: float) -> Self:
        """Return timings in which everything but events' life and chatter is *times* as fast."""
        return replace(
            self,
            schedule=self.schedule / times,
            pull=self.pull / times,
            start=self.start / times,
            ready=self.ready / times,
            slow_ready=self.slow_ready / times,
            stop=self.stop / times,
            crash=self.crash / times,
            back_off=self.back_off / times,
            back_off_limit=self.back_off_limit / times,
            retry=self.retry / times,
        )

    def wait(self, failures: int) -> float:
        """Return the wait after so many failures in a row, at least one."""
        return min(self.back_off_limit, self.back_off * 2.0 ** min(failures - 1, 30))
