"""Names that lead where a pathway may not go, whoever answers for them."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.adapters.wire import answering, wired
from tidegate.adapters.pathways import resolver
from tidegate.adapters.pathways.lookup import ThreadedResolver
from tidegate.adapters.pathways.resolver import ForbiddenAddressError, GuardedResolver
from tidegate.adapters.pathways.transport import Place, Transport
from tidegate.ports import Answered, NotSent, Response


class Names(AbstractResolver):
    """A name server that says what it is told to say, one answer after another."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.closed = False

    async def resolve(  # type: ignore[explicit-override]
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in found
        ]

    async def close(self) -> None:  # type: ignore[explicit-override]
        self.closed = True


async def found(*addresses: str, private: bool, host: str = "svc.internal") -> list[str]:
    guarded = GuardedResolver(private=private, inner=Names(addresses))
    return [one["host"] for one in await guarded.resolve(host, 443)]


async def test_of_many_addresses_those_that_are_allowed_are_left() -> None:
    many = ("127.0.0.1", "10.0.0.7", "52.95.110.1", "169.254.169.254")
    assert await found(*many, private=True) == ["10.0.0.7", "52.95.110.1"]
    assert await found(*many, private=False) == ["52.95.110.1"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.7"])
async def test_a_name_with_forbidden_addresses_alone_leads_nowhere(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        await found(address, private=False)


async def test_a_name_without_addresses_is_no_forbidden_one() -> None:
    assert await found(private=False) == []


async def test_this_machine_is_reached_by_its_own_name() -> None:
    assert await found("127.0.0.1", private=False, host="localhost") == ["127.0.0.1"]
    with pytest.raises(ForbiddenAddressError):
        await found("127.0.0.1", private=True, host="localhost.evil.example")


async def test_nothing_else_is_reached_by_the_name_of_this_machine() -> None:
    for address in ("52.95.110.1", "10.0.0.1"):
        with pytest.raises(ForbiddenAddressError):
            await found(address, private=True, host="localhost")


async def test_what_asks_the_system_is_let_go() -> None:
    names = Names(("10.0.0.1",))
    await GuardedResolver(private=True, inner=names).close()
    assert names.closed


# --- the system's own lookup ----------------------------------------------------------------


async def test_the_system_is_asked() -> None:
    names = ThreadedResolver()
    (one, *_) = await names.resolve("127.0.0.1", 8443)
    assert (one["host"], one["port"], one["hostname"]) == ("127.0.0.1", 8443, "127.0.0.1")
    for nobody in ("name.invalid", "a" * 64 + ".invalid"):
        with pytest.raises(OSError, match=r"."):
            await names.resolve(nobody, 8443)


async def test_a_name_server_that_does_not_answer_keeps_nobody_else_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers, known = threading.Event(), socket.getaddrinfo

    def asked(host: str, *rest: Any, **options: Any) -> Any:
        if host == "dead.internal":
            answers.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return known(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    names = ThreadedResolver()
    waiting = [asyncio.ensure_future(names.resolve("dead.internal", 443)) for _ in range(40)]
    waiting[0].cancel()
    try:
        async with asyncio.timeout(5):
            assert await names.resolve("127.0.0.1", 443)
            assert await asyncio.to_thread(str, 1) == "1"
        assert not any(each.done() for each in waiting[1:])
    finally:
        answers.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, OSError) for each in ended[1:])


# --- through a transport --------------------------------------------------------------------


async def sent(names: Names, monkeypatch: pytest.MonkeyPatch, url: str, **changes: Any) -> Response:
    monkeypatch.setattr(resolver, "ThreadedResolver", lambda: names)
    fields: dict[str, Any] = {"url": url, "timeout_seconds": 5.0, "concurrency": 1}
    transport = Transport(Place(**(fields | changes)))
    try:
        return await transport.exchange(
            method="POST", path="/x", headers={}, body=b"{}", fresh=True
        )
    finally:
        await transport.close()


async def test_a_name_that_leads_to_this_machine_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with wired(answering()) as wire:
        response = await sent(Names(["127.0.0.1"]), monkeypatch, wire.url(host="svc.internal"))
    assert response == NotSent(reason="private_address")
    assert wire.connections == 0


async def test_a_name_to_connect_to_is_held_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(["127.0.0.1"])
    async with wired(answering()) as wire:
        there = f"vpce-1.internal:{wire.port}"
        response = await sent(names, monkeypatch, "http://svc.internal", connect_to=there)
    assert response == NotSent(reason="private_address")
    assert names.asked == ["vpce-1.internal"]


async def test_a_name_that_changes_after_it_was_checked_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was checked is what is connected to: one question, one answer."""
    judged: list[str] = []

    def judge(address: str, *, private: bool) -> bool:
        judged.append(address)
        return address == "127.0.0.1"

    monkeypatch.setattr(resolver, "may_be_connected", judge)
    names = Names(["127.0.0.1"], ["10.255.255.1"])
    async with wired(answering()) as wire:
        response = await sent(names, monkeypatch, wire.url(host="svc.internal"))
    assert isinstance(response, Answered)
    assert (len(names.asked), judged) == (1, ["127.0.0.1"])


async def test_an_address_that_is_written_out_is_taken_at_its_word() -> None:
    async with wired(answering()) as wire:
        transport = Transport(
            Place(url=wire.url(), timeout_seconds=5.0, concurrency=1, private=False)
        )
        response = await transport.exchange(
            method="GET", path="/", headers={}, body=b"", fresh=True
        )
        await transport.close()
    assert isinstance(response, Answered)
