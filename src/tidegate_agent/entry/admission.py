"""Who gets in: a request's bytes, read within a bound, and proof of who sent them and for whom."""

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol

from starlette.requests import ClientDisconnect, Request

from tidegate_agent.core import identity
from tidegate_agent.core.identity import Expected, Keys, Memory, Statement
from tidegate_agent.core.rules import Rules
from tidegate_agent.errors import InputError
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

    async def admit(self, request: Request) -> Admitted:
        """Return the request's body and who asked.

        Raises:
            InputError: The request is too large, too slow or not as it has to be.
            IdentityError: It does not prove who asked.
            UnavailableError: That cannot be told now.
        """
        body = await _body(request)
        # Ours first: it costs the cluster nothing to be asked by somebody who has no statement.
        who = self._identify(request, body)
        if self.callers is not None:
            await self.callers.check(_single(request, "authorization"))
        return Admitted(body=body, who=who)

    def _identify(self, request: Request, body: bytes) -> Statement:
        expected = Expected(
            issuer=self.rules.issuer,
            audience=self.rules.audience,
            method=request.method,
            path=_path(request),
            body=body,
            key=_single(request, "idempotency-key"),
            now=self.clock.now(),
        )
        token = _single(request, "tidegate-identity")
        return identity.verify(token, expected, keys=self.keys, memory=self.memory)


async def _body(request: Request) -> bytes:
    """Return the body, no more of it read than is allowed."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 12 or int(declared) > MAX_BODY_BYTES):
        raise _too_large()
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
