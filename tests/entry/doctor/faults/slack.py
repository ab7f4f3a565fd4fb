"""What can be wrong in Slack, and with the token for it."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.entry.doctor.faults.fault import Config, During, Fault, allow, well
from tests.far_ends.live import Live
from tests.ports import free_port
from tidegate_dev.slack.people import Channel, UserGroup


def with_scopes(*, without: str = "", extra: str = "") -> During:
    @asynccontextmanager
    async def during(live: Live, _: Config) -> AsyncIterator[None]:
        before = set(live.slack.workspace.scopes)
        live.slack.workspace.scopes -= {without}
        live.slack.workspace.scopes |= {extra} - {""}
        yield
        live.slack.workspace.scopes = before

    return during


def with_channel(channel_id: str, **keys: Any) -> During:
    @asynccontextmanager
    async def during(live: Live, _: Config) -> AsyncIterator[None]:
        channel: Channel = live.slack.workspace.channels[channel_id]
        before = dataclasses.replace(channel, members=set(channel.members))
        for name, value in keys.items():
            setattr(channel, name, value)
        yield
        live.slack.workspace.channels[channel_id] = before

    return during


def without_bot(channel_id: str) -> During:
    return with_channel(channel_id, members={"U0ADA"})


def with_group(**keys: Any) -> During:
    @asynccontextmanager
    async def during(live: Live, _: Config) -> AsyncIterator[None]:
        group: UserGroup = live.slack.workspace.groups["S0SRE"]
        before = dataclasses.replace(group)
        for name, value in keys.items():
            setattr(group, name, value)
        yield
        live.slack.workspace.groups["S0SRE"] = before

    return during


@asynccontextmanager
async def deactivated(live: Live, _: Config) -> AsyncIterator[None]:
    live.slack.workspace.users["U0ADA"].deleted = True
    yield
    live.slack.workspace.users["U0ADA"].deleted = False


def slack_at(find: Callable[[Live], str]) -> During:
    @asynccontextmanager
    async def during(live: Live, config: Config) -> AsyncIterator[None]:
        config["slack"]["api_url"] = find(live)
        yield

    return during


SLACK = [
    Fault(
        name="the token was revoked",
        codes={"slack.token_refused"},
        during=well(),
        environ={"SLACK_BOT_TOKEN": "xoxb-another-0123456789"},
    ),
    Fault(
        name="the token is not there",
        codes={"secret.missing"},
        during=well(),
        environ={"SLACK_BOT_TOKEN": None},
    ),
    Fault(
        name="the signing secret is a token",
        codes={"secret.mixed_up"},
        during=well(),
        environ={"SLACK_SIGNING_SECRET": "xoxb-in-the-wrong-place"},
    ),
    Fault(
        name="a scope is missing",
        codes={"slack.scope_missing"},
        during=with_scopes(without="usergroups:read"),
    ),
    Fault(
        name="a scope is missing that it could do without",
        codes={"slack.scope_wished"},
        during=with_scopes(without="channels:history"),
    ),
    Fault(
        name="a scope is not used",
        codes={"slack.scope_unused"},
        during=with_scopes(extra="admin.users:write"),
    ),
    Fault(
        name="a channel does not exist",
        codes={"slack.channel_unknown"},
        during=allow(users=["U0ADA"], channels=["C0NOWHERE"]),
    ),
    Fault(
        name="a channel is archived",
        codes={"slack.channel_archived"},
        during=with_channel("C0REPORTS", is_archived=True),
    ),
    Fault(
        name="the app is not where it shares",
        codes={"slack.not_in_channel"},
        during=without_bot("C0REPORTS"),
    ),
    Fault(
        name="the app is not where actions are allowed",
        codes={"slack.not_in_action_channel"},
        during=without_bot("C0OPS"),
    ),
    Fault(
        name="a channel is shared with others",
        codes={"slack.channel_external"},
        during=with_channel("C0REPORTS", is_ext_shared=True),
    ),
    Fault(
        name="a user group does not exist",
        codes={"slack.group_unknown"},
        during=allow(user_groups=["S0NOBODY"], channels=["C0OPS"]),
    ),
    Fault(
        name="anyone can join a user group",
        codes={"slack.group_unlocked"},
        during=with_group(locked=False),
    ),
    Fault(
        name="a user group is empty",
        codes={"slack.group_empty"},
        during=with_group(users=[]),
    ),
    Fault(
        name="a person does not exist",
        codes={"slack.user_unknown"},
        during=allow(users=["U0NOBODY"], channels=["C0OPS"]),
    ),
    Fault(name="a person has left", codes={"slack.user_gone"}, during=deactivated),
    Fault(
        name="Slack is another service",
        codes={"slack.not_understood"},
        during=slack_at(lambda live: f"{live.s3.url}/api/"),
    ),
    Fault(
        name="nothing listens where Slack should",
        codes={"tcp.refused"},
        during=slack_at(lambda _: f"http://127.0.0.1:{free_port()}/api/"),
    ),
]
