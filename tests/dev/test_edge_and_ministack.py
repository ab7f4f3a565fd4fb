"""The edge beside an emulator that others wrote: one table of requests, the same decisions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.dev.edge_stage import Service
from tests.dev.mutations import single_changes, with_header
from tests.far_ends import apis
from tests.far_ends.apis import Api
from tidegate.core.sigv4 import Credentials, Signer, wire_url
from tidegate_dev.edge import Edge, EdgeConfig, Kind, edge_app
from tidegate_dev.listener import Listener
from tidegate_dev.sigv4_check import IssuedKeys, ReceivedRequest

PATH: Final = "/api/v1/deploy"
REGION: Final = "eu-west-1"
DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Asked:
    """An API that is asked, wherever it is."""

    api: Api

    def request(
        self,
        path: str = PATH,
        *,
        method: str = "POST",
        key: str = "key",
        body: bytes = b'{"a":1}',
        region: str = REGION,
        service: str = "execute-api",
        ahead: timedelta = timedelta(),
        **changes: Any,
    ) -> ReceivedRequest:
        credentials: Credentials = replace(getattr(self.api, key), **changes)
        url = wire_url(f"http://{self.api.host}", self.api.stage + path, [("a", "1"), ("b", "2")])
        headers = {"Content-Type": "application/json", "Idempotency-Key": "run-1"}
        added = Signer().sign(
            method=method,
            url=url,
            headers=headers,
            body=body,
            credentials=credentials,
            region=region,
            service=service,
            now=datetime.now(UTC) + ahead,
        )
        sent = {"Host": self.api.host, **headers, **added}
        parts = urlsplit(url)
        return ReceivedRequest(
            method=method,
            raw_path=parts.path.encode(),
            raw_query=parts.query.encode(),
            headers=[(name.lower().encode(), value.encode()) for name, value in sent.items()],
            body=body,
        )

    def table(self) -> Iterator[tuple[str, int, ReceivedRequest]]:
        """Yield what is asked, in a word, and whether AWS lets it through."""
        yield "good", 202, self.request()
        yield "good, without a body", 202, self.request(body=b"")
        yield "good, below", 202, self.request("/api/v1/deploy/operations/1")
        yield "good, a session's", 202, self.request(key="temporary")
        yield "clocks four minutes apart", 202, self.request(ahead=timedelta(minutes=-4))
        yield "not permitted: the method", 403, self.request(method="GET")
        yield "not permitted: the path", 403, self.request("/api/v2/deploy")
        yield "not permitted: nothing", 403, self.request(key="narrow")
        yield "another secret", 403, self.request(secret_key="another")
        yield "an unknown key", 403, self.request(access_key="AKIAUNKNOWN000000000")
        yield "a session without its token", 403, self.request(key="temporary", token=None)
        yield "another session's token", 403, self.request(key="temporary", token="another")
        yield "another region", 403, self.request(region="us-east-1")
        yield "another service", 403, self.request(service="lambda")
        yield "clocks twenty minutes apart", 403, self.request(ahead=timedelta(minutes=-20))
        yield "clocks twenty minutes ahead", 403, self.request(ahead=timedelta(minutes=20))
        yield "a day old", 403, self.request(ahead=-DAY)
        unsigned = with_header(self.request(), b"authorization")
        yield "unsigned", 403, unsigned
        bearer = with_header(self.request(), b"authorization", b"Bearer a.b.c")
        yield "a bearer token", 403, bearer
        for word, changed in single_changes(self.request()):
            yield f"changed: {word}", 403, changed
        for word, changed in single_changes(self.request(key="temporary")):
            if "token" in word:
                yield f"changed: {word}", 403, changed

    async def told(self, request: ReceivedRequest) -> int:
        """Return the status with which a request is answered, sent letter by letter."""
        target = request.raw_path + (b"?" + request.raw_query if request.raw_query else b"")
        head = [b"%s %s HTTP/1.1" % (request.method.encode(), target)]
        head += [name + b": " + value for name, value in request.headers]
        head += [b"content-length: %d" % len(request.body), b"connection: close"]
        host, port = urlsplit(self.api.url).netloc.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(b"\r\n".join(head) + b"\r\n\r\n" + request.body)
            answer = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
        return int(answer.split(b" ", 2)[1])


@contextlib.asynccontextmanager
async def ours(theirs: Api, service_url: str) -> AsyncIterator[Asked]:
    """Serve the API that the emulator has, with the same keys and rights."""
    keys = {
        each.access_key: IssuedKeys(
            access_key=each.access_key,
            secret_key=each.secret_key,
            session_token=each.token,
            principal=f"arn:aws:iam::{apis.ACCOUNT}:user/{name}",
        )
        for name in ("key", "temporary", "narrow")
        for each in (getattr(theirs, name),)
    }
    kind: Kind = "rest" if theirs.kind == "rest" else "http"
    edge: Edge = edge_app(
        EdgeConfig(
            integration_url=service_url,
            keys=keys,
            kind=kind,
            region=REGION,
            api_id=theirs.id,
            permissions=(),
            policies={
                f"*:user/{name}": (apis.statement(theirs.id, theirs.kind),)
                for name in ("key", "temporary")
            },
        )
    )
    async with Listener(edge) as listener:
        yield Asked(replace(theirs, url=listener.url))
    await edge.aclose()


async def test_the_edge_decides_as_the_emulator_does_where_that_is_right(tmp_path: Path) -> None:
    service = Service()
    service.may_answer.set()
    async with Listener(service) as private:
        emulator = apis.ministack(tmp_path, private.url)
        both = await asyncio.to_thread(emulator.__enter__)
        try:
            for api in both:
                async with ours(api, private.url) as edge:
                    await _compare(edge, Asked(api))
        finally:
            await asyncio.to_thread(emulator.__exit__, None, None, None)


async def _compare(here: Asked, there: Asked) -> None:
    """Fail where the edge is wrong, and where what is said of the emulator is out of date."""
    gaps = apis.LAXER[here.api.kind]
    seen = set()
    for (word, right, ours), (_, _, theirs) in zip(here.table(), there.table(), strict=True):
        assert await here.told(ours) == right, word
        let_in = await there.told(theirs) < 400
        assert let_in == (right < 400 or word in gaps), word
        seen.add(word)
    assert seen >= set(gaps)
