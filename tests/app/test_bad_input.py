"""Whatever comes to the public listener is answered, and leaves nothing of itself in the log."""

import contextlib
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.raw_gate import (
    CANARY,
    ENDPOINTS,
    FORM,
    JSON,
    SHAPES,
    Gate,
    Headers,
    a_command,
    an_event,
    block_actions,
    envelope,
    form,
    gate,
    head,
    parsed,
    received,
    view,
)
from tests.examples import examples
from tidegate.app.intake import speaks_for
from tidegate.ports import Workspace

pytestmark = pytest.mark.xdist_group("bad input")  # one gate for all of them

ANSWERS = {200, 400, 401, 413, 415}
FUZZ = settings(
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with gate(tmp_path_factory.mktemp("gate")) as found:
        yield found


@pytest.fixture(name="gate")
def quiet(opened: Gate) -> Iterator[Gate]:
    """The gate; after each test its log is looked at."""
    yield opened
    opened.logged()
    assert opened.process.poll() is None


# --- signatures ----------------------------------------------------------------------------

Forge = Callable[[Gate, bytes], Headers]


def _with(name: str, value: str | bytes) -> Forge:
    def forge(gate: Gate, body: bytes) -> Headers:
        return [(n, value if n == name else v) for n, v in gate.signature(body)]

    return forge


def _without(name: str) -> Forge:
    return lambda gate, body: [(n, v) for n, v in gate.signature(body) if n != name]


STAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"
FORGERIES: dict[str, Forge] = {
    "none": lambda _gate, _body: [],
    "of another body": lambda gate, body: gate.signature(body + b" "),
    "too old": lambda gate, body: gate.signature(body, at=time.time() - 320),
    "of the future": lambda gate, body: gate.signature(body, at=time.time() + 320),
    "without a time": _without(STAMP),
    "without a signature": _without(SIGNATURE),
    "time not a number": _with(STAMP, CANARY),
    "time with a fraction": _with(STAMP, f"{time.time()}"),
    "time negative": _with(STAMP, "-1"),
    "time without end": _with(STAMP, "9" * 5000),
    "time in other digits": _with(STAMP, "١٢٣".encode()),
    "time superscript": _with(STAMP, b"\xb2\xb3"),
    "time empty": _with(STAMP, ""),
    "signature empty": _with(SIGNATURE, ""),
    "signature not ASCII": _with(SIGNATURE, b"v0=\xff\xfe\x80"),
    "signature cut": lambda gate, body: [(n, v[:40]) for n, v in gate.signature(body)],
    "signature in capitals": lambda gate, body: [
        (n, v.upper().replace("V0", "v0")) for n, v in gate.signature(body)
    ],
    "signature of version 1": lambda gate, body: [
        (n, v.replace("v0=", "v1=")) for n, v in gate.signature(body)
    ],
    "a wrong one behind the right one": lambda gate, body: [
        *gate.signature(body),
        (SIGNATURE, f"v0={CANARY}"),
    ],
    "a wrong time behind the right one": lambda gate, body: [*gate.signature(body), (STAMP, "1")],
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_slack_did_not_sign_is_refused(gate: Gate, endpoint: str, forgery: str) -> None:
    body = json.dumps(an_event()).encode() if endpoint == "/slack/events" else form(CANARY)
    kind = JSON if endpoint == "/slack/events" else FORM
    headers = [("Content-Type", kind), *FORGERIES[forgery](gate, body)]
    answer = gate.send(endpoint, body, headers)
    assert answer.status == 401
    assert answer.body == b"not verified"
    assert gate.answered()["bytes"] == len(body)


def test_a_signature_at_the_edge_of_the_window_still_holds(gate: Gate) -> None:
    body = json.dumps(an_event()).encode()
    for skew in (-280, 280):
        headers = [("Content-Type", JSON), *gate.signature(body, at=time.time() + skew)]
        assert gate.send("/slack/events", body, headers).status == 200


any_header = st.tuples(
    st.sampled_from(
        [STAMP, SIGNATURE, "Content-Type", "Content-Encoding", "Cookie", "Expect", f"X-{CANARY}"]
    ),
    st.one_of(
        st.binary(max_size=60).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"")),
        st.sampled_from([CANARY.encode(), b"100-continue", b"gzip", b"v0=" + b"0" * 64, b"1e9"]),
    ),
)
any_body = st.one_of(
    st.binary(max_size=2000),
    st.text(max_size=500).map(lambda text: form(CANARY + text)),
    st.sampled_from([b"", b"&" * 500, b"=", b"payload", b"payload=", b"payload=%", b"%00" * 99]),
)


