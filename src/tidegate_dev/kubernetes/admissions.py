"""What has a say in a change after it was found to be allowed and valid: policies and quotas.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate_dev.kubernetes.calls import Call
from tidegate_dev.kubernetes.resources import Resource
from tidegate_dev.kubernetes.users import User
from tidegate_dev.kubernetes.watches import copied


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRequest:
    """One change, as an AdmissionReview shows it.

    Attributes:
        user: Who makes it; the one acted as, where somebody acts as another.
        object: What is to be there; for the subresource `scale`, the workload with its new number.
        old_object: What is there; None if nothing is.
    """

    user: User
    resource: Resource
    subresource: str
    namespace: str
    object: dict[str, Any]
    old_object: dict[str, Any] | None
    dry_run: bool


Admission = Callable[[AdmissionRequest], None]
"""Raises StatusError if the change may not be made; changes nothing itself."""


class Admissions:
    """All that have a say, in the order in which they came."""

    def __init__(self) -> None:
        self._admissions: list[Admission] = []

    def add(self, admission: Admission) -> Callable[[], None]:
        """*admission* has a say from now on; return what ends that."""
        self._admissions.append(admission)
        return lambda: self._admissions.remove(admission)

    def ask(self, call: Call, obj: dict[str, Any], old: dict[str, Any] | None) -> None:
        """Nobody objects to *obj* being there, in the place of *old*.

        Raises:
            StatusError: Somebody does.
        """
        for admission in tuple(self._admissions):
            admission(
                AdmissionRequest(
                    user=call.user,
                    resource=call.resource,
                    subresource=call.wanted.subresource,
                    namespace=call.namespace,
                    object=copied(obj),
                    old_object=copied(old),
                    dry_run=call.is_dry_run,
                )
            )
