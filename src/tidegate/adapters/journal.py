"""Log lines as JSON and metrics, from one stream of events.

The fields of an event are named by the product; what came from outside is never among them.
"""

import asyncio
import atexit
import contextlib
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from typing_extensions import override

LINGER_SECONDS: Final = 0.005
_MS: Final = 1000.0
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)
_ACK_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
_RUN_BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


Line = Callable[[str, str, dict[str, object]], None]


def lines_to(stream: TextIO) -> Line:
    """Return what writes an event (level, name, fields) as a line of *stream*.

    JSON, made and written in one go since an answer to Slack waits for it; or for people,
    by structlog, where one looks on.
    """
    return _for_people(stream) if stream.isatty() else _for_machines(stream)


def _for_people(stream: TextIO) -> Line:
    # A tenth of a second to import, which a gateway that logs to a file need not pay.
    import structlog

    chain: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.dev.ConsoleRenderer(colors=True, timestamp_key="at"),
    ]
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream), processors=chain, wrapper_class=structlog.BoundLogger
    )

    def write(level: str, event: str, fields: dict[str, object]) -> None:
        getattr(logger, level)(event, **fields)

    return write


def _for_machines(stream: TextIO) -> Line:
    lines = _Lines(stream)

    def write(level: str, event: str, fields: dict[str, object]) -> None:
        at = datetime.fromtimestamp(time.time(), UTC)
        line = _ENCODER.encode({"at": at, "level": level, "event": event, **fields})
        lines.add(line + b"\n", at_once=level != "info")

    return write


class _Lines:
    """Writes lines whole, and those of a few milliseconds in one go.

    Each write is a system call and gives up the interpreter's lock, which answers would wait
    for. What is more than news is written at once, and so is everything without a loop.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: list[bytes] = []
        self._registered = False

    def add(self, line: bytes, *, at_once: bool) -> None:
        self._waiting.append(line)
        if at_once:
            self.write()
        elif len(self._waiting) == 1:  # else they are about to be written
            self._soon()

    def _soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write()
            return
        loop.call_later(LINGER_SECONDS, self.write)
        if not self._registered:
            # The loop may end before the time has come.
            atexit.register(self.write)
            self._registered = True

    def write(self) -> None:
        lines, self._waiting = b"".join(self._waiting), []
        if not lines:
            return
        raw = getattr(self._stream, "buffer", None)
        # Nobody reads on, or the disk is full: what cannot be noted must not stop the work, nor
        # be noted in turn, for ever.
        with contextlib.suppress(OSError, ValueError):
            if raw is None:
                self._stream.write(lines.decode())
                return
            raw.write(lines)
            raw.flush()


class _Counts(dict[tuple[str, ...], Counter]):
    """The counters of one metric by their labels, each looked up once."""

    def __init__(self, metric: Counter) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Counter:
        found: Counter = self._metric.labels(*labels)
        self[labels] = found
        return found


class EventJournal:
    """Notes events: a log line each, and the counters that follow from them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._write = lines_to(stream if stream is not None else sys.stderr)
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tidegate_requests_total",
            "Requests from Slack, by what became of them.",
            ["kind", "outcome", "status"],
            registry=self._registry,
        )
        self._ack = Histogram(
            "tidegate_ack_seconds",
            "Time from a request's arrival to its answer.",
            buckets=_ACK_BUCKETS,
            registry=self._registry,
        )
        self._outcomes = Counter(
            "tidegate_outcomes_total",
            "Steps of runs, by the state they led to.",
            ["action", "pathway", "state", "reason"],
            registry=self._registry,
        )
        self._run = Histogram(
            "tidegate_run_seconds",
            "Time from a click to each of its outcomes.",
            ["state"],
            buckets=_RUN_BUCKETS,
            registry=self._registry,
        )
        self._events = Counter(
            "tidegate_events_total",
            "Everything that is logged, by its name.",
            ["event", "level"],
            registry=self._registry,
        )
        # Finding a counter by its labels takes longer than counting.
        self._event_counts = _Counts(self._events)
        self._request_counts = _Counts(self._requests)

    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        """Write a log line, leaving out what is None, and count."""
        self._event_counts[event, level].inc()
        match event:
            case "answered":
                self._count_answer(fields)
            case "outcome":
                self._count_outcome(fields)
            case _:
                pass
        shown = {key: value for key, value in fields.items() if value is not None and value != ""}
        self._write(level, event, shown)

    def metrics(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _count_answer(self, fields: dict[str, object]) -> None:
        kind, outcome = str(fields.get("kind") or ""), str(fields.get("outcome"))
        self._request_counts[kind, outcome, str(fields.get("status"))].inc()
        self._ack.observe(_seconds(fields.get("total_ms")))

    def _count_outcome(self, fields: dict[str, object]) -> None:
        names = ("action", "pathway", "state", "reason")
        self._outcomes.labels(*(str(fields.get(name) or "") for name in names)).inc()
        self._run.labels(str(fields.get("state"))).observe(_seconds(fields.get("ms")))


class LibraryLog(logging.Handler):
    """Notes that a library logged something, and where: its words may hold content."""

    def __init__(self, journal: EventJournal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Note a record."""
        error = record.exc_info[0] if record.exc_info else None
        self._journal.note(
            "library",
            level="error" if record.levelno >= logging.ERROR else "warning",
            logger=record.name,
            place=f"{record.module}:{record.lineno}",
            error=error.__name__ if error is not None else None,
        )


def _seconds(ms: object) -> float:
    return ms / _MS if isinstance(ms, int | float) else 0.0
