"""Who asks, and the tokens that prove it.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

API_AUDIENCE: Final = "https://kubernetes.default.svc.cluster.local"
AUTHENTICATED: Final = "system:authenticated"
MASTERS: Final = "system:masters"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody, as the cluster knows them."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the UserInfo object, as reviews show it."""
        info: dict[str, Any] = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


ANONYMOUS: Final = User(name="system:anonymous", groups=("system:unauthenticated",))


def service_account(
    namespace: str,
    name: str,
    *,
    uid: str = "",
    extra: Mapping[str, tuple[str, ...]] | None = None,
) -> User:
    """Return the user that a service account is."""
    return User(
        name=f"{_SERVICE_ACCOUNT}{namespace}:{name}",
        uid=uid,
        groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED),
        extra=extra or {},
    )


def service_account_parts(username: str) -> tuple[str, str] | None:
    """Return the namespace and the name, if *username* is a service account's."""
    parts = username.removeprefix(_SERVICE_ACCOUNT).split(":")
    if not username.startswith(_SERVICE_ACCOUNT) or len(parts) != 2 or not all(parts):
        return None
    return parts[0], parts[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a bearer token proves.

    Attributes:
        audiences: Whom it may be shown to; the API itself is `API_AUDIENCE`.
        expires: When it stops, in seconds since the Unix epoch; never, if None.
    """

    user: User
    audiences: tuple[str, ...] = (API_AUDIENCE,)
    expires: float | None = None


class Tokens:
    """The tokens that the cluster takes.

    Args:
        now: Seconds since the Unix epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._tokens: dict[str, Token] = {}

    def add(self, text: str, token: Token) -> None:
        """*text* proves what *token* says."""
        self._tokens[text] = token

    def issue(self, user: User, audiences: Collection[str], seconds: int) -> tuple[str, float]:
        """Return a new token of *user*, and when it expires."""
        self._forget_expired()
        text, expires = secrets.token_urlsafe(32), self._now() + seconds
        self.add(text, Token(user=user, audiences=tuple(audiences), expires=expires))
        return text, expires

    def _forget_expired(self) -> None:
        now = self._now()
        for text, token in tuple(self._tokens.items()):
            if token.expires is not None and token.expires <= now:
                del self._tokens[text]

    def revoke(self, text: str) -> None:
        """*text* proves nothing."""
        self._tokens.pop(text, None)

    def review(self, text: str, audiences: Collection[str]) -> tuple[User, tuple[str, ...]] | None:
        """Return whose token it is and for which of *audiences*; None, if for none of them."""
        token = self._tokens.get(text)
        if token is None or (token.expires is not None and token.expires <= self._now()):
            return None
        shared = tuple(audience for audience in token.audiences if audience in audiences)
        return (_authenticated(token.user), shared) if shared else None


def _authenticated(user: User) -> User:
    if AUTHENTICATED in user.groups:
        return user
    return User(
        name=user.name, uid=user.uid, groups=(*user.groups, AUTHENTICATED), extra=user.extra
    )
