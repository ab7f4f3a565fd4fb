"""The journey of a message: new, in a thread, in place of one of ours, or for one person only."""

from dataclasses import replace
from typing import Final

from tidegate.app.post import Attempt, once_at_most, post_once
from tidegate.app.transfer import of_slack
from tidegate.core import message as messages
from tidegate.core.block_kit import fallback
from tidegate.core.message import Message, Sent
from tidegate.core.model import RunId
from tidegate.core.share import refusal
from tidegate.errors import (
    ShareError,
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
)
from tidegate.ports import Clock, Slack

_NOT_THERE: Final = ("channel_not_found", "invalid_channel")


class Sending:
    """Sends messages."""

    def __init__(self, *, slack: Slack, clock: Clock) -> None:
        self._slack = slack
        self._clock = clock

    async def plan(self, message: Message) -> Sent:
        """Return what would be sent, having checked all that can be without sending anything.

        Raises:
            ShareError: It would be refused.
        """
        message, notes = _admitted(message)
        known = await self.look_for(message.channel_id)
        return Sent(message=message, channel_id=message.channel_id, notes=(*notes, *known))

    async def look_for(self, channel_id: str) -> tuple[str, ...]:
        """Return if Slack has that channel, or a note that it did not tell.

        Raises:
            ShareError: It has not.
        """
        try:
            await self._slack.channel_external(channel_id)
        except (SlackBusyError, SlackUnreachableError, SlackAmbiguousError) as error:
            raise of_slack(error, "slack_unreachable") from error
        except SlackError as error:
            if error.code in _NOT_THERE:
                raise refusal("channel_not_found") from error
            return (f"Slack did not tell whether there is that channel ({error.code}).",)
        return ()

    async def send(self, message: Message) -> Sent:
        """Send a message, once.

        Raises:
            ShareError: It was not sent, or (`unknown`) it may have been.
        """
        message, notes = _admitted(message)
        channel_id, ts = await self._send(message)
        return Sent(message=message, channel_id=channel_id, ts=ts, notes=notes)

    async def _send(self, message: Message) -> tuple[str, str | None]:
        if message.update_ts is not None:
            await self._update(message, message.update_ts)
            return message.channel_id, message.update_ts
        if message.only_for is not None:
            await self._whisper(message, message.only_for)
            return message.channel_id, None
        mark = RunId(message.id)

        async def post() -> tuple[str, str]:
            return await self._slack.post(
                channel_id=message.channel_id,
                text=message.text,
                blocks=message.blocks,
                thread_ts=message.thread_ts,
                run_id=mark,
            )

        return await post_once(
            self._slack,
            post,
            channel_id=message.channel_id,
            thread_ts=message.thread_ts,
            mark=mark,
            attempt=Attempt(begun_at=self._clock.now()),
            meaning=_meaning,
        )

    async def _update(self, message: Message, ts: str) -> None:
        async def act() -> None:
            await self._slack.update(
                channel_id=message.channel_id, ts=ts, text=message.text, blocks=message.blocks
            )

        await once_at_most(act, repeatable=True, meaning=_meaning)

    async def _whisper(self, message: Message, user_id: str) -> None:
        async def act() -> None:
            await self._slack.ephemeral(
                channel_id=message.channel_id,
                user_id=user_id,
                text=message.text,
                blocks=message.blocks,
                thread_ts=message.thread_ts,
            )

        await once_at_most(act, repeatable=False, meaning=_meaning)


def _admitted(message: Message) -> tuple[Message, tuple[str, ...]]:
    """Return a message that Slack takes, with a text for notifications, and notes on it."""
    notes = messages.admit(message)
    if not message.text.strip():
        message = replace(message, text=fallback(message.blocks))
    return message, notes


def _meaning(error: SlackError, unclear: str) -> ShareError:
    """Return what Slack's refusal means for a message."""
    if error.code in messages.BY_SLACK:
        return messages.refusal(messages.BY_SLACK[error.code])
    return of_slack(error, unclear)
