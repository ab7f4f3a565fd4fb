"""Questions to the API server about rights and tokens, and what it answers.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate_agent.core.access import Review, TokenReviewed
from tidegate_agent.ports import Object


def access_review(review: Review) -> Object:
    """Return the SubjectAccessReview that asks it."""
    wanted = {
        "verb": review.verb,
        "group": review.group,
        "resource": review.resource,
        "subresource": review.subresource,
        "namespace": review.namespace,
        "name": review.name,
    }
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": review.user,
            "groups": list(review.groups),
            "extra": {key: list(values) for key, values in review.extra.items()},
            "resourceAttributes": {key: value for key, value in wanted.items() if value},
        },
    }


def token_review(token: str, audiences: Sequence[str]) -> Object:
    """Return the TokenReview that asks what *token* is worth."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": list(audiences)},
    }


def reviewed(answer: Object) -> TokenReviewed:
    """Return what a TokenReview says; whatever is not said counts as no."""
    status = _mapping(answer.get("status"))
    user = _mapping(status.get("user"))
    if status.get("authenticated") is not True:
        return TokenReviewed(authenticated=False)
    return TokenReviewed(
        authenticated=True,
        username=str(user.get("username") or ""),
        groups=_texts(user.get("groups")),
        audiences=_texts(status.get("audiences")),
        extra={key: _texts(values) for key, values in _mapping(user.get("extra")).items()},
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