@FUZZ
@given(endpoint=st.sampled_from(ENDPOINTS), headers=st.lists(any_header, max_size=8), body=any_body)
def test_no_bytes_without_a_signature_get_past(
    gate: Gate, endpoint: str, headers: list[tuple[str, bytes]], body: bytes
) -> None:
    answer = gate.send(endpoint, body, headers)
    # 400 comes from the parser of HTTP, for bytes that no header may hold.
    assert answer.status in (400, 401)
    assert answer.status == 401 or answer.body == b"Invalid HTTP request received."


# --- signed, but not what Slack sends ------------------------------------------------------


@FUZZ
@given(endpoint=st.sampled_from(ENDPOINTS), body=any_body)
def test_any_signed_bytes_are_answered(gate: Gate, endpoint: str, body: bytes) -> None:
    assert gate.signed(endpoint, body).status in ANSWERS


DEEP = 100_000
BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no payload": (b"other=1", 400),
    "an empty payload": (b"payload=", 400),
    "a payload that is not JSON": (form(CANARY), 400),
    "JSON of another shape": (form("[]"), 400),
    "null": (form("null"), 400),
    "a type that is not text": (form({"type": 1}), 400),
    "nobody": (form({"type": "block_actions"}), 400),
    "two payloads": (form(block_actions()) + b"&" + form(block_actions()), 400),
    "ten thousand fields": (b"&".join(b"f%d=1" % n for n in range(10_000)), 400),
    "bytes that are not UTF-8": (b"payload=" + b"\xff\xfe" * 50, 400),
    "escaped bytes that are not UTF-8": (b'payload={"type":"%ff%fe"}', 400),
    "NUL bytes": (b"\0" * 1000, 400),
    "NUL bytes as a payload": (b"payload=" + b"\0" * 1000, 400),
    "an id with a NUL": (form(block_actions({"action_id": "a\0b"})), 400),
    "an id with a line break": (form(block_actions({"action_id": f"a\nb{CANARY}"})), 400),
    "an id without end": (form(block_actions({"action_id": "a" * 256})), 400),
    "deep lists": (form("[" * DEEP), 400),
    "deep objects": (form('{"a":' * 50_000), 400),
    "deep in a field nobody knows": (
        form('{"type":"block_actions","later":' + "[" * DEEP + "]" * DEEP + "}"),
        400,
    ),
    "deep in a message": (
        form('{"type":"block_actions","message":{"blocks":[{"a":' + "[" * DEEP),
        400,
    ),
    "a lone surrogate": (form('{"type":"block_actions","user":{"id":"\\ud800"}}'), 400),
    "a surrogate the wrong way round": (form('{"type":"\\udc00\\ud800"}'), 400),
    "an endless number": (form('{"type":"x","user":{"id":"U1"},"n":' + "9" * 50_000 + "}"), 401),
    "an endless date": (
        form(block_actions()).replace(
            quote_plus('"style"').encode(),
            quote_plus('"selected_date_time": ' + "9" * 50_000 + ', "style"').encode(),
        ),
        400,
    ),
    "a number out of range": (form('{"type":"x","user":{"id":"U1"},"n":1e999999}'), 401),
    "no actions": (form(block_actions(actions=[])), 400),
    "cut in an escape": (b"payload=%7B%2", 400),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_signed_body_that_is_no_interaction_is_refused(gate: Gate, name: str) -> None:
    body, status = BODIES[name]
    assert gate.signed("/slack/actions", body).status == status


