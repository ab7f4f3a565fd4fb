"""The system's own lookup of names, each in a thread of its own.

A name server that does not answer holds a lookup up for many seconds, and nothing can end it. In
the threads that an event loop shares (libuv lets two of them look up names), one such pathway
would keep all others, Slack and the database from every new connection. aiohttp looks a name up
once at a time for all who wait, so threads do not pile up.
"""

import asyncio
import socket
import threading

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override


class ThreadedResolver(AbstractResolver):
    """Asks the system for a name's addresses."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of *host*. Raises `OSError` if it has none."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def look_up() -> None:
            try:
                outcome: list[ResolveResult] | OSError = _addresses(host, port, family)
            except OSError as error:
                outcome = error
            except UnicodeError:
                outcome = OSError("this cannot be a name")
            try:
                loop.call_soon_threadsafe(_settle, found, outcome)
            except RuntimeError:
                return  # the loop was closed meanwhile: nobody waits any more

        # A daemon: a name server that does not answer must not hold up the exit.
        threading.Thread(target=look_up, name="name-lookup", daemon=True).start()
        return await found

    @override
    async def close(self) -> None:
        """Nothing is held."""


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    flags = socket.AI_ADDRCONFIG
    listed = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=flags)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in listed
    ]


def _settle(
    found: "asyncio.Future[list[ResolveResult]]", outcome: list[ResolveResult] | OSError
) -> None:
    if found.done():
        return
    if isinstance(outcome, OSError):
        found.set_exception(outcome)
    else:
        found.set_result(outcome)
