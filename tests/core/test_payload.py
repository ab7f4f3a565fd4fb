import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.values import (
    ALL_PAYLOADS,
    AN_EVENT,
    block_actions,
    block_suggestion,
    command_form,
    form,
    message_action,
    shortcut,
    view_submission,
)
from tidegate.core import payload
from tidegate.core.model import Actor, Interaction, Kind
from tidegate.errors import PayloadError

Parse = Callable[[bytes], Interaction]
PARSERS: tuple[Parse, ...] = (payload.interaction, payload.command, payload.event)

# --- what Slack sends -----------------------------------------------------------------------


def test_a_press_on_a_button_says_who_where_and_what() -> None:
    found = payload.interaction(form(block_actions()))
    assert found.kind is Kind.BLOCK_ACTIONS
    assert found.actor == Actor(user_id="U0ADA", user_name="ada", team_id="T0TEAM")
    assert (found.team_id, found.enterprise_id, found.channel_id) == ("T0TEAM", None, "C0OPS")
    assert (found.container_id, found.block_id) == ("1700000000.000100", "b1")
    assert (found.trigger, found.action_ts) == ("k8s_deploy", "1700000001.000200")
    assert json.loads(found.value) == {"namespace": "staging", "deployment": "web"}
    assert (found.label, found.link, found.selected) == ("Deploy", False, None)
    assert found.response_url == "https://hooks.slack.com/actions/1234/5678"
    assert found.message is not None
    assert (found.message.bot_id, found.message.text) == ("B0BOT", "Deploy web?")
    assert found.message.blocks == ({"type": "actions", "block_id": "b1", "elements": []},)
    assert not found.message.ephemeral


def test_a_press_on_an_ephemeral_message_carries_no_message_of_its_own() -> None:
    sent = block_actions()
    del sent["message"]
    sent["container"]["is_ephemeral"] = True
    found = payload.interaction(form(sent))
    assert found.message is not None
    assert found.message.ephemeral
    assert found.message.ts == "1700000000.000100"
    assert found.message.bot_id is None


def test_a_reply_in_a_thread_is_known_by_its_thread() -> None:
    sent = block_actions()
    sent["container"]["thread_ts"] = "1699999999.000001"
    found = payload.interaction(form(sent))
    assert found.message is not None
    assert found.message.thread_ts == "1699999999.000001"


def test_a_press_in_a_modal_belongs_to_its_view() -> None:
    sent = block_actions(container={"type": "view", "view_id": "V0VIEW"}, channel=None)
    sent |= {"message": None, "view": view_submission()["view"], "state": None}
    found = payload.interaction(form(sent))
    assert found.container_id == "V0VIEW"
    assert found.channel_id is None
    assert found.message is None
    assert found.state == {"replicas": {"count": {"type": "plain_text_input", "value": "3"}}}


@pytest.mark.parametrize(
    ("element", "picked"),
    [
        ({"selected_option": {"value": "v1", "text": {"text": "One"}}}, "v1"),
        ({"selected_option": None}, None),
        ({"selected_user": "U0GRACE"}, "U0GRACE"),
        ({"selected_conversation": "C0X"}, "C0X"),
        ({"selected_channel": "C0X"}, "C0X"),
        ({"selected_date": "2026-01-02"}, "2026-01-02"),
        ({"selected_time": "12:30"}, "12:30"),
        ({"selected_date_time": 1700000000}, "1700000000"),
        ({"selected_options": [{"value": "a"}, {"value": "b"}]}, "a,b"),
        ({"selected_options": []}, ""),
        ({"selected_users": ["U1", "U2"]}, "U1,U2"),
        ({"selected_conversations": ["C1"]}, "C1"),
        ({"selected_channels": ["C1", "C2"]}, "C1,C2"),
    ],
)
def test_what_was_picked_is_one_string(element: dict[str, Any], picked: str | None) -> None:
    action = {"action_id": "pick", "block_id": "b1", "type": "static_select", **element}
    found = payload.interaction(form(block_actions(actions=[action])))
    assert found.selected == picked
    assert found.value == (picked or "")


def test_the_label_is_that_of_the_picked_option() -> None:
    option = {"value": "v1", "text": {"type": "plain_text", "text": "Version 1"}}
    action = {"action_id": "pick", "text": {"text": "Pick"}, "selected_option": option}
    assert payload.interaction(form(block_actions(actions=[action]))).label == "Version 1"


