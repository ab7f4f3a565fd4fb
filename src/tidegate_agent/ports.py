"""What the journeys need from the world, as protocols; adapters implement them.

Every method may raise the errors named in its docstring and no vendor's own.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tidegate_agent.core.access import Impersonation, Review, TokenReviewed
from tidegate_agent.core.kinds import Kind
from tidegate_agent.core.patches import PatchType as PatchType

#: An object of the API, as its JSON is.
Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list of objects at one moment.

    Attributes:
        items: The objects; `apiVersion` and `kind` may be missing in them.
        resource_version: Where a watch goes on from.
    """

    items: Sequence[Object]
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One thing that a watch told: `type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


class Kubernetes(Protocol):
    """The API server, as far as the agent uses it. No call is retried inside.

    Every method may raise `KubernetesError` and its subclasses: `NotFoundError`, `ConflictError`,
    `AlreadyExistsError`, `ForbiddenError`, `UnauthorizedError`, `InvalidError`, `ExpiredError`,
    `BusyError` and `UnreachableError` (nothing was done), `AmbiguousError` (not known; only
    after something that changes: a read that breaks off is `UnreachableError`). `ExpiredError`
    is raised by a watch alone. What is longer than the agent reads is `UnavailableError`.

    `as_` is whom a call is made as; None is the agent itself. Writes carry
    `fieldManager=tidegate`. Namespace is None for kinds without one, and for all namespaces.
    """

    async def get(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        subresource: str | None = None,
        as_: Impersonation | None = None,
    ) -> Object:
        """Return an object, or its subresource (`scale`)."""

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        as_: Impersonation | None = None,
    ) -> Listed:
        """Return all objects that the selectors match, however many pages that takes."""

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        type: PatchType,
        dry_run: bool = False,
        subresource: str | None = None,
        as_: Impersonation | None = None,
    ) -> Object:
        """Return the object as it is once patched; with *dry_run*, as it would be."""

    async def create(
        self,
        kind: Kind,
        namespace: str | None,
        obj: Object,
        *,
        dry_run: bool = False,
        as_: Impersonation | None = None,
    ) -> Object:
        """Return the object as created. Raises `AlreadyExistsError` if its name is taken."""

    async def update(
        self,
        kind: Kind,
        namespace: str | None,
        obj: Object,
        *,
        dry_run: bool = False,
        as_: Impersonation | None = None,
    ) -> Object:
        """Replace an object, if it still has `metadata.resourceVersion` of *obj*.

        Raises:
            ConflictError: It has another one by now.
        """

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        resource_version: str | None = None,
        as_: Impersonation | None = None,
    ) -> None:
        """Remove an object, if it still has that resourceVersion where one is given.

        Raises:
            ConflictError: It has another one by now.
        """

    async def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str,
        tail: int,
        since_seconds: int | None = None,
        previous: bool = False,
        limit_bytes: int,
        as_: Impersonation | None = None,
    ) -> bytes:
        """Return the last lines that a container wrote, each with its time (`timestamps=true`).

        No more than *limit_bytes* are read, whatever the server sends.
        """

    def watch(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        fields: str = "",
        labels: str = "",
        resource_version: str,
        as_: Impersonation | None = None,
    ) -> AsyncIterator[Watched]:
        """Yield what happens from *resource_version* on, taking up again what breaks off.

        Raises:
            ExpiredError: What happened since is no longer remembered: list again.
        """

    async def allowed(self, review: Review) -> bool:
        """Return whether somebody may do something (SubjectAccessReview), asked as the agent."""

    async def token_review(self, token: str, audiences: Sequence[str]) -> TokenReviewed:
        """Return what a bearer token is worth for *audiences* (TokenReview)."""

    async def close(self) -> None:
        """Let connections go."""


class Clock(Protocol):
    """Time and chance, so that tests can hold both."""

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""

    def entropy(self, size: int) -> bytes:
        """Return *size* random bytes fit for secrets."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""


class Journal(Protocol):
    """Where it is noted what happens: structured log lines."""

    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        """Note an event. No field may hold content of a request, a token or a log line."""
