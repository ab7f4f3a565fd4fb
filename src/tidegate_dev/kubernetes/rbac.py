"""Who may do what: the roles and bindings in the store, as they are at that moment.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tidegate_dev.kubernetes.errors import StatusError
from tidegate_dev.kubernetes.requests import Attributes
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Resource,
)
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.users import MASTERS, User, service_account


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, and what the review says about that."""

    allowed: bool
    reason: str = ""


class Authorizer:
    """Decides by the roles and bindings of one store; nothing is allowed that no rule allows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def decide(self, user: User, wanted: Attributes) -> Decision:
        """Return whether *user* may."""
        if MASTERS in user.groups:
            return Decision(True)
        missing = []
        for binding, role, why in self._roles(user, wanted.namespace):
            if role is None:
                missing.append(_missing(binding))
            elif any(rule_allows(rule, wanted) for rule in role.get("rules") or []):
                return Decision(True, why)
        return Decision(False, f"RBAC: {_listed(missing)}" if missing else "")

    def require(self, user: User, wanted: Attributes) -> None:
        """*user* may.

        Raises:
            StatusError: No rule says so; code 403.
        """
        decision = self.decide(user, wanted)
        if not decision.allowed:
            raise forbidden(user, wanted, decision.reason)

    def rules(self, user: User, namespace: str) -> list[dict[str, Any]]:
        """Return every rule that holds for *user* in *namespace*."""
        if MASTERS in user.groups:
            everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            return [everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}]
        return [
            rule
            for _, role, _ in self._roles(user, namespace)
            for rule in (role or {}).get("rules") or []
        ]

    def _roles(
        self, user: User, namespace: str
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None, str]]:
        """Yield each binding of *user* that counts in *namespace*, its role, and a sentence."""
        places: list[tuple[Resource, str]] = [(CLUSTER_ROLE_BINDINGS, "")]
        if namespace:
            places.append((ROLE_BINDINGS, namespace))
        for resource, place in places:
            for binding in self._store.list(resource, place)[0]:
                subject = _subject(binding, user, place)
                if subject is not None:
                    yield binding, self._role(binding, place), _reason(binding, subject)

    def _role(self, binding: dict[str, Any], namespace: str) -> dict[str, Any] | None:
        reference = binding["roleRef"]
        if reference["kind"] == "ClusterRole":
            return self._store.get(CLUSTER_ROLES, "", reference["name"])
        return self._store.get(ROLES, namespace, reference["name"]) if namespace else None


def rule_allows(rule: dict[str, Any], wanted: Attributes) -> bool:
    """Return whether one PolicyRule lets through what is wanted."""
    if not _has(rule, "verbs", wanted.verb):
        return False
    if not wanted.resource:
        return any(_url_fits(url, wanted.path) for url in rule.get("nonResourceURLs") or [])
    names = rule.get("resourceNames") or []
    return (
        _has(rule, "apiGroups", wanted.group)
        and _resource_fits(rule.get("resources") or [], wanted)
        and (not names or wanted.name in names)
    )


def forbidden(user: User, wanted: Attributes, reason: str = "") -> StatusError:
    """Return the refusal, in the words of k8s.io/apiserver's `Forbidden`."""
    message = _cannot(user, wanted) + (f": {reason}" if reason else "")
    if not wanted.resource:
        return StatusError(403, "Forbidden", f"forbidden: {message}", {})
    qualified = f"{wanted.resource}.{wanted.group}" if wanted.group else wanted.resource
    named = f'{qualified} "{wanted.name}"' if wanted.name else qualified
    details = {
        **({"name": wanted.name} if wanted.name else {}),
        **({"group": wanted.group} if wanted.group else {}),
        "kind": wanted.resource,
    }
    return StatusError(403, "Forbidden", f"{named} is forbidden: {message}", details)


def _cannot(user: User, wanted: Attributes) -> str:
    if not wanted.resource:
        return f'User "{user.name}" cannot {wanted.verb} path "{wanted.path}"'
    where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    return (
        f'User "{user.name}" cannot {wanted.verb} resource "{wanted.combined}" '
        f'in API group "{wanted.group}" {where}'
    )


def _has(rule: dict[str, Any], field: str, wanted: str) -> bool:
    listed = rule.get(field) or []
    return "*" in listed or wanted in listed


def _resource_fits(resources: list[str], wanted: Attributes) -> bool:
    if "*" in resources or wanted.combined in resources:
        return True
    return bool(wanted.subresource) and f"*/{wanted.subresource}" in resources


def _url_fits(url: str, path: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*")))


def _subject(binding: dict[str, Any], user: User, namespace: str) -> dict[str, Any] | None:
    """Return the subject of the binding that *user* is."""
    for subject in binding.get("subjects") or []:
        name = str(subject["name"])
        match subject["kind"]:
            case "User":
                fits = name == user.name
            case "Group":
                fits = name in user.groups
            case "ServiceAccount":
                place = subject.get("namespace") or namespace
                fits = bool(place) and service_account(place, name).name == user.name
            case _:
                fits = False
        if fits:
            return dict(subject)
    return None


def _reason(binding: dict[str, Any], subject: dict[str, Any]) -> str:
    metadata, reference = binding["metadata"], binding["roleRef"]
    namespace = metadata.get("namespace")
    where = f'"{metadata["name"]}/{namespace}"' if namespace else f'"{metadata["name"]}"'
    who = f'"{subject["name"]}"'
    if subject["kind"] == "ServiceAccount":
        who = f'"{subject["name"]}/{subject.get("namespace") or namespace}"'
    return (
        f"RBAC: allowed by {binding['kind']} {where} of {reference['kind']} "
        f'"{reference["name"]}" to {subject["kind"]} {who}'
    )


def _missing(binding: dict[str, Any]) -> str:
    reference = binding["roleRef"]
    return f'{reference["kind"].lower()}.rbac.authorization.k8s.io "{reference["name"]}" not found'


def _listed(errors: list[str]) -> str:
    unique = list(dict.fromkeys(errors))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
