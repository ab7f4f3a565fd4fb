"""The token bucket that API Gateway throttles with.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """How often a route may be asked.

    Attributes:
        rate: Requests a second, on average.
        burst: Requests at once, after a rest.
    """

    rate: float
    burst: int


class TokenBucket:
    """Holds *burst* tokens at most, and gains *rate* each second."""

    def __init__(self, throttle: Throttle, now: Callable[[], float]) -> None:
        self._throttle = throttle
        self._now = now
        self._tokens = float(throttle.burst)
        self._filled_at = now()

    def take(self) -> bool:
        """A token is taken; False when there is none."""
        now = self._now()
        gained = max(0.0, now - self._filled_at) * self._throttle.rate
        self._tokens = min(float(self._throttle.burst), self._tokens + gained)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
