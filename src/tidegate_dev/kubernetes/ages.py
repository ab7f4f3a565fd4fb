"""Times as people read them in tables.

`HumanDuration` in k8s.io/apimachinery/pkg/util/duration.
"""

from datetime import datetime
from typing import Any, Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365 * _DAY


def age(moment: Any, now: float) -> str:
    """Return how long ago a timestamp of an object was; `<unknown>` if there is none."""
    seconds = parsed(moment)
    return "<unknown>" if seconds is None else human_duration(now - seconds)


def parsed(moment: Any) -> float | None:
    """Return a timestamp of an object in seconds since the Unix epoch."""
    if not isinstance(moment, str) or not moment:
        return None
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None


def human_duration(seconds: float) -> str:
    """Return a duration in the one or two units that matter."""
    if seconds < -1:
        return "<invalid>"
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    for below, unit, letter, rest, rest_letter in _SCALES:
        if whole < below:
            count, more = whole // unit, whole % unit // rest if rest else 0
            return f"{count}{letter}{more}{rest_letter}" if more else f"{count}{letter}"
    return f"{whole // _YEAR}y"


_SCALES: Final = (
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)
"""Below how many seconds; the unit and its letter; the smaller unit and its letter."""