def test_the_last_of_two_equal_keys_counts_for_every_reader(gate: Gate) -> None:
    text = json.dumps(block_actions({"action_id": "wild_card"}))
    twice = text.replace('"id": "C0OPS"', '"id": "C0OPS", "id": "C0OTHER"', 1)
    assert gate.act(twice).status == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"1", b'{"type":1}', b"{" * DEEP, b'{"type":"url_verification"}', b"\xff\xfe{}"],
)
def test_a_signed_event_that_is_none_is_refused(gate: Gate, body: bytes) -> None:
    assert gate.signed("/slack/events", body).status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [("command", ""), ("command", "deploy"), ("user_id", ""), ("user_id", "U\n"), ("text", "\0")],
)
def test_a_command_is_answered_whatever_its_fields_hold(gate: Gate, name: str, value: str) -> None:
    assert gate.command(**{name: value}).status == (200 if name == "text" else 400)


@pytest.mark.parametrize("name", ["command", "user_id", "team_id", "text"])
def test_a_field_given_twice_is_refused(gate: Gate, name: str) -> None:
    body = urlencode([*a_command().items(), (name, "U0ADA")]).encode()
    assert gate.signed("/slack/commands", body).status == 400


def test_text_that_is_not_unicode_is_refused(gate: Gate) -> None:
    body = urlencode(a_command()).encode() + b"&more=%ed%a0%80"
    assert gate.signed("/slack/commands", body).status == 400


# --- real payloads, changed ----------------------------------------------------------------

BASES: tuple[Callable[[], dict[str, Any]], ...] = (
    block_actions,
    lambda: block_actions({"action_id": "k8s_deploy"}, user={"id": "U0ADA"}),
    lambda: block_actions({"action_id": "typed", "value": '{"count":1,"flag":true}'}),
    lambda: block_actions({"action_id": "wild_card"}, user={"id": "U0ADA"}),
    lambda: block_actions(
        {"action_id": "tidegate:check", "value": f"01JD8S3Q9X2V4W6Y8Z0A1B2C3D.{CANARY}"}
    ),
    lambda: block_actions(
        {"type": "static_select", "selected_option": {"text": {"text": "a"}, "value": "b"}}
    ),
    lambda: block_actions(
        container={"type": "view", "view_id": "V1"}, view=view(), message=None, channel=None
    ),
    *(lambda shape=shape: dict(shape) for shape in SHAPES.values()),
    lambda: envelope(
        type="view_submission", view=view(callback_id="deploy_view"), user={"id": "U0ADA"}
    ),
    lambda: envelope(type="shortcut", callback_id="deploy_shortcut", user={"id": "U0ADA"}),
)
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    1e308,
    "",
    " ",
    CANARY,
    f"{CANARY}\0\r\n\u2028\U0001f600",
    "x" * 10_000,
    "\u202e\u0000",
    [],
    [[]],
    [None, CANARY],
    {},
    {CANARY: CANARY},
    {"id": CANARY},
    json.loads("[" * 400 + "]" * 400),
    "http://127.0.0.1:1/",
    "https://hooks.slack.com@127.0.0.1/",
    "http://[",
    "deploy",
    "k8s_deploy",
    "true",
)


def changed(value: Any, chance: random.Random, times: int) -> Any:
    """*value* with *times* of its fields dropped, replaced or of another type."""
    for _ in range(times):
        value = _changed_once(value, chance)
    return value


def _changed_once(value: Any, chance: random.Random) -> Any:
    places: list[tuple[Any, Any]] = []

    def walk(node: Any, depth: int = 0) -> None:
        if depth > 50:
            return
        keys = node.keys() if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key], depth + 1)

    copy = json.loads(json.dumps(value))
    walk(copy)
    if not places:
        return copy
    node, key = chance.choice(places)
    match chance.randrange(4):
        case 0:
            del node[key]
        case 1:
            node[key] = [node[key]]
        case 2:
            node[key] = str(node[key])
        case _:
            node[key] = chance.choice(ODD)
    return copy


@FUZZ
@given(
    base=st.sampled_from(BASES),
    chance=st.randoms(use_true_random=False),
    times=st.integers(0, 5),
    endpoint=st.sampled_from(("/slack/actions", "/slack/actions", "/slack/options")),
)
def test_changed_payloads_of_slacks_are_answered(
    gate: Gate,
    base: Callable[[], dict[str, Any]],
    chance: random.Random,
    times: int,
    endpoint: str,
) -> None:
    assert gate.act(changed(base(), chance, times), endpoint).status in ANSWERS


