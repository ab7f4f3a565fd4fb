"""The words of the domain as values: who did what, what was decided, what became of it.

All are frozen. What is made anew for every request, on the way to its acknowledgement, is a
msgspec struct, which is made in a fifth of a dataclass's time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NewType

import msgspec

from tidegate.core.steps import Steps

RunId = NewType("RunId", str)

# Crockford's base 32, as in a ULID: sorts by time, no look-alike letters.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_SHIFTS: Final = tuple(range(120, -1, -10))


def run_id(now: float, entropy: bytes) -> RunId:
    """Return a 26-character id that sorts by time.

    Args:
        now: Seconds since the Unix epoch.
        entropy: Ten random bytes.
    """
    number = (int(now * 1000) << 80) | int.from_bytes(entropy[:10], "big")
    return RunId("".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS]))


class Kind(StrEnum):
    """What Slack sent."""

    BLOCK_ACTIONS = "block_actions"
    COMMAND = "command"
    SHORTCUT = "shortcut"
    MESSAGE_ACTION = "message_action"
    VIEW_SUBMISSION = "view_submission"
    VIEW_CLOSED = "view_closed"
    BLOCK_SUGGESTION = "block_suggestion"
    EVENT = "event"
    URL_VERIFICATION = "url_verification"
    API = "api"  # of a named caller of our own listener, not of Slack
    OBJECT = "s3_event"  # an object appeared in S3
    OTHER = "other"


#: What no person in Slack asked for: there is nobody to authorise, nor to tell.
UNATTENDED: Final = frozenset({Kind.API, Kind.OBJECT})


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it. None means: not known from the payload."""

    user_id: str
    user_name: str = ""
    team_id: str | None = None
    enterprise_id: str | None = None


class SlackMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The message that carries the element a person used."""

    channel_id: str
    ts: str
    thread_ts: str | None = None
    bot_id: str | None = None
    ephemeral: bool = False
    text: str = ""
    blocks: tuple[Mapping[str, Any], ...] = ()


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """What Slack sent, verified and parsed."""

    kind: Kind
    actor: Actor
    team_id: str | None = None
    enterprise_id: str | None = None
    enterprise_install: bool = False
    channel_id: str | None = None
    container_id: str = ""  # message ts or view id
    message: SlackMessage | None = None
    block_id: str = ""
    trigger: str = ""  # action id, command, callback id: what routes match
    action_ts: str = ""
    value: str = ""  # the element's value, or what was picked, as one string
    selected: str | None = None
    label: str = ""  # the text on the element
    link: bool = False  # a button that only opens a page
    text: str = ""  # of a command
    state: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    input_blocks: tuple[str, ...] = ()
    view_hash: str = ""
    trigger_id: str = ""
    event_id: str = ""
    challenge: str = ""
    response_url: str | None = None


class State(StrEnum):
    """Where a run is; the transitions are in `tidegate.core.lifecycle`."""

    RECEIVED = "received"
    AWAITING_APPROVAL = "awaiting_approval"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    QUEUED = "queued"
    SENDING = "sending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far long work has come."""

    phase: str = ""
    done: int | None = None
    total: int | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The durable record of one accepted request, to its final outcome.

    Times are seconds since the Unix epoch, UTC.
    """

    id: RunId
    kind: Kind
    action: str  # the action's name in the configuration
    action_id: str  # Slack's
    pathway: str
    state: State
    team_id: str
    enterprise_id: str | None = None
    user_id: str
    user_name: str = ""
    user_team_id: str | None = None
    channel_id: str | None = None
    message_ts: str | None = None
    thread_ts: str | None = None
    block_id: str = ""
    value_digest: str = ""
    label: str = ""
    params: Mapping[str, Any] = msgspec.field(default_factory=dict)
    delivery_key: str
    effect_key: str | None = None  # None where there is none, or once it was given back
    sure: bool = True  # who asks is known to be allowed: the effect key cannot go to another
    repeat: bool = False  # the effect key is given back when the run ends, however it ends
    idempotent: bool
    parent_id: RunId | None = None
    view_id: int | None = None
    response_url: str | None = None
    created_at: float
    updated_at: float
    start_by: float
    deadline_at: float
    next_at: float | None = None  # when a worker should take it up; None: nothing to do
    started_at: float | None = None  # a request was first sent
    finished_at: float | None = None
    attempts: int = 0
    polls: int = 0
    location: str | None = None  # path that tells of long work
    reason: str = ""  # an error class of ours, never foreign text
    http_status: int | None = None
    status_text: str = ""  # foreign, cut
    message: str = ""  # foreign, cut
    progress: Progress | None = None
    steps: Steps | None = None  # of a share: how far it has come


class ViewDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The message that will tell of a run.

    With `ts`: a message of our own, whose original blocks are kept at the first
    click. Without: a message still to be posted, one for the run.
    """

    channel_id: str
    ts: str | None = None
    thread_ts: str | None = None
    text: str = ""
    blocks: tuple[Mapping[str, Any], ...] = ()


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is to be recorded, with what the store needs to decide on it."""

    run: Run
    state: State  # where it goes once its request has been answered: queued, or awaiting …
    view: ViewDraft | None = None
    rate: tuple[int, float] | None = None  # count, seconds; per user and action


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The run is committed."""

    run_id: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """The delivery was known: the same request again. Nothing new was written."""

    run_id: RunId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The intent was known: another press of the same button. The run it belongs to."""

    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """The person has used the action too often; it opens again at `retry_at`."""

    retry_at: float


RecordResult = Recorded | Duplicate | Joined | Limited


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that was refused at intake: an audit entry, not a run."""

    at: float
    delivery_key: str
    reason: str
    action: str | None
    team_id: str | None
    user_id: str
    channel_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit log."""

    seq: int
    at: float
    run_id: RunId | None
    event: str  # a transition («queued → sending») or what else happened
    actor: str  # a user id, «worker», «operator:<name>»
    action: str | None
    reason: str = ""
    user_id: str | None = None
    channel_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a worker writes about a run in one step; None leaves a field as it is.

    `next_at` is always written. A change without a new state is progress.
    """

    state: State | None = None
    next_at: float | None = None
    reason: str | None = None
    http_status: int | None = None
    status_text: str | None = None
    message: str | None = None
    location: str | None = None
    progress: Progress | None = None
    steps: Steps | None = None
    started_at: float | None = None
    attempt: bool = False  # count one more attempt
    poll: bool = False  # count one more poll
    release_effect: bool = False
    keep_lease: bool = False
    actor: str = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A run that this worker alone may work on until the lease ends."""

    run: Run
    token: str


class Posting(StrEnum):
    """How far a message of ours has come."""

    NONE = "none"  # nothing was posted yet
    INTENT = "intent"  # a post was about to go out
    AMBIGUOUS = "ambiguous"  # whether it arrived is not known
    POSTED = "posted"  # ts is known
    GIVEN_UP = "given_up"  # nothing more will be posted


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A message in Slack as a view over its runs, leased to one renderer."""

    id: int
    team_id: str
    channel_id: str
    ts: str | None
    thread_ts: str | None
    own: bool  # the message was there before the run
    text: str
    blocks: tuple[Mapping[str, Any], ...]
    version: int
    posting: Posting
    intent_at: float | None
    intent_final: bool  # the post in question carried a final state
    lookups: int
    failures: int
    told_at: float  # when what it shows now was read; 0: nothing was told yet
    token: str
    runs: tuple[Run, ...]
