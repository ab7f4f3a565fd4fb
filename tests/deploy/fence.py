"""The admission policies that the chart renders, evaluated as an API server does.

Their expressions are compiled and run by the CEL project's own implementation, with the strings
library that Kubernetes has as well. What differs from an API server: objects have no schema here,
so a name that no object has is found when the expression is run, not when it is compiled. That is
so in Kubernetes too, which declares `object` and `oldObject` as dynamic.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cel_expr_python import cel  # type: ignore[import-untyped]
from cel_expr_python.ext import ext_strings  # type: ignore[import-untyped]

from tests.deploy import chart
from tests.deploy.chart import Json
from tidegate_dev.kubernetes.admissions import AdmissionRequest
from tidegate_dev.kubernetes.errors import StatusError

_NAMES: Final = ("object", "oldObject", "request", "variables")
_STRINGS_VERSION: Final = 2  # what Kubernetes has since 1.29


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One change that somebody tries."""

    user: str
    groups: tuple[str, ...] = ("system:authenticated",)
    group: str = "apps"
    resource: str = "deployments"
    subresource: str = ""
    operation: str = "UPDATE"
    new: Json | None
    old: Json | None

    @property
    def bindings(self) -> Json:
        """Return what expressions know."""
        request = {
            "userInfo": {"username": self.user, "groups": list(self.groups)},
            "operation": self.operation,
        }
        return {"object": self.new, "oldObject": self.old, "request": request}


class Policy:
    """One ValidatingAdmissionPolicy. Raises `ValueError` where an expression does not compile."""

    def __init__(self, obj: Json) -> None:
        self.name: Final = str(obj["metadata"]["name"])
        self._spec = obj["spec"]
        strings = ext_strings.ExtStrings(_STRINGS_VERSION)
        environment = cel.NewEnv(
            variables=dict.fromkeys(_NAMES, cel.Type.DYN), extensions=[strings]
        )
        self._compiled = {
            text: environment.compile(text) for text in dict.fromkeys(self._expressions())
        }

    def refusals(self, attempt: Attempt) -> list[str]:
        """Return the messages of the validations that an attempt fails."""
        spec = self._spec
        if not any(_fits(rule, attempt) for rule in spec["matchConstraints"]["resourceRules"]):
            return []
        known = {**attempt.bindings, "variables": {}}
        conditions = spec.get("matchConditions", [])
        if not all(self._run(each["expression"], known) for each in conditions):
            return []
        for each in spec.get("variables", []):
            known["variables"][each["name"]] = self._run(each["expression"], known)
        return [
            str(each["message"])
            for each in spec["validations"]
            if self._run(each["expression"], known) is not True
        ]

    def _expressions(self) -> Iterable[str]:
        for part in ("matchConditions", "variables", "validations"):
            for each in self._spec.get(part, []):
                yield each["expression"]

    def _run(self, expression: str, known: Mapping[str, Any]) -> Any:
        value = self._compiled[expression].eval(data=dict(known))
        if value.type() == cel.Type.ERROR:
            raise ValueError(f"{self.name}: {expression}: {value.value()}")
        return value.plain_value()


class Fence:
    """All policies of a rendered chart that are bound, and deny."""

    def __init__(self, found: list[Json]) -> None:
        bindings = chart.of_kind(found, "ValidatingAdmissionPolicyBinding")
        bound = {
            each["spec"]["policyName"]
            for each in bindings
            if "Deny" in each["spec"]["validationActions"] and "matchResources" not in each["spec"]
        }
        policies = chart.of_kind(found, "ValidatingAdmissionPolicy")
        self.policies = [Policy(each) for each in policies if each["metadata"]["name"] in bound]

    def refusals(self, attempt: Attempt) -> list[str]:
        """Return why an attempt is refused; nothing if it may be made."""
        return [words for policy in self.policies for words in policy.refusals(attempt)]

    def admit(self, request: AdmissionRequest) -> None:
        """Return if a change of the embedded cluster may be made.

        Raises:
            StatusError: A policy says no, in the words of an API server.
        """
        new, old = request.object, request.old_object
        if request.subresource == "scale":
            new, old = _scale(new), _scale(old or {})
        attempt = Attempt(
            user=request.user.name,
            groups=request.user.groups,
            group=request.resource.group,
            resource=request.resource.plural,
            subresource=request.subresource,
            operation="CREATE" if old is None else "UPDATE",
            new=new,
            old=old,
        )
        for policy in self.policies:
            for words in policy.refusals(attempt):
                name = request.object["metadata"]["name"]
                message = (
                    f'{request.resource.qualified} "{name}" is forbidden: '
                    f"ValidatingAdmissionPolicy '{policy.name}' with binding '{policy.name}' "
                    f"denied request: {words}"
                )
                raise StatusError(403, "Forbidden", message, {})


def _fits(rule: Json, attempt: Attempt) -> bool:
    resource = attempt.resource + (f"/{attempt.subresource}" if attempt.subresource else "")
    return (
        attempt.group in rule["apiGroups"]
        and resource in rule["resources"]
        and attempt.operation in rule["operations"]
    )


def _scale(workload: Json) -> Json:
    """Return a workload's Scale, as the API server hands it to policies."""
    replicas = workload.get("spec", {}).get("replicas", 0)
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": workload.get("metadata", {}).get("name")},
        "spec": {"replicas": replicas} if replicas else {},  # zero is left out in JSON
    }
