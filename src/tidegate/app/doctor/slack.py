"""The look at Slack: the token, its scopes, and the channels, groups and people that are named."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from tidegate.app.doctor.walk import Step
from tidegate.core import scopes
from tidegate.core.diagnosis import line as diagnosis_line
from tidegate.core.diagnosis import slack as diagnosis_slack
from tidegate.core.diagnosis.finding import Path, Seen
from tidegate.core.diagnosis.slack import Channel
from tidegate.core.plan import group_ids
from tidegate.core.settings import Settings
from tidegate.errors import SlackError
from tidegate.ports import Clock, Group, Person, Workspace

MAX_CHANNELS: Final = 50  # Slack takes fifty such questions a minute
MAX_PEOPLE: Final = 20
SECONDS: Final = 12.0

ROOT: Final[Path] = ("slack",)
TOKEN: Final[Path] = (*ROOT, "token")


class SlackReader(Protocol):
    """Slack, looked at. All may raise `SlackError`."""

    def workspace(self) -> Awaitable[Workspace]:
        """Return whom the token speaks for."""

    def scopes(self) -> Awaitable[frozenset[str] | None]:
        """Return what the token may do; None where Slack does not say."""

    def date(self) -> Awaitable[str | None]:
        """Return what time it is for Slack."""

    def channel(self, channel_id: str) -> Awaitable[Channel | None]:
        """Return a channel, or None if there is none that the app may know of."""

    def groups(self, group_ids: frozenset[str]) -> Awaitable[Mapping[str, Group]]:
        """Return those of the user groups that exist."""

    def person(self, user_id: str) -> Awaitable[Person | None]:
        """Return a user, or None if there is none."""


@dataclass(slots=True, kw_only=True)
class SlackVisit:
    """A look at Slack."""

    settings: Settings
    slack: SlackReader
    clock: Clock
    needs: tuple[Path, ...]
    _groups: Mapping[str, Group] = field(default_factory=dict)

    def steps(self) -> tuple[Step, ...]:
        """Return what to look at."""
        found = [
            Step(path=TOKEN, title="bot token", look=self._token, needs=self.needs),
            self._step("clock", "clock", self._clock),
            self._step("scopes", "scopes", self._scopes),
        ]
        found += [
            self._channel_step(channel_id)
            for channel_id in sorted(_named_channels(self.settings))[:MAX_CHANNELS]
        ]
        groups = sorted(group_ids(self.settings))
        if groups:
            found.append(self._step("groups", "user groups", self._all_groups))
        people = sorted(_named_people(self.settings))[:MAX_PEOPLE]
        if people:
            found.append(self._step("people", "people that rules name", self._people))
        return tuple(found)

    def _step(self, name: str, title: str, look: "SlackLookAt") -> Step:
        return Step(
            path=(*ROOT, name), title=title, look=_asking(look), needs=(TOKEN,), seconds=SECONDS
        )

    def _channel_step(self, channel_id: str) -> Step:
        async def look() -> Seen:
            return await self._channel(channel_id)

        return Step(
            path=(*ROOT, "channels", channel_id),
            title=f"channel {channel_id}",
            look=_asking(look),
            needs=(TOKEN,),
            seconds=SECONDS,
        )

    async def _token(self) -> Seen:
        try:
            ours = await self.slack.workspace()
        except SlackError as error:
            return Seen(findings=(diagnosis_slack.refused(error.code),))
        return Seen(said=f"workspace {ours.team_id}, bot {ours.bot_id}")

    async def _clock(self) -> Seen:
        date = await self.slack.date()
        return diagnosis_line.clock(diagnosis_line.skew(date, now=self.clock.now()))

    async def _scopes(self) -> Seen:
        granted = await self.slack.scopes()
        if granted is None:
            return Seen(untold="Slack does not tell the token's scopes")
        # What is sent by hand needs no less than what the configuration asks for.
        spare = scopes.spare_scopes(self.settings, granted, send_files=True)
        return diagnosis_slack.scopes(scopes.missing_scopes(self.settings, granted), spare)

    async def _channel(self, channel_id: str) -> Seen:
        seen = await self.slack.channel(channel_id)
        buckets, open_buckets = _shared_in(self.settings, channel_id)
        return diagnosis_slack.channel(
            seen, channel_id=channel_id, buckets=buckets, open_buckets=open_buckets
        )

    async def _all_groups(self) -> Seen:
        named = group_ids(self.settings)
        found = await self.slack.groups(named)
        each = [
            diagnosis_slack.group(
                group_id,
                exists=group_id in found,
                members=len(found[group_id].members) if group_id in found else 0,
                locked=group_id in found and found[group_id].locked,
                trusted=self.settings.trust_unlocked_groups,
            )
            for group_id in sorted(named)
        ]
        return Seen(
            said="; ".join(seen.said for seen in each if seen.said),
            findings=tuple(one for seen in each for one in seen.findings),
        )

    async def _people(self) -> Seen:
        people = sorted(_named_people(self.settings))[:MAX_PEOPLE]
        found = []
        for user_id in people:
            person = await self.slack.person(user_id)
            one = diagnosis_slack.user(
                user_id, exists=person is not None, active=person is not None and person.active
            )
            if one is not None:
                found.append(one)
        return Seen(said=f"{len(people)} looked up", findings=tuple(found))


class SlackLookAt(Protocol):
    """Looks at something in Slack. May raise `SlackError`."""

    async def __call__(self) -> Seen:
        """Return what was seen."""


def _asking(look: SlackLookAt) -> SlackLookAt:
    """Return a look that a missing scope or a busy Slack does not end: the scopes are told once."""

    async def asked() -> Seen:
        try:
            return await look()
        except SlackError as error:
            if error.code in ("missing_scope", "ratelimited"):
                return Seen(untold=f"Slack does not tell ({error.code})")
            return Seen(findings=(diagnosis_slack.refused(error.code),))

    return asked


def _named_channels(settings: Settings) -> set[str]:
    """Return every channel that the configuration names; direct messages are nobody's to join."""
    found: set[str] = set()
    for action in settings.actions.values():
        for rule in action.allow:
            found |= set(rule.channels)
    for token in settings.api.tokens:
        found |= set(token.channels)
    if settings.s3 is not None:
        for bucket in settings.s3.buckets.values():
            found |= set(bucket.channels)
        if settings.s3.events is not None:
            found |= {rule.channel for rule in settings.s3.events.rules}
    return {channel_id for channel_id in found if not channel_id.startswith("D")}


def _shared_in(settings: Settings, channel_id: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return the buckets that are shared in a channel, and those that outsiders may see."""
    if settings.s3 is None:
        return (), ()
    named = [
        (alias, bucket.external)
        for alias, bucket in settings.s3.buckets.items()
        if channel_id in bucket.channels
    ]
    return [alias for alias, _ in named], [alias for alias, external in named if external]


def _named_people(settings: Settings) -> set[str]:
    return {
        user
        for action in settings.actions.values()
        for rule in action.allow
        for user in rule.users
        if user != "any"
    }
