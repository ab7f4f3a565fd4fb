"""Who holds a key, and what a key may do."""

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A key that this end has given out, with its policy.

    Attributes:
        session_token: Belongs to temporary keys; they do not work without it.
        expires_at: When a temporary key ends, in seconds since the epoch.
        buckets: The buckets it may read and write; None means all.
        denied: Actions that it may not take all the same, as IAM names them: `s3:ListBucket`.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    buckets: Collection[str] | None = None
    denied: Collection[str] = ()
    principal: str = "arn:aws:sts::123456789012:assumed-role/tidegate-gateway/dev"

    def may(self, action: str, bucket: str = "") -> bool:
        """Return whether the key allows *action*, on *bucket* unless it is about none."""
        if action in self.denied:
            return False
        return not bucket or self.buckets is None or bucket in self.buckets
