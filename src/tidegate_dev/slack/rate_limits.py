"""How often Slack lets an app call, and post into one channel.

Source: https://docs.slack.dev/apis/web-api/rate-limits/. Slack's tiers are "N or more a minute";
here they are generous, so that only what would be limited in any workspace is limited.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True, kw_only=True)
class RateLimits:
    """Token buckets; switch `enabled` off for a test that is about something else."""

    now: Callable[[], float]
    enabled: bool = True
    posts_per_second: float = 1.0
    post_burst: int = 5
    tier_per_minute: dict[int, int] = field(
        default_factory=lambda: {1: 20, 2: 60, 3: 300, 4: 600, 5: 6000}
    )
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def take_call(self, method: str, tier: int) -> int:
        """Return 0 when *method* may be called now, else in how many seconds."""
        per_minute = self.tier_per_minute[tier]
        return self._take(f"call:{method}", rate=per_minute / 60, burst=max(per_minute // 2, 10))

    def take_post(self, channel: str) -> int:
        """Return 0 when a message may be posted into *channel* now, else in how many seconds."""
        return self._take(f"post:{channel}", rate=self.posts_per_second, burst=self.post_burst)

    def _take(self, key: str, *, rate: float, burst: int) -> int:
        if not self.enabled:
            return 0
        now = self.now()
        bucket = self._buckets.setdefault(key, _Bucket(float(burst), now))
        bucket.tokens = min(float(burst), bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return max(1, math.ceil((1 - bucket.tokens) / rate))
