import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.wire import Authority, Wire, answering, wired
from tidegate.adapters.pathways.direct import Direct
from tidegate.adapters.pathways.tokens import MAX_TOKEN_BYTES, TokenFile
from tidegate.adapters.pathways.transport import Place
from tidegate.core.model import RunId
from tidegate.ports import Answered, NotSent, Request


def a_request(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "run_id": RunId("01HZ"),
        "method": "POST",
        "path": "/api/v1/deploy",
        "body": b'{"a":1}',
        "headers": {"Content-Type": "application/json", "Idempotency-Key": "01HZ"},
    }
    return Request(**(fields | changes))


@contextlib.asynccontextmanager
async def direct(url: str, token_file: Path | None = None, **changes: Any) -> AsyncIterator[Direct]:
    fields: dict[str, Any] = {"url": url, "timeout_seconds": 5.0, "concurrency": 4}
    tokens = None if token_file is None else TokenFile(token_file)
    made = Direct(Place(**(fields | changes)), tokens=tokens)
    try:
        yield made
    finally:
        await made.close()


async def test_a_request_goes_below_the_url_of_the_pathway() -> None:
    async with wired(answering()) as wire, direct(f"{wire.url()}/stage/") as pathway:
        response = await pathway.send(a_request())
    assert isinstance(response, Answered)
    assert wire.seen[0].line == "POST /stage/api/v1/deploy HTTP/1.1"
    assert wire.seen[0].body == b'{"a":1}'
    assert wire.seen[0].headers["idempotency-key"] == "01HZ"
    assert "authorization" not in wire.seen[0].headers


async def test_the_token_is_read_anew_at_each_call(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with wired(answering()) as wire, direct(wire.url(), token) as pathway:
        for content in ("first", "second\n"):
            token.write_text(content)
            assert isinstance(await pathway.send(a_request()), Answered)
    sent = [seen.headers["authorization"] for seen in wire.seen]
    assert sent == ["Bearer first", "Bearer second"]
    assert wire.connections == 1


async def test_a_token_behind_a_moving_link_is_followed(tmp_path: Path) -> None:
    """Kubernetes replaces the folder that the file is linked through."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "token").write_text(version)
    link = tmp_path / "data"
    async with wired(answering()) as wire, direct(wire.url(), link / "token") as pathway:
        for version in ("v1", "v2"):
            link.unlink(missing_ok=True)
            link.symlink_to(tmp_path / version)
            await pathway.send(a_request())
    assert [seen.headers["authorization"] for seen in wire.seen] == ["Bearer v1", "Bearer v2"]


@pytest.mark.parametrize(
    "content",
    [None, b"", b"  \n", b"two\nlines", b"caf\xc3\xa9", b"\xff", b"a\x00b", b"a" * 70_000],
)
async def test_without_a_usable_token_nothing_is_sent(
    content: bytes | None, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    async with wired(answering()) as wire, direct(wire.url(), token) as pathway:
        assert await pathway.send(a_request()) == NotSent(reason="token")
    assert wire.connections == 0


async def test_the_longest_token_is_not_too_long(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"a" * MAX_TOKEN_BYTES)
    async with direct("http://127.0.0.1:9", token) as pathway:
        assert await pathway.send(a_request()) == NotSent(reason="connect")


async def test_host_says_another_name_than_the_url() -> None:
    async def names(wire: Wire) -> tuple[str, str]:
        return wire.seen[0].headers["host"], wire.seen[0].line

    async with wired(answering()) as wire, direct(wire.url(), host="svc.lattice") as pathway:
        await pathway.send(a_request())
        assert await names(wire) == ("svc.lattice", "POST /api/v1/deploy HTTP/1.1")


async def test_a_service_behind_an_endpoint_is_reached_by_its_own_name(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    async with wired(answering(), ca.server("service.internal")) as wire:
        options: dict[str, Any] = {
            "connect_to": f"127.0.0.1:{wire.port}",
            "host": "service.internal",
            "ca_file": str(ca.file),
        }
        async with direct("https://vpce-1.vpce.internal", **options) as pathway:
            assert isinstance(await pathway.send(a_request()), Answered)
    assert wire.seen[0].headers["host"] == "service.internal"


async def test_a_run_that_must_not_happen_twice_gets_a_connection_of_its_own() -> None:
    async with wired(answering()) as wire, direct(wire.url()) as pathway:
        await pathway.send(a_request())
        await pathway.send(a_request(fresh=True))
        await pathway.send(a_request())
    assert wire.connections == 2


def test_the_base_path_has_no_slash_at_its_end() -> None:
    def base(url: str) -> str:
        return Place(url=url, timeout_seconds=1, concurrency=1).base_path

    assert [base(f"http://h{path}") for path in ("", "/", "/a", "/a/b/")] == ["", "", "/a", "/a/b"]