def test_a_button_that_only_opens_a_page_is_a_link() -> None:
    action = {"action_id": "open", "type": "button", "url": "https://example.com"}
    assert payload.interaction(form(block_actions(actions=[action]))).link
    action["value"] = "{}"
    assert not payload.interaction(form(block_actions(actions=[action]))).link


def test_a_submitted_modal_says_what_was_filled_in() -> None:
    found = payload.interaction(form(view_submission()))
    assert found.kind is Kind.VIEW_SUBMISSION
    assert (found.trigger, found.container_id) == ("scale_view", "V0VIEW")
    assert found.view_hash == "1700000002.abcdef"
    assert found.value == '{"namespace":"staging"}'
    assert found.state["replicas"]["count"]["value"] == "3"
    assert found.input_blocks == ("replicas",)
    assert found.channel_id == "C0OPS"
    assert found.response_url == "https://hooks.slack.com/app/1234/5678"


def test_a_closed_modal_is_parsed() -> None:
    found = payload.interaction(form(view_submission() | {"type": "view_closed"}))
    assert (found.kind, found.container_id) == (Kind.VIEW_CLOSED, "V0VIEW")


def test_a_modal_of_a_shared_channel_belongs_to_the_workspace_that_installed_the_app() -> None:
    sent = view_submission(team=None)
    sent["view"]["app_installed_team_id"] = "T0HOME"
    assert payload.interaction(form(sent)).team_id == "T0HOME"


def test_shortcuts_are_found_by_their_callback_id() -> None:
    anywhere = payload.interaction(form(shortcut()))
    assert (anywhere.kind, anywhere.trigger) == (Kind.SHORTCUT, "deploy_shortcut")
    assert anywhere.message is None
    on_message = payload.interaction(form(message_action()))
    assert (on_message.kind, on_message.trigger) == (Kind.MESSAGE_ACTION, "deploy_message")
    assert on_message.container_id == "1700000000.000100"
    assert on_message.message is not None
    assert on_message.message.ts == "1700000000.000100"


def test_a_request_for_options_says_what_was_typed() -> None:
    found = payload.interaction(form(block_suggestion()))
    assert (found.kind, found.trigger, found.value) == (Kind.BLOCK_SUGGESTION, "pick", "we")


def test_a_type_that_slack_adds_one_day_is_other() -> None:
    sent = {"type": "hologram", "user": {"id": "U0ADA"}, "team": {"id": "T0TEAM"}}
    found = payload.interaction(form(sent))
    assert (found.kind, found.trigger) == (Kind.OTHER, "")


@pytest.mark.parametrize("kind", ["command", "event", "url_verification", "other"])
def test_a_kind_of_ours_that_is_no_interactivity_type_of_slacks_is_other(kind: str) -> None:
    assert payload.interaction(form(block_actions(type=kind))).kind is Kind.OTHER


def test_an_organisation_wide_install_names_the_enterprise() -> None:
    sent = block_actions(
        team=None, enterprise={"id": "E0ORG", "name": "Acme"}, is_enterprise_install="true"
    )
    found = payload.interaction(form(sent))
    assert (found.team_id, found.enterprise_id) == (None, "E0ORG")
    assert found.enterprise_install


def test_a_command_says_who_where_and_what() -> None:
    found = payload.command(command_form())
    assert found.kind is Kind.COMMAND
    assert (found.trigger, found.text) == ("/deploy", "web namespace=staging")
    assert found.actor == Actor(user_id="U0ADA", user_name="ada", team_id="T0TEAM")
    assert (found.team_id, found.channel_id) == ("T0TEAM", "C0OPS")
    assert not found.enterprise_install
    assert payload.command(command_form(is_enterprise_install="true")).enterprise_install


def test_an_event_says_what_happened_to_whom() -> None:
    found = payload.event(json.dumps(AN_EVENT).encode())
    assert found.kind is Kind.EVENT
    assert (found.trigger, found.event_id) == ("app_home_opened", "Ev0EVENT")
    assert (found.team_id, found.actor.user_id) == ("T0TEAM", "U0ADA")


