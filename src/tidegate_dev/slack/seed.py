"""The people and channels that a workspace starts with."""

from typing import Final

from tidegate_dev.slack.messages import Clock
from tidegate_dev.slack.people import Channel, User, UserGroup
from tidegate_dev.slack.state import Identity, Workspace

COMMANDS: Final = (
    {
        "command": "/deploy",
        "usage": "web 2.4.1",
        "description": "Deploy a version of a service to staging",
    },
    {"command": "/status", "usage": "web", "description": "Show how a service is doing"},
    {
        "command": "/share",
        "usage": "q3/report.pdf",
        "description": "Upload a file from the bucket to this channel",
    },
)


def seeded_workspace(identity: Identity | None = None, *, clock: Clock | None = None) -> Workspace:
    """Return a workspace with Ada, Grace, a guest, their groups, three channels and the bot."""
    workspace = Workspace(identity, clock=clock)
    who = workspace.identity
    for user in (
        User(id="U0ADA", handle="ada", name="Ada", title="dev", color="2f6f5e"),
        User(id="U0GRACE", handle="grace", name="Grace", title="sre", color="7a4fa3"),
        User(
            id="U0GUEST",
            handle="guest",
            name="Guest",
            title="guest",
            color="8a6d3b",
            is_restricted=True,
        ),
        User(
            id=who.bot_user_id,
            handle="tidegate",
            name="Tidegate",
            color="0b3d4f",
            bot_id=who.bot_id,
        ),
    ):
        workspace.add_user(user)
    workspace.add_group(
        UserGroup(
            id="S0DEPLOYERS", handle="deployers", name="Deployers", users=["U0ADA", "U0GRACE"]
        )
    )
    workspace.add_group(UserGroup(id="S0SRE", handle="sre", name="SRE", users=["U0GRACE"]))
    for channel_id, name, topic in (
        ("C0OPS", "ops", "Deploys and the health of what runs"),
        ("C0REPORTS", "reports", "What went out, and how it went"),
        ("C0INCIDENTS", "incidents", "When something is on fire"),
    ):
        members = set(workspace.users)
        workspace.add_channel(Channel(id=channel_id, name=name, topic=topic, members=members))
    workspace.commands = [dict(command) for command in COMMANDS]
    return workspace
