"""What the API refuses, each as the Status object that a client of Kubernetes expects.

Reasons, codes and words are those of `k8s.io/apimachinery/pkg/api/errors` and
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate_dev.kubernetes.resources import Resource

REQUIRED: Final = "FieldValueRequired"
INVALID: Final = "FieldValueInvalid"
DUPLICATE: Final = "FieldValueDuplicate"
UNSUPPORTED: Final = "FieldValueNotSupported"


class StatusError(Exception):
    """A request is not carried out, and nothing was changed."""

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def to_dict(self) -> dict[str, Any]:
        """Return it as a Status object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


class NotFoundError(StatusError):
    """There is no such object."""

    def __init__(self, resource: Resource, name: str) -> None:
        message = f'{resource.qualified} "{name}" not found'
        super().__init__(404, "NotFound", message, _details(resource, name))


class AlreadyExistsError(StatusError):
    """An object of that name is there."""

    def __init__(self, resource: Resource, name: str) -> None:
        message = f'{resource.qualified} "{name}" already exists'
        super().__init__(409, "AlreadyExists", message, _details(resource, name))


class ConflictError(StatusError):
    """The object is no longer what the caller took it for."""

    MODIFIED: Final = (
        "the object has been modified; please apply your changes to the latest version "
        "and try again"
    )

    def __init__(self, resource: Resource, name: str, why: str = MODIFIED) -> None:
        message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
        super().__init__(409, "Conflict", message, _details(resource, name))


class GoneError(StatusError):
    """What happened since that version is no longer remembered."""

    def __init__(self, since: str, oldest: int) -> None:
        super().__init__(410, "Expired", f"too old resource version: {since} ({oldest})")


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong with an object.

    Attributes:
        field: Where, as `spec.template.spec.containers[0].image`.
        reason: Which kind of mistake; `REQUIRED`, `INVALID`, …
    """

    field: str
    reason: str
    message: str


class InvalidError(StatusError):
    """The object cannot be as it was sent."""

    def __init__(self, resource: Resource, name: str, causes: Sequence[Cause]) -> None:
        said = [f"{cause.field}: {cause.message}" for cause in causes]
        wrong = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
        details = {
            "name": name,
            **({"group": resource.group} if resource.group else {}),
            "kind": resource.kind,
            "causes": [
                {"reason": cause.reason, "message": cause.message, "field": cause.field}
                for cause in causes
            ],
        }
        message = f'{resource.qualified_kind} "{name}" is invalid: {wrong}'
        super().__init__(422, "Invalid", message, details)


def bad_request(message: str) -> StatusError:
    """Return the error of a request that cannot be understood."""
    return StatusError(400, "BadRequest", message)


def _details(resource: Resource, name: str) -> dict[str, Any]:
    group = {"group": resource.group} if resource.group else {}
    return {"name": name, **group, "kind": resource.plural}
