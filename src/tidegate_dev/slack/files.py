"""A file, as the workspace keeps it and as the Web API tells it.

Source: https://docs.slack.dev/reference/objects/file-object/
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from tidegate_dev.slack.file_types import FileType
from tidegate_dev.slack.people import Channel

SNIPPET_BYTES: Final = 1024 * 1024
_LISTS: Final = {"public_channel": "channels", "private_channel": "groups", "im": "ims"}

State = Literal["promised", "uploading", "broken", "uploaded", "processing", "ready", "deleted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One message that carries a file."""

    channel: Channel
    ts: str
    thread_ts: str | None = None


@dataclass(slots=True, kw_only=True)
class File:
    """One file; *size* is what was promised, and nothing else is taken.

    *path* holds the bytes where those are kept. *displayed* are the ids of channels in which
    an image block shows it: who sees the message sees the picture.
    """

    id: str
    name: str
    size: int
    user: str
    team: str
    address: str
    created: float
    title: str = ""
    alt_text: str = ""
    snippet_type: str = ""
    state: State = "promised"
    type: FileType | None = None
    sha256: str = ""
    path: Path | None = None
    shares: list[Share] = field(default_factory=list)
    displayed: set[str] = field(default_factory=set)

    @property
    def is_there(self) -> bool:
        """Whether its upload was completed, and it was not deleted."""
        return self.state in ("processing", "ready")

    @property
    def known_type(self) -> FileType | None:
        """Return its type, which is not told before it was processed."""
        return self.type if self.state == "ready" else None

    @property
    def is_picture(self) -> bool:
        """Whether an image block may show it."""
        return self.known_type is not None and self.known_type.is_picture

    @property
    def is_snippet(self) -> bool:
        """Whether it is text that Slack shows and lets people edit."""
        known = self.known_type
        text = bool(self.snippet_type) or (known is not None and known.is_text)
        return text and self.size <= SNIPPET_BYTES

    @property
    def place(self) -> str:
        """Return its path at this workspace's own address."""
        return f"/files/{self.id}/{self._slug}"

    @property
    def download_place(self) -> str:
        """Return the path at which it is always an attachment."""
        return f"/files/{self.id}/download/{self._slug}"

    @property
    def addresses(self) -> dict[str, str]:
        """Return its addresses by the names that the Web API gives them."""
        return {
            "url_private": f"{self.address}{self.place}",
            "url_private_download": f"{self.address}{self.download_place}",
            "permalink": f"{self.address}/files/{self.user}/{self.id}/{self._slug}",
        }

    @property
    def _slug(self) -> str:
        return quote(self.name.replace("/", "_"), safe="")

    def as_api(self) -> dict[str, Any]:
        """Return the file object; as long as it is processed, it says nothing of its type."""
        known = self.known_type
        body: dict[str, Any] = {
            "id": self.id,
            "created": int(self.created),
            "timestamp": int(self.created),
            "name": self.name,
            "title": self.title or self.name,
            "mimetype": known.mimetype if known else "",
            "filetype": (self.snippet_type or known.filetype) if known else "",
            "pretty_type": known.pretty if known else "",
            "user": self.user,
            "user_team": self.team,
            "editable": self.is_snippet,
            "size": self.size,
            "mode": "snippet" if self.is_snippet else "hosted",
            "is_external": False,
            "external_type": "",
            "is_public": any(share.channel.kind == "public_channel" for share in self.shares),
            "public_url_shared": False,
            "display_as_bot": False,
            "username": "",
            **self.addresses,
            "has_rich_preview": False,
            "file_access": "visible",
            "comments_count": 0,
            **self._places(),
            "shares": self._shares(),
        }
        if self.alt_text:
            body["alt_txt"] = self.alt_text
        if known is not None and known.size is not None:
            body["original_w"], body["original_h"] = known.size
        return body

    def _places(self) -> dict[str, list[str]]:
        lists: dict[str, list[str]] = {name: [] for name in _LISTS.values()}
        for share in self.shares:
            listed = lists[_LISTS[share.channel.kind]]
            if share.channel.id not in listed:
                listed.append(share.channel.id)
        return lists

    def _shares(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        shares: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for share in self.shares:
            kind = "public" if share.channel.kind == "public_channel" else "private"
            told: dict[str, Any] = {
                "reply_users": [],
                "reply_users_count": 0,
                "reply_count": 0,
                "ts": share.ts,
                "channel_name": share.channel.name,
                "team_id": self.team,
                "share_user_id": self.user,
            }
            if share.thread_ts is not None:
                told["thread_ts"] = share.thread_ts
            shares.setdefault(kind, {}).setdefault(share.channel.id, []).append(told)
        return shares
