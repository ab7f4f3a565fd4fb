"""Questions that are asked by creating an object: may they, who am I, whose token is this.

https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/
https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate_dev.kubernetes.errors import bad_request
from tidegate_dev.kubernetes.rbac import Authorizer
from tidegate_dev.kubernetes.requests import Attributes
from tidegate_dev.kubernetes.resources import Resource
from tidegate_dev.kubernetes.users import API_AUDIENCE, Tokens, User

Review = dict[str, Any]


def _review(group: str, kind: str, *, namespaced: bool = False) -> Resource:
    return Resource(
        group=group,
        version="v1",
        plural=f"{kind.lower()}s",
        kind=kind,
        singular=kind.lower(),
        namespaced=namespaced,
        verbs=("create",),
    )


_AUTHENTICATION: Final = "authentication.k8s.io"
_AUTHORIZATION: Final = "authorization.k8s.io"
LOCAL_ACCESS: Final = _review(_AUTHORIZATION, "LocalSubjectAccessReview", namespaced=True)
OWN_ACCESS: Final = _review(_AUTHORIZATION, "SelfSubjectAccessReview")
OWN_RULES: Final = _review(_AUTHORIZATION, "SelfSubjectRulesReview")
ACCESS: Final = _review(_AUTHORIZATION, "SubjectAccessReview")
OWN_USER: Final = _review(_AUTHENTICATION, "SelfSubjectReview")
TOKEN: Final = _review(_AUTHENTICATION, "TokenReview")
REVIEWS: Final = (OWN_USER, TOKEN, LOCAL_ACCESS, OWN_ACCESS, OWN_RULES, ACCESS)


class Reviewer:
    """Answers reviews."""

    def __init__(self, authorizer: Authorizer, tokens: Tokens) -> None:
        self._authorizer = authorizer
        self._tokens = tokens
        self._answers: Mapping[Resource, Callable[[Review, User, str], Review]] = {
            ACCESS: self._access,
            LOCAL_ACCESS: self._local_access,
            OWN_ACCESS: self._own_access,
            OWN_RULES: self._own_rules,
            OWN_USER: self._own_user,
            TOKEN: self._token,
        }

    def answer(self, resource: Resource, review: Review, user: User, namespace: str) -> Review:
        """Return the review with its status.

        Raises:
            StatusError: The question makes no sense.
        """
        spec = review.get("spec") or {}
        if not isinstance(spec, dict):
            raise bad_request("json: cannot unmarshal into Go struct field .spec")
        return {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": review.get("metadata") or {},
            **({} if resource is OWN_USER else {"spec": spec}),
            "status": self._answers[resource](spec, user, namespace),
        }

    def _own_access(self, spec: Review, user: User, _: str) -> Review:
        return self._decided(user, spec)

    def _access(self, spec: Review, _: User, __: str) -> Review:
        return self._decided(_subject(spec), spec)

    def _local_access(self, spec: Review, _: User, namespace: str) -> Review:
        if (spec.get("resourceAttributes") or {}).get("namespace") != namespace:
            raise bad_request("spec.resourceAttributes.namespace must match metadata.namespace")
        return self._decided(_subject(spec), spec)

    def _decided(self, user: User, spec: Review) -> Review:
        decision = self._authorizer.decide(user, _wanted(spec))
        status: Review = {"allowed": decision.allowed}
        if decision.reason:
            status["reason"] = decision.reason
        return status

    def _own_rules(self, spec: Review, user: User, _: str) -> Review:
        if not spec.get("namespace"):
            raise bad_request("no namespace on request")
        rules = self._authorizer.rules(user, spec["namespace"])
        return {
            "resourceRules": [rule for rule in rules if not rule.get("nonResourceURLs")],
            "nonResourceRules": [
                {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
                for rule in rules
                if rule.get("nonResourceURLs")
            ],
            "incomplete": False,
        }

    def _own_user(self, _: Review, user: User, __: str) -> Review:
        return {"userInfo": user.to_dict()}

    def _token(self, spec: Review, _: User, __: str) -> Review:
        token = spec.get("token")
        if not token:
            raise bad_request("token is required for TokenReview in authentication")
        found = self._tokens.review(str(token), spec.get("audiences") or [API_AUDIENCE])
        if found is None:
            return {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
        user, audiences = found
        return {"authenticated": True, "user": user.to_dict(), "audiences": list(audiences)}


def _subject(spec: Review) -> User:
    groups = tuple(spec.get("groups") or ())
    if not spec.get("user") and not groups:
        raise bad_request("at least one of user or group must be specified")
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(name=spec.get("user", ""), uid=spec.get("uid", ""), groups=groups, extra=extra)


def _wanted(spec: Review) -> Attributes:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if path is not None and resource is None:
        return Attributes(verb=path.get("verb", ""), path=path.get("path", ""))
    if resource is None or path is not None:
        raise bad_request(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
    fields = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
    return Attributes(**{field: resource.get(field, "") for field in fields})
