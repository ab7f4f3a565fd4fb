"""What monitoring is told, in Prometheus' text format.

https://prometheus.io/docs/practices/naming/

No label holds anything that a request says: their values are our own words and the API's.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class Metrics:
    """Counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "tidegate_agent_requests",
            "Requests that were answered, by what they asked for and the status.",
            ("verb", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tidegate_agent_request_seconds",
            "How long answers took.",
            ("verb",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._refused = Counter(
            "tidegate_agent_identity_refused",
            "Requests that did not prove who asked, by reason.",
            ("reason",),
            registry=self._registry,
        )
        self._calls = Counter(
            "tidegate_agent_kubernetes_requests",
            "Requests to the API server; status 0 is no answer.",
            ("method", "resource", "status"),
            registry=self._registry,
        )
        self._call_seconds = Histogram(
            "tidegate_agent_kubernetes_request_seconds",
            "How long the API server took.",
            ("method",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._events = Counter(
            "tidegate_agent_events",
            "Lines of the log, by event: operations claimed, made, succeeded, failed, …",
            ("event",),
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "tidegate_agent_requests_in_flight",
            "Requests that are being answered.",
            registry=self._registry,
        )

        self._keys_lost = Gauge(
            "tidegate_agent_identity_keys_lost",
            "1 while the file of the gateway's keys cannot be used: soon nobody is believed.",
            registry=self._registry,
        )

    def answered(self, verb: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(verb, str(status)).inc()
        self._seconds.labels(verb).observe(seconds)

    def refused(self, reason: str) -> None:
        """A request did not prove who asked."""
        self._refused.labels(reason).inc()

    def called(self, method: str, resource: str, status: int, seconds: float) -> None:
        """The API server was asked."""
        self._calls.labels(method, resource, str(status)).inc()
        self._call_seconds.labels(method).observe(seconds)

    def noted(self, event: str) -> None:
        """An event was noted."""
        self._events.labels(event).inc()

    def in_flight(self, number: int) -> None:
        """So many requests are being answered."""
        self._in_flight.set(number)

    def keys_usable(self, usable: bool) -> None:
        """The file of the gateway's keys can be used, or cannot."""
        self._keys_lost.set(0 if usable else 1)

    def text(self) -> bytes:
        """Return all of it."""
        return generate_latest(self._registry)
