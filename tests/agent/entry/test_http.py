"""What the listener answers, and to whom."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from starlette.responses import PlainTextResponse

from tests.agent.app import stage as stages
from tests.agent.app.stage import STRANGER, VIEWER, Stage
from tests.agent.entry.door import Door, Told, door, listening
from tests.agent.entry.signer import Signer, base64url, claims
from tidegate_agent.core.answer import Answer
from tidegate_agent.entry.protocol import PunctualProtocol
from tidegate_agent.errors import BusyError, UnreachableError

WEB = {"namespace": "staging", "deployment": "web"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with stages.stage() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(stage: Stage) -> AsyncIterator[Door]:
    async with door(stage) as made:
        yield made


@pytest.fixture
def at(opened: Door) -> Door:
    """A door that nobody has come through yet."""
    opened.notes.events.clear()
    opened.headers.clear()
    return opened


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_deployment_is_taken_followed_and_ends_well(at: Door, stage: Stage) -> None:
    told = await at.ask("deploy", {**WEB, "image": "web:2.9.0"}, run="run-deploy")
    assert told.status == 202
    assert told.headers["Location"] == "/api/v1/deploy/operations/run-deploy"
    ended = await at.ended(told.headers["Location"], "run-deploy")
    assert (ended.status, ended.content["phase"]) == (200, "succeeded")
    assert stage.image() == "registry.example.com/web:2.9.0"


async def test_the_same_run_is_answered_the_same_and_acts_once(at: Door, stage: Stage) -> None:
    before = len(stage.effects())
    first = await at.ask("restart", WEB, run="run-twice")
    second = await at.ask("restart", WEB, run="run-twice")
    assert (first.status, second.status) == (202, 202)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(stage.effects()) == before + 1


async def test_the_same_run_with_another_request_is_refused(at: Door) -> None:
    await at.ask("restart", WEB, run="run-other")
    told = await at.ask("scale", {**WEB, "replicas": 2}, run="run-other")
    assert told.status == 409


async def test_progress_is_told_below_the_path_of_the_request_and_beside_it(at: Door) -> None:
    await at.ask("restart", WEB, run="run-places")
    for place in ("/api/v1/restart/operations/run-places", "/api/v1/operations/run-places"):
        assert (await at.follow(place, "run-places")).status == 200
        assert (await at.follow(f"{place}/cancel", "run-places", "POST")).status == 200


async def test_an_operation_that_is_not_there_is_not_found(at: Door) -> None:
    told = await at.follow("/api/v1/operations/none", "none")
    assert (told.status, told.content["status"]) == (404, "refused")


async def test_somebody_without_a_role_is_refused_in_words(at: Door) -> None:
    told = await at.ask("restart", WEB, who=STRANGER)
    assert told.status == 403
    assert "no role" in told.content["message"]


async def test_a_missing_right_is_told_as_which_verb_on_what_where(at: Door) -> None:
    told = await at.ask("restart", WEB, who=VIEWER)
    assert told.status == 403
    for word in ("patch", "deployments.apps", "staging", "tidegate"):
        assert word in told.content["message"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({**WEB, "replicas": "many"}, "replicas"),
        ({**WEB}, "replicas"),
        ({**WEB, "replicas": 1, "colour": "red"}, "colour"),
        ({"namespace": "Staging!", "deployment": "web", "replicas": 1}, "namespace"),
        ({"namespace": "staging", "replicas": 1}, "deployment"),
    ],
)
async def test_a_bad_param_is_refused_with_which_and_why(
    at: Door, params: dict[str, Any], field: str
) -> None:
    told = await at.ask("scale", params)
    assert (told.status, told.content["field"]) == (400, field)
    assert field in told.content["message"]


async def _raw(at: Door, body: bytes, **headers: str) -> Told:
    token = at.signer.sign(claims("POST", "/api/v1/restart", body, "run-raw"))
    given = {"Content-Type": "application/json", "Idempotency-Key": "run-raw"}
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return await at.send("POST", "/api/v1/restart", body, token, given | changed)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 5000])
async def test_a_body_that_is_no_object_is_refused(at: Door, body: bytes) -> None:
    told = await _raw(at, body)
    assert (told.status, told.content["status"]) == (400, "refused")


async def test_a_param_that_is_no_text_is_refused_in_json(at: Door) -> None:
    told = await _raw(at, b'{"\\ud800": 1}')
    assert (told.status, told.content["status"]) == (400, "refused")


async def test_an_answer_that_cannot_be_written_is_answered_as_broken(stage: Stage) -> None:
    wrong = Answer(status=200, content={"message": "m", "status": "s", "number": float("nan")})
    async with door(stage, agent=Failing(wrong)) as at:
        told = await at.ask("status", {})
        assert (told.status, told.content["status"]) == (500, "unknown")


async def test_a_body_that_is_too_large_is_refused_before_anything_in_it_counts(at: Door) -> None:
    told = await _raw(at, b" " * 65_537)
    assert told.status == 413
    assert "not_admitted" not in at.notes.names


async def test_a_body_without_a_length_is_bounded_too(at: Door) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 8192

    token = at.signer.sign(claims("POST", "/api/v1/restart", b"", "run-endless"))
    headers = {"Content-Type": "application/json", "Idempotency-Key": "run-endless"}
    headers["Tidegate-Identity"] = token
    async with at.session.post(f"{at.url}/api/v1/restart", data=endless(), headers=headers) as got:
        assert got.status == 413


async def test_a_body_that_is_said_to_be_too_large_is_refused_unread_and_unsigned(at: Door) -> None:
    answer = await _answered(at, _head(at, signed=False, length=65_537))
    assert answer.startswith(b"HTTP/1.1 413")


def _head(at: Door, *, signed: bool = True, length: int = 50, run: str = "run-slow") -> bytes:
    """Return the head of a request whose body is to come."""
    token = at.signer.sign(claims("POST", "/api/v1/restart", b"", run)) if signed else ""
    return (
        "POST /api/v1/restart HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\nIdempotency-Key: {run}\r\nTidegate-Identity: {token}\r\n\r\n"
    ).encode()


async def _answered(at: Door, sent: bytes) -> bytes:
    """Return all that comes until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(at))
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
        await writer.wait_closed()


