import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from msgspec import structs

from tests.app.test_errand import Notes
from tests.contract.clock import StillClock
from tidegate.app.directory import (
    AT_HAND_SECONDS,
    MAX_ENTRIES,
    STALE_SECONDS,
    Directory,
    FactsUnavailableError,
)
from tidegate.core.model import Actor
from tidegate.core.policy import Facts
from tidegate.errors import (
    SlackAmbiguousError,
    SlackBusyError,
    SlackError,
    SlackUnreachableError,
    StoreError,
)
from tidegate.ports import Group, Person, Slack, Store, Workspace

US = Workspace(team_id="T1", bot_id="B1", user_id="UB")
ORG = replace(US, enterprise_id="E1")
ADA = Actor(user_id="U0ADA", team_id="T1")
PERSON = Person(
    user_id="U0ADA",
    name="ada",
    team_id="T1",
    enterprise_id=None,
    guest=False,
    stranger=False,
    active=True,
)
SRE = Group(group_id="S0SRE", members=frozenset({"U0ADA"}), locked=True)
NO_SLACK = [SlackBusyError(30.0), SlackUnreachableError(), SlackAmbiguousError()]


@dataclass
class Answers:
    """Slack as far as facts go: counts, hangs and fails as told."""

    us: Workspace = US
    people: dict[str, Person] = field(default_factory=lambda: {"U0ADA": PERSON})
    shared: set[str] = field(default_factory=set)
    found: dict[str, Group] = field(default_factory=lambda: {"S0SRE": SRE})
    error: SlackError | None = None
    asked: list[str] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked_again: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def _answer(self, what: str) -> None:
        self.asked.append(what)
        self.asked_again.set()
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error

    async def workspace(self) -> Workspace:
        await self._answer("workspace")
        return self.us

    async def person(self, user_id: str) -> Person:
        known = self.people.get(user_id)
        await self._answer(user_id)
        if known is None:
            raise SlackError("user_not_found")
        return known

    async def channel_external(self, channel_id: str) -> bool:
        await self._answer(channel_id)
        return channel_id in self.shared

    async def groups(self, group_ids: frozenset[str]) -> Mapping[str, Group]:
        await self._answer("groups")
        return {name: group for name, group in self.found.items() if name in group_ids}


@dataclass
class Memo:
    """The store as far as a memo goes."""

    kept: dict[str, str] = field(default_factory=dict)
    broken: bool = False

    async def memo(self, key: str, value: str | None = None) -> str | None:
        if self.broken:
            raise StoreError("broken")
        if value is not None:
            self.kept[key] = value
        return self.kept.get(key)


@dataclass
class Scene:
    slack: Answers = field(default_factory=Answers)
    memo: Memo = field(default_factory=Memo)
    clock: StillClock = field(default_factory=StillClock)
    notes: Notes = field(default_factory=Notes)

    def directory(self, *, trust: bool = False, groups: tuple[str, ...] = ("S0SRE",)) -> Directory:
        return Directory(
            cast(Slack, self.slack),
            cast(Store, self.memo),
            self.clock,
            self.notes,
            group_ids=frozenset(groups),
            trust_unlocked_groups=trust,
        )


async def since(
    scene: Scene,
    directory: Directory,
    moment: float | None = None,
    actor: Actor = ADA,
    channel_id: str | None = "C0OPS",
) -> Facts:
    at = scene.clock.now() if moment is None else moment
    return await directory.since(actor, channel_id, frozenset({"S0SRE"}), at)


async def asked(scene: Scene, what: str, times: int = 1) -> None:
    """Return once Slack has been asked for something so many times."""
    async with asyncio.timeout(5):
        while scene.slack.asked.count(what) < times:
            scene.slack.asked_again.clear()
            await scene.slack.asked_again.wait()


# --- what the worker is told ----------------------------------------------------------------


