"""What Slack says of itself, judged."""

import pytest

from tidegate.core.diagnosis.finding import State
from tidegate.core.diagnosis.slack import Channel, channel, group, refused, scopes, user
from tidegate.core.scopes import Need

OPS = Channel(channel_id="C0OPS", name="ops", member=True, archived=False, external=False)


def need(scope: str, *, required: bool) -> Need:
    return Need(scope=scope, methods=(), reasons=(f"for {scope}",), required=required)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("invalid_auth", "slack.token_refused"),
        ("token_revoked", "slack.token_refused"),
        ("ratelimited", "slack.busy"),
        ("unreachable", "slack.unreachable"),
        ("timeout", "slack.unreachable"),
        ("http 502", "slack.unreachable"),
        ("http 404", "slack.not_understood"),
        ("answer not understood", "slack.not_understood"),
    ],
)
def test_each_no_has_a_meaning(code: str, meaning: str) -> None:
    assert refused(code).code == meaning


def test_scopes_that_fit_are_told_in_short() -> None:
    seen = scopes((), ())
    assert seen.state is State.OK
    assert seen.said == "exactly what is needed"


def test_scopes_are_told_by_how_much_they_matter() -> None:
    missing = [need("chat:write", required=True), need("mpim:read", required=False)]
    seen = scopes(missing, ["admin", "im:write"])
    assert [each.code for each in seen.findings] == [
        "slack.scope_missing",
        "slack.scope_wished",
        "slack.scope_unused",
    ]
    assert [each.grave for each in seen.findings] == [True, False, False]
    first, second, third = seen.findings
    assert "chat:write" in first.what
    assert "for chat:write" in first.why
    assert "mpim:read" in second.what
    assert "admin, im:write" in third.what


@pytest.mark.parametrize(
    ("seen", "buckets", "external", "codes"),
    [
        (OPS, (), (), []),
        (None, (), (), ["slack.channel_unknown"]),
        ({"member": False}, ("reports",), (), ["slack.not_in_channel"]),
        ({"member": False}, (), (), ["slack.not_in_action_channel"]),
        ({"member": False, "direct": True}, ("reports",), (), []),
        ({"archived": True, "member": False}, (), (), ["slack.channel_archived"]),
        ({"external": True}, (), (), []),
        ({"external": True}, ("reports", "open"), ("open",), ["slack.channel_external"]),
        ({"external": True}, ("open",), ("open",), []),
    ],
)
def test_a_channel_is_judged_by_what_it_is_used_for(
    seen: Channel | dict[str, bool] | None,
    buckets: tuple[str, ...],
    external: tuple[str, ...],
    codes: list[str],
) -> None:
    if isinstance(seen, dict):
        flags = {"member": True, "archived": False, "external": False, "direct": False, **seen}
        seen = Channel(channel_id="C0OPS", name="ops", **flags)
    found = channel(seen, channel_id="C0OPS", buckets=buckets, open_buckets=external)
    assert [each.code for each in found.findings] == codes
    if seen is not None:
        assert found.said == "#ops (C0OPS)"


def test_only_the_buckets_that_are_closed_are_named() -> None:
    outside = Channel(channel_id="C1", name="", member=True, archived=False, external=True)
    found = channel(outside, channel_id="C1", buckets=("a", "b"), open_buckets=("b",))
    assert "nothing of a is shared there" in found.findings[0].why
    assert found.said == "C1"


@pytest.mark.parametrize(
    ("exists", "members", "locked", "trusted", "codes"),
    [
        (True, 2, True, False, []),
        (False, 0, False, False, ["slack.group_unknown"]),
        (True, 2, False, False, ["slack.group_unlocked"]),
        (True, 2, False, True, []),
        (True, 0, True, False, ["slack.group_empty"]),
    ],
)
def test_a_group_that_admits_nobody_is_told(
    exists: bool, members: int, locked: bool, trusted: bool, codes: list[str]
) -> None:
    seen = group("S1", exists=exists, members=members, locked=locked, trusted=trusted)
    assert [each.code for each in seen.findings] == codes


def test_people_who_are_not_there_are_told() -> None:
    assert user("U1", exists=True, active=True) is None
    gone, unknown = user("U1", exists=True, active=False), user("U1", exists=False, active=False)
    assert gone is not None
    assert gone.code == "slack.user_gone"
    assert unknown is not None
    assert unknown.code == "slack.user_unknown"