def _port(at: Door) -> int:
    return int(at.url.rpartition(":")[2])


async def test_a_body_that_does_not_arrive_is_given_up(
    at: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate_agent.entry.admission.READ_SECONDS", 0.1)
    answer = await _answered(at, _head(at) + b"half")
    assert answer.startswith(b"HTTP/1.1 408")


async def test_who_has_no_statement_is_refused_before_a_byte_of_the_body(at: Door) -> None:
    answer = await _answered(at, _head(at, signed=False))
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"\r\nconnection: close\r\n" in answer.lower()


async def test_slow_bodies_shut_nobody_out(at: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate_agent.entry.http.MAX_ARRIVING", 3)
    monkeypatch.setattr("tidegate_agent.entry.http.MAX_IN_FLIGHT", 3)
    unsigned = _head(at, signed=False) + b"{"
    replayed = _head(at) + b"{"  # one that somebody has got hold of
    async with contextlib.AsyncExitStack() as stack:
        for sent in [unsigned] * 4 + [replayed] * 4:
            _, writer = await asyncio.open_connection("127.0.0.1", _port(at))
            stack.callback(writer.close)
            writer.write(sent)
        await asyncio.sleep(0.1)
        assert (await at.ask("status", {"namespace": "staging"})).status == 200


async def test_bodies_that_are_waited_for_are_bounded(
    at: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate_agent.entry.http.MAX_ARRIVING", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(at))
    writer.write(_head(at) + b"{")
    await asyncio.sleep(0.1)
    told = await at.ask("status", {"namespace": "staging"})
    assert (told.status, told.headers["Retry-After"]) == (503, "1")
    writer.write(b"}" * 49)
    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()
    assert (await at.ask("status", {"namespace": "staging"})).status == 200


async def test_a_body_that_comes_after_its_answer_leaves_the_connection_in_use(at: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(at))
    for _ in range(2):
        writer.write(_head(at, signed=False, length=4))
        await asyncio.sleep(0.05)
        writer.write(b"late")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 401")
        await reader.readuntil(b"}")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "request_line", ["POST /api/v1/deploy", "POST /nothing", "GET /healthz", "GET /openapi.json"]
)
async def test_an_answer_whose_body_does_not_come_is_the_connections_last(
    at: Door, monkeypatch: pytest.MonkeyPatch, request_line: str
) -> None:
    monkeypatch.setattr("tidegate_agent.entry.protocol.REST_SECONDS", 0.1)
    head = f"{request_line} HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n".encode()
    answer = await _answered(at, head + b"x")
    assert b"\r\nconnection: close\r\n" in answer.lower()


async def test_an_answer_that_nobody_takes_is_not_kept(
    at: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up, give_up = asyncio.Event(), PunctualProtocol._give_up

    def watched(protocol: PunctualProtocol) -> None:
        give_up(protocol)
        given_up.set()

    monkeypatch.setattr("tidegate_agent.entry.protocol.TAKE_SECONDS", 0.2)
    monkeypatch.setattr(PunctualProtocol, "_give_up", watched)
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(at), limit=1024)
    try:
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
        async with asyncio.timeout(20):
            await given_up.wait()
            taken = 0
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(65_536):
                    taken += len(chunk)
        assert 0 < taken < 200 * 60_000
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_no_more_connections_are_let_in_than_there_may_be_at_once() -> None:
    answer = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with listening(PlainTextResponse("here"), max_connections=2) as url:
        port = int(url.rpartition(":")[2])
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await asyncio.sleep(0.05)
        turned_away, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(turned_away.read(), 5) == b""
        writer.close()
        kept.pop()[1].close()
        await asyncio.sleep(0.05)
        kept.append(await asyncio.open_connection("127.0.0.1", port))
        for reader, each in kept:
            each.write(answer)
            assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")
            each.close()


@pytest.mark.parametrize("begun", [b"", b"POST /api/v1/restart HTTP/1.1\r\nHost: a\r\n"])
async def test_a_connection_that_sends_no_whole_head_is_closed(
    at: Door, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr("tidegate_agent.entry.protocol.HEAD_SECONDS", 0.1)
    port = int(at.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begun)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await writer.wait_closed()


async def test_a_head_that_is_too_long_is_not_read(at: Door) -> None:
    port = int(at.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200_000)
    answer = b""
    with contextlib.suppress(ConnectionResetError):  # it is not read to its end
        answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer[:12] in (b"", b"HTTP/1.1 400")


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_is_not_said_to_be_json_is_refused(at: Door, media: str) -> None:
    told = await _raw(at, b"{}", Content_Type=media)
    assert told.status == 415


async def test_a_query_is_refused_since_no_statement_covers_it(at: Door) -> None:
    token = at.signer.sign(claims("POST", "/api/v1/restart", b"{}", "run-q"))
    headers = {"Content-Type": "application/json", "Idempotency-Key": "run-q"}
    told = await at.send("POST", "/api/v1/restart?namespace=production", b"{}", token, headers)
    assert told.status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/deploy", 405),
        ("POST", "/api/v1/delete", 404),
        ("POST", "/api/v1/deploy/", 404),
        ("GET", "/", 404),
        ("GET", "/api/v1/status/operations/x", 404),
        ("DELETE", "/api/v1/operations/x", 405),
        ("GET", "/metrics", 404),
    ],
)
async def test_nothing_else_is_there(at: Door, method: str, path: str, status: int) -> None:
    told = await at.send(method, path, b"", None, {})
    assert (told.status, told.content["status"]) == (status, "refused")


# --- who asks ------------------------------------------------------------------------------------

Bend = Callable[[dict[str, Any]], dict[str, Any]]


def _said(**changed: Any) -> Bend:
    return lambda true: true | changed


def _without(name: str) -> Bend:
    return lambda true: {key: value for key, value in true.items() if key != name}


NOW = int(time.time())
BENT: list[tuple[str, Bend]] = [
    ("wrong_issuer", _said(iss="somebody")),
    ("wrong_audience", _said(aud="other")),
    ("wrong_method", _said(method="GET")),
    ("wrong_path", _said(path="/api/v1/scale")),
    ("wrong_body", _said(body_sha256="0" * 64)),
    ("wrong_run", _said(run="another")),
    ("expired", _said(iat=NOW - 120, exp=NOW - 60)),
    ("from_the_future", _said(iat=NOW + 3000, exp=NOW + 3060)),
    ("lives_too_long", _said(exp=NOW + 3600)),
    ("ends_before_it_begins", _said(exp=NOW - 100)),
    ("no_times", _said(iat="soon")),
    ("bad_sub", _said(sub="slack:T1\r\nx")),
    ("bad_groups", _said(groups="SDEV")),
    ("bad_groups", _said(groups=["a b"])),
    ("bad_jti", _said(jti="")),
    ("bad_action", _said(action=7)),
    *(
        (_reason, _without(_name))
        for _name, _reason in (
            ("iss", "wrong_issuer"),
            ("aud", "wrong_audience"),
            ("sub", "bad_sub"),
            ("run", "bad_run"),
            ("jti", "bad_jti"),
            ("iat", "no_times"),
            ("exp", "no_times"),
            ("method", "wrong_method"),
            ("path", "wrong_path"),
            ("body_sha256", "wrong_body"),
        )
    ),
]


async def _refused(at: Door, token: str | None, body: bytes, reason: str, run: str) -> None:
    """The request is answered 401 with no reason, and the reason is in the log."""
    at.notes.events.clear()
    headers = {"Content-Type": "application/json", "Idempotency-Key": run}
    told = await at.send("POST", "/api/v1/restart", body, token, headers)
    assert told.status == 401
    assert told.content == {
        "message": "The request does not prove who asked.",
        "status": "refused",
    }
    reasons = [fields["reason"] for event, fields in at.notes.events if event == "not_admitted"]
    assert reasons == [reason]
    assert f'reason="{reason}"' in at.metrics.text().decode()


def _body(run: str) -> bytes:
    return json.dumps({"run_id": run, "params": WEB}).encode()


@pytest.mark.parametrize(("reason", "bend"), BENT)
async def test_a_bent_statement_is_not_believed(
    at: Door, stage: Stage, reason: str, bend: Bend
) -> None:
    before = len(stage.records())
    true = claims("POST", "/api/v1/restart", _body("run-bent"), "run-bent")
    await _refused(at, at.signer.sign(bend(true)), _body("run-bent"), reason, "run-bent")
    assert len(stage.records()) == before


async def test_a_statement_that_is_replayed_is_not_believed(at: Door) -> None:
    body = _body("run-replay")
    token = at.signer.sign(claims("POST", "/api/v1/restart", body, "run-replay"))
    headers = {"Content-Type": "application/json", "Idempotency-Key": "run-replay"}
    assert (await at.send("POST", "/api/v1/restart", body, token, headers)).status == 202
    await _refused(at, token, body, "replayed", "run-replay")


async def test_a_statement_of_another_key_is_not_believed(at: Door) -> None:
    body = _body("run-key")
    true = claims("POST", "/api/v1/restart", body, "run-key")
    await _refused(at, Signer().sign(true), body, "bad_signature", "run-key")
    await _refused(at, Signer(kid="k2").sign(true), body, "unknown_key", "run-key")
    await _refused(at, at.signer.sign(true, kid=None), body, "no_kid", "run-key")


@pytest.mark.parametrize("alg", ["none", "HS256", "ES256", "eddsa", None])
async def test_a_statement_of_another_algorithm_is_not_believed(at: Door, alg: str | None) -> None:
    true = claims("POST", "/api/v1/restart", _body("run-alg"), "run-alg")
    await _refused(at, at.signer.sign(true, alg=alg), _body("run-alg"), "wrong_alg", "run-alg")


@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, "missing"), ("a.b", "malformed"), ("§", "malformed"), ("a" * 9000, "too_long")],
)
async def test_what_is_no_statement_is_not_believed(
    at: Door, token: str | None, reason: str
) -> None:
    await _refused(at, token, _body("run-none"), reason, "run-none")


