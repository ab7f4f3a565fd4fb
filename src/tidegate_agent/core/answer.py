"""What a request is answered: a status, and words for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate_agent.core import redaction
from tidegate_agent.errors import (
    BusyError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubernetesError,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)

MAX_MESSAGE: Final = 3_000  # what Tidegate shows
MAX_GROUPS: Final = 5
REFUSED: Final = "refused"
UNAVAILABLE: Final = "unavailable"
_RETRY_SECONDS: Final = 2.0
# Said by the API server these are about itself; said by the agent they would be about its caller.
# https://www.rfc-editor.org/rfc/rfc9110#section-15.5
_NOT_OURS: Final = frozenset({401, 407, 408, 410, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request is answered.

    Attributes:
        content: A JSON object with at least `message` and `status`, or a phase.
        location: Where long work is followed, as a path.
        retry_after: Seconds, where the same request may work later.
    """

    status: int
    content: Mapping[str, Any]
    location: str | None = None
    retry_after: float | None = None


def of_error(error: RefusedError | UnavailableError | KubernetesError) -> Answer:
    """Return what a request is answered that failed so, before it did anything."""
    match error:
        case RefusedError():
            content = {"message": error.notice, "status": REFUSED}
            if error.field is not None:
                content["field"] = error.field
            return Answer(status=error.status, content=content)
        case UnavailableError():
            return _later(error.notice, error.retry_after)
        case _:
            return _of_kubernetes(error)


def _of_kubernetes(error: KubernetesError) -> Answer:
    later = _unavailable(error)
    if later is not None:
        return later
    match error:
        case ForbiddenError():
            return _refusal(403, forbidden(error))
        case ConflictError():
            return _refusal(409, "Somebody else changed it at the same moment; nothing was done.")
        case InvalidError():
            return _refusal(422, invalid(error))
        case _:
            return _refusal(error.code, f"The cluster refuses it: {cut(error.message)}")


def _unavailable(error: KubernetesError) -> Answer | None:
    """Return what is answered where the same may work later, or None."""
    match error:
        case BusyError():
            return _later("The cluster asks to wait.", error.retry_after)
        case UnreachableError():
            return _later("The cluster's API cannot be reached for now.", _RETRY_SECONDS)
        case UnauthorizedError():
            return _later("The cluster does not take the agent's own credentials.", 10.0)
        case _ if 400 <= error.code < 500 and error.code not in _NOT_OURS:
            return None
        case _:
            return _later("The cluster's API failed.", _RETRY_SECONDS)


def forbidden(error: ForbiddenError) -> str:
    """Return which right is missing, on what, for whom: or what a policy says."""
    if not error.verb:
        return f"The cluster does not allow it: {cut(error.message)}"
    who, where = error.user or "the agent", f" in {error.namespace}" if error.namespace else ""
    if error.groups:
        noun = "group" if len(error.groups) == 1 else "groups"
        more = ", …" if len(error.groups) > MAX_GROUPS else ""
        who += f" ({noun} {', '.join(error.groups[:MAX_GROUPS])}{more})"
    return (
        f"The cluster does not allow it: {who} lacks the right to "
        f"{error.verb} {error.resource}{where}."
    )


def invalid(error: InvalidError) -> str:
    """Return what the API server finds wrong, field by field."""
    causes = "; ".join(f"{cause.field}: {cause.message}" for cause in error.causes[:5])
    return f"The cluster finds it invalid: {cut(causes or error.message)}"


def cut(text: str, most: int = 500) -> str:
    """Return foreign text on one line, without secrets of a known shape, and cut."""
    flat = redaction.line(" ".join(text.split()))
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _refusal(status: int, message: str) -> Answer:
    return Answer(status=status, content={"message": message, "status": REFUSED})


def _later(message: str, seconds: float) -> Answer:
    content = {"message": message, "status": UNAVAILABLE}
    return Answer(status=503, content=content, retry_after=seconds)
