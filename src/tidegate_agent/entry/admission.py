"""Who gets in: proof of who asks and for whom, and then a request's bytes, read within a bound.

Whatever a head tells is checked before a byte of the body is waited for, so that nobody makes the
agent wait who has no statement, and nobody does so twice with one.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol

from starlette.requests import ClientDisconnect, Request

from tidegate_agent.core import identity
from tidegate_agent.core.identity import Announced, Expected, Keys, Memory, Statement
from tidegate_agent.core.rules import Rules
from tidegate_agent.errors import IdentityError, InputError
from tidegate_agent.ports import Clock

MAX_BODY_BYTES: Final = 65_536
READ_SECONDS: Final = 10.0


class Callers(Protocol):
    """Tells which programs may call."""

    async def check(self, authorization: str) -> None:
        """The header shows a program that may. Raises `IdentityError`, `UnavailableError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A request that may be dealt with."""

    body: bytes
    who: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What it takes to get in.

    Attributes:
        rules: To whom statements have to be addressed, and by whom they are made.
        keys: Whose statements are believed.
        callers: Who knows programs; None where the statement alone counts.
    """

    rules: Rules
    keys: Keys
    callers: Callers | None
    clock: Clock
    memory: Memory = field(default_factory=Memory)
    _arriving: set[str] = field(default_factory=set, init=False)

    async def admit(self, request: Request) -> Admitted:
        """Return the request's body and who asked.

        Raises:
            InputError: The request is too large, too slow or not as it has to be.
            IdentityError: It does not prove who asked.
            UnavailableError: That cannot be told now.
        """
        _check_length(request)
        # Ours first: it costs the cluster nothing to be asked by somebody who has no statement.
        announced = self._announced(request)
        if announced.jti in self._arriving:
            raise IdentityError("replayed")
        self._arriving.add(announced.jti)
        try:
            body = await _body(request)
        finally:
            self._arriving.discard(announced.jti)
        who = identity.arrive(announced, body, memory=self.memory, now=self.clock.now())
        if self.callers is not None:
            await self.callers.check(_single(request, "authorization"))
        return Admitted(body=body, who=who)

    def _announced(self, request: Request) -> Announced:
        expected = Expected(
            issuer=self.rules.issuer,
            audience=self.rules.audience,
            method=request.method,
            path=_path(request),
            body=b"",  # it is to come
            key=_single(request, "idempotency-key"),
            now=self.clock.now(),
        )
        token = _single(request, "tidegate-identity")
        return identity.announce(token, expected, keys=self.keys)


def _check_length(request: Request) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 12 or int(declared) > MAX_BODY_BYTES):
        raise _too_large()


async def _body(request: Request) -> bytes:
    """Return the body, no more of it read than is allowed."""
    content = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MAX_BODY_BYTES:
                    raise _too_large()
    except TimeoutError:
        raise InputError("The request took too long to arrive.", status=408) from None
    except ClientDisconnect:
        raise InputError("The request broke off.", status=400) from None
    return bytes(content)


def _too_large() -> InputError:
    return InputError(f"A request may hold {MAX_BODY_BYTES // 1024} KiB.", status=413)


def _single(request: Request, name: str) -> str:
    """Return a header's value; nothing, if it comes more than once: which one would count?"""
    values = request.headers.getlist(name)
    return values[0] if len(values) == 1 else ""


def _path(request: Request) -> str:
    """Return the path as it stands in the request line."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.partition(b"?")[0].decode("ascii", "replace")