async def test_an_unsigned_statement_is_not_believed(at: Door) -> None:
    true = claims("POST", "/api/v1/restart", _body("run-none"), "run-none")
    head = base64url(b'{"alg":"EdDSA","kid":"k1"}')
    token = f"{head}.{base64url(json.dumps(true).encode())}."
    await _refused(at, token, _body("run-none"), "malformed", "run-none")


async def test_two_statements_are_none(at: Door) -> None:
    body = _body("run-two")
    tokens = [
        ("Tidegate-Identity", at.signer.sign(claims("POST", "/api/v1/restart", body, "run-two")))
        for _ in range(2)
    ]
    headers = [*tokens, ("Content-Type", "application/json"), ("Idempotency-Key", "run-two")]
    async with at.session.post(f"{at.url}/api/v1/restart", data=body, headers=headers) as got:
        assert got.status == 401


async def test_a_path_counts_as_it_was_sent_not_as_it_decodes(at: Door) -> None:
    place = "/api/v1/operations/run%2Dx"
    token = at.signer.sign(claims("GET", "/api/v1/operations/run-x", b"", "run-x"))
    told = await at.send("GET", place, b"", token, {"Idempotency-Key": "run-x"})
    assert told.status == 401


# --- when something is wrong ---------------------------------------------------------------------


