"""Connections on which nothing was said yet: an answer that came before its question is none.

A far end that answers twice, or says good-bye with an answer of its own, leaves one behind on a
connection that is kept open. aiohttp would take it for the answer to the next request, which may
be another run's. Of a far end that goes on answering it would keep all, in memory.

Source: https://www.rfc-editor.org/rfc/rfc9112#section-9.2 (such a connection is to be closed)
"""

import functools
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from typing_extensions import override

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

MAX_WAITING: Final = 16  # answers that nobody took yet: one, and what comes before it (1xx)


class AskingConnector(aiohttp.TCPConnector):
    """Hands out connections on which the far end waits to be asked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Private, and the only way in; another aiohttp may not have it.
        protocol: type[ResponseHandler] = _Answers
        self._factory = functools.partial(protocol, loop=self._loop)

    @override
    async def connect(
        self, req: aiohttp.ClientRequest, traces: "list[Trace]", timeout: aiohttp.ClientTimeout
    ) -> "Connection":
        """Return a connection, kept or new.

        Raises:
            aiohttp.ClientConnectionError: What was kept, and then what was made or kept as well,
                spoke first. Nothing was sent.
        """
        for _ in range(2):
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ClientConnectionError("the far end answers before it is asked")


class _Answers(ResponseHandler):
    """What comes in on a connection, which ends when it is far more than was asked for."""

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if len(self) > MAX_WAITING:
            self.abort()
