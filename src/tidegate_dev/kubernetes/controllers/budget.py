"""How many pods a rollout may have too many, and too few.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Budget:
    """The room that a rolling update has, in pods."""

    surge: int
    unavailable: int


def rolling_budget(spec: dict[str, Any]) -> Budget:
    """Return the budget of a Deployment's spec; none of either is taken as one unavailable.

    `maxSurge` is rounded up, `maxUnavailable` down, 25 % each unless said otherwise.
    """
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Budget(0, 0)
    wanted = int(spec.get("replicas", 1))
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", "25%"), wanted, up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Budget(surge, min(unavailable, wanted))


def scaled(value: int | str, total: int, *, up: bool) -> int:
    """Return a number, or a percentage of *total*, as a number."""
    if isinstance(value, str) and value.endswith("%"):
        percent = int(value[:-1]) * total
        return -(-percent // 100) if up else percent // 100
    return int(value)
