"""What is known of people, groups and channels, and how fresh it is.

Intake takes what is at hand and never waits. The worker asks for facts that were fetched
after the click; many runs share one fetch. When Slack does not answer, facts of the last
minutes still count; without any, the caller has to wait: nothing is assumed.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from tidegate.core import policy
from tidegate.core.model import Actor
from tidegate.core.policy import Facts
from tidegate.core.routes import Rule
from tidegate.errors import (
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
    StoreError,
)
from tidegate.ports import Clock, Group, Journal, Person, Slack, Store, Workspace

AT_HAND_SECONDS: Final = 60.0  # intake refuses on nothing older
STALE_SECONDS: Final = 300.0  # what the worker may still use while Slack does not answer
REFRESH_SECONDS: Final = 60.0
FIRST_ASK_SECONDS: Final = (
    1.0  # that a first start, and with it an answer, waits for Slack to say who we are
)
MAX_ENTRIES: Final = 10_000
_MEMO: Final = "workspace"

_Value = TypeVar("_Value")


class FactsUnavailableError(SlackError):
    """Slack does not answer, and nothing recent enough is known."""

    def __init__(self) -> None:
        super().__init__("facts unavailable")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[_Value]):
    value: _Value
    began: float


class _Cache(Generic[_Value]):
    """Values by key, each fetched by one caller for all who wait."""

    def __init__(self, fetch: Callable[[str], Awaitable[_Value]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._entries: dict[str, _Entry[_Value]] = {}
        self._flights: dict[str, tuple[float, asyncio.Task[_Value]]] = {}
        self._hold_until = 0.0

    def at_hand(self, key: str, *, within: float = AT_HAND_SECONDS) -> _Value | None:
        entry = self._entries.get(key)
        if entry is None or self._clock.now() - entry.began > within:
            return None
        return entry.value

    async def since(self, key: str, moment: float) -> _Value:
        """Return a value whose fetch began at *moment* or later, if Slack lets us."""
        entry = self._entries.get(key)
        if entry is not None and entry.began >= moment:
            return entry.value
        recent = entry is not None and self._clock.now() - entry.began <= STALE_SECONDS
        if recent and entry is not None and self._clock.now() < self._hold_until:
            return entry.value
        try:
            # One caller's end must not end the others' wait.
            return await asyncio.shield(self._flight(key, moment))
        except (SlackBusyError, SlackUnreachableError, SlackAmbiguousError) as error:
            wait = error.retry_after if isinstance(error, SlackBusyError) else 5.0
            self._hold_until = self._clock.now() + wait
            if recent and entry is not None:
                return entry.value
            raise FactsUnavailableError from error

    def warm(self, key: str, moment: float) -> None:
        """Have a value ready that is fetched at *moment* or later, if Slack lets us."""
        entry = self._entries.get(key)
        fresh = entry is not None and entry.began >= moment
        if not fresh and self._clock.now() >= self._hold_until:
            self._flight(key, moment)

    def _flight(self, key: str, moment: float) -> asyncio.Task[_Value]:
        began, task = self._flights.get(key, (0.0, None))
        if task is None or began < moment:
            began = self._clock.now()
            task = asyncio.ensure_future(self._land(key, began))
            # A flight whose callers have all gone may fail unheard.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._flights[key] = (began, task)
        return task

    async def _land(self, key: str, began: float) -> _Value:
        try:
            value = await self._fetch(key)
        finally:
            if self._flights.get(key, (None,))[0] == began:
                del self._flights[key]
        if len(self._entries) >= MAX_ENTRIES:
            self._entries.pop(next(iter(self._entries)))
        entry = self._entries.get(key)
        if entry is None or entry.began <= began:  # one that began later may have landed first
            self._entries[key] = _Entry(value, began)
        return value


class Directory:
    """Facts about people and places, from Slack."""

    def __init__(
        self,
        slack: Slack,
        store: Store,
        clock: Clock,
        journal: Journal,
        *,
        group_ids: frozenset[str],
        trust_unlocked_groups: bool,
    ) -> None:
        self._slack = slack
        self._store = store
        self._clock = clock
        self._journal = journal
        self._group_ids = group_ids
        self._trust_unlocked = trust_unlocked_groups
        self._workspace: Workspace | None = None
        self._persons = _Cache(self._fetch_person, clock)
        self._channels = _Cache(self._fetch_channel, clock)
        self._groups = _Cache(self._fetch_groups, clock)
        self._asked = asyncio.Lock()

    @property
    def workspace(self) -> Workspace | None:
        """Whom the token speaks for, if that has been learnt."""
        return self._workspace

    async def open(self) -> None:
        """Take over what an earlier process learnt of the workspace.

        Where there was none, Slack is asked and waited for a moment: the very first requests
        are then held to our team too, and our own messages are known as ours.
        """
        with contextlib.suppress(StoreError, msgspec.MsgspecError):
            kept = await self._store.memo(_MEMO)
            if kept is not None:
                self._workspace = msgspec.json.decode(kept, type=Workspace)
        if self._workspace is None:
            with contextlib.suppress(SlackError, TimeoutError):
                async with asyncio.timeout(FIRST_ASK_SECONDS):
                    await self._learn()

    async def keep_fresh(self) -> None:
        """Learn the workspace and refresh the groups, for as long as this is awaited."""
        learnt = False
        while True:
            try:
                if not learnt:
                    await self._learn()
                    learnt = True
                if self._group_ids:
                    await self._groups.since("all", self._clock.now())
            except SlackError as error:
                self._journal.note(
                    "slack_facts_failed",
                    level="warning",
                    reason=error.code,
                    means="who may do what is not known; until it is, nothing is started",
                    mend="check slack.api_url, slack.bot_token and the way to Slack",
                )
            await asyncio.sleep(REFRESH_SECONDS if learnt else 2.0)

    async def known_workspace(self) -> Workspace:
        """Return the workspace, asking Slack if need be. Raises `FactsUnavailableError`."""
        async with self._asked:
            if self._workspace is None:
                try:
                    await self._learn()
                except SlackError as error:
                    raise FactsUnavailableError from error
        if self._workspace is None:
            raise FactsUnavailableError
        return self._workspace

    def at_hand(self, actor: Actor, channel_id: str | None) -> Facts:
        """Return what is known without asking anybody."""
        person = self._persons.at_hand(actor.user_id)
        groups = self._groups.at_hand("all")
        external = self._external_by_payload(actor)
        if external is None and person is not None:
            external = self._external(person, actor)
        return Facts(
            guest=person.guest if person else None,
            external=external,
            active=person.active if person else None,
            channel_external=self._channels.at_hand(channel_id or ""),
            memberships=self._memberships(actor.user_id, groups),
        )

    async def since(
        self, actor: Actor, channel_id: str | None, groups: frozenset[str], moment: float
    ) -> Facts:
        """Return facts fetched at *moment* or later.

        What Slack refuses to tell stays None. Raises `FactsUnavailableError` when Slack does
        not answer and nothing recent is known.
        """
        workspace, person, external, found = await asyncio.gather(
            self.known_workspace(),
            self._or_none(self._persons.since(actor.user_id, moment)),
            self._channel(channel_id, moment),
            self._or_none(self._groups.since("all", moment)) if groups else _nothing(),
        )
        del workspace  # only that it is known
        outside = self._external_by_payload(actor)
        if not outside and person is not None:
            outside = self._external(person, actor)
        return Facts(
            guest=person.guest if person else None,
            external=outside,
            active=person.active if person else None,
            channel_external=external,
            memberships=self._memberships(actor.user_id, found),
        )

    async def decide(
        self,
        actor: Actor,
        channel_id: str | None,
        *,
        rules: Sequence[Rule],
        params: Mapping[str, Any],
        moment: float,
    ) -> policy.Allowed | policy.Denied:
        """Return whether *rules* admit somebody, on facts fetched at *moment* or later.

        What Slack refuses to tell is not assumed. Raises `FactsUnavailableError`.
        """
        groups = frozenset().union(*(rule.groups for rule in rules))
        facts = await self.since(actor, channel_id, groups, moment)
        decision = policy.decide(
            rules, user_id=actor.user_id, channel_id=channel_id, params=params, facts=facts
        )
        if isinstance(decision, policy.Undecided):
            return policy.Denied(reason=policy.Reason.UNVERIFIED)
        return decision

    def warm(self, actor: Actor, channel_id: str | None, *, groups: bool, moment: float) -> None:
        """Begin to fetch what the worker is about to ask for, without waiting for it."""
        self._persons.warm(actor.user_id, moment)
        if channel_id is not None and not channel_id.startswith("D"):
            self._channels.warm(channel_id, moment)
        if groups:
            self._groups.warm("all", moment)

    def groups_of(self, user_id: str) -> frozenset[str]:
        """Return the configured groups that the user is known to be in."""
        # As old as the worker may have decided on: the service must not be told less.
        groups = self._groups.at_hand("all", within=STALE_SECONDS)
        members = self._memberships(user_id, groups)
        return frozenset(group for group, inside in members.items() if inside)

    async def _learn(self) -> None:
        self._workspace = await self._slack.workspace()
        try:
            await self._store.memo(_MEMO, msgspec.json.encode(self._workspace).decode())
        except StoreError:
            self._journal.note("workspace_not_kept", level="warning")

    async def _or_none(self, asked: Awaitable[_Value]) -> _Value | None:
        try:
            return await asked
        except FactsUnavailableError:
            raise
        except SlackError as error:
            self._journal.note("slack_facts_refused", level="warning", reason=error.code)
            return None

    async def _channel(self, channel_id: str | None, moment: float) -> bool | None:
        if channel_id is None or channel_id.startswith("D"):
            return False  # a direct message with the app: nobody else is there
        return await self._or_none(self._channels.since(channel_id, moment))

    async def _fetch_person(self, user_id: str) -> Person:
        return await self._slack.person(user_id)

    async def _fetch_channel(self, channel_id: str) -> bool:
        return await self._slack.channel_external(channel_id)

    async def _fetch_groups(self, _key: str) -> dict[str, Group]:
        return dict(await self._slack.groups(self._group_ids))

    def _memberships(self, user_id: str, groups: dict[str, Group] | None) -> dict[str, bool]:
        if groups is None:
            return {}
        found: dict[str, bool] = {}
        for group_id in self._group_ids:
            group = groups.get(group_id)
            trusted = group is not None and (group.locked or self._trust_unlocked)
            found[group_id] = trusted and group is not None and user_id in group.members
        return found

    def _external_by_payload(self, actor: Actor) -> bool | None:
        """True where the payload already tells that the person is from elsewhere."""
        workspace = self._workspace
        if workspace is None or actor.team_id is None or actor.team_id == workspace.team_id:
            return None
        if workspace.enterprise_id is not None and actor.enterprise_id in (
            None,
            workspace.enterprise_id,
        ):
            return None  # perhaps another workspace of the same organisation
        return True

    def _external(self, person: Person, actor: Actor) -> bool | None:
        workspace = self._workspace
        if person.stranger:
            return True
        if workspace is None:
            return None
        team_id = person.team_id or actor.team_id
        # Slack names a team for everybody; where it does not, the request's own, which was
        # verified, is the only one there is.
        if team_id is None or team_id == workspace.team_id:
            return False
        same = workspace.enterprise_id is not None
        return not (same and person.enterprise_id == workspace.enterprise_id)


async def _nothing() -> Any:
    return None
