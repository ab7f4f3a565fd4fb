"""The roles that may be assumed, by whom, and for how long.

Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tidegate_dev.iam import SESSION, is_named
from tidegate_dev.sigv4_check import IssuedKeys

CHAINED_SECONDS: Final = 3600
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(?:[^/]+/)*([^/]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role, and its trust policy in short.

    Attributes:
        arn: The role's ARN.
        trusted: Whom it trusts: ARNs of roles or users, or an account's `…:root`.
        external_id: What those it trusts have to name (`sts:ExternalId`), if anything.
        max_session_seconds: `MaxSessionDuration`, from an hour to twelve.
    """

    arn: str
    trusted: Sequence[str]
    external_id: str | None = field(default=None, repr=False)
    max_session_seconds: int = 3600

    def trusts(self, principal: str, external_id: str | None) -> bool:
        """Return whether *principal* may assume it with that external id."""
        if self.external_id is not None and external_id != self.external_id:
            return False
        return any(is_named(principal, by=trusted) for trusted in self.trusted)

    def session_arn(self, session: str) -> str:
        """Return the ARN of whoever has assumed it."""
        found = _ROLE.fullmatch(self.arn)
        if found is None:
            raise ValueError(f"no role's ARN: {self.arn[:80]!r}")
        return f"arn:aws:sts::{found[1]}:assumed-role/{found[2]}/{session}"


def is_session(keys: IssuedKeys) -> bool:
    """Return whether *keys* came of a role: what is assumed with them is chained."""
    return SESSION.fullmatch(keys.principal) is not None and keys.session_token is not None
