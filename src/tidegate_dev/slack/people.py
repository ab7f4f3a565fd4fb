"""Who and what a workspace consists of: people, bots, user groups and channels."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class User:
    """A member of the workspace; a bot user has `bot_id`."""

    id: str
    handle: str
    name: str
    title: str = ""
    color: str = "4a6fa5"
    team_id: str = ""
    bot_id: str | None = None
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    deleted: bool = False

    @property
    def is_bot(self) -> bool:
        """Whether this is a bot user."""
        return self.bot_id is not None

    @property
    def initials(self) -> str:
        """Return at most two letters that stand for the person."""
        return "".join(part[0] for part in self.name.split()[:2]).upper()

    def as_api(self) -> dict[str, Any]:
        """Return the user object of users.info."""
        profile: dict[str, Any] = {
            "title": self.title,
            "real_name": self.name,
            "real_name_normalized": self.name,
            "display_name": self.handle,
            "display_name_normalized": self.handle,
            "team": self.team_id,
        }
        if self.bot_id is not None:
            profile["bot_id"] = self.bot_id
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.handle,
            "deleted": self.deleted,
            "color": self.color,
            "real_name": self.name,
            "tz": "Europe/Dublin",
            "tz_label": "Greenwich Mean Time",
            "tz_offset": 0,
            "profile": profile,
            "is_admin": False,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": self.is_restricted,
            "is_ultra_restricted": self.is_ultra_restricted,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "is_stranger": self.is_stranger,
            "is_email_confirmed": not self.is_bot,
            "updated": 1700000000,
        }


@dataclass(slots=True, kw_only=True)
class UserGroup:
    """A user group (`@handle`); *locked* is Slack's `is_membership_locked`."""

    id: str
    handle: str
    name: str
    team_id: str = ""
    users: list[str] = field(default_factory=list)
    locked: bool = True
    idp: bool = False
    disabled: bool = False

    def as_api(self, *, include_users: bool, include_count: bool) -> dict[str, Any]:
        """Return the usergroup object of usergroups.list."""
        group: dict[str, Any] = {
            "id": self.id,
            "team_id": self.team_id,
            "is_usergroup": True,
            "is_subteam": True,
            "name": self.name,
            "description": "",
            "handle": self.handle,
            "is_external": False,
            "is_idp_group": self.idp,
            "is_membership_locked": self.locked,
            "is_editing_restricted": self.locked,
            "date_create": 1700000000,
            "date_update": 1700000000,
            "date_delete": 1700000001 if self.disabled else 0,
            "auto_type": None,
            "auto_provision": False,
            "enterprise_subteam_id": "",
            "created_by": "",
            "updated_by": "",
            "deleted_by": None,
            "prefs": {"channels": [], "groups": []},
        }
        if include_users:
            group["users"] = list(self.users)
        if include_count:
            group["user_count"] = len(self.users)
        return group


@dataclass(slots=True, kw_only=True)
class Channel:
    """A channel, or a direct message of the bot with *im_user*, or with several (`is_mpim`)."""

    id: str
    name: str
    name_normalized: str = ""  # the name, if that needs no change
    topic: str = ""
    members: set[str] = field(default_factory=set)
    is_private: bool = False
    is_mpim: bool = False
    is_archived: bool = False
    is_ext_shared: bool = False
    im_user: str | None = None
    unread: int = 0

    @property
    def kind(self) -> str:
        """Return the type as conversations.list names it."""
        if self.im_user is not None:
            return "im"
        if self.is_mpim:
            return "mpim"
        return "private_channel" if self.is_private else "public_channel"

    def as_api(self, *, bot_user: str) -> dict[str, Any]:
        """Return the conversation object as the bot sees it."""
        if self.im_user is not None:
            return {
                "id": self.id,
                "created": 1700000000,
                "is_im": True,
                "is_org_shared": False,
                "is_archived": self.is_archived,
                "user": self.im_user,
                "is_user_deleted": False,
            }
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name_normalized or self.name,
            "is_channel": not self.is_mpim,
            "is_group": self.is_mpim,
            "is_im": False,
            "is_mpim": self.is_mpim,
            "is_private": self.is_private or self.is_mpim,
            "is_archived": self.is_archived,
            "is_general": False,
            "is_shared": self.is_ext_shared,
            "is_org_shared": False,
            "is_ext_shared": self.is_ext_shared,
            "is_pending_ext_shared": False,
            "is_member": bot_user in self.members,
            "created": 1700000000,
            "creator": "",
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
            "previous_names": [],
            "num_members": len(self.members),
        }
