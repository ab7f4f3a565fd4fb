"""Rights are exactly those that the calls of the adapters need."""

import ast
import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.web.async_client import AsyncWebClient
from typing_extensions import override

from tests.slack_manifests import action, bucket, settings
from tidegate.adapters import slack_api
from tidegate.core import scopes
from tidegate.core.scopes import (
    COMMANDS,
    METHOD_SCOPES,
    app_scopes,
    missing_scopes,
    needed_scopes,
    spare_scopes,
)
from tidegate.core.settings import Settings
from tidegate_dev.slack.web_api import METHODS as OF_SLACK

#: All that a configuration can ask for.
EVERYTHING = settings(
    "{"
    + f"one: {action(allow='user_groups: [S0A]')}, "
    + f"two: {action(match='command: [/two]', allow='users: [U0A], channels: [D0A, G0A]')}"
    + "}",
    bucket("channels: [C0A, D0A], modes: [upload, link]"),
)
ALONE = settings()


def needs(found: Settings, **options: bool) -> dict[str, bool]:
    return {need.scope: need.required for need in needed_scopes(found, **options)}


# --- what is called -------------------------------------------------------------------------


class _NamedError(Exception):
    """The method of the Web API that would have been called."""


class _Client(AsyncWebClient):
    @override
    async def api_call(self, api_method: str, **more: Any) -> Any:
        raise _NamedError(api_method)


def _api_method(python_name: str) -> str:
    """Return the method of the Web API behind one of slack_sdk's, by having it name it."""
    method = getattr(_Client(token="t"), python_name)
    needed = [
        name
        for name, each in inspect.signature(method).parameters.items()
        if each.default is inspect.Parameter.empty and each.kind is each.KEYWORD_ONLY
    ]
    given_values: dict[str, Any] = dict.fromkeys(needed, "x")
    if "files" in given_values:
        given_values["files"] = [{"id": "F"}]
    if python_name in {"chat_postMessage", "chat_postEphemeral", "chat_update"}:
        given_values["text"] = "x"
    with pytest.raises(_NamedError) as named:
        method(**given_values).send(None)
    return str(named.value)


@cache
def called() -> frozenset[str]:
    """Return the methods that the adapters' code calls: whatever it takes of a `web`."""
    names: set[str] = set()
    folder = Path(slack_api.__file__).parent
    for file in folder.parent.rglob("*.py"):
        text = file.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if ".web" in text else ():
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and node.value.attr == "web"
            ):
                names.add(node.attr)
    return frozenset(map(_api_method, names))


def test_the_methods_that_are_known_are_those_that_the_adapters_call() -> None:
    assert called() == METHOD_SCOPES.keys()


def test_every_call_is_covered_and_no_scope_is_spare() -> None:
    found = needed_scopes(EVERYTHING)
    covered = {method for need in found for method in need.methods}
    assert covered == {method for method, scope in METHOD_SCOPES.items() if scope}
    assert [need.scope for need in found if not need.methods] == [COMMANDS]
    for need in found:
        for method in need.methods:
            kind, _, right = need.scope.partition(":")
            assert METHOD_SCOPES[method] in (need.scope, f"*:{right}"), (kind, method)


def test_the_scopes_are_those_that_slack_asks_of_each_method() -> None:
    for method, scope in METHOD_SCOPES.items():
        asked = set(OF_SLACK[method].scopes)
        if "*" in scope:
            assert scope.replace("*", "channels") in asked
            assert scope.replace("*", "groups") in asked
        else:
            assert asked == ({scope} if scope else set())


# --- what each part of a configuration needs ------------------------------------------------


def test_with_nothing_to_do_messages_can_be_sent() -> None:
    assert needs(ALONE) == {"chat:write": True}
    (need,) = needed_scopes(ALONE)
    assert need.reasons == ("tidegate send sends messages",)


def test_files_of_send_are_asked_for_only_where_they_are_wished_for() -> None:
    assert needs(ALONE, send_files=True) == {
        "channels:read": False,
        "chat:write": True,
        "files:read": True,
        "files:write": True,
        "groups:read": False,
    }