@FUZZ
@given(chance=st.randoms(use_true_random=False), times=st.integers(0, 4))
def test_changed_events_of_slacks_are_answered(
    gate: Gate, chance: random.Random, times: int
) -> None:
    body = json.dumps(changed(an_event(), chance, times)).encode()
    assert gate.signed("/slack/events", body).status in ANSWERS


@FUZZ
@given(
    fields=st.dictionaries(
        st.sampled_from([*a_command(), "response_url", "enterprise_id", "more"]),
        st.one_of(st.text(max_size=80), st.sampled_from([s for s in ODD if isinstance(s, str)])),
        max_size=4,
    )
)
def test_changed_commands_of_slacks_are_answered(gate: Gate, fields: dict[str, str]) -> None:
    assert gate.command(**fields).status in ANSWERS


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
names = st.sampled_from(["count", "flag", "word", "free", "hidden", "other"])


@FUZZ
@given(
    value=st.dictionaries(names, json_values, max_size=4), filled=json_values, picked=json_values
)
def test_any_values_of_params_are_taken_or_refused_with_a_notice(
    gate: Gate, value: dict[str, Any], filled: Any, picked: Any
) -> None:
    action = {"action_id": "typed", "value": json.dumps(value)}
    payload = block_actions(action, user={"id": "U0ADA"}, state={"values": {"b": {"a": filled}}})
    payload["actions"][0]["selected_option"] = {"value": picked}
    assert gate.act(payload).status in (200, 400)


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**70), 10**300, 10**4200])
def test_a_number_of_any_size_is_carried_or_refused(gate: Gate, number: int) -> None:
    sent = gate.act(
        block_actions(
            {"action_id": "typed", "value": f'{{"count":{number}}}'}, user={"id": "U0ADA"}
        )
    )
    assert sent.status == 200
    assert gate.answered()["outcome"] in ("recorded", "refused")


# --- where things do not belong ------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_post_is_for_slack(gate: Gate, endpoint: str, method: str) -> None:
    answer = gate.send(endpoint, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data; boundary=x", CANARY, b"\xff", "the other"]
)
def test_another_content_type_is_refused(gate: Gate, endpoint: str, kind: str | bytes) -> None:
    if kind == "the other":
        kind = FORM if endpoint == "/slack/events" else JSON
    body = form(block_actions())
    answer = gate.send(endpoint, body, [("Content-Type", kind), *gate.signature(body)])
    assert answer.status == 415


@pytest.mark.parametrize(
    "kind", [f"{FORM}; charset=utf-8", FORM.upper(), f"{FORM} ;charset={CANARY}"]
)
def test_a_content_type_may_be_written_in_many_ways(gate: Gate, kind: str) -> None:
    assert gate.signed("/slack/actions", form(block_actions()), content_type=kind).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/{CANARY}",
        "/slack/actions/",
        "/slack//actions",
        "/SLACK/ACTIONS",
        "/slack/../slack/actions",
        "/metrics",
        "/api/v1/runs",
        "/%",
        "/%ff%00",
        "/slack/actions%2f",
    ],
)
def test_nothing_else_is_there(gate: Gate, path: str) -> None:
    body = form(block_actions())
    for method in ("GET", "POST"):
        assert gate.send(path, body, gate.signature(body), method=method).status == 404


def test_a_query_changes_nothing(gate: Gate) -> None:
    assert gate.signed(f"/slack/actions?{CANARY}=1", form(block_actions())).status == 200
    assert gate.send(f"/slack/actions?ssl_check=1&{CANARY}").status == 401


def test_an_ssl_check_is_answered_and_never_dispatched(gate: Gate) -> None:
    smuggled = [
        f"ssl_check=1&token={CANARY}".encode(),
        b"ssl_check=1&" + form(block_actions({"action_id": "wild_a"}, user={"id": "U0ADA"})),
        form(block_actions({"action_id": "wild_b"}, user={"id": "U0ADA"})) + b"&ssl_check=1",
        urlencode(a_command() | {"command": "/deploy", "ssl_check": "1"}).encode(),
    ]
    before = len(gate.service.seen)
    for body in smuggled:
        for send in (gate.send, gate.signed):
            answer = send("/slack/commands", body)
            assert (answer.status, answer.body) == (200, b"")
            assert "x-tidegate-run" not in answer.headers
            assert gate.answered()["kind"] == "ssl_check"
    assert len(gate.service.seen) == before


