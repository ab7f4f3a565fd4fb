"""Channels by their names, against a Slack far end in which names move."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tidegate.adapters.slack_api import SlackClient, SlackFiles, channels
from tidegate.errors import SlackBusyError
from tidegate_dev.slack.far_end import SlackFarEnd


@contextlib.asynccontextmanager
async def slack() -> AsyncIterator[tuple[SlackFarEnd, SlackFiles]]:
    async with SlackFarEnd(limits_enabled=False) as far_end:
        client = SlackClient(api_url=far_end.api_url, token=far_end.bot_token)
        try:
            yield far_end, SlackFiles(client)
        finally:
            await client.close()


def lists(far_end: SlackFarEnd) -> int:
    return [call.method for call in far_end.calls].count("conversations.list")


async def test_a_channel_is_found_by_its_name_with_or_without_a_hash() -> None:
    async with slack() as (far_end, files):
        assert await files.channel_id("ops") == "C0OPS"
        assert await files.channel_id("#reports") == "C0REPORTS"
        assert await files.channel_id("#Ops") == "C0OPS"
        assert lists(far_end) == 1


async def test_a_name_that_went_to_another_channel_is_not_the_old_one_any_more() -> None:
    async with slack() as (far_end, files):
        old = far_end.add_channel("C0OLD", name="finance")
        assert await files.channel_id("finance") == "C0OLD"
        old.name = "finance-open-to-all"
        far_end.add_channel("C0NEW", name="finance")
        assert await files.channel_id("finance") == "C0NEW"


async def test_a_name_that_no_channel_has_any_more_is_none() -> None:
    async with slack() as (far_end, files):
        channel = far_end.add_channel("C0OLD", name="finance")
        assert await files.channel_id("finance") == "C0OLD"
        channel.name = "treasury"
        assert await files.channel_id("finance") is None
        assert await files.channel_id("treasury") == "C0OLD"


async def test_a_channel_that_is_archived_or_gone_is_not_found_by_its_name() -> None:
    async with slack() as (far_end, files):
        archived = far_end.add_channel("C0ARCHIVED", name="archived")
        left = far_end.add_channel("C0LEFT", name="left", is_private=True)
        assert await files.channel_id("archived") == "C0ARCHIVED"
        assert await files.channel_id("left") == "C0LEFT"
        archived.is_archived = True
        left.members.clear()
        assert await files.channel_id("archived") is None
        assert await files.channel_id("left") is None


async def test_when_slack_asks_to_wait_a_known_name_is_not_trusted() -> None:
    async with slack() as (far_end, files):
        assert await files.channel_id("ops") == "C0OPS"
        far_end.faults.methods = "conversations.info"
        far_end.faults.rate_limited = True
        with pytest.raises(SlackBusyError):
            await files.channel_id("ops")


async def test_names_that_only_look_alike_are_different_channels() -> None:
    async with slack() as (far_end, files):
        far_end.add_channel("C0SHARP", name="straße")
        assert await files.channel_id("strasse") is None
        assert await files.channel_id("straße") == "C0SHARP"
        assert await files.channel_id("STRAßE") == "C0SHARP"


async def test_a_channel_of_that_very_name_comes_before_one_that_is_written_so() -> None:
    async with slack() as (far_end, files):
        far_end.add_channel("C0ACCENT", name="café", name_normalized="cafe")
        assert await files.channel_id("cafe") == "C0ACCENT"
        far_end.add_channel("C0PLAIN", name="cafe")
        assert await files.channel_id("cafe") == "C0PLAIN"
        assert await files.channel_id("café") == "C0ACCENT"


async def test_of_two_channels_that_are_written_alike_none_is_meant() -> None:
    async with slack() as (far_end, files):
        far_end.add_channel("C0ACUTE", name="café", name_normalized="cafe")
        far_end.add_channel("C0GRAVE", name="cafè", name_normalized="cafe")
        assert await files.channel_id("cafe") is None


async def test_names_that_no_channel_has_cost_one_list_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with slack() as (far_end, files):
        for n in range(20):
            assert await files.channel_id(f"nobody-{n}") is None
        assert lists(far_end) == 1
        far_end.add_channel("C0NEW", name="nobody-1")
        assert await files.channel_id("nobody-1") is None
        monkeypatch.setattr(channels, "MISSED_SECONDS", 0.0)  # a moment later
        assert await files.channel_id("nobody-1") == "C0NEW"


async def test_many_who_ask_at_once_are_one_list() -> None:
    async with slack() as (far_end, files):
        found = await asyncio.gather(*(files.channel_id("ops") for _ in range(20)))
        assert set(found) == {"C0OPS"}
        assert lists(far_end) == 1


async def test_a_list_that_breaks_off_leaves_nothing_to_be_trusted() -> None:
    async with slack() as (far_end, files):
        far_end.faults.methods = "conversations.list"
        far_end.faults.rate_limited = True
        with pytest.raises(SlackBusyError):
            await files.channel_id("ops")
        far_end.faults.rate_limited = False
        assert await files.channel_id("ops") == "C0OPS"
