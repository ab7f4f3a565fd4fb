"""What a service writes while it starts, works and fails."""

from random import Random
from typing import Final

from tidegate_dev.kubernetes.controllers.faults import version

_WORK: Final = (
    "INFO GET /healthz 200 1 ms",
    "INFO GET /orders?page=2 200 14 ms",
    "INFO POST /orders 201 38 ms",
    "INFO GET /orders/8812 200 9 ms",
    "INFO GET /tariffs 200 6 ms",
    "WARN cache miss for tariff table, loading",
)


def starting(container: str, image: str) -> tuple[str, ...]:
    """Return what a container writes when it starts."""
    return (f"INFO {container} {version(image)} starting", "INFO configuration read")


def listening() -> tuple[str, ...]:
    """Return what it writes when it is ready."""
    return ("INFO listening on :8080",)


def waiting() -> tuple[str, ...]:
    """Return what it writes while it is slow to become ready."""
    return ("WARN waiting for the database, not ready yet",)


def working(random: Random) -> str:
    """Return a line of its ordinary work."""
    return random.choice(_WORK)


def failing() -> tuple[str, ...]:
    """Return what it writes when it gives up."""
    return (
        "ERROR could not connect to orders-db:5432: connection refused",
        "FATAL giving up, exit status 1",
    )


def stopping() -> tuple[str, ...]:
    """Return what it writes when it is told to stop."""
    return ("INFO SIGTERM received, finishing open requests", "INFO stopped")
