"""As whom the agent speaks to the API server, and what it asks about rights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

NOTHING: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Impersonation:
    """Whom a request is made as: `Impersonate-User`, `-Group` and `-Extra-*`.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation

    Attributes:
        user: Never a `system:` name.
        groups: In the order in which they are sent; never a `system:` name.
        extra: By key as it is meant (`tidegate.dev/person`); the client percent-encodes it.
    """

    user: str
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A question to the authorizer, whether somebody may do something (SubjectAccessReview).

    https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
    """

    user: str
    groups: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]]
    verb: str
    group: str  # of the API; empty for the core group
    resource: str  # plural
    namespace: str
    name: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReviewed:
    """What the API server says of a bearer token (TokenReview).

    https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/

    Attributes:
        authenticated: The token is good; everything else is empty where it is not.
        audiences: Those of the audiences asked for that the token is meant for.
    """

    authenticated: bool
    username: str = ""
    groups: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