class Failing:
    """An agent that fails in one way."""

    def __init__(self, failure: Exception | Answer) -> None:
        self._failure = failure

    async def ask(self, *_: object) -> Answer:
        if isinstance(self._failure, Answer):
            return self._failure
        raise self._failure


@pytest.mark.parametrize(
    ("failure", "status", "wait"),
    [
        (UnreachableError("no connection"), 503, "2"),
        (BusyError("slow down", retry_after=7.4), 503, "7"),
    ],
)
async def test_a_cluster_that_is_away_is_told_with_the_time_to_wait(
    stage: Stage, failure: Exception, status: int, wait: str
) -> None:
    async with door(stage, agent=Failing(failure)) as at:
        told = await at.ask("deploy", {})
        assert (told.status, told.headers["Retry-After"]) == (status, wait)
        assert told.content["status"] == "unavailable"


async def test_an_agent_that_breaks_says_that_the_outcome_is_unknown_and_no_more(
    stage: Stage,
) -> None:
    async with door(stage, agent=Failing(RuntimeError("secret text"))) as at:
        told = await at.ask("deploy", {})
        assert told.status == 500
        assert "not known" in told.content["message"]
        assert "secret" not in json.dumps([told.content, stage.notes.events], default=str)
        broken = [fields for event, fields in stage.notes.events if event == "broken"]
        assert broken[0]["error"] == "RuntimeError"
        assert "test_http.py" in str(broken[0]["place"])


