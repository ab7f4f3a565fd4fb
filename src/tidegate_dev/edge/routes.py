"""The routes of an API, and which of them a request takes.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tidegate_dev.edge.throttle import Throttle

DEFAULT_KEY: Final = "$default"
ANY: Final = "ANY"

_KEY: Final = re.compile(r"(?:ANY|[A-Z]+) /\S*|\$default")
_VARIABLE: Final = re.compile(r"\{[A-Za-z0-9._-]+\}")
_GREEDY: Final = re.compile(r"\{[A-Za-z0-9._-]+\+\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        key: `METHOD /path`, with `ANY` for every method, `{name}` for a segment and `{name+}` for
            all that follows; or `$default`, which an HTTP API may have.
        auth: Who may take it: whom IAM lets in, or everybody.
        throttle: How often it may be taken; None for as often as its stage.
    """

    key: str
    auth: Literal["AWS_IAM", "NONE"] = "AWS_IAM"
    throttle: Throttle | None = None

    def __post_init__(self) -> None:
        """Refuse a key that is none."""
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"no route key: {self.key[:80]!r}")

    def rank(self, method: str, path: str) -> tuple[int, ...] | None:
        """Return how well the route fits, greater for better; None when it does not."""
        if self.key == DEFAULT_KEY:
            return (0,)
        wanted, _, pattern = self.key.partition(" ")
        if wanted not in (ANY, method):
            return None
        segments = _fit(pattern, path)
        return None if segments is None else (1, *segments, int(wanted != ANY))


def choose(routes: Sequence[Route], method: str, path: str) -> Route | None:
    """Return the route that fits best: a full match, then a greedy one, then `$default`."""
    ranked = [(rank, route) for route in routes if (rank := route.rank(method, path)) is not None]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _fit(pattern: str, path: str) -> list[int] | None:
    """Return a weight for each segment of *pattern* that *path* has, or None."""
    wanted, given = pattern.split("/")[1:], path.split("/")[1:]
    weights: list[int] = []
    for number, part in enumerate(wanted):
        if _GREEDY.fullmatch(part):
            return [*weights, 1] if number < len(given) and any(given[number:]) else None
        if number >= len(given):
            return None
        variable = _VARIABLE.fullmatch(part) is not None
        if part != given[number] and not (variable and given[number]):
            return None
        weights.append(2 if variable else 3)
    return weights if len(wanted) == len(given) else None
