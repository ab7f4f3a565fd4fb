"""Which program calls, where callers inside the cluster have to show a token of their own.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens

The token says which program calls; the statement, always required, says for whom.
"""

import hashlib
from collections import OrderedDict
from typing import Final

from tidegate_agent.entry.settings import Callers
from tidegate_agent.errors import (
    ForbiddenError,
    IdentityError,
    KubernetesError,
    UnavailableError,
)
from tidegate_agent.ports import Clock, Journal, Kubernetes

REMEMBER_SECONDS: Final = 60.0
MAX_REMEMBERED: Final = 1_000
MAX_TOKEN_CHARS: Final = 16_384


class CallerCheck:
    """Reviews tokens; a good one counts for a minute without asking again, a bad one never."""

    def __init__(
        self, callers: Callers, kubernetes: Kubernetes, *, clock: Clock, journal: Journal
    ) -> None:
        self._callers = callers
        self._kubernetes = kubernetes
        self._clock = clock
        self._journal = journal
        self._good: OrderedDict[bytes, float] = OrderedDict()  # by the token's hash, until when

    async def check(self, authorization: str) -> None:
        """*authorization*, the header, shows the token of a program that may call.

        Raises:
            IdentityError: It does not.
            UnavailableError: Nobody can tell now.
        """
        token = _token(authorization)
        key = hashlib.sha256(token.encode()).digest()
        now = self._clock.monotonic()
        if self._good.get(key, 0.0) > now:
            return
        await self._review(token)
        self._good[key] = now + REMEMBER_SECONDS
        self._good.move_to_end(key)
        while len(self._good) > MAX_REMEMBERED:
            self._good.popitem(last=False)

    async def _review(self, token: str) -> None:
        try:
            reviewed = await self._kubernetes.token_review(token, self._callers.audiences)
        except ForbiddenError as error:
            self._journal.note("token_review_forbidden", level="error", needs="tokenreviews create")
            raise UnavailableError("Nobody can tell who calls, for now.") from error
        except KubernetesError as error:
            raise UnavailableError("Nobody can tell who calls, for now.") from error
        if not reviewed.authenticated:
            raise IdentityError("caller_token_unknown")
        # A cluster without audiences ignores those asked for, and answers none.
        if not set(reviewed.audiences) & set(self._callers.audiences):
            raise IdentityError("caller_token_for_another")
        if reviewed.username not in self._callers.users:
            raise IdentityError("caller_not_listed")


def _token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise IdentityError("caller_token_missing")
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise IdentityError("caller_token_malformed")
    return token.strip()
