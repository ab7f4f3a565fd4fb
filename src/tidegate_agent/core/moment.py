"""Moments as Kubernetes writes them: RFC 3339, in UTC, to the second."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tidegate_agent.core import fields


def iso(seconds: float) -> str:
    """Return a moment, given in seconds since the Unix epoch, as text."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(obj: Mapping[str, Any], *path: str) -> float | None:
    """Return the moment at *path*, in seconds since the Unix epoch, or None."""
    text = fields.text(obj, *path)
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None:
        return None
    return moment.timestamp()
