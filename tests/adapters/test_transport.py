import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.wire import OK, Authority, Connection, Wire, answering, wired
from tests.ports import free_port
from tidegate.adapters.pathways.transport import MAX_ANSWER_BYTES, Place, Transport
from tidegate.ports import Answered, NoAnswer, NotSent, Response
from tidegate_dev.authority import Authority as DevAuthority

BODY = b'{"a":1}'


@contextlib.asynccontextmanager
async def transport(url: str, **changes: Any) -> AsyncIterator[tuple[Transport, Place]]:
    fields: dict[str, Any] = {"url": url, "timeout_seconds": 5.0, "concurrency": 4}
    place = Place(**(fields | changes))
    made = Transport(place)
    try:
        yield made, place
    finally:
        await made.close()


async def exchange(
    url: str,
    *,
    method: str = "POST",
    path: str = "/api",
    body: bytes = BODY,
    headers: dict[str, str] | None = None,
    fresh: bool = False,
    **changes: Any,
) -> Response:
    async with transport(url, **changes) as (made, _):
        return await made.exchange(
            method=method,
            path=path,
            headers=headers or {},
            body=body,
            fresh=fresh,
        )


def answer(status: str, *headers: str, body: bytes = b"{}") -> bytes:
    head = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# --- what goes out and comes back -----------------------------------------------------------


async def test_exactly_what_was_given_goes_out_once() -> None:
    async with wired(answering()) as wire:
        response = await exchange(
            f"{wire.url()}/stage",
            path="/a%20b/%2F%25/x;y=1/é".replace("é", "%C3%A9"),
            headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
        )
    assert response == Answered(status=200, body=b"{}", json=True)
    (seen,) = wire.seen
    assert seen.line == "POST /stage/a%20b/%2F%25/x;y=1/%C3%A9 HTTP/1.1"
    assert seen.body == BODY
    assert seen.headers["idempotency-key"] == "k"
    assert seen.headers["host"] == f"127.0.0.1:{wire.port}"
    assert seen.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("DELETE", b""), ("PUT", BODY)])
async def test_each_method_is_sent_as_it_is(method: str, body: bytes) -> None:
    async with wired(answering()) as wire:
        await exchange(wire.url(), method=method, body=body)
    assert wire.seen[0].line.startswith(f"{method} /api ")
    assert wire.seen[0].body == body


async def test_location_and_retry_after_come_back() -> None:
    raw = answer("202 Accepted", "Location: /operations/1", "Retry-After: 7")
    async with wired(answering(raw)) as wire:
        response = await exchange(wire.url())
    assert response == Answered(
        status=202, body=b"{}", location="/operations/1", retry_after="7", json=True
    )


async def test_a_redirect_is_not_followed() -> None:
    async with wired(answering()) as elsewhere:
        raw = answer("307 Temporary Redirect", f"Location: {elsewhere.url()}/x")
        async with wired(answering(raw)) as wire:
            response = await exchange(wire.url())
    assert isinstance(response, Answered)
    assert response.status == 307
    assert elsewhere.seen == []
    assert len(wire.seen) == 1


async def test_cookies_of_the_service_are_not_kept() -> None:
    behave = answering(answer("200 OK", "Set-Cookie: a=b; Path=/"))
    async with wired(behave) as wire, transport(wire.url()) as (made, _):
        for _ in range(2):
            await made.exchange(method="POST", path="/", headers={}, body=b"", fresh=False)
    assert "cookie" not in wire.seen[1].headers


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with wired(answering()) as wire:
        assert isinstance(await exchange(wire.url()), Answered)


# --- nothing was sent -----------------------------------------------------------------------


async def test_a_refused_connection_sent_nothing() -> None:
    assert await exchange(f"http://127.0.0.1:{free_port()}") == NotSent(reason="connect")


async def test_a_name_that_does_not_exist_sent_nothing() -> None:
    assert await exchange("http://nowhere.invalid") == NotSent(reason="dns")


async def test_a_listener_that_takes_nobody_in_sent_nothing() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", port))
        try:
            response = await exchange(f"http://127.0.0.1:{port}", timeout_seconds=0.3)
        finally:
            for sock in waiting:
                sock.close()
    assert response == NotSent(reason="connect")