async def test_an_answer_is_never_longer_than_is_shown(stage: Stage) -> None:
    long = Answer(status=200, content={"message": "m" * 5000, "status": "s" * 500})
    async with door(stage, agent=Failing(long)) as at:
        told = await at.ask("status", {})
        assert (len(told.content["message"]), len(told.content["status"])) == (3000, 100)


async def test_the_name_of_a_param_is_not_said_at_length(at: Door) -> None:
    told = await at.ask("status", {"a" * 60_000: 1})
    assert (told.status, len(told.content["field"])) == (400, 200)


async def test_too_much_at_once_is_put_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate_agent.entry.http.MAX_IN_FLIGHT", 0)
    async with door(stage) as at:
        told = await at.ask("status", {})
        assert (told.status, told.headers["Retry-After"]) == (503, "1")


async def test_a_request_is_logged_with_its_run_and_person_once_they_are_believed(at: Door) -> None:
    await at.ask("status", {"namespace": "staging"}, run="run-logged")
    await at.ask("status", {"namespace": "staging"}, run="run-forged", aud="other")
    requests = [fields for event, fields in at.notes.events if event == "request"]
    assert [each["run"] for each in requests] == ["run-logged", None]
    assert [each["by"] for each in requests] == [stages.DEPLOYER, None]


async def test_a_request_id_comes_back_if_it_is_one(at: Door) -> None:
    at.headers["X-Request-Id"] = "run-1-2"
    assert (await at.ask("status", {"namespace": "staging"})).headers["X-Request-Id"] == "run-1-2"
    at.headers["X-Request-Id"] = "a b;c"
    assert "X-Request-Id" not in (await at.ask("status", {"namespace": "staging"})).headers


async def test_what_is_counted_names_nothing_that_a_request_says(at: Door) -> None:
    await at.ask("status", {"namespace": "staging"})
    await at.ask("status", {"namespace": "very-secret-place"})
    text = at.metrics.text().decode()
    assert 'tidegate_agent_requests_total{status="200",verb="status"}' in text
    assert "very-secret-place" not in text
    assert "very-secret-place" not in json.dumps(at.notes.events, default=str)
