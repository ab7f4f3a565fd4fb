"""The queue that tells of objects that appear, by its attributes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tidegate.core.diagnosis.finding import Finding, Seen, Words, duration, finding

#: Recording ten messages takes as many seconds at worst.
LEAST_HIDDEN_SECONDS: Final = 30
_HOST: Final = re.compile(r"https://sqs\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/.*")
_KEYS: Final = (
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignature",
    "InvalidToken",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClient",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What SQS answered to GetQueueAttributes.

    Attributes:
        status: The HTTP status; 0 where no answer came.
        kind: SQS's name for a failure, without «Exception»; empty for none.
        attributes: The queue's own words for itself.
    """

    status: int
    kind: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """Return an attribute that is a number; None if it is not there."""
        text = self.attributes.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


WORDS: Final[Mapping[str, Words]] = {
    "queue.other_region": Words(
        what="the queue is in {there}, and requests are signed for {region}",
        why="a signature holds in one region",
        mend="write s3.events.region: {there}",
    ),
    "queue.unreachable": Words(
        what="SQS does not answer",
        why="the gateway's place has no way there",
        mend="add an interface endpoint for sqs to the VPC, or a way out",
    ),
    "queue.missing": Words(
        what="there is no queue {url}",
        why="the address is a slip, or it was deleted",
        mend="copy the queue's URL as SQS shows it",
    ),
    "queue.keys_refused": Words(
        what="SQS does not take the credentials ({kind})",
        why="they were deleted, have expired, or lack their session token",
        mend="take new ones: key id, secret key and session token belong together",
    ),
    "queue.not_understood": Words(
        what="what answers is not SQS ({status})",
        why="the address leads elsewhere, or a proxy answers",
        mend="copy the queue's URL as SQS shows it",
    ),
    "queue.busy": Words(
        what="SQS asks to wait",
        why="the queue or the account is asked too often",
        mend="run the check again in a while",
        grave=False,
    ),
    "queue.no_dead_letters": Words(
        what="messages that cannot be followed have nowhere to go",
        why="the queue has no redrive policy and dead_letter_url names no queue, so that they "
        "come back until they are too old",
        mend="give the queue a dead-letter queue (RedrivePolicy), or write dead_letter_url",
    ),
    "queue.hidden_too_short": Words(
        what="messages come back after {hidden}",
        why="while the gateway still records them, another one gets them: each is recorded twice, "
        "though carried out once",
        mend="set the queue's visibility timeout to 30 s or more",
        grave=False,
    ),
    "queue.dead_letters_missing": Words(
        what="there is no queue for what cannot be followed: {url}",
        why="such messages would come back for ever",
        mend="make the queue, or correct dead_letter_url",
    ),
    "queue.dead_letters_waiting": Words(
        what="{count} messages wait among those that could not be followed",
        why="each is an object that was not shared, with the reason beside it (TidegateReason)",
        mend="look at them, mend the reason, and move them back (StartMessageMoveTask)",
        grave=False,
    ),
}

UNTOLD: Final = "the right sqs:GetQueueAttributes is missing, which only this check needs"


def region(url: str, *, signed_for: str) -> Finding | None:
    """Return a finding if a queue lies in another region than its requests are signed for."""
    match = _HOST.fullmatch(url)
    if match is None or match["region"] == signed_for:
        return None
    return finding(WORDS, "queue.other_region", there=match["region"], region=signed_for)


def queue(seen: Look, *, url: str, buried: bool) -> Seen:
    """Judge the queue that is read; *buried*: the configuration names one for the unfollowed."""
    failed = _failed(seen, url=url, missing="queue.missing")
    if failed is not None:
        return failed
    found = []
    if "RedrivePolicy" not in seen.attributes and not buried:
        found.append(finding(WORDS, "queue.no_dead_letters"))
    hidden = seen.number("VisibilityTimeout")
    if hidden is not None and hidden < LEAST_HIDDEN_SECONDS:
        found.append(finding(WORDS, "queue.hidden_too_short", hidden=duration(hidden)))
    waiting = seen.number("ApproximateNumberOfMessages") or 0
    return Seen(said=f"{waiting} waiting", findings=tuple(found))


def dead_letters(seen: Look, *, url: str) -> Seen:
    """Judge the queue for what cannot be followed."""
    failed = _failed(seen, url=url, missing="queue.dead_letters_missing")
    if failed is not None:
        return failed
    count = seen.number("ApproximateNumberOfMessages") or 0
    found = (finding(WORDS, "queue.dead_letters_waiting", count=count),) if count else ()
    return Seen(said=f"{count} waiting", findings=found)


def _failed(seen: Look, *, url: str, missing: str) -> Seen | None:
    kind = seen.kind.removesuffix("Exception")
    if not kind and seen.status == 200:
        return None
    if seen.status == 0:
        return Seen(findings=(finding(WORDS, "queue.unreachable"),))
    if kind in ("QueueDoesNotExist", "NonExistentQueue", "ResourceNotFound"):
        return Seen(findings=(finding(WORDS, missing, url=url),))
    if kind in _KEYS:
        return Seen(findings=(finding(WORDS, "queue.keys_refused", kind=kind),))
    if kind == "AccessDenied" or seen.status in (401, 403):
        return Seen(untold=UNTOLD)
    if seen.status == 429 or "Throttl" in kind:
        return Seen(findings=(finding(WORDS, "queue.busy"),))
    return Seen(findings=(finding(WORDS, "queue.not_understood", status=seen.status),))