async def test_a_certificate_of_nobody_sent_nothing(tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "Stranger")
    async with wired(answering(), stranger.server("127.0.0.1")) as wire:
        assert await exchange(wire.url("https")) == NotSent(reason="tls")
        ours = Authority(tmp_path).file
        assert await exchange(wire.url("https"), ca_file=str(ours)) == NotSent(reason="tls")
    assert wire.seen == []


async def test_a_certificate_for_another_name_sent_nothing(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    async with wired(answering(), ca.server("other.internal")) as wire:
        response = await exchange(wire.url("https"), ca_file=str(ca.file))
    assert response == NotSent(reason="tls_name")
    assert wire.seen == []


async def test_a_certificate_that_only_calls_itself_so_sent_nothing(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    async with wired(answering(), ca.server("10.255.255.1", called="agent.internal")) as wire:
        there = f"127.0.0.1:{wire.port}"
        mine: dict[str, Any] = {"ca_file": str(ca.file), "connect_to": there}
        response = await exchange("https://agent.internal", **mine)
    assert response == NotSent(reason="tls_name")
    assert wire.seen == []


async def test_a_listener_that_speaks_no_tls_was_sent_nothing() -> None:
    async def closes(connection: Connection, wire: Wire) -> None:
        await connection.reader.read(10)
        connection.reset()

    async with wired(closes) as wire:
        response = await exchange(wire.url("https"))
    assert isinstance(response, NotSent)


@pytest.mark.parametrize("what", ["ca_file", "client_cert"])
async def test_a_file_that_cannot_be_read_sent_nothing(what: str, tmp_path: Path) -> None:
    garbled = tmp_path / "garbled.pem"
    garbled.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    for file in (garbled, tmp_path / "missing.pem"):
        given: dict[str, Any] = {what: str(file)}
        response = await exchange("https://127.0.0.1:9", **given)
        assert isinstance(response, NotSent)


# --- something may have been done -----------------------------------------------------------


async def test_a_reset_before_the_first_byte_of_an_answer_is_no_answer() -> None:
    async def resets(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        connection.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        connection.reset()

    async with wired(resets) as wire:
        assert await exchange(wire.url()) == NoAnswer(reason="no_answer")
    assert len(wire.seen) == 1


@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConten"])
async def test_an_answer_that_breaks_off_in_its_head_is_no_answer(part: bytes) -> None:
    async def breaks(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        await connection.answer(part)

    async with wired(breaks) as wire:
        assert await exchange(wire.url()) == NoAnswer(reason="no_answer")
    assert len(wire.seen) == 1


async def test_an_answer_that_is_not_http_is_no_answer() -> None:
    async with wired(answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as wire:
        assert await exchange(wire.url()) == NoAnswer(reason="no_answer")


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_an_answer_that_does_not_come_in_time_is_a_timeout(part: bytes) -> None:
    async def hangs(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        await connection.answer(part)
        await connection.reader.read()

    async with wired(hangs) as wire:
        response = await exchange(wire.url(), timeout_seconds=0.3)
        assert response == NoAnswer(reason="timeout")
        await asyncio.wait_for(wire.ended.wait(), 5)
    assert len(wire.seen) == 1


async def test_headers_without_end_are_no_answer() -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n"
    async with wired(answering(raw)) as wire:
        assert await exchange(wire.url()) == NoAnswer(reason="no_answer")


# --- the status stands ----------------------------------------------------------------------


async def test_a_giant_body_is_left_and_the_status_stands() -> None:
    async def gushes(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        await connection.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await connection.answer(b"10000\r\n" + b"{" * 65536 + b"\r\n")

    async with wired(gushes) as wire:
        response = await exchange(wire.url())
        assert response == Answered(status=200, body=b"")
        await asyncio.wait_for(wire.ended.wait(), 5)


@pytest.mark.parametrize(
    ("size", "read"), [(MAX_ANSWER_BYTES, MAX_ANSWER_BYTES), (MAX_ANSWER_BYTES + 1, 0)]
)
async def test_a_body_is_read_up_to_the_most_that_is_read(size: int, read: int) -> None:
    raw = answer("200 OK", body=b"{" * size)
    async with wired(answering(raw)) as wire:
        response = await exchange(wire.url())
    assert isinstance(response, Answered)
    assert (response.status, len(response.body)) == (200, read)


async def test_a_body_that_breaks_off_is_left_and_the_status_stands() -> None:
    async def breaks(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        await connection.answer(b'HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"mess')

    async with wired(breaks) as wire:
        assert await exchange(wire.url()) == Answered(status=201, body=b"")


async def test_a_body_that_does_not_come_in_time_is_left_and_the_status_stands() -> None:
    async def hangs(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        await connection.answer(b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{")
        await connection.reader.read()

    async with wired(hangs) as wire:
        response = await exchange(wire.url(), timeout_seconds=0.3)
    assert response == Answered(status=201, body=b"")


async def test_only_a_body_that_begins_as_an_object_is_taken_for_json() -> None:
    for body, is_json in ((b" \n{}", True), (b"[]", False), (b"<html>", False), (b"", False)):
        async with wired(answering(answer("200 OK", body=body))) as wire:
            response = await exchange(wire.url())
        assert response == Answered(status=200, body=body, json=is_json)


# --- kept connections -----------------------------------------------------------------------


async def _once_each(connection: Connection, wire: Wire) -> None:
    """Answer the first request of a connection, and close at the second."""
    wire.seen.append(await connection.request())
    await connection.answer(OK)
    wire.seen.append(await connection.request())


async def _twice(wire: Wire, *, method: str, fresh: bool) -> Response:
    async with transport(wire.url()) as (made, _):
        response: Response = NotSent(reason="")
        for _ in range(2):
            response = await made.exchange(
                method=method, path="/", headers={}, body=b"", fresh=fresh
            )
        return response


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
async def test_a_kept_connection_that_went_stale_is_no_answer_and_nothing_is_sent_again(
    method: str,
) -> None:
    async with wired(_once_each) as wire:
        assert await _twice(wire, method=method, fresh=False) == NoAnswer(reason="no_answer")
    assert len(wire.seen) == 2


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE", "GET"])
async def test_a_fresh_connection_cannot_be_stale(method: str) -> None:
    async with wired(_once_each) as wire:
        response = await _twice(wire, method=method, fresh=True)
    assert response == Answered(status=200, body=b"{}", json=True)
    assert (len(wire.seen), wire.connections) == (2, 2)


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE", "GET"])
async def test_no_request_is_sent_twice_behind_our_back(method: str, fresh: bool) -> None:
    async def breaks(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())

    async with wired(breaks) as wire:
        response = await exchange(wire.url(), method=method, body=b"", fresh=fresh)
    assert response == NoAnswer(reason="no_answer")
    assert len(wire.seen) == 1


async def test_a_fresh_connection_is_not_kept() -> None:
    async with wired(answering()) as wire:
        await _twice(wire, method="POST", fresh=True)
        assert wire.connections == 2
        await _twice(wire, method="POST", fresh=False)
        assert wire.connections == 3


async def test_an_answer_that_nobody_asked_for_is_not_the_next_one_s() -> None:
    spoke = asyncio.Event()

    async def twice(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        await connection.answer(answer("200 OK", body=b'{"message":"done"}'))
        await asyncio.wait_for(spoke.wait(), 5)
        await connection.answer(answer("200 OK", body=b'{"message":"not asked for"}'))
        await connection.request()

    async with wired(twice) as wire, transport(wire.url()) as (made, _):
        for number in (1, 2):
            response = await made.exchange(
                method="POST", path="/", headers={}, body=BODY, fresh=False
            )
            assert response == Answered(status=200, body=b'{"message":"done"}', json=True)
            assert len(wire.seen) == number
            spoke.set()
            await _until_spoken(made)


async def _until_spoken(made: Transport) -> None:
    """Wait until what nobody asked for is on the connection that is kept."""
    connector = made._sessions[False].connector
    assert connector is not None
    kept = [one for each in connector._conns.values() for one, _ in each]
    while not all(one.should_close for one in kept):  # noqa: ASYNC110 - aiohttp tells nobody
        await asyncio.sleep(0)


async def test_who_goes_on_answering_is_not_listened_to() -> None:
    answered, cut = asyncio.Event(), asyncio.Event()

    async def floods(connection: Connection, wire: Wire) -> None:
        wire.seen.append(await connection.request())
        await connection.answer(OK)
        await answered.wait()
        try:
            for _ in range(2000):
                await connection.answer(OK * 10)
                await asyncio.sleep(0)
        except ConnectionError:
            cut.set()
        wire.ended.set()

    async with wired(floods) as wire, transport(wire.url()) as (made, _):
        response = await made.exchange(method="POST", path="/", headers={}, body=BODY, fresh=False)
        assert response == Answered(status=200, body=b"{}", json=True)
        answered.set()
        await asyncio.wait_for(wire.ended.wait(), 10)
    assert cut.is_set()


# --- somewhere else -------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["service.internal", "service.internal:8080", "10.255.255.1"])
async def test_connect_to_is_where_it_connects_and_the_url_is_what_it_says(host: str) -> None:
    async with wired(answering()) as wire:
        response = await exchange(
            f"http://{host}/base", connect_to=f"127.0.0.1:{wire.port}", timeout_seconds=2
        )
    assert isinstance(response, Answered)
    assert wire.seen[0].line == "POST /base/api HTTP/1.1"
    assert wire.seen[0].headers["host"] == host


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        ({"url": "https://API.Example.com:443/prod"}, "api.example.com"),
        ({"host": "API.Example.com"}, "api.example.com"),
        ({"host": "api.example.com:443"}, "api.example.com"),
        ({"host": "api.example.com:8443"}, "api.example.com:8443"),
    ],
)
def test_a_host_is_written_as_whoever_verifies_a_signature_writes_it(
    keys: dict[str, Any], sent: str
) -> None:
    fields: dict[str, Any] = {"url": "https://a.example", "timeout_seconds": 1.0, "concurrency": 1}
    assert Place(**(fields | keys)).host_header == sent


async def test_without_a_port_connect_to_keeps_that_of_the_url() -> None:
    async with wired(answering()) as wire:
        url = f"http://service.internal:{wire.port}"
        assert isinstance(await exchange(url, connect_to="127.0.0.1"), Answered)


async def test_a_connect_to_that_does_not_exist_sent_nothing() -> None:
    url = "http://127.0.0.1:9"
    assert await exchange(url, connect_to="nowhere.invalid") == NotSent(reason="dns")
    there = f"127.0.0.1:{free_port()}"
    assert await exchange(url, connect_to=there) == NotSent(reason="connect")


async def test_elsewhere_the_certificate_is_held_to_the_name_of_the_url(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    async with wired(answering(), ca.server("service.internal")) as wire:
        there: dict[str, Any] = {"connect_to": f"127.0.0.1:{wire.port}", "ca_file": str(ca.file)}
        assert isinstance(await exchange("https://service.internal", **there), Answered)
        assert await exchange("https://other.internal", **there) == NotSent(reason="tls_name")
    assert len(wire.seen) == 1


async def test_elsewhere_the_certificate_is_held_to_host_where_that_is_given(
    tmp_path: Path,
) -> None:
    ca = Authority(tmp_path)
    async with wired(answering(), ca.server("service.internal")) as wire:
        there: dict[str, Any] = {"connect_to": f"127.0.0.1:{wire.port}", "ca_file": str(ca.file)}
        url = "https://vpce-123.internal"
        for host in ("service.internal", "service.internal:8443"):
            assert isinstance(await exchange(url, host=host, **there), Answered)
        assert await exchange(url, **there) == NotSent(reason="tls_name")


# --- TLS of one's own -----------------------------------------------------------------------


async def test_a_private_ca_and_a_client_certificate_prove_both_ends(tmp_path: Path) -> None:
    ca, people = Authority(tmp_path), Authority(tmp_path, "People")
    context = ca.server("127.0.0.1", clients=people)
    async with wired(answering(), context) as wire:
        mine: dict[str, Any] = {
            "ca_file": str(ca.file),
            "client_cert": str(people.issue("gateway")),
        }
        assert isinstance(await exchange(wire.url("https"), **mine), Answered)
    assert len(wire.seen) == 1


@pytest.mark.parametrize("shown", [False, True])
async def test_without_the_right_client_certificate_the_service_sees_nothing(
    shown: bool, tmp_path: Path
) -> None:
    ca, people = Authority(tmp_path), Authority(tmp_path, "People")
    context = ca.server("127.0.0.1", clients=people)
    mine: dict[str, Any] = {"ca_file": str(ca.file)}
    if shown:
        mine["client_cert"] = str(Authority(tmp_path, "Impostors").issue("gateway"))
    async with wired(answering(), context) as wire:
        # With TLS 1.3 the refusal comes after the first bytes: it cannot be told from a crash.
        assert isinstance(await exchange(wire.url("https"), **mine), NotSent | NoAnswer)
    assert wire.seen == []


async def test_old_tls_is_not_spoken(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    context = ca.server("127.0.0.1")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with wired(answering(), context) as wire:
        response = await exchange(wire.url("https"), ca_file=str(ca.file))
    assert isinstance(response, NotSent)
    assert wire.seen == []


def _refuses(listener: socket.socket, context: ssl.SSLContext, taken: list[bytes]) -> None:
    """Take one connection as OpenSSL's own servers do, which say why they refuse it."""
    connection, _ = listener.accept()
    connection.settimeout(5)
    with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as spoken:
        try:
            spoken.do_handshake()
            taken.append(spoken.recv(65536))
        except ssl.SSLError:
            # Bytes that nobody read would reset the connection, and the alert be lost with it.
            socket.socket.shutdown(spoken, socket.SHUT_WR)
            while socket.socket.recv(spoken, 65536):
                pass


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_is_refused_is_named_and_nothing_was_done(
    newest: ssl.TLSVersion, tmp_path: Path
) -> None:
    ca, people = Authority(tmp_path), Authority(tmp_path, "People")
    context = ca.server("127.0.0.1", clients=people)
    context.maximum_version = newest
    impostor = Authority(tmp_path, "Impostors").issue("gateway")
    mine: dict[str, Any] = {"ca_file": str(ca.file), "client_cert": str(impostor)}
    taken: list[bytes] = []
    response: Response | None = None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        # With TLS 1.3 the refusal races with the request: it may come as a mere end.
        for _ in range(1 if newest is ssl.TLSVersion.TLSv1_2 else 20):
            serving = asyncio.create_task(asyncio.to_thread(_refuses, listener, context, taken))
            response = await exchange(url, **mine)
            await serving
            if response != NoAnswer(reason="no_answer"):
                break
    assert response == NotSent(reason="client_refused")
    assert taken == []


async def test_a_certificate_that_has_ended_is_named(tmp_path: Path) -> None:
    ca = DevAuthority()
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    context = ca.issue("127.0.0.1", ended=True).server_context()
    async with wired(answering(), context) as wire:
        response = await exchange(wire.url("https"), ca_file=str(tmp_path / "ca.pem"))
    assert response == NotSent(reason="tls_expired")


# --- limits of the place --------------------------------------------------------------------


async def test_a_body_over_the_place_s_limit_is_not_sent_and_never_will_be() -> None:
    async with wired(answering()) as wire:
        fits = await exchange(wire.url(), body=b"x" * 100, max_body_bytes=100)
        over = await exchange(wire.url(), body=b"x" * 101, max_body_bytes=100)
    assert isinstance(fits, Answered)
    assert over == NotSent(reason="too_large", again=False)
    assert len(wire.seen) == 1


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_head_over_the_place_s_limit_is_not_sent_and_never_will_be(fresh: bool) -> None:
    """What is counted is what went out: the line and the values of all headers."""
    async with wired(answering()) as wire:
        headers = {"X-Filler": "a" * 200, "Content-Type": "application/json"}
        await exchange(wire.url(), headers=headers, fresh=fresh)
        (seen,) = wire.seen
        whole = len(seen.line) + sum(len(value) for value in seen.headers.values())
        limited: dict[str, Any] = {"headers": headers, "fresh": fresh}
        fits = await exchange(wire.url(), max_head_bytes=whole, **limited)
        over = await exchange(wire.url(), max_head_bytes=whole - 1, **limited)
    assert isinstance(fits, Answered)
    assert over == NotSent(reason="head_too_large", again=False)


# --- what the edge says ---------------------------------------------------------------------


async def test_the_edge_s_own_answer_is_told_from_the_service_s() -> None:
    raw = answer(
        "403 Forbidden",
        "x-amzn-ErrorType: InvalidSignatureException",
        "apigw-requestid: JKJaXmPLvHcESHA=",
        "Date: Sat, 28 Nov 2026 10:00:00 GMT",
        body=b'{"message":"no"}',
    )
    async with wired(answering(raw)) as wire:
        response = await exchange(wire.url(), edge="api_gateway")
    assert isinstance(response, Answered)
    assert (response.fault, response.request_id) == ("bad_signature", "JKJaXmPLvHcESHA=")
    assert response.date == "Sat, 28 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize("name", ["no spaces", "a" * 81, "<!channel>", ""])
async def test_a_request_id_that_is_none_does_not_go_to_the_log(name: str) -> None:
    raw = answer("200 OK", f"x-amzn-requestid: {name}")
    async with wired(answering(raw)) as wire:
        response = await exchange(wire.url())
    assert isinstance(response, Answered)
    assert response.request_id == ""
