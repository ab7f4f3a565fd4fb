"""Names become addresses, and those that a pathway may not lead to are left out.

What comes out of here is what is connected to: nobody asks for the name again in between, so a
name cannot show one address when it is checked and lead to another when it is used.
"""

import socket
from collections.abc import Sequence
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from tidegate.adapters.pathways.lookup import ThreadedResolver
from tidegate.core.web_address import is_loopback, may_be_connected
from tidegate.errors import AddressRefusedError

_THIS_MACHINE: Final = "localhost"  # whoever writes this in a configuration means it


class ForbiddenAddressError(AddressRefusedError, OSError):
    """A name led to forbidden addresses alone; an `OSError`, so that aiohttp passes it on."""


class GuardedResolver(AbstractResolver):
    """Resolves names to the addresses that a pathway may lead to.

    Args:
        private: Whether private addresses are among them.
        inner: What asks the system; `ThreadedResolver` if not given.
    """

    def __init__(self, *, private: bool, inner: AbstractResolver | None = None) -> None:
        self._private = private
        self._inner = inner if inner is not None else ThreadedResolver()

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of *host* that may be connected to.

        Raises:
            ForbiddenAddressError: It has addresses, but none of those.
            OSError: It has none.
        """
        found: Sequence[ResolveResult] = await self._inner.resolve(host, port, family)
        if host.lower() == _THIS_MACHINE:
            # Where plain http is allowed, too: no name server may lead it elsewhere.
            kept = [one for one in found if is_loopback(one["host"])]
        else:
            kept = [one for one in found if may_be_connected(one["host"], private=self._private)]
        if found and not kept:
            raise ForbiddenAddressError("a name led to addresses that are not allowed here")
        return kept

    @override
    async def close(self) -> None:
        """Let go of what asks the system."""
        await self._inner.close()
