"""One user acting as another, as the Impersonate-* headers ask, if the policy lets them.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation and, for
constrained impersonation (on by default since 1.36), KEP-5284: who holds `impersonate:user-info`
on an identity acts as it only for what `impersonate-on:user-info:VERB` names.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

from starlette.datastructures import Headers

from tidegate_dev.kubernetes.errors import StatusError
from tidegate_dev.kubernetes.rbac import Authorizer
from tidegate_dev.kubernetes.requests import Attributes
from tidegate_dev.kubernetes.users import (
    ANONYMOUS,
    AUTHENTICATED,
    User,
    service_account,
    service_account_parts,
)

_EXTRA: Final = "impersonate-extra-"
_AUTHENTICATION: Final = "authentication.k8s.io"
_NODE: Final = "system:node:"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the headers say."""

    user: str
    uid: str
    groups: tuple[str, ...]
    extra: dict[str, tuple[str, ...]]


def acting_user(
    authorizer: Authorizer, caller: User, headers: Headers, wanted: Attributes
) -> User | None:
    """Return as whom *caller* acts; None without such headers.

    Raises:
        StatusError: The policy does not let them, or the headers name no user.
    """
    wish = _wish(headers)
    if wish is None:
        return None
    if not _may_constrained(authorizer, caller, wish, wanted):
        for attributes in _identities(wish, "impersonate", constrained=False):
            authorizer.require(caller, attributes)
    return _impersonated(wish)


def _wish(headers: Headers) -> _Wish | None:
    extra: dict[str, tuple[str, ...]] = {}
    for name, value in headers.items():
        if name.startswith(_EXTRA):
            key = unquote(name.removeprefix(_EXTRA)).lower()
            extra[key] = (*extra.get(key, ()), value)
    wish = _Wish(
        user=headers.get("impersonate-user", ""),
        uid=headers.get("impersonate-uid", ""),
        groups=tuple(headers.getlist("impersonate-group")),
        extra=extra,
    )
    if wish.user:
        return wish
    if wish.uid or wish.groups or wish.extra:
        message = "Internal error occurred: requested impersonation without impersonating a user"
        raise StatusError(500, "InternalError", message)
    return None


def _identities(wish: _Wish, verb: str, *, constrained: bool) -> Iterator[Attributes]:
    """Yield what must be allowed for the identity to be taken on."""
    group = _AUTHENTICATION if constrained else ""
    account = service_account_parts(wish.user)
    if account is not None:
        place, name = account
        yield Attributes(
            verb=verb, group=group, resource="serviceaccounts", namespace=place, name=name
        )
    else:
        yield Attributes(verb=verb, group=group, resource="users", name=wish.user)
    for name in wish.groups:
        yield Attributes(verb=verb, group=group, resource="groups", name=name)
    extras = Attributes(verb=verb, group=_AUTHENTICATION, version="v1", resource="userextras")
    for key, values in wish.extra.items():
        for value in values:
            yield replace(extras, subresource=key, name=value)
    if wish.uid:
        yield replace(extras, resource="uids", name=wish.uid)


def _may_constrained(authorizer: Authorizer, caller: User, wish: _Wish, wanted: Attributes) -> bool:
    mode = _mode(wish.user)
    on_target = replace(wanted, verb=f"impersonate-on:{mode}:{wanted.verb}")
    needed = [on_target, *_identities(wish, f"impersonate:{mode}", constrained=True)]
    return all(authorizer.decide(caller, attributes).allowed for attributes in needed)


def _mode(user: str) -> str:
    if user.startswith(_NODE):
        return "arbitrary-node"
    return "serviceaccount" if service_account_parts(user) else "user-info"


def _impersonated(wish: _Wish) -> User:
    groups = wish.groups
    account = service_account_parts(wish.user)
    if account is not None and not groups:
        groups = service_account(*account).groups
    if wish.user == ANONYMOUS.name:
        groups = groups or ANONYMOUS.groups
    elif AUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    return User(name=wish.user, uid=wish.uid, groups=groups, extra=wish.extra)
