"""What the journeys need from the world, as protocols; adapters implement them.

Every method may raise the errors named in its docstring and no vendor's own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from tidegate.core.model import (
    AuditEntry,
    Change,
    Draft,
    Leased,
    Posting,
    RecordResult,
    Refusal,
    Run,
    RunId,
    State,
    View,
)
from tidegate.core.share import Object, Scan
from tidegate.core.steps import Steps


class Clock(Protocol):
    """Time and chance, so that tests can hold both."""

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""

    def entropy(self, size: int) -> bytes:
        """Return *size* random bytes fit for secrets."""

    def jitter(self) -> float:
        """Return a number in [0, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; what is None does not narrow."""

    state: State | None = None
    action: str | None = None
    user_id: str | None = None
    before: RunId | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What housekeeping did."""

    expired: int = 0
    adopted: int = 0
    erased: int = 0
    removed: int = 0


class Store(Protocol):
    """Where runs live. Writes return only after they are durable.

    Every transition is held to `tidegate.core.lifecycle`, writes its audit row in the
    same transaction, and marks the run's view as out of date. A transition to a
    final state makes the view urgent. All may raise `StoreError`.
    """

    async def record(self, draft: Draft, *, within: float) -> RecordResult:
        """Commit a run and its keys, or say why it is not new.

        In order: a known delivery key → `Duplicate`; a held effect key → `Joined`, unless who
        holds it is another person, and two seconds after their click it is still not known
        (`Run.sure`) whether they may: then the run is recorded without it, and whichever is
        sent first has it; more than
        `draft.rate` runs of this user and action → `Limited`; else the run is inserted as
        `received`, with its view. `Joined` and `Limited` leave an audit entry and the delivery
        key; not the key of a limited modal, which comes again as it is.

        A recorded run goes on to `draft.state` by itself, in a later transaction that
        begins only when the caller has its answer. An insert whose caller has gone is
        dropped before COMMIT; one that commits after the caller was refused becomes
        `expired` before anyone can lease it.

        Args:
            draft: The run, and what decides on it.
            within: Seconds until the caller must have answered.

        Raises:
            NotRecordedError: Not durable inside *within* seconds; will not happen later.
        """

    async def refuse(self, refusal: Refusal, *, within: float) -> bool:
        """Write a refusal to the audit log; False if the delivery was known already."""

    async def lease(
        self, *, slots: Mapping[str, int], polls: int, seconds: float, most: int | None = None
    ) -> Sequence[Leased]:
        """Lease runs whose time has come, oldest first.

        Args:
            slots: For each pathway how many runs (queued or sending) may be taken. Of a
                pathway that is not named, since it left the configuration, some are taken too.
            polls: How many runs that are running (or unknown, to be checked) may be taken.
            seconds: How long the leases last unless renewed.
            most: How many queued or sending runs may be taken in all.
        """

    async def renew(self, leases: Sequence[tuple[RunId, str]], *, seconds: float) -> set[RunId]:
        """Make leases last *seconds* from now; return the runs whose lease was lost."""

    async def advance(self, leased: Leased, change: Change) -> Run:
        """Write one step of a run under its lease, and return the run as it is now.

        The lease ends with the step unless `change.keep_lease`. A run that goes to `sending`
        holds its effect key from then on, whoever held it before without being sure.

        Raises:
            LeaseLostError: The lease is not held any more; nothing was written.
            EffectTakenError: Another run holds the effect key for sure; nothing was written.
        """

    async def settle(self, run_id: RunId, change: Change) -> Run:
        """Take a run out of `unknown` by a late answer, a check or a person; no lease.

        Raises:
            NoSuchRunError: There is none.
            NotAllowedNowError: The run is not unknown.
        """

    async def confirm(
        self, run_id: RunId, *, yes: bool, user_id: str, within: float | None = None
    ) -> Run:
        """Let a run that awaits confirmation go on, or cancel it.

        Raises:
            NotRecordedError: Not durable inside *within* seconds, where that is given.
            NoSuchRunError: There is none.
            NotAllowedNowError: It does not await confirmation.
        """

    async def ask_check(self, run_id: RunId, *, user_id: str, within: float | None = None) -> Run:
        """Have a worker ask the service what became of an unknown run.

        Raises:
            NotRecordedError: Not durable inside *within* seconds, where that is given.
            NoSuchRunError: There is none.
            NotAllowedNowError: The run is not unknown.
        """

    async def retry(self, run_id: RunId, new: Run, *, actor: str) -> Run:
        """Record *new* as a run of its own with `run_id` as its parent, queued.

        It takes over the view, and the effect key if that is free or the parent's.

        Raises:
            NoSuchRunError: There is none.
            NotAllowedNowError: The parent has not ended, or somebody else holds the effect key.
        """

    async def run(self, run_id: RunId) -> Run | None:
        """Return a run, or None."""

    async def runs(self, which: RunFilter) -> Sequence[Run]:
        """Return runs, newest first."""

    async def audit(
        self, *, run_id: RunId | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[AuditEntry]:
        """Return audit entries: oldest first for one run, newest first otherwise."""

    async def next_due(self) -> float | None:
        """Return when the next run or view wants attention, or None."""

    async def lease_views(self, *, limit: int, seconds: float) -> Sequence[View]:
        """Lease views that are out of date and due, urgent ones first, with their runs."""

    async def renew_views(self, views: Sequence[View], *, seconds: float) -> None:
        """Make those of the leases that are still held last *seconds* from now."""

    async def view_intent(self, view: View, *, final: bool) -> None:
        """Write down that a post is about to go out. Raises `LeaseLostError`."""

    async def view_told(
        self,
        view: View,
        *,
        posting: Posting | None = None,
        ts: str | None = None,
        channel_id: str | None = None,
        rendered: bool = True,
        due_at: float | None = None,
        failed: bool = False,
    ) -> None:
        """End the lease of a view.

        Args:
            view: As leased.
            posting: How far the message has come, if that changed.
            ts: The message's timestamp, once known.
            channel_id: Where Slack put it (a direct message has an id of its own).
            rendered: The message shows `view.version` now; a later version stays due.
            due_at: Not before; None leaves it due at once.
            failed: Count one more failure (a success sets the count back to none).

        Raises:
            LeaseLostError: The lease is not held any more.
        """

    async def view_moved(self, view: View) -> None:
        """Give every run of a view a message of its own, to be posted: the old one is gone."""

    async def sweep(self) -> Swept:
        """Do the housekeeping that time asks for.

        Expire what was not started in time, adopt what a dead intake left behind, erase
        response URLs older than 30 minutes, and remove what retention lets go.
        """

    async def remember(self, key: str, value: str) -> str:
        """Keep a value under *key* if there is none yet, and return the one that is kept."""

    async def memo(self, key: str, value: str | None = None) -> str | None:
        """Return the value kept under *key*; with *value*, replace it."""

    async def probe(self) -> None:
        """Return if the store can be written; else raise `StoreError`."""

    async def close(self) -> None:
        """Finish what is under way and let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to a private service, relative to its pathway."""

    run_id: RunId
    method: str
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False  # on a connection of its own: a reused one can fail ambiguously


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The service answered, or the edge in front of it did.

    Attributes:
        status: HTTP status.
        body: The body; empty if it was too long or broke off.
        location: The header `Location`.
        retry_after: The header `Retry-After`.
        json: Whether the body seems to be a JSON object.
        fault: What the edge meant that answered in the service's place, see
            `tidegate.core.edge_answer`; empty where the service itself answered.
        request_id: The edge's own id of the request, by which its log is searched.
        date: The header `Date`: what the other end takes for now.
    """

    status: int
    body: bytes
    location: str | None = None
    retry_after: str | None = None
    json: bool = False
    fault: str = ""
    request_id: str = ""
    date: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Nothing of the request was taken: no byte of it went out, or the other end refused TLS.

    Attributes:
        reason: Why, in one word.
        again: Whether the same may work in a while.
    """

    reason: str
    again: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """Something was sent, and no whole answer came back."""

    reason: str


Response = Answered | NotSent | NoAnswer


class Upstream(Protocol):
    """One pathway to a private service."""

    async def send(self, request: Request) -> Response:
        """Send once, never again by itself, following no redirect. Does not raise."""

    async def close(self) -> None:
        """Let connections go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Whom our token speaks for: `auth.test`."""

    team_id: str
    bot_id: str
    user_id: str
    enterprise_id: str | None = None
    enterprise_install: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user as Slack knows them."""

    user_id: str
    name: str
    team_id: str | None
    enterprise_id: str | None
    guest: bool
    stranger: bool  # known only by a shared channel
    active: bool  # neither deleted nor a bot


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A user group, and whether its membership can be trusted."""

    group_id: str
    members: frozenset[str]
    locked: bool  # managed by the identity provider, or only admins can change it


class Slack(Protocol):
    """Slack's Web API, as far as we use it. No call is retried inside.

    All may raise `SlackError`, `SlackBusyError` (nothing done, wait),
    `SlackUnreachableError` (nothing done) and `SlackAmbiguousError` (not known).
    """

    async def workspace(self) -> Workspace:
        """Return whom the token speaks for."""

    async def person(self, user_id: str) -> Person:
        """Return a user (users.info)."""

    async def channel_external(self, channel_id: str) -> bool:
        """Tell whether people outside the workspace are in a channel (conversations.info)."""

    async def groups(self, group_ids: frozenset[str]) -> Mapping[str, Group]:
        """Return those of the user groups that exist."""

    async def post(
        self,
        *,
        channel_id: str,
        text: str,
        blocks: Sequence[Mapping[str, Any]],
        thread_ts: str | None,
        run_id: RunId,
    ) -> tuple[str, str]:
        """Post a message that carries the run id as metadata; return channel id and ts."""

    async def update(
        self, *, channel_id: str, ts: str, text: str, blocks: Sequence[Mapping[str, Any]]
    ) -> None:
        """Replace a message of ours."""

    async def find(
        self, *, channel_id: str, thread_ts: str | None, run_id: RunId, since: float
    ) -> str | None:
        """Return the ts of the message that carries the run id, or None if there is none."""

    async def ephemeral(
        self,
        *,
        channel_id: str | None,
        user_id: str,
        text: str,
        blocks: Sequence[Mapping[str, Any]] = (),
        thread_ts: str | None = None,
    ) -> None:
        """Show a message to one person in a channel, or in a direct message if there is none."""

    async def respond(self, response_url: str, body: Mapping[str, Any]) -> None:
        """Use a response URL; one outside Slack's own hosts is refused with `SlackError`."""

    async def close(self) -> None:
        """Let connections go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that Slack has named and is waiting for.

    Attributes:
        file_id: What Slack calls it.
        url: Where its bytes go: whoever has it can send them.
    """

    file_id: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackFile:
    """A file as Slack knows it now.

    Attributes:
        ready: Slack has looked at it, so it can stand in a block.
        shared: The message that shows it, by channel id.
    """

    ready: bool
    shared: Mapping[str, str]


class Files(Protocol):
    """Files in Slack: a file is named, sent, and then shown, once. No call is retried inside.

    All may raise the errors that `Slack` raises.
    """

    async def begin(self, *, name: str, size: int, alt_text: str = "") -> Upload:
        """Have Slack name a file of exactly *size* bytes (files.getUploadURLExternal)."""

    async def send(self, upload: Upload, body: AsyncIterator[bytes], *, size: int) -> None:
        """Send a file's bytes. What *body* raises is raised, and then Slack has no whole file."""

    async def complete(
        self,
        files: Sequence[tuple[str, str]],
        *,
        channel_id: str | None = None,
        thread_ts: str | None = None,
        comment: str = "",
    ) -> None:
        """Show sent files, each (id, title), in a channel; without one, keep them for blocks.

        Slack does this once for each file; what was not completed it throws away.
        """

    async def file(self, file_id: str) -> SlackFile | None:
        """Return a file (files.info), or None if Slack has none that was completed."""

    async def channel_id(self, name: str) -> str | None:
        """Return the id of the channel of that name, or None."""


class Reading(Protocol):
    """An object that is being read, in the state in which it was found."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield its bytes, to the last one or an `ObjectsError`; they are those S3 declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A URL by which anyone may read an object for a while.

    Attributes:
        url: Never to be stored or logged.
        expires_at: Seconds since the Unix epoch.
        shortened: It lives shorter than was asked for, since the credentials end.
    """

    url: str = field(repr=False)
    expires_at: float
    shortened: bool = False


class Objects(Protocol):
    """Objects in S3, read only. All may raise `ObjectsError` and `CredentialsError`."""

    async def head(self, bucket: str, key: str, *, version_id: str | None = None) -> Object:
        """Return an object as it is now, or one of its versions."""

    def open(self, found: Object, *, current: bool = False) -> AbstractAsyncContextManager[Reading]:
        """Read an object as it was found; another state of it is refused (`changed`).

        So is, where it must be *current*, a version that another one has followed since; and one
        that was deleted since is not found.
        """

    async def first(self, found: Object, size: int) -> bytes:
        """Return an object's first bytes, at most *size*."""

    async def tags(self, found: Object) -> Mapping[str, str]:
        """Return an object's tags."""

    async def keys(self, bucket: str, prefix: str, *, most: int) -> Sequence[str]:
        """Return keys that begin so, in S3's order; one more than *most* if there are more."""

    async def link(self, found: Object, *, seconds: int, name: str) -> Link:
        """Return a link that saves the object under a name; it may have to live shorter."""

    async def close(self) -> None:
        """Let connections go."""


class Front(Protocol):
    """What stands in front of a bucket and gives links of its own."""

    def link(self, found: Object, *, seconds: int, name: str) -> Link:
        """Return a link that saves the object under a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of a queue, hidden from others for a while.

    Attributes:
        receipt: What it is deleted or postponed by; another at each receipt.
        body: What it says.
        receives: How often it has been received, this time included.
    """

    receipt: str = field(repr=False)
    body: bytes = field(repr=False)
    receives: int = 1


class Queue(Protocol):
    """A queue that delivers each message at least once. All may raise `QueueError`."""

    @property
    def buries(self) -> bool:
        """Whether there is a place for messages that cannot be followed."""

    async def receive(self) -> Sequence[Message]:
        """Return messages once there are some, or none after a while."""

    async def delete(self, messages: Sequence[Message]) -> int:
        """Have messages not come again; return of how many that is not certain."""

    async def postpone(self, messages: Sequence[Message], *, seconds: int) -> None:
        """Have messages come again after so many seconds."""

    async def bury(self, message: Message, *, reason: str) -> None:
        """Put a copy of a message, with the reason, to those that cannot be followed."""

    async def close(self) -> None:
        """Let connections go."""


class Scanning(Protocol):
    """One object on its way through the scanner."""

    async def feed(self, chunk: bytes) -> None:
        """Have the scanner read on. Raises `ScannerError`."""

    async def clean(self) -> bool:
        """Return the verdict over all that was fed. Raises `ScannerError`."""


class Scanner(Protocol):
    """Looks for malware. It has no verdict on what it did not read."""

    async def assure(self, scan: Scan, size: int) -> None:
        """Return if the scanner reads objects of that size to their end, else `ScannerError`."""

    def open(self, scan: Scan) -> AbstractAsyncContextManager[Scanning]:
        """Begin to scan one object. Raises `ScannerError`."""


#: Writes down how far a share has come, before and after each step outside.
Ledger = Callable[[Steps], Awaitable[None]]


class Signer(Protocol):
    """Makes the statement of who clicked: `Tidegate-Identity`."""

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a compact JWS (EdDSA) over *claims*."""

    def jwks(self) -> Mapping[str, Any]:
        """Return the public keys that verify it, as a JWKS."""


class Journal(Protocol):
    """Where it is noted what happens: log lines and metrics."""

    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        """Note an event. No field may hold content, a secret or an address to respond to."""


class Secrets(Protocol):
    """Where secrets are read from."""

    def read(self, ref: object) -> str:
        """Return the secret that *ref* of the configuration names. Raises `SecretError`."""
