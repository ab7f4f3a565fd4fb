"""A message that is posted once, whatever becomes of the call.

After a call whose end is not known, the message is looked up by the mark that it carries, and
posted again only when it is not there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tidegate.app.transfer import of_slack, patiently
from tidegate.core.model import RunId
from tidegate.core.share import refusal
from tidegate.errors import (
    ShareError,
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
)
from tidegate.ports import Slack

T = TypeVar("T")
#: Posts the message; returns its channel and its ts, or raises `SlackError`.
Post = Callable[[], Awaitable[tuple[str, str]]]
#: Returns what Slack's refusal means. Given what it means where that is not certain.
Meaning = Callable[[SlackError, str], ShareError]

_LOOK_BACK: Final = 60.0  # clocks differ


@dataclass(slots=True)
class Attempt:
    """A post that was begun.

    Attributes:
        begun_at: When it was first tried; seconds since the Unix epoch.
        unclear: It may have come of it: it is looked up before it is tried again.
    """

    begun_at: float
    unclear: bool = False


async def post_once(
    slack: Slack,
    post: Post,
    *,
    channel_id: str,
    thread_ts: str | None,
    mark: RunId,
    attempt: Attempt,
    meaning: Meaning = of_slack,
) -> tuple[str, str]:
    """Post a message unless it is there already, and return its channel and its ts.

    If it raises and `attempt` is not unclear, the message is not there.

    Args:
        slack: Where it is looked up.
        post: Posts it, with the mark as its metadata.
        channel_id: Where it goes.
        thread_ts: Under which message.
        mark: What tells it apart from all others.
        attempt: What is known of earlier tries; it is kept up to date.
        meaning: Says what Slack's refusals mean.

    Raises:
        ShareError: It is not there, or (`unknown`) it may be; then `again` says that it can be
            looked up, and gone on with, in a while.
    """

    async def there() -> str | None:
        return await look_up(
            slack,
            channel_id=channel_id,
            thread_ts=thread_ts,
            mark=mark,
            begun_at=attempt.begun_at,
        )

    async def once() -> tuple[str, str]:
        if attempt.unclear:
            found = await there()
            if found is not None:
                return channel_id, found
        try:
            return await post()
        except SlackError as error:
            attempt.unclear = attempt.unclear or isinstance(error, SlackAmbiguousError)
            raise meaning(error, "slack_unreachable") from error

    try:
        return await patiently(once)
    except ShareError as error:
        if not attempt.unclear:
            raise
        last = error
    # It may have come of the last try, or of one before: that it is not there is not certain.
    try:
        found = await there()
    except ShareError as error:
        raise refusal("unconfirmed", unknown=True, again=error.again) from last
    if found is None:
        raise refusal(
            "unconfirmed", unknown=True, again=last.again and not _unclear(last)
        ) from last
    return channel_id, found


def _unclear(error: ShareError) -> bool:
    return isinstance(error.__cause__, SlackAmbiguousError)


async def look_up(
    slack: Slack, *, channel_id: str, thread_ts: str | None, mark: RunId, begun_at: float
) -> str | None:
    """Return the ts of a message that may have been posted; None if it was not.

    Raises:
        ShareError: Slack did not tell.
    """
    try:
        return await slack.find(
            channel_id=channel_id, thread_ts=thread_ts, run_id=mark, since=begun_at - _LOOK_BACK
        )
    except (SlackBusyError, SlackUnreachableError) as error:
        raise of_slack(error, "slack_unreachable") from error
    except SlackError as error:
        raise refusal("unconfirmed", unknown=True) from error


async def once_at_most(
    act: Callable[[], Awaitable[T]], *, repeatable: bool, meaning: Meaning = of_slack
) -> T:
    """Return what *act* does, which leaves nothing behind that could be looked up.

    Args:
        act: Asks Slack, and raises `SlackError`.
        repeatable: Done twice, it is as if it was done once; else what may have been done is
            not done again.
        meaning: Says what Slack's refusals mean.

    Raises:
        ShareError: It was not done, or (`unknown`) it may have been.
    """

    async def once() -> T:
        try:
            return await act()
        except SlackAmbiguousError as error:
            if not repeatable:
                raise refusal("unconfirmed", unknown=True) from error
            raise meaning(error, "slack_unreachable") from error
        except SlackError as error:
            raise meaning(error, "slack_unreachable") from error

    return await patiently(once)