def test_an_ssl_check_means_nothing_elsewhere(gate: Gate) -> None:
    for endpoint in ("/slack/actions", "/slack/options", "/slack/events"):
        assert gate.send(endpoint, b"ssl_check=1&" + form(block_actions())).status == 401
    body = b"ssl_check=1&" + form(block_actions({"action_id": "wild_c"}, user={"id": "U0ADA"}))
    answer = gate.signed("/slack/actions", body)
    assert (answer.status, gate.answered()["outcome"]) == (200, "recorded")
    for no_check in ("ssl_check=0", "xssl_check=1", "text=ssl_check%3D1", "ssl_check="):
        body = urlencode(a_command()).replace(f"text={CANARY}", no_check).encode()
        assert gate.send("/slack/commands", body).status == 401


def test_a_url_verification_is_answered_with_its_challenge(gate: Gate) -> None:
    asked = {"type": "url_verification", "challenge": CANARY, "token": CANARY}
    answer = gate.signed("/slack/events", json.dumps(asked).encode())
    assert (answer.status, answer.json()) == (200, {"challenge": CANARY})
    assert gate.send("/slack/events", json.dumps(asked).encode()).status == 401


# --- every interactivity type --------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_every_type_of_interaction_is_answered_properly(gate: Gate, name: str) -> None:
    shape = SHAPES[name] | {"trigger_id": f"{time.time_ns()}"}
    answer = gate.act(shape)
    assert answer.status == 200
    assert "x-tidegate-run" not in answer.headers
    line = gate.answered()
    assert line["outcome"] in ("ignored", "unrouted")
    if name == "view_submission":  # told in the modal
        assert answer.json()["response_action"] == "errors"
    elif name == "block_suggestion":
        assert answer.json() == {"options": []}
        assert gate.act(shape, "/slack/options").json() == {"options": []}
    else:
        assert answer.body == b""
    if name != "block_suggestion":
        assert gate.act(shape, "/slack/options").status == 400


@pytest.mark.parametrize(
    "event",
    [
        {"type": "team_join", "user": {"id": f"U{CANARY}", "name": CANARY}},
        {"type": "app_home_opened", "user": f"U{CANARY}", "view": view()},
        {"type": "file_shared", "file_id": "F1", "user_id": f"U{CANARY}"},
        {"type": "subteam_members_changed", "added_users": [CANARY]},
    ],
)
def test_events_are_taken_and_lead_to_nothing(gate: Gate, event: dict[str, Any]) -> None:
    body = json.dumps(an_event(event=event)).encode()
    assert gate.signed("/slack/events", body).status == 200


def test_a_request_of_another_workspace_is_refused(gate: Gate) -> None:
    elsewhere = {"id": f"T{CANARY}", "domain": CANARY}
    own = {"action_id": "wild_card"}
    for fields in (
        {"team": elsewhere},
        {"team": None},
        {"team": None, "enterprise": {"id": "E1"}, "is_enterprise_install": True},
        {"team": elsewhere, "enterprise": {"id": "E1"}, "is_enterprise_install": True},
        {"team": {"id": None}},
    ):
        answer = gate.act(block_actions(own, user={"id": "U0ADA"}, **fields))
        assert (answer.status, answer.body) == (401, b"not verified")
    assert gate.command(team_id="T1").status == 401
    assert gate.command(team_id="", enterprise_id="E1").status == 401
    event = an_event(team_id="T1", authorizations=[{"team_id": "T1"}])
    assert gate.signed("/slack/events", json.dumps(event).encode()).status == 401


@pytest.mark.parametrize(
    ("team_id", "enterprise_id", "whole", "own"),
    [
        ("T1", None, False, True),
        ("T2", None, False, False),
        (None, None, False, False),
        (None, "E1", False, False),
        ("T2", "E1", False, False),
        (None, "E1", True, True),
        ("T2", "E1", True, True),
        (None, "E2", True, False),
        (None, None, True, False),
    ],
)
def test_an_org_wide_installation_serves_its_organisation_and_no_other(
    team_id: str | None, enterprise_id: str | None, whole: bool, own: bool
) -> None:
    workspace = Workspace(
        team_id="T1", bot_id="B1", user_id="U1", enterprise_id="E1", enterprise_install=whole
    )
    assert speaks_for(workspace, team_id, enterprise_id) is own


