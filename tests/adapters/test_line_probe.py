"""Lines that are tried over real sockets."""

import asyncio
import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tidegate.adapters import line_probe
from tidegate.adapters.line_probe import LineProbe
from tidegate.core.diagnosis.line import Certificate, Line, Trouble
from tidegate_dev.authority import Authority, Pair


def to(port: int, *, tls: bool = False, **keys: str) -> Line:
    return Line(host="127.0.0.1", port=port, tls=tls, name=keys.pop("name", "127.0.0.1"), **keys)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def ca_file(authority: Authority, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.pem)
    return str(file)


@contextlib.asynccontextmanager
async def secured(context: ssl.SSLContext, *, says: bytes = b"") -> AsyncIterator[int]:
    """A server that shakes hands as OpenSSL does, alerts included, and then waits."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            peer, _ = listening.accept()
            with (
                peer,
                contextlib.suppress(OSError),
                context.wrap_socket(peer, server_side=True) as shaken,
            ):
                if says:
                    shaken.sendall(says)
                shaken.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
        await asyncio.to_thread(thread.join, 5)


async def test_a_name_has_addresses_or_there_is_none() -> None:
    probe = LineProbe()
    found = await probe.addresses(Line(host="localhost", port=1, tls=False, name="x"))
    assert not isinstance(found, Trouble)
    assert {"127.0.0.1", "::1"} & set(found)
    for host in ("nowhere.invalid", "a" * 300, "a..b"):
        line = Line(host=host, port=1, tls=False, name="x")
        assert await probe.addresses(line) in (Trouble.NO_NAME, Trouble.NO_RESOLVER)


async def test_a_resolver_that_is_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(line_probe, "STEP_SECONDS", 0.02)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    assert await LineProbe().addresses(to(1)) is Trouble.NO_RESOLVER


async def test_a_port_is_open_or_it_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert await LineProbe().connect(to(listening.getsockname()[1])) is None
    assert await LineProbe().connect(to(free_port())) is Trouble.REFUSED


@pytest.fixture
async def deaf() -> AsyncIterator[int]:
    """A port whose connections are never taken: what comes is dropped, as by a firewall."""
    with socket.socket() as listening, contextlib.ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(("127.0.0.1", port))
        yield port


async def test_a_port_that_swallows_what_comes_is_told(
    deaf: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_probe, "STEP_SECONDS", 0.05)
    assert await LineProbe().connect(to(deaf)) is Trouble.SILENT
    assert await LineProbe().handshake(to(deaf, tls=True)) is Trouble.SILENT_TLS


async def test_a_place_without_a_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: object, **__: object) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(asyncio, "open_connection", unreachable)
    assert await LineProbe().connect(to(1)) is Trouble.NO_ROUTE


async def test_what_a_far_end_shows_is_told(authority: Authority, ca_file: str) -> None:
    pair = authority.issue("127.0.0.1")
    async with secured(pair.server_context()) as port:
        found = await LineProbe().handshake(to(port, tls=True, ca_file=ca_file))
    assert isinstance(found, Certificate)
    assert found.version == "TLSv1.3"
    assert "authority" in found.issuer
    now = datetime.datetime.now(datetime.UTC).timestamp()
    begins, ends = found.life
    assert begins < now < ends < now + 30 * 86_400
    assert found.own_life is None


async def test_a_server_that_speaks_first_is_taken_too(authority: Authority, ca_file: str) -> None:
    pair = authority.issue("127.0.0.1")
    async with secured(pair.server_context(), says=b"220 hello\r\n") as port:
        found = await LineProbe().handshake(to(port, tls=True, ca_file=ca_file))
    assert isinstance(found, Certificate)


async def test_our_own_certificate_is_shown_where_it_is_asked_for(
    authority: Authority, ca_file: str, tmp_path: Path
) -> None:
    server = authority.issue("127.0.0.1").server_context(client_ca=authority.pem)
    certificate, key = authority.issue("gateway").write(tmp_path, "gateway")
    files = {"client_cert": str(certificate), "client_key": str(key)}
    async with secured(server) as port:
        line = to(port, tls=True, ca_file=ca_file, **files)
        found = await LineProbe().handshake(line)
    assert isinstance(found, Certificate)
    assert found.own_life is not None
    assert found.own_life[0] < found.own_life[1]


@pytest.mark.parametrize("own", [False, True])
async def test_a_server_that_does_not_take_us_is_told(
    authority: Authority, ca_file: str, tmp_path: Path, own: bool
) -> None:
    server = authority.issue("127.0.0.1").server_context(client_ca=authority.pem)
    files = {}
    if own:  # of an authority that it does not know
        certificate, key = Authority("another").issue("gateway").write(tmp_path, "gateway")
        files = {"client_cert": str(certificate), "client_key": str(key)}
    async with secured(server) as port:
        found = await LineProbe().handshake(to(port, tls=True, ca_file=ca_file, **files))
    assert found is Trouble.WANTS_CERTIFICATE


async def test_certificates_that_do_not_hold_are_told_apart(
    authority: Authority, ca_file: str
) -> None:
    async def shown(pair: Pair, **keys: str) -> Certificate | Trouble:
        async with secured(pair.server_context()) as port:
            return await LineProbe().handshake(to(port, tls=True, **keys))

    assert await shown(authority.issue("127.0.0.1")) is Trouble.UNTRUSTED
    ended = authority.issue("127.0.0.1", ended=True)
    assert await shown(ended, ca_file=ca_file) is Trouble.EXPIRED
    other = authority.issue("agent.internal")
    assert await shown(other, ca_file=ca_file) is Trouble.OTHER_NAME
    assert await shown(other, ca_file=ca_file, name="other.internal") is Trouble.OTHER_NAME
    good = await shown(other, ca_file=ca_file, name="agent.internal")
    assert isinstance(good, Certificate)


async def test_an_old_protocol_is_told(authority: Authority, ca_file: str) -> None:
    context = authority.issue("127.0.0.1").server_context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with secured(context) as port:
        found = await LineProbe().handshake(to(port, tls=True, ca_file=ca_file))
    assert found is Trouble.OLD_TLS


async def test_what_is_no_tls_at_all_is_told() -> None:
    async def http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    for answer, expected in ((http, Trouble.NO_TLS), (nothing, Trouble.HUNG_UP)):
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            assert await LineProbe().handshake(to(port, tls=True)) is expected
    assert await LineProbe().handshake(to(free_port(), tls=True)) is Trouble.REFUSED


async def test_files_of_ours_that_cannot_be_used_are_told(
    authority: Authority, tmp_path: Path
) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    certificate, _ = authority.issue("gateway").write(tmp_path, "gateway")
    for file in (str(nonsense), str(tmp_path / "nowhere.pem")):
        found = await LineProbe().handshake(to(1, tls=True, ca_file=file))
        assert found is Trouble.OUR_AUTHORITY
        found = await LineProbe().handshake(to(1, tls=True, client_cert=file))
        assert found is Trouble.OUR_CERTIFICATE
    without_key = to(1, tls=True, client_cert=str(certificate))
    assert await LineProbe().handshake(without_key) is Trouble.OUR_CERTIFICATE