def test_the_handshake_of_the_events_api_returns_its_challenge() -> None:
    found = payload.event(b'{"type":"url_verification","challenge":"abc","token":"x"}')
    assert (found.kind, found.challenge) == (Kind.URL_VERIFICATION, "abc")


@pytest.mark.parametrize(
    ("body", "checked"),
    [
        (b"ssl_check=1", True),
        (b"ssl_check=1&token=x", True),
        (b"payload=%7B%7D&ssl_check=1", True),
        (b"ssl_check=%31", True),
        (b"text=" + b"a" * 9000 + b"&ssl_check=1", True),
        (b"ssl_check=0", False),
        (b"xssl_check=1", False),
        (b"text=ssl_check%3D1", False),
        (b"text=%26ssl_check%3D1%26", False),
        (b"", False),
    ],
)
def test_only_the_field_ssl_check_is_slacks_test_of_the_certificate(
    body: bytes, checked: bool
) -> None:
    assert payload.is_ssl_check(body) is checked


def test_the_text_of_a_genuine_command_cannot_make_it_a_test_of_the_certificate() -> None:
    assert not payload.is_ssl_check(command_form(text="&ssl_check=1&", command="/x"))


# --- what Slack does not send ---------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload",
        b"=",
        b"payload=%7B",
        b"payload=%ff%fe",
        b"payload=\xff",
        b"payload=%00",
        b"payload=null",
        b"payload=%5B%5D",
        b"payload=%7B%7D",
        b"payload=" + b"%5B" * 200_000,
        b"payload=" + b"[" * 200_000,
        b"payload=%7B%7D&payload=%7B%7D",
        b"text=x",
        b"&".join(b"f%d=1" % n for n in range(200)) + b"&payload=%7B%7D",
        b'{"type":"block_actions","user":{"id":"U1"}}',
    ],
)
def test_a_body_that_is_no_payload_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        payload.interaction(body)


@pytest.mark.parametrize(
    "changed",
    [
        {"type": None},
        {"type": 7},
        {"user": None},
        {"user": {}},
        {"user": {"id": ""}},
        {"user": {"id": "U\n0"}},
        {"user": {"id": "U" * 256}},
        {"user": "U0ADA"},
        {"user": {"id": "U0ADA", "team_id": "T" * 256}},
        {"user": {"id": "U0ADA", "enterprise_id": "E\x00"}},
        {"actions": []},
        {"actions": None},
        {"actions": {}},
        {"actions": [{}]},
        {"actions": [{"action_id": ""}]},
        {"actions": [{"action_id": "a" * 256}]},
        {"actions": [{"action_id": "a\u202eb"}]},
        {"team": {"id": "T" * 256}},
        {"enterprise": {"id": "E\x07"}},
        {"channel": {"id": 5}},
        {"container": {"channel_id": "C\r\n"}},
        {"container": {"message_ts": "1" * 300}},
        {"state": {"values": []}},
        {"message": {"blocks": "none"}},
    ],
)
def test_what_we_rely_on_is_held_to_its_type(changed: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        payload.interaction(form(block_actions(**changed)))


@pytest.mark.parametrize(
    "changed",
    [
        {"command": ""},
        {"command": "deploy"},
        {"command": "/de\nploy"},
        {"user_id": ""},
        {"user_id": "U" * 300},
        {"channel_id": "C\x00"},
        {"team_id": "T" * 256},
        {"enterprise_id": "E" * 256},
    ],
)
def test_a_command_without_name_or_person_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(PayloadError):
        payload.command(command_form(**changed))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type":1}',
        b'{"type":"url_verification"}',
        b'{"type":"url_verification","challenge":7}',
        b'{"type":"url_verification","challenge":"' + b"a" * 5000 + b'"}',
        b'{"type":"\xff"}',
        b'{"type":"x","event":' + b"[" * 100_000,
        b'{"type":"\\ud800"}',
    ],
)
def test_a_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        payload.event(body)


@pytest.mark.parametrize(
    "body",
    [
        b"payload=%7B%22secret-content%22",
        b"secret-content=1&secret-content=2",
        b"payload=%22secret-content%22",
        form(block_actions(actions=[{"action_id": "secret-content\n"}])),
    ],
)
def test_a_refusal_does_not_repeat_what_was_sent(body: bytes) -> None:
    with pytest.raises(PayloadError) as refused:
        payload.interaction(body)
    assert "secret-content" not in str(refused.value)