def test_what_the_configuration_does_not_name_is_logged_as_a_length(gate: Gate) -> None:
    payload = block_actions()
    assert gate.act(payload).status == 200
    length = len(payload["actions"][0]["action_id"])
    line = gate.answered()
    assert (line["outcome"], line["reason"]) == ("unrouted", f"no route for {length} characters")
    assert gate.command().status == 200
    assert gate.answered()["reason"] == f"no route for {len(CANARY) + 1} characters"


def test_what_may_be_deep_but_not_endless_goes_all_the_way(gate: Gate) -> None:
    for depth in (50, 400, 800, 900, 930, 950, 960, 970, 980, 985, 990):
        nested = "[" * depth + "]" * depth
        payload = block_actions({"action_id": "wild_deep"}, user={"id": "U0ADA"})
        payload["message"]["blocks"][0]["nested"] = "NESTED"
        text = json.dumps(payload).replace('"NESTED"', nested)
        assert gate.act(text).status in (200, 400)
        payload = block_actions({"action_id": "typed"}, user={"id": "U0ADA"})
        payload["state"]["values"] = {"b": {"a": {"value": "NESTED"}}}
        text = json.dumps(payload).replace('"NESTED"', nested)
        assert gate.act(text).status in (200, 400)
    assert gate.click()


# --- size and time -------------------------------------------------------------------------


def test_a_large_body_is_refused_at_once(gate: Gate) -> None:
    body = b"payload=" + CANARY.encode() * 1_200_000
    started = time.monotonic()
    answer = gate.signed("/slack/actions", body)
    assert answer.status == 413
    assert time.monotonic() - started < 2.0
    assert gate.answered()["reason"] == "body too large"


def test_whoever_sends_a_large_body_is_not_reset_before_it_has_the_answer(gate: Gate) -> None:
    body = b"payload=" + b"a" * 10_000_000
    headers = [("Content-Type", FORM), ("Content-Length", str(len(body)))]
    with gate.connect() as sock:
        sock.sendall(head("POST", "/slack/actions", headers) + body)  # a reset would raise
        answer = b""
        while chunk := sock.recv(65_536):
            answer += chunk
    assert parsed(answer).status == 413


def test_a_large_body_is_refused_before_it_is_sent(gate: Gate) -> None:
    headers = [("Content-Type", FORM), ("Content-Length", "10485760")]
    with gate.connect() as sock:
        sock.sendall(head("POST", "/slack/actions", headers))
        sock.settimeout(2.0)
        assert parsed(sock.recv(65_536)).status == 413


@pytest.mark.parametrize("pieces", [160, 100_000])
def test_a_large_body_in_chunks_is_refused(gate: Gate, pieces: int) -> None:
    size = 10_485_760 // pieces
    chunk = b"%x\r\n" % size + b"a" * size + b"\r\n"
    headers = [("Content-Type", FORM), ("Transfer-Encoding", "chunked")]
    data = head("POST", "/slack/actions", headers) + chunk * pieces + b"0\r\n\r\n"
    started = time.monotonic()
    assert parsed(gate.exchange(data)).status == 413
    assert time.monotonic() - started < 5.0


@pytest.mark.parametrize(
    "lie", ["99999999999999999999999", "-1", "1e3", "0x10", b"\xb2", "5, 6", "", "+7"]
)
def test_a_length_that_is_none_is_refused(gate: Gate, lie: str | bytes) -> None:
    data = head("POST", "/slack/actions", [("Content-Length", lie)]) + b"payload=1"
    assert parsed(gate.exchange(data, half_close=True)).status in (0, 400, 401, 413)


def test_a_body_longer_than_its_length_is_not_a_second_request(gate: Gate) -> None:
    body = form(block_actions())
    headers = [("Content-Type", FORM), *gate.signature(body), ("Content-Length", str(len(body)))]
    answer = parsed(gate.exchange(head("POST", "/slack/actions", headers) + body + b"\r\n" * 9))
    assert answer.status == 200
    answer = parsed(gate.exchange(head("POST", "/slack/actions", headers) + body + body))
    assert (answer.status, answer.rest) == (200, b"")


