"""What an installed app has otherwise is found, named by its place, and told with its why."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.slack_manifests import action, settings
from tidegate.core.manifest_difference import Difference, Kind, fails, of_manifest, of_scopes
from tidegate.core.scopes import needed_scopes
from tidegate.core.slack_manifest import Wishes, manifest

URL = Wishes(url="https://t.example.com")
FOUND = settings(
    f"{{a: {action(match='command: [/a, /b*]')}, s: {action(match='shortcut: [s, r*]')}}}"
)
SOCKET = settings(f"{{a: {action(match='command: [/a]')}}}", socket_mode=True)


def installed() -> Any:
    return copy.deepcopy(dict(manifest(FOUND, URL).document))


def told(document: Any, wishes: Wishes = URL) -> list[str]:
    return [line(each) for each in of_manifest(FOUND, document, wishes)]


def line(each: Difference) -> str:
    assert each.why
    return f"{each.kind} {each.key} {json.dumps(each.wanted)} {json.dumps(each.found)}"


def test_an_app_made_from_the_manifest_differs_in_nothing() -> None:
    assert told(installed()) == []
    assert of_manifest(SOCKET, manifest(SOCKET, Wishes()).document, Wishes()) == ()


def test_what_people_see_is_each_teams_own() -> None:
    document = installed()
    document["display_information"] = {"name": "Ours", "background_color": "#fff"}
    document["features"]["bot_user"]["display_name"] = "ours"
    document["features"]["slash_commands"][0] |= {"description": "x", "usage_hint": "y"}
    document["features"]["shortcuts"][0] |= {"name": "x", "type": "message"}
    document["oauth_config"]["redirect_urls"] = ["https://x.example.com"]
    assert told(document) == []


def test_a_right_that_is_missing_fails_and_one_to_spare_does_not() -> None:
    document = installed()
    document["oauth_config"]["scopes"]["bot"].remove("users:read")
    document["oauth_config"]["scopes"]["bot"].append("admin")
    found = of_manifest(FOUND, document, URL)
    assert [line(each) for each in found] == [
        'missing oauth_config.scopes.bot "users:read" null',
        'spare oauth_config.scopes.bot null "admin"',
    ]
    assert fails(found)
    assert not fails(found[1:])


def test_a_right_that_can_be_done_without_is_told_and_does_not_fail() -> None:
    document = installed()
    document["oauth_config"]["scopes"]["bot"].remove("channels:history")
    found = of_manifest(FOUND, document, URL)
    assert [line(each) for each in found] == [
        'missing oauth_config.scopes.bot "channels:history" null'
    ]
    assert not fails(found)
    lean = Wishes(url=URL.url, required_only=True)
    assert all(each.kind is Kind.SPARE for each in of_manifest(FOUND, document, lean))
    assert [each.found for each in of_manifest(FOUND, document, lean)] == [
        "groups:history",
        "mpim:read",
    ]


def test_a_person_s_rights_are_to_spare() -> None:
    document = installed()
    document["oauth_config"]["scopes"]["user"] = ["search:read"]
    assert told(document) == ['spare oauth_config.scopes.user null "search:read"']


def test_commands_and_shortcuts_are_compared_by_their_names() -> None:
    document = installed()
    url = "https://t.example.com/slack/commands"
    document["features"]["slash_commands"] = [
        {"command": "/bee", "url": url},  # as /b* says
        {"command": "/old", "url": url},
    ]
    document["features"]["shortcuts"] = [{"callback_id": "rest"}, {"callback_id": "old"}]
    assert told(document) == [
        'missing features.slash_commands "/a" null',
        'spare features.slash_commands null "/old"',
        'missing features.shortcuts "s" null',
        'spare features.shortcuts null "old"',
    ]


def test_another_address_is_a_difference_and_none_is_missing() -> None:
    document = installed()
    document["features"]["slash_commands"][0]["url"] = "https://old.example.com/slack/commands"
    document["settings"]["interactivity"]["request_url"] = "https://t.example.com/slack/actions/"
    new, old = "https://t.example.com/slack/", "https://old.example.com/slack/"
    assert told(document) == [
        f'different features.slash_commands[/a].url "{new}commands" "{old}commands"',
        f'different settings.interactivity.request_url "{new}actions" "{new}actions/"',
    ]
    del document["settings"]["interactivity"]["request_url"]
    assert told(document)[1] == (f'missing settings.interactivity.request_url "{new}actions" null')


def test_addresses_are_not_compared_where_none_is_given() -> None:
    document = installed()
    document["settings"]["interactivity"]["request_url"] = "https://old.example.com/slack/actions"
    assert told(document, Wishes()) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"interactivity": {}}, "missing settings.interactivity.is_enabled true null"),
        ({"socket_mode_enabled": True}, "different settings.socket_mode_enabled false true"),
        ({"token_rotation_enabled": True}, "different settings.token_rotation_enabled false true"),
        (
            {"event_subscriptions": {"bot_events": ["app_mention"], "user_events": ["x"]}},
            'spare settings.event_subscriptions.bot_events null "app_mention"',
        ),
        (
            {"interactivity": {"is_enabled": True, "message_menu_options_url": "https://x"}},
            'spare settings.interactivity.message_menu_options_url null "https://x"',
        ),
    ],
)
def test_each_setting_that_matters_is_compared(change: dict[str, Any], expected: str) -> None:
    document = installed()
    document["settings"] |= change
    assert expected in told(document)


def test_an_app_without_a_bot_or_its_messages_is_told() -> None:
    document = installed()
    del document["features"]["bot_user"]
    document["features"]["app_home"]["messages_tab_enabled"] = False
    assert told(document) == [
        "different features.app_home.messages_tab_enabled true false",
        'missing features.bot_user "a bot user" null',
    ]
    del document["features"]["app_home"]["messages_tab_enabled"]
    assert told(document) == ['missing features.bot_user "a bot user" null']


def test_the_other_way_in_is_told_for_socket_mode() -> None:
    document = copy.deepcopy(dict(manifest(SOCKET, Wishes()).document))
    document["settings"] = {**document["settings"], "socket_mode_enabled": False}
    found = of_manifest(SOCKET, document, Wishes())
    assert [line(each) for each in found] == ["different settings.socket_mode_enabled true false"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "features",
                    "settings",
                    "oauth_config",
                    "scopes",
                    "bot",
                    "slash_commands",
                    "command",
                    "interactivity",
                    "request_url",
                    "shortcuts",
                    "event_subscriptions",
                    "bot_events",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["features", "settings", "oauth_config"]), json_values))
def test_a_manifest_of_any_shape_is_compared(document: dict[str, Any]) -> None:
    assert fails(of_manifest(FOUND, document, URL))


@given(st.sets(st.sampled_from([need.scope for need in needed_scopes(FOUND)] + ["admin"])))
def test_scopes_alone_are_compared_as_slack_tells_them(granted: set[str]) -> None:
    found = of_scopes(FOUND, granted, URL)
    missing = {each.wanted for each in found if each.kind is Kind.MISSING}
    assert missing == {need.scope for need in needed_scopes(FOUND)} - granted
    assert {each.found for each in found if each.kind is Kind.SPARE} == granted & {"admin"}
    assert fails(found) == any(
        need.required and need.scope not in granted for need in needed_scopes(FOUND)
    )