async def test_a_member_in_an_own_channel() -> None:
    scene = Scene()
    assert await since(scene, scene.directory()) == Facts(
        guest=False,
        external=False,
        active=True,
        channel_external=False,
        memberships={"S0SRE": True},
    )


@pytest.mark.parametrize(
    ("change", "fact"),
    [({"guest": True}, "guest"), ({"stranger": True}, "external"), ({"team_id": "T9"}, "external")],
)
async def test_what_slack_says_of_a_person_is_told(change: dict[str, Any], fact: str) -> None:
    scene = Scene()
    scene.slack.people["U0ADA"] = replace(PERSON, **change)
    assert getattr(await since(scene, scene.directory()), fact) is True


async def test_the_departed_are_not_active() -> None:
    scene = Scene()
    scene.slack.people["U0ADA"] = replace(PERSON, active=False)
    assert (await since(scene, scene.directory())).active is False


async def test_a_shared_channel_is_external_and_a_direct_message_is_not_asked_for() -> None:
    scene = Scene()
    scene.slack.shared = {"C0OPS", "D0ADA"}
    directory = scene.directory()
    assert (await since(scene, directory)).channel_external is True
    for alone in ("D0ADA", None):
        assert (await since(scene, directory, channel_id=alone)).channel_external is False
    assert "D0ADA" not in scene.slack.asked


@pytest.mark.parametrize(
    ("us", "actor", "person", "external"),
    [
        (US, {"team_id": "T9"}, {}, True),
        (US, {"team_id": None}, {}, False),
        (US, {"team_id": None}, {"team_id": "T9"}, True),
        (
            ORG,
            {"team_id": "T9", "enterprise_id": "E1"},
            {"team_id": "T9", "enterprise_id": "E1"},
            False,
        ),
        (ORG, {"team_id": "T9"}, {"team_id": "T9", "enterprise_id": "E1"}, False),
        (ORG, {"team_id": "T9"}, {"team_id": "T9"}, True),
        (ORG, {"team_id": "T9", "enterprise_id": "E9"}, {}, True),
        (
            US,
            {"team_id": "T9", "enterprise_id": "E1"},
            {"team_id": "T9", "enterprise_id": "E1"},
            True,
        ),
    ],
)
async def test_who_is_of_another_workspace_or_organisation_is_external(
    us: Workspace, actor: dict[str, Any], person: dict[str, Any], external: bool
) -> None:
    scene = Scene()
    scene.slack.us = us
    scene.slack.people["U0ADA"] = replace(PERSON, **person)
    directory = scene.directory()
    await directory.known_workspace()
    found = await since(scene, directory, actor=structs.replace(ADA, **actor))
    assert found.external is external


@pytest.mark.parametrize(
    ("group", "trust", "inside"),
    [
        (SRE, False, True),
        (replace(SRE, locked=False), False, False),
        (replace(SRE, locked=False), True, True),
        (replace(SRE, members=frozenset()), True, False),
        (None, True, False),
    ],
)
async def test_only_groups_that_not_everyone_can_edit_count(
    group: Group | None, trust: bool, inside: bool
) -> None:
    scene = Scene()
    scene.slack.found = {} if group is None else {"S0SRE": group}
    directory = scene.directory(trust=trust)
    assert (await since(scene, directory)).memberships == {"S0SRE": inside}
    assert directory.groups_of("U0ADA") == ({"S0SRE"} if inside else frozenset())


async def test_what_slack_refuses_to_tell_stays_unknown() -> None:
    scene = Scene()
    directory = scene.directory()
    await directory.known_workspace()
    scene.slack.error = SlackError("missing_scope")
    assert await since(scene, directory) == Facts()
    assert set(scene.notes.events) == {"slack_facts_refused"}


async def test_without_group_rules_groups_are_not_asked_for() -> None:
    scene = Scene()
    await scene.directory(groups=()).since(ADA, "C0OPS", frozenset(), scene.clock.now())
    assert "groups" not in scene.slack.asked


# --- how fresh it is ------------------------------------------------------------------------