def test_two_lengths_are_refused(gate: Gate) -> None:
    for other in ([("Content-Length", "8")], [("Transfer-Encoding", "chunked")]):
        data = head("POST", "/slack/actions", [("Content-Length", "9"), *other])
        assert parsed(gate.exchange(data + b"payload=1")).status == 400


@pytest.mark.parametrize("times", [70_000, 3_000_000])
def test_a_head_without_end_is_cut_off(gate: Gate, times: int) -> None:
    for name in (b"X-Long: ", b"GET /"):
        data = b"POST /slack/actions HTTP/1.1\r\n" if name[:1] == b"X" else b""
        answer = parsed(gate.exchange(data + name + b"a" * times))
        assert answer.status in (0, 400, 431)  # 0: cut off while it was still being sent
    lines = b"X-A: b\r\n" * (times // 8)
    answer = parsed(gate.exchange(b"POST /slack/actions HTTP/1.1\r\n" + lines))
    assert answer.status in (0, 400, 431)


def test_trailers_without_end_are_cut_off(gate: Gate) -> None:
    headers = [("Content-Type", FORM), ("Transfer-Encoding", "chunked")]
    start = head("POST", "/slack/actions", headers) + b"1\r\na\r\n0\r\n"
    for trailers in (b"X-Trail: " + b"a" * 3_000_000, b"X-A: b\r\n" * 300_000):
        started = time.monotonic()
        gate.exchange(start + trailers)
        assert time.monotonic() - started < 5.0


def test_what_comes_too_slowly_is_cut_off(gate: Gate) -> None:
    """A slow head, a slow body, a body that never comes: all end after ten seconds."""
    body = [("Content-Type", FORM), ("Content-Length", "100")]
    starts = {
        "head": (b"POST /slack/actions HTTP/1.1\r\nX-Slow: ", b"", 1.0),
        "body": (head("POST", "/slack/actions", body), b"408", 1.0),
        "nothing": (head("POST", "/slack/commands", body), b"408", 0.0),
        "chunks": (
            head("POST", "/slack/events", [("Transfer-Encoding", "chunked")]) + b"64\r\n",
            b"408",
            1.0,
        ),
    }

    def drip(name: str) -> tuple[bytes, float]:
        start, _, pause = starts[name]
        began = time.monotonic()
        with gate.connect(timeout=20.0) as sock, contextlib.suppress(ConnectionError):
            sock.sendall(start)
            while pause and time.monotonic() - began < 20.0:
                sock.sendall(b"a")
                sock.settimeout(pause)
                with contextlib.suppress(TimeoutError):
                    return sock.recv(65_536), time.monotonic() - began
            return received(sock), time.monotonic() - began
        return b"", time.monotonic() - began

    with ThreadPoolExecutor() as pool:
        results = dict(zip(starts, pool.map(drip, starts), strict=True))
    for name, (answer, seconds) in results.items():
        assert 8.0 < seconds < 14.0, name
        assert starts[name][1] in answer.partition(b"\r\n")[0], name
    assert [line["reason"] for line in gate.logged() if line.get("status") == 408] == [
        "body too slow"
    ] * 3


# --- connections ---------------------------------------------------------------------------


def test_whoever_closes_early_is_no_error(gate: Gate) -> None:
    body = form(block_actions())
    headers = [("Content-Type", FORM), *gate.signature(body), ("Content-Length", str(len(body)))]
    whole = head("POST", "/slack/actions", headers) + body
    for cut in (0, 1, 10, len(whole) - len(body), len(whole) - 1, len(whole)):
        gate.exchange(whole[:cut], half_close=True)
        with gate.connect() as sock:
            sock.sendall(whole[:cut])
        with gate.connect() as sock:  # reset instead of a goodbye
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(whole[:cut])
    assert gate.click()


def test_pipelined_requests_are_answered_in_order(gate: Gate) -> None:
    def request(path: str, body: bytes) -> bytes:
        lines = [f"POST {path} HTTP/1.1", "Host: gate", f"Content-Length: {len(body)}"]
        kind = JSON if path == "/slack/events" else FORM
        lines += [f"{n}: {v}" for n, v in [("Content-Type", kind), *gate.signature(body)]]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    challenge = json.dumps({"type": "url_verification", "challenge": "c"}).encode()
    data = request("/slack/events", challenge) + request("/slack/options", b"x=1")
    data += request("/slack/events", challenge) + head("GET", "/healthz", [])
    rest = gate.exchange(data)
    statuses = []
    while rest:
        answer = parsed(rest)
        statuses.append(answer.status)
        rest = answer.rest
    assert statuses == [200, 400, 200, 200]


def test_http_1_0_is_answered_and_closed(gate: Gate) -> None:
    body = form(block_actions())
    lines = ["POST /slack/actions HTTP/1.0", f"Content-Length: {len(body)}"]
    lines += [f"{n}: {v}" for n, v in [("Content-Type", FORM), *gate.signature(body)]]
    answer = parsed(gate.exchange("\r\n".join(lines).encode() + b"\r\n\r\n" + body))
    assert (answer.status, answer.headers["connection"]) == (200, "close")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST  /slack/actions  HTTP/1.1\r\n\r\n",
        b"POST /slack/actions\r\n\r\n",
        b"POST /slack/\xff HTTP/1.1\r\n\r\n",
        b"POST http://elsewhere.example/slack/actions HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"CONNECT elsewhere.example:443 HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"\xf0\x9f\x92\xa5 / HTTP/1.1\r\n\r\n",
        b"POST /slack/actions HTTP/1.1\r\nNo Colon\r\n\r\n",
        b"POST /slack/actions HTTP/1.1\r\n: empty\r\n\r\n",
        b"POST /slack/actions HTTP/1.1\r\nX-\xff\xfe: a\r\n\r\n",
        b"POST /slack/actions HTTP/1.1\r\n folded: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + b"\x81" * 9,
        b"GET /healthz HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
    ],
)
def test_an_absurd_request_is_answered_or_cut_off(gate: Gate, line: bytes) -> None:
    data = gate.exchange(line.replace(b"elsewhere", CANARY.encode()), half_close=True)
    assert parsed(data).status < 500
    with gate.connect(timeout=3.0) as sock:  # and without an end of its own
        sock.sendall(line)
        sock.settimeout(0.2)
        with contextlib.suppress(TimeoutError, ConnectionError):
            assert parsed(sock.recv(65_536)).status < 500


