"""Small things done after the answer is out: notices to one person.

They are bounded in number, never hold up an answer, and are waited for at shutdown.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from tidegate.errors import (
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
)
from tidegate.ports import Journal, Slack

MAX_UNDER_WAY: Final = 500


class Errands:
    """Keeps what was started after an answer alive until it is done."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self, errand: Coroutine[Any, Any, object]) -> asyncio.Task[object] | None:
        """Do *errand* soon; beyond `MAX_UNDER_WAY` it is dropped, and that is noted.

        Returns the task, which nobody needs to await; None if it was dropped.
        """
        if len(self._tasks) >= MAX_UNDER_WAY:
            errand.close()
            self._journal.note("notice_dropped", level="warning", under_way=len(self._tasks))
            return None
        task = asyncio.ensure_future(errand)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self, seconds: float) -> None:
        """Wait for what is under way, *seconds* at most, then end the rest."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def notice(
        self,
        slack: Slack,
        *,
        text: str,
        user_id: str,
        channel_id: str | None,
        response_url: str | None,
    ) -> bool | None:
        """Show *text* to one person: by the response URL, else in the channel, else directly.

        Returns True if Slack took it, False if certainly nothing was shown, None if that is
        not known: then nothing is said twice.
        """
        try:
            if response_url is not None and await self._respond(slack, response_url, text):
                return True
            await self._show(slack, text=text, user_id=user_id, channel_id=channel_id)
        except SlackError as error:
            self._journal.note("notice_failed", level="warning", reason=error.code)
            return None if isinstance(error, SlackAmbiguousError) else False
        return True

    async def _respond(self, slack: Slack, response_url: str, text: str) -> bool:
        body = {"response_type": "ephemeral", "replace_original": False, "text": text}
        try:
            await slack.respond(response_url, body)
        except SlackAmbiguousError:
            raise
        except SlackError as error:  # used up, expired, or not reachable: there are other ways
            self._journal.note("response_url_refused", reason=error.code)
            return False
        return True

    async def _show(self, slack: Slack, *, text: str, user_id: str, channel_id: str | None) -> None:
        try:
            await slack.ephemeral(channel_id=channel_id, user_id=user_id, text=text)
        except (SlackAmbiguousError, SlackBusyError, SlackUnreachableError):
            raise
        except SlackError:
            if channel_id is None:
                raise
            await slack.ephemeral(channel_id=None, user_id=user_id, text=text)