async def test_facts_are_fetched_after_the_click() -> None:
    scene = Scene()
    directory = scene.directory()
    await since(scene, directory)
    scene.slack.people["U0ADA"] = replace(PERSON, guest=True)
    assert (await since(scene, directory)).guest is False  # fetched at this very moment
    scene.clock.go_on(0.001)
    assert (await since(scene, directory)).guest is True


async def test_many_runs_share_one_fetch() -> None:
    scene = Scene()
    directory = scene.directory()
    await directory.known_workspace()
    scene.slack.may_answer.clear()
    asking = [asyncio.ensure_future(since(scene, directory)) for _ in range(20)]
    await asked(scene, "groups")
    scene.slack.may_answer.set()
    await asyncio.gather(*asking)
    assert sorted(scene.slack.asked) == ["C0OPS", "U0ADA", "groups", "workspace"]


async def test_a_fetch_that_began_before_the_click_does_not_count() -> None:
    scene = Scene()
    directory = scene.directory()
    await directory.known_workspace()
    scene.slack.may_answer.clear()
    early = asyncio.ensure_future(since(scene, directory))
    await asked(scene, "U0ADA")
    scene.slack.people["U0ADA"] = replace(PERSON, guest=True)
    scene.clock.go_on(1)
    late = asyncio.ensure_future(since(scene, directory))
    await asked(scene, "U0ADA", 2)
    scene.slack.may_answer.set()
    assert (await early).guest is False
    assert (await late).guest is True


async def test_an_older_fetch_that_lands_later_does_not_hide_a_newer_one() -> None:
    scene = Scene()
    directory = scene.directory()
    await directory.known_workspace()
    gates = [asyncio.Event(), asyncio.Event()]
    people = [PERSON, replace(PERSON, guest=True)]
    flights = iter(zip(gates, people, strict=True))

    async def person(user_id: str) -> Person:
        gate, found = next(flights)
        scene.slack.asked.append(user_id)
        scene.slack.asked_again.set()
        await gate.wait()
        return found

    cast(Any, scene.slack).person = person
    early = asyncio.ensure_future(since(scene, directory))
    await asked(scene, "U0ADA")
    scene.clock.go_on(1)
    late = asyncio.ensure_future(since(scene, directory))
    await asked(scene, "U0ADA", 2)
    gates[1].set()
    assert (await late).guest is True
    gates[0].set()
    await early
    assert directory.at_hand(ADA, "C0OPS").guest is True


async def test_one_caller_that_goes_does_not_end_the_fetch_of_the_others() -> None:
    scene = Scene()
    directory = scene.directory()
    await directory.known_workspace()
    scene.slack.may_answer.clear()
    gone, stays = (asyncio.ensure_future(since(scene, directory)) for _ in range(2))
    await asked(scene, "U0ADA")
    gone.cancel()
    scene.slack.may_answer.set()
    assert (await stays).active is True
    assert gone.cancelled()


@pytest.mark.parametrize("error", NO_SLACK)
async def test_while_slack_does_not_answer_recent_facts_count_and_older_ones_do_not(
    error: SlackError,
) -> None:
    scene = Scene()
    directory = scene.directory()
    await since(scene, directory)
    scene.slack.error = error
    scene.clock.go_on(STALE_SECONDS - 1)
    assert (await since(scene, directory)).active is True
    scene.clock.go_on(2)
    with pytest.raises(FactsUnavailableError):
        await since(scene, directory)


@pytest.mark.parametrize("error", NO_SLACK)
async def test_without_any_facts_nothing_is_assumed(error: SlackError) -> None:
    scene = Scene()
    directory = scene.directory()
    await directory.known_workspace()
    scene.slack.error = error
    with pytest.raises(FactsUnavailableError):
        await since(scene, directory)