def test_half_a_surrogate_pair_is_refused() -> None:
    body = b"payload=" + quote_plus('{"type":"\\ud800","user":{"id":"U1"}}').encode()
    with pytest.raises(PayloadError):
        payload.interaction(body)


def test_a_message_of_more_blocks_than_slack_allows_is_cut() -> None:
    sent = block_actions()
    sent["message"]["blocks"] = [{"type": "divider"}] * 500
    found = payload.interaction(form(sent))
    assert found.message is not None
    assert len(found.message.blocks) == payload.MAX_BLOCKS


# --- whatever the bytes ---------------------------------------------------------------------


def _outcome(parse: Parse, body: bytes) -> Interaction | None:
    """Any other exception ends the test."""
    try:
        return parse(body)
    except PayloadError:
        return None


@given(st.sampled_from(PARSERS), st.binary(max_size=400))
def test_any_bytes_are_an_interaction_or_refused(parse: Parse, body: bytes) -> None:
    _outcome(parse, body)
    payload.is_ssl_check(body)


@given(st.binary(max_size=400))
@example(b"=")
@example(b"%")
@example(b"%%7B")
@example(b"\n")
def test_any_bytes_as_a_payload_are_an_interaction_or_refused(rest: bytes) -> None:
    _outcome(payload.interaction, b"payload=" + rest)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
KEYS = st.sampled_from(sorted({key for sent in ALL_PAYLOADS for key in sent}))


@given(st.sampled_from(ALL_PAYLOADS), st.dictionaries(KEYS, JSON, max_size=4))
def test_real_payloads_with_parts_replaced_are_interactions_or_refused(
    sent: dict[str, Any], changed: dict[str, Any]
) -> None:
    found = _outcome(payload.interaction, form(sent | changed))
    if found is not None:
        for bounded in (found.actor.user_id, found.trigger, found.container_id, found.block_id):
            assert len(bounded) <= payload.MAX_ID
        for known in (found.team_id, found.channel_id, found.enterprise_id, found.actor.team_id):
            assert known is None or 0 < len(known) <= payload.MAX_ID


@given(st.sampled_from(ALL_PAYLOADS), st.data())
def test_real_payloads_with_bytes_changed_are_interactions_or_refused(
    sent: dict[str, Any], data: st.DataObject
) -> None:
    body = bytearray(form(sent))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    _outcome(payload.interaction, bytes(body))


@given(st.dictionaries(st.sampled_from(["type", "event", "event_id", "challenge"]), JSON))
def test_events_with_parts_replaced_are_interactions_or_refused(changed: dict[str, Any]) -> None:
    _outcome(payload.event, json.dumps(AN_EVENT | changed).encode())


@given(
    st.dictionaries(
        st.sampled_from(["command", "user_id", "user_name", "channel_id", "team_id", "text"]),
        st.text(max_size=300),
        max_size=4,
    )
)
def test_commands_with_parts_replaced_are_interactions_or_refused(changed: dict[str, str]) -> None:
    found = _outcome(payload.command, command_form(**changed))
    if found is not None:
        assert found.trigger.startswith("/")
        assert found.text == changed.get("text", "web namespace=staging")


@given(st.text(max_size=200), st.booleans())
@example("=\n", False)
@example("a=\r\nb", True)
@example("100 %+= &;", True)
@example("\t \x00 \x7f _", False)
@example("trailing \n", True)
def test_the_fast_reading_of_the_form_is_that_of_urllib(text: str, plus: bool) -> None:
    encode = quote_plus if plus else quote
    body = b"payload=" + encode(text, safe="").encode()
    assert (
        payload._payload_field(body)
        == parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(text))
        .get("payload", [""])[0]
        .encode()
        or not text
    )


@given(st.text(max_size=100))
def test_a_payload_among_other_fields_is_the_same(text: str) -> None:
    body = urlencode({"payload": text, "more": "1"}).encode()
    assert payload._payload_field(body) == text.encode()


@given(st.sampled_from(ALL_PAYLOADS))
def test_both_ways_of_reading_the_form_give_the_same_interaction(sent: dict[str, Any]) -> None:
    alone = form(sent)
    assert payload.interaction(alone) == payload.interaction(alone + b"&more=1")