@pytest.mark.parametrize(
    ("allow", "expected"),
    [
        ("users: [U0A], channels: [C0A]", {"channels:read", "groups:read"}),
        ("users: [U0A], channels: [D0A]", set()),
        ("users: [U0A], channels: [G0A]", {"groups:read", "mpim:read"}),
        ("users: [U0A]", {"channels:read", "groups:read", "mpim:read"}),
    ],
)
def test_channels_are_looked_at_where_rules_may_hold(allow: str, expected: set[str]) -> None:
    found = needs(settings(f"{{a: {action(allow=allow)}}}"))
    assert {scope for scope in found if scope.endswith((":read",)) and scope != "users:read"} == (
        expected
    )
    assert found["users:read"] is True
    assert found.get("mpim:read", False) is False  # it can be done without


def test_history_is_read_only_to_look_for_a_post_that_broke_off() -> None:
    found = needs(settings(f"{{a: {action()}}}"))
    assert found["channels:history"] is False
    assert found["groups:history"] is False
    assert not {"im:history", "mpim:history"} & found.keys()


def test_user_groups_are_read_where_a_rule_names_one() -> None:
    assert "usergroups:read" not in needs(settings(f"{{a: {action()}}}"))
    assert needs(settings(f"{{a: {action(allow='user_groups: [S0A]')}}}"))["usergroups:read"]


@pytest.mark.parametrize("match", ["command: [/a]", "command: [/a*]", "shortcut: [a]"])
def test_commands_are_asked_for_by_commands_and_shortcuts(match: str) -> None:
    assert needs(settings(f"{{a: {action(match=match)}}}"))["commands"] is True


@pytest.mark.parametrize("match", ["action_id: [a]", "view: [a]"])
def test_buttons_and_modals_need_no_scope_of_their_own(match: str) -> None:
    assert "commands" not in needs(settings(f"{{a: {action(match=match)}}}"))


def test_an_action_that_leads_nowhere_needs_nothing() -> None:
    for inactive in ("{use: k8s_deploy, allow: {users: [U0A]}}", "{use: s3_upload}"):
        assert needs(settings(f"{{a: {inactive}}}")).keys() == {"chat:write"}


@pytest.mark.parametrize("mode", ["upload", "image", "gallery"])
def test_files_are_written_where_a_bucket_is_uploaded_from(mode: str) -> None:
    found = needs(settings(more=bucket(f"channels: [C0A], modes: [{mode}]")))
    assert found["files:write"]
    assert found["files:read"]


def test_a_link_needs_no_files() -> None:
    found = needs(settings(more=bucket("channels: [C0A], modes: [link]")))
    assert not {"files:write", "files:read", "users:read"} & found.keys()
    assert found["channels:read"] is True


def test_a_bucket_for_outsiders_too_only_looks_for_names() -> None:
    found = needs(settings(more=bucket("channels: [C0A], modes: [link], external: true")))
    assert found["channels:read"] is False


def test_a_direct_message_that_is_shared_in_has_its_people_looked_at() -> None:
    found = needs(settings(more=bucket("channels: [D0A], modes: [link]")))
    assert found == {"chat:write": True, "im:read": True, "users:read": True}
    found = needs(settings(more=bucket("channels: [G0A], modes: [link]")))
    assert found["mpim:read"] is True


def test_socket_mode_is_a_matter_of_the_other_token() -> None:
    assert app_scopes(ALONE) == ()
    (need,) = app_scopes(settings(socket_mode=True))
    assert need.scope == scopes.CONNECTIONS
    assert needs(settings(socket_mode=True)) == needs(ALONE)


@given(st.sets(st.sampled_from(["chat:write", "files:read", "im:read", "admin", "commands"])))
def test_missing_and_spare_are_what_is_left_on_either_side(granted: set[str]) -> None:
    needed = {need.scope for need in needed_scopes(EVERYTHING)}
    missing = {need.scope for need in missing_scopes(EVERYTHING, granted)}
    assert missing == needed - granted
    assert set(spare_scopes(EVERYTHING, granted)) == granted - needed


def test_every_need_says_why() -> None:
    for need in needed_scopes(EVERYTHING):
        assert need.reasons
        assert all(reason and reason[0] != " " and reason[-1] != "." for reason in need.reasons)
