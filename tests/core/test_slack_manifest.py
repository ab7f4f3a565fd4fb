"""The manifest of a Slack app says what the configuration needs, in the bounds that Slack has."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.slack_manifests import SCHEMA, action, bucket, complaints, settings
from tidegate.app.intake import Endpoint
from tidegate.core import slack_manifest
from tidegate.core.scopes import needed_scopes
from tidegate.core.settings import Settings
from tidegate.core.slack_manifest import Wishes, display_name, manifest, public_url, words
from tidegate.core.web_address import AddressError
from tidegate.errors import ConfigError

URL = Wishes(url="https://tidegate.example.com")


def of(found: Settings, wishes: Wishes = URL) -> Any:
    document = manifest(found, wishes).document
    assert complaints(document) == []
    assert json.loads(json.dumps(document)) == document
    return document


def refusals(found: Settings, wishes: Wishes = URL) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        manifest(found, wishes)
    return [f"{problem.key}: {problem.what}" for problem in refused.value.problems]


# --- addresses ------------------------------------------------------------------------------


def test_slack_is_told_the_addresses_that_the_gateway_listens_at() -> None:
    document = of(settings(f"{{a: {action(match='command: [/a]')}}}"))
    base = "https://tidegate.example.com"
    assert document["settings"]["interactivity"]["request_url"] == base + Endpoint.ACTIONS
    (command,) = document["features"]["slash_commands"]
    assert command["url"] == base + Endpoint.COMMANDS
    assert document["settings"]["socket_mode_enabled"] is False


def test_with_socket_mode_there_is_no_address_at_all() -> None:
    found = settings(f"{{a: {action(match='command: [/a]')}}}", socket_mode=True)
    made = manifest(found, Wishes())
    assert complaints(made.document) == []
    assert made.document["settings"]["socket_mode_enabled"] is True
    assert "https://" not in json.dumps(made.document)
    assert any("connections:write" in note for note in made.notes)


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("https://t.example.com", "https://t.example.com"),
        ("https://t.example.com/", "https://t.example.com"),
        ("https://t.example.com:8443/gate/", "https://t.example.com:8443/gate"),
    ],
)
def test_the_public_address_ends_without_a_slash(given_url: str, url: str) -> None:
    assert public_url(given_url) == url


@pytest.mark.parametrize(
    ("url", "words_of_it"),
    [
        ("http://127.0.0.1:3000", "Slack calls over https only"),
        ("http://t.example.com", "plain http"),
        ("t.example.com", "must start with https://"),
        ("https://u:p@t.example.com", "user name or password"),
        ("https://t.example.com/?a=b", "a query"),
        ("https://t.example.com/" + "a" * 2000, "too long"),
    ],
)
def test_an_address_that_slack_cannot_call_is_refused(url: str, words_of_it: str) -> None:
    with pytest.raises(AddressError) as refused:
        public_url(url)
    assert words_of_it in refused.value.what
    assert refused.value.mend


# --- features -------------------------------------------------------------------------------


def test_rights_are_those_that_are_needed_and_what_can_be_withheld_is_marked() -> None:
    found = settings(f"{{a: {action()}}}")
    scopes = of(found)["oauth_config"]["scopes"]
    needs = needed_scopes(found)
    assert scopes["bot"] == [need.scope for need in needs]
    assert scopes["bot_optional"] == [need.scope for need in needs if not need.required]
    lean = of(found, Wishes(url=URL.url, required_only=True))["oauth_config"]["scopes"]
    assert lean == {"bot": [need.scope for need in needs if need.required]}


def test_files_of_send_are_asked_for_on_request() -> None:
    scopes = of(settings(), Wishes(url=URL.url, send_files=True))["oauth_config"]["scopes"]["bot"]
    assert "files:write" in scopes


def test_a_command_has_a_description_and_says_how_it_is_written() -> None:
    params = "params: {deployment: {required: true, from: 'text[0]'}, image: {from: value.image}}"
    found = settings(f"{{roll-out_web: {action(f', {params}', match='command: [/roll]')}}}")
    (command,) = of(found)["features"]["slash_commands"]
    assert command["description"] == "Roll out web"
    assert command["usage_hint"] == "DEPLOYMENT [image=IMAGE]"


def test_a_command_without_params_has_no_hint() -> None:
    (command,) = of(settings(f"{{a: {action(match='command: [/a]')}}}"))["features"][
        "slash_commands"
    ]
    assert "usage_hint" not in command


def test_a_shortcut_that_needs_a_channel_belongs_to_messages() -> None:
    tied = action(match="shortcut: [tied]", allow="users: [U0A], channels: [C0A]")
    free = action(match="shortcut: [free]")
    found = of(settings(f"{{tied: {tied}, free: {free}}}"))
    kinds = {each["callback_id"]: each["type"] for each in found["features"]["shortcuts"]}
    assert kinds == {"tied": "message", "free": "global"}


def test_a_long_name_is_cut_for_a_shortcut() -> None:
    name = "restart-everything-in-the-whole-cluster"
    (shortcut,) = of(settings(f"{{{name}: {action(match='shortcut: [a]')}}}"))["features"][
        "shortcuts"
    ]
    assert len(shortcut["name"]) == 24
    assert shortcut["name"].endswith("…")


def test_buttons_and_modals_are_no_features_of_their_own() -> None:
    found = of(settings(f"{{a: {action()}, b: {action(match='view: [b]')}}}"))
    assert not {"slash_commands", "shortcuts"} & found["features"].keys()
    assert found["settings"]["interactivity"]["is_enabled"] is True
    assert "event_subscriptions" not in found["settings"]


def test_what_stands_for_many_is_left_to_a_person() -> None:
    actions = f"{{a: {action(match='command: [/a*]')}, b: {action(match='shortcut: [b*]')}}}"
    made = manifest(settings(actions), URL)
    assert complaints(made.document) == []
    assert not {"slash_commands", "shortcuts"} & made.document["features"].keys()
    assert [note.split(":")[0] for note in made.notes] == [
        "actions.a.match.command[0]",
        "actions.b.match.shortcut[0]",
    ]


def test_an_action_that_leads_nowhere_is_not_announced() -> None:
    idle = "{use: k8s_deploy, match: {command: [/deploy]}, allow: {users: [U0A]}}"
    assert "slash_commands" not in of(settings(f"{{a: {idle}}}"))["features"]


# --- bounds ---------------------------------------------------------------------------------


def test_what_slack_would_refuse_is_listed_at_once() -> None:
    many = ", ".join([*(f"/c{number}" for number in range(50)), f"/{'x' * 32}"])
    actions = f"{{a: {action(match=f'command: [{many}]')}}}"
    assert refusals(settings(actions), Wishes(url=URL.url, name="x" * 36)) == [
        "--name: Slack takes 1 to 35 characters, all to be seen",
        "actions.a.match.command[50]: Slack takes commands of at most 32 characters",
        "actions.a.match.command[50]: an app has at most 50 slash commands, and this is number 51",
    ]
    many = ", ".join(f"s{number}" for number in range(11))
    (refusal,) = refusals(settings(f"{{a: {action(match=f'shortcut: [{many}]')}}}"))
    assert refusal.endswith("an app has at most 10 shortcuts, and this is number 11")


SHARING = settings(f"{{a: {action()}}}", bucket("channels: [C0A], modes: [upload]"))


@given(st.text(max_size=40), st.booleans())
def test_a_name_makes_a_manifest_that_slack_takes_or_is_refused(name: str, lean: bool) -> None:
    wishes = Wishes(url=URL.url, name=name, required_only=lean)
    if 1 <= len(name) <= 35 and name.isprintable() and name.strip():
        of(SHARING, wishes)
    else:
        assert len(refusals(SHARING, wishes)) == 1


@given(st.text(max_size=100))
def test_the_bot_is_called_something_that_slack_takes(name: str) -> None:
    found = display_name(name)
    assert 1 <= len(found) <= slack_manifest.MAX_DISPLAY_NAME
    assert display_name(found) == found


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", fullmatch=True))
def test_an_action_has_a_name_to_be_read(name: str) -> None:
    assert words(name).strip()


def test_the_schema_would_find_what_is_wrong() -> None:
    good = of(settings(f"{{a: {action(match='command: [/a]')}}}"))
    assert json.loads(SCHEMA.read_text("utf-8"))["additionalProperties"] is False
    command = {**good["features"]["slash_commands"][0]}
    del command["url"]
    for part, change in (
        ("features", {**good["features"], "slash_commands": [command]}),
        ("settings", {**good["settings"], "socket_mode_enabled": True}),
        ("oauth_config", {"scopes": {"bot": ["chat:write", "chat:write"]}}),
        ("display_information", {"name": ""}),
        ("functions", {}),
    ):
        assert complaints({**good, part: change}) != [], part
