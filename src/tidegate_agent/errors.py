"""One tree of errors: the class says whose fault it was and what may be done about it.

Vendor errors are chained as causes at the adapter that met them. The text of a `KubernetesError`
is the API server's own, cut: it may be shown to the person who asked, and never to anyone else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_TEXT: Final = 1000  # characters of foreign text that an error carries


class AgentError(Exception):
    """Anything that the agent itself raises."""


# --- refused: the request is at fault, and nothing was done ---------------------------------


class RefusedError(AgentError):
    """The agent does not do it, and has done nothing; the message is for the person who asked.

    Attributes:
        status: The HTTP status that it is answered with, 400 to 499.
        notice: What the person is told: what it was, and what they can do.
        field: The param at fault, or None.
    """

    status = 400

    def __init__(self, notice: str, *, field: str | None = None, status: int | None = None) -> None:
        super().__init__(notice)
        self.notice = notice
        self.field = field
        if status is not None:
            self.status = status


class InputError(RefusedError):
    """A body or a param is not what it has to be: what, and where."""

    status = 400


class IdentityError(RefusedError):
    """The statement of who asked does not hold.

    Attributes:
        reason: A short name for the log, such as `expired`; the answer names none.
    """

    status = 401

    def __init__(self, reason: str) -> None:
        super().__init__("The request does not prove who asked.")
        self.reason = reason


class NotAllowedError(RefusedError):
    """The agent's rules do not let this person do this, there, or at all."""

    status = 403


class MissingError(RefusedError):
    """There is no such namespace, workload, pod, revision or operation."""

    status = 404


class StateError(RefusedError):
    """What is there does not allow it: paused, owned by somebody else, at the limit."""

    status = 409


class KeyTakenError(RefusedError):
    """The Idempotency-Key was used for another request."""

    status = 409

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request.")


class UnavailableError(AgentError):
    """The agent cannot do it now, and has done nothing: the same request may be sent again.

    Attributes:
        retry_after: Seconds to wait.
    """

    def __init__(self, notice: str, *, retry_after: float = 2.0) -> None:
        super().__init__(notice)
        self.notice = notice
        self.retry_after = retry_after


class RecordLostError(AgentError):
    """Another agent has written the operation's record since: the caller must do no more."""


# --- the configuration: the operator's to mend ----------------------------------------------


class ConfigError(AgentError):
    """The configuration cannot be used; every problem found is listed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


# --- the API server -------------------------------------------------------------------------


class KubernetesError(AgentError):
    """The API server did not do what was asked; unless a subclass says so, nothing was done.

    Also for statuses that no subclass stands for (405, 413, 415, …).

    Attributes:
        code: The HTTP status, or 0 where there was no answer.
        reason: `reason` of the Status object, such as `NotFound`, or empty.
        message: `message` of the Status object, cut.
    """

    def __init__(self, message: str, *, code: int = 0, reason: str = "") -> None:
        cut = message if len(message) <= MAX_TEXT else message[: MAX_TEXT - 1] + "…"
        super().__init__(cut)
        self.message = cut
        self.code = code
        self.reason = reason


class NotFoundError(KubernetesError):
    """There is no such object (404)."""


class ConflictError(KubernetesError):
    """The object is not the one that the caller had read (409 `Conflict`)."""


class AlreadyExistsError(ConflictError):
    """An object of that name is there already (409 `AlreadyExists`)."""


class ForbiddenError(KubernetesError):
    """Somebody lacks a right, or an admission policy said no (403).

    Attributes:
        user: Whom the API server names, or empty where its message names nobody.
        verb: What they wanted to do, or empty.
        resource: On what, `deployments.apps` or `pods/log`, or empty.
        namespace: Where, or empty for the whole cluster.
        groups: The groups that *user* was taken on with, none of which gives the right.
    """

    def __init__(
        self,
        message: str,
        *,
        user: str = "",
        groups: Sequence[str] = (),
        verb: str = "",
        resource: str = "",
        namespace: str = "",
        reason: str = "Forbidden",
    ) -> None:
        super().__init__(message, code=403, reason=reason)
        self.user = user
        self.groups = tuple(groups)
        self.verb = verb
        self.resource = resource
        self.namespace = namespace


class UnauthorizedError(KubernetesError):
    """The API server does not know the agent's own credentials (401)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that an invalid object has wrong: `details.causes[]` of the Status."""

    field: str
    reason: str
    message: str


class InvalidError(KubernetesError):
    """The object or patch is not valid, or a JSON patch's `test` failed (400, 422).

    Attributes:
        causes: What is wrong, field by field; may be empty.
    """

    def __init__(
        self, message: str, *, causes: Sequence[Cause] = (), code: int = 422, reason: str = ""
    ) -> None:
        super().__init__(message, code=code, reason=reason)
        self.causes = tuple(causes)


class ExpiredError(KubernetesError):
    """The resourceVersion to watch or continue from is too old (410): list again."""


class BusyError(KubernetesError):
    """The API server asked to wait; nothing was done (429, 503).

    Attributes:
        retry_after: Seconds to wait.
    """

    def __init__(self, message: str, *, retry_after: float, code: int = 429) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class UnreachableError(KubernetesError):
    """No byte of the request went out; nothing was done."""


class AmbiguousError(KubernetesError):
    """The request went out, and no whole answer came back, or a 5xx: perhaps it was done."""
