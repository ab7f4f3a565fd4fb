import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from typing_extensions import override

from tidegate.app.errand import MAX_UNDER_WAY, Errands
from tidegate.errors import (
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
)
from tidegate.ports import Slack

URL = "https://hooks.slack.com/actions/secret"


@dataclass
class Notes:
    """Keeps what is noted."""

    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    noted: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        self.lines.append((event, {"level": level, **fields}))
        self.noted.set()

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.lines]


@dataclass
class Mouth:
    """Slack as far as notices go."""

    respond_error: SlackError | None = None
    ephemeral_error: SlackError | None = None
    said: list[tuple[str, Any]] = field(default_factory=list)

    async def respond(self, response_url: str, body: Any) -> None:
        self.said.append(("respond", body))
        if self.respond_error is not None:
            raise self.respond_error

    async def ephemeral(self, *, channel_id: str | None, user_id: str, text: str) -> None:
        self.said.append(("ephemeral", (channel_id, user_id, text)))
        if self.ephemeral_error is not None:
            raise self.ephemeral_error

    @property
    def ways(self) -> list[str]:
        return [way for way, _ in self.said]


async def notice(mouth: Mouth, notes: Notes, response_url: str | None = URL) -> bool | None:
    return await Errands(notes).notice(
        cast(Slack, mouth),
        text="not you",
        user_id="U0ADA",
        channel_id="C0OPS",
        response_url=response_url,
    )


async def test_a_notice_goes_to_the_response_url_and_nowhere_else() -> None:
    mouth, notes = Mouth(), Notes()
    assert await notice(mouth, notes)
    body = {"response_type": "ephemeral", "replace_original": False, "text": "not you"}
    assert mouth.said == [("respond", body)]
    assert notes.lines == []


async def test_without_a_response_url_it_goes_to_the_channel() -> None:
    mouth = Mouth()
    assert await notice(mouth, Notes(), None)
    assert mouth.said == [("ephemeral", ("C0OPS", "U0ADA", "not you"))]


@pytest.mark.parametrize(
    "error", [SlackError("expired_url"), SlackBusyError(3.0), SlackUnreachableError()]
)
async def test_where_the_response_url_did_nothing_the_channel_is_next(error: SlackError) -> None:
    mouth, notes = Mouth(respond_error=error), Notes()
    assert await notice(mouth, notes)
    assert mouth.ways == ["respond", "ephemeral"]
    assert notes.events == ["response_url_refused"]


async def test_after_an_ambiguous_failure_nothing_is_said_twice() -> None:
    mouth, notes = Mouth(respond_error=SlackAmbiguousError()), Notes()
    assert not await notice(mouth, notes)
    assert mouth.ways == ["respond"]
    assert notes.events == ["notice_failed"]


async def test_a_notice_that_slack_did_not_take_is_noted_without_its_address() -> None:
    mouth, notes = Mouth(SlackError("used_url"), SlackError("no_channel")), Notes()
    assert not await notice(mouth, notes)
    assert notes.events == ["response_url_refused", "notice_failed"]
    assert "hooks.slack.com" not in str(notes.lines)
    assert "not you" not in str(notes.lines)


async def test_who_cannot_be_told_in_the_channel_is_told_directly() -> None:
    class NotThere(Mouth):
        @override
        async def ephemeral(self, *, channel_id: str | None, user_id: str, text: str) -> None:
            await super().ephemeral(channel_id=channel_id, user_id=user_id, text=text)
            if channel_id is not None:
                raise SlackError("user_not_in_channel")

    mouth = NotThere()
    assert await notice(mouth, Notes(), None) is True
    assert [said[0] for _, said in mouth.said] == ["C0OPS", None]


async def test_what_was_certainly_not_said_is_told_apart_from_what_may_have_been() -> None:
    assert await notice(Mouth(ephemeral_error=SlackBusyError(3.0)), Notes(), None) is False
    assert await notice(Mouth(ephemeral_error=SlackAmbiguousError()), Notes(), None) is None


# --- what is under way ----------------------------------------------------------------------


async def test_errands_are_done_after_the_answer_and_waited_for() -> None:
    errands, done = Errands(Notes()), asyncio.Event()

    async def errand() -> None:
        await asyncio.sleep(0)
        done.set()

    errands.start(errand())
    assert not done.is_set()
    await errands.drain(5)
    assert done.is_set()


async def test_an_errand_that_hangs_is_ended_when_the_time_is_up() -> None:
    errands, ended = Errands(Notes()), asyncio.Event()

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    errands.start(hangs())
    await asyncio.sleep(0)
    await errands.drain(0.01)
    assert ended.is_set()


async def test_with_nothing_under_way_there_is_nothing_to_wait_for() -> None:
    await asyncio.wait_for(Errands(Notes()).drain(60), 1)


async def test_errands_are_bounded_and_what_is_dropped_is_noted() -> None:
    notes = Notes()
    errands, go_on, done = Errands(notes), asyncio.Event(), []

    async def errand(number: int) -> None:
        await go_on.wait()
        done.append(number)

    for number in range(MAX_UNDER_WAY + 3):
        errands.start(errand(number))
    assert notes.events == ["notice_dropped"] * 3
    go_on.set()
    await errands.drain(5)
    assert done == list(range(MAX_UNDER_WAY))
    errands.start(errand(-1))
    await errands.drain(5)
    assert done[-1] == -1