async def test_while_slack_asked_to_wait_recent_facts_are_used_without_asking() -> None:
    scene = Scene()
    directory = scene.directory()
    await since(scene, directory)
    scene.slack.error = SlackBusyError(30.0)
    scene.clock.go_on(1)
    await since(scene, directory)
    asked = len(scene.slack.asked)
    scene.slack.error = None
    for _ in range(5):
        scene.clock.go_on(1)
        await since(scene, directory)
    assert len(scene.slack.asked) == asked
    scene.clock.go_on(30)
    await since(scene, directory)
    assert len(scene.slack.asked) > asked


async def test_a_refusal_is_no_reason_to_use_old_facts() -> None:
    scene = Scene()
    directory = scene.directory()
    await since(scene, directory)
    scene.clock.go_on(1)
    del scene.slack.people["U0ADA"]
    assert (await since(scene, directory)).active is None


# --- what intake has at hand ----------------------------------------------------------------


async def test_at_hand_is_only_what_was_fetched_of_late_and_nobody_is_asked() -> None:
    scene = Scene()
    directory = scene.directory()
    assert directory.at_hand(ADA, "C0OPS") == Facts()
    fetched = await since(scene, directory)
    asked = len(scene.slack.asked)
    scene.clock.go_on(AT_HAND_SECONDS)
    assert directory.at_hand(ADA, "C0OPS") == fetched
    scene.clock.go_on(0.001)
    assert directory.at_hand(ADA, "C0OPS") == Facts()
    assert len(scene.slack.asked) == asked


async def test_at_hand_the_payload_alone_tells_who_is_from_elsewhere() -> None:
    scene = Scene()
    directory = scene.directory()
    await directory.known_workspace()
    assert directory.at_hand(structs.replace(ADA, team_id="T9"), None).external is True
    assert directory.at_hand(ADA, None).external is None


async def test_the_memory_is_bounded() -> None:
    scene = Scene()
    directory = scene.directory()
    await directory.known_workspace()
    for number in range(MAX_ENTRIES + 5):
        await directory._channels.since(f"C{number}", 0.0)
    assert len(directory._channels._entries) == MAX_ENTRIES


# --- the workspace --------------------------------------------------------------------------


async def test_the_workspace_is_learnt_once_and_kept() -> None:
    scene = Scene()
    directory = scene.directory()
    assert directory.workspace is None
    found = await asyncio.gather(*(directory.known_workspace() for _ in range(5)))
    assert found == [US] * 5
    assert scene.slack.asked == ["workspace"]
    after = scene.directory()
    await after.open()
    assert after.workspace == US


async def test_a_workspace_that_is_not_known_yet_is_unavailable() -> None:
    scene = Scene()
    scene.slack.error = SlackUnreachableError()
    directory = scene.directory()
    await directory.open()
    with pytest.raises(FactsUnavailableError):
        await directory.known_workspace()
    scene.slack.error = None
    assert await directory.known_workspace() == US


async def test_a_store_that_is_broken_does_not_keep_the_workspace_from_us() -> None:
    scene = Scene()
    scene.memo.broken = True
    directory = scene.directory()
    await directory.open()
    assert await directory.known_workspace() == US
    assert scene.notes.events == ["workspace_not_kept"]


async def test_groups_are_kept_fresh_in_the_background() -> None:
    scene = Scene()
    directory = scene.directory()
    fresh = asyncio.ensure_future(directory.keep_fresh())
    await asked(scene, "groups")
    await directory._groups.since("all", 0.0)
    assert directory.groups_of("U0ADA") == {"S0SRE"}
    assert scene.slack.asked.count("groups") == 1
    assert directory.workspace == US
    fresh.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fresh


async def test_a_slack_that_is_down_does_not_end_the_refreshing() -> None:
    scene = Scene()
    scene.slack.error = SlackError("invalid_auth")
    fresh = asyncio.ensure_future(scene.directory().keep_fresh())
    async with asyncio.timeout(5):
        await scene.notes.noted.wait()
    event, fields = scene.notes.lines[0]
    assert (event, fields["reason"]) == ("slack_facts_failed", "invalid_auth")
    assert not fresh.done()
    fresh.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fresh