def test_an_upgrade_is_not_made_and_ends_the_connection(gate: Gate) -> None:
    data = b"GET /healthz HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    answer = parsed(gate.exchange(data, timeout=3.0))
    assert answer.status == 200


@FUZZ
@given(
    data=st.binary(max_size=300), start=st.sampled_from([b"", b"POST /slack/actions HTTP/1.1\r\n"])
)
def test_any_bytes_on_a_connection_are_survived(gate: Gate, data: bytes, start: bytes) -> None:
    assert parsed(gate.exchange(start + data, half_close=True)).status < 500


def test_a_thousand_idle_connections_do_not_keep_clicks_waiting(gate: Gate) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(1000):
            sock = stack.enter_context(gate.connect())
            if number % 2:
                sock.sendall(b"POST /slack/actions HTTP/1.1\r\nContent-Length: 10\r\n")
        started = time.monotonic()
        for _ in range(5):
            assert gate.click()
        assert time.monotonic() - started < 5.0


# --- after it all --------------------------------------------------------------------------


def test_after_it_all_a_click_is_taken_and_memory_has_not_grown(gate: Gate) -> None:
    def storm() -> None:
        large = b"payload=" + b"a" * 2_000_000
        nearly = form(block_actions({"value": "v" * 900_000}))
        with ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(gate.signed, "/slack/actions", large) for _ in range(40)]
            jobs += [pool.submit(gate.signed, "/slack/actions", nearly) for _ in range(40)]
            jobs += [pool.submit(gate.signed, "/slack/actions", form("[" * 99)) for _ in range(400)]
            jobs += [pool.submit(gate.act, block_actions()) for _ in range(200)]
            jobs += [pool.submit(gate.send, "/" + "a" * 400_000) for _ in range(20)]
            for job in jobs:
                job.result()

    storm()
    before = gate.memory()
    storm()
    grown = gate.memory() - before
    print(f"resident: {before / 2**20:.0f} MiB, {grown / 2**20:+.0f} MiB")
    assert before < 400 * 2**20
    assert grown < 64 * 2**20
    assert gate.click()
