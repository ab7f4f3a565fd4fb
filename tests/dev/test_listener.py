"""The server that the far ends stand on: how it starts, speaks TLS, and ends."""

import asyncio
import ssl
from unittest.mock import patch

import aiohttp
import pytest
from starlette.types import Receive, Scope, Send

from tests.dev.edge_stage import Service
from tidegate_dev import listener
from tidegate_dev.authority import Authority
from tidegate_dev.listener import Listener, PortInUseError, bind


class Hanging:
    """Never answers, and knows how that ended."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_what_is_being_answered_is_answered_before_the_end() -> None:
    service = Service()
    server = Listener(service)
    await server.start()
    async with aiohttp.ClientSession() as client:
        asking = asyncio.create_task(client.get(server.url))
        while not service.requests:  # noqa: ASYNC110 - the service tells nobody
            await asyncio.sleep(0.001)
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.01)
        assert not stopping.done()
        service.may_answer.set()
        async with await asking as response:
            assert await response.read() == service.body
        await stopping
    bind(server.port).close()


async def test_what_takes_too_long_is_cut_off() -> None:
    app = Hanging()
    server = Listener(app)
    await server.start()
    async with aiohttp.ClientSession() as client:
        asking = asyncio.create_task(client.get(server.url))
        await app.asked.wait()
        with patch.object(listener, "GRACE_SECONDS", 0.01):
            await server.stop()
        assert app.cancelled
        with pytest.raises(aiohttp.ClientError):
            await asking
    bind(server.port).close()


async def test_a_connection_that_nothing_comes_by_is_closed() -> None:
    server = Listener(Service())
    await server.start()
    reader, writer = await asyncio.open_connection(listener.LOOPBACK, server.port)
    await server.stop()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_one_that_was_not_started_gives_its_port_back() -> None:
    server = Listener(Service())
    with pytest.raises(PortInUseError):
        bind(server.port)
    await server.stop()
    bind(server.port).close()


async def test_with_a_certificate_it_speaks_tls() -> None:
    authority = Authority()
    service = Service()
    service.may_answer.set()
    trust = ssl.create_default_context(cadata=authority.pem.decode())
    context = authority.issue("127.0.0.1").server_context()
    async with (
        Listener(service, tls=context) as server,
        aiohttp.ClientSession() as client,
        client.get(server.url, ssl=trust) as response,
    ):
        assert server.url.startswith("https://127.0.0.1:")
        assert response.status == 202
        [(scope, _)] = service.requests
        assert scope["scheme"] == "https"
