"""What goes wrong with the API itself, switched at run time."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class ApiFaults:
    """Switches.

    Attributes:
        down: Every request is answered 503.
        slow_seconds: How long every request waits before it is looked at.
        conflicts: How many of the next changes are answered 409, as if somebody had been faster.
    """

    down: bool = False
    slow_seconds: float = 0.0
    conflicts: int = 0
