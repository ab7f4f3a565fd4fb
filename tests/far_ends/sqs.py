"""SQS as an emulator has it, and what can be put between a gateway and it.

The emulator verifies signatures and rights. Its users have those rights of a queue that the
documentation names, and no more.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from tests.far_ends.ministack import ROOT_KEY, client, policy, running, user
from tidegate.core.sigv4 import Credentials

#: All that the gateway needs: what `docs` says, word for word.
RIGHTS: Final = (
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:SendMessage",
)
#: In AWS a right to do something to one message is one to do it to several; not so here.
_SEVERAL: Final = ("sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch")
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """SQS that answers.

    Attributes:
        url: Its address, without a slash at the end.
        key: May do what the gateway needs.
        narrow: A good key that may do nothing with queues.
    """

    url: str
    key: Credentials
    narrow: Credentials


@dataclass(slots=True)
class TestQueue:
    """A queue of a test's own; what is sent there did not go through our adapter."""

    __test__ = False

    stack: Stack
    url: str

    @property
    def path(self) -> str:
        """The queue's address without its host."""
        return "/" + self.url.split("/", 3)[3]

    async def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        call = getattr(client("sqs", self.stack.url, ROOT_KEY), operation)
        return dict(await asyncio.to_thread(call, QueueUrl=self.url, **arguments))

    async def send(self, *bodies: bytes) -> None:
        for body in bodies:
            await self.call("send_message", MessageBody=body.decode())

    async def count(self) -> int:
        """Return how many messages there are, hidden ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = await self.call("get_queue_attributes", AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    async def messages(self) -> list[dict[str, Any]]:
        found = await self.call(
            "receive_message", MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return list(found.get("Messages", []))


async def queue_on(stack: Stack, *, hidden_seconds: int = 3) -> TestQueue:
    """Return a new queue, whose messages come again after so many seconds."""
    call = client("sqs", stack.url, ROOT_KEY).create_queue
    attributes = {"VisibilityTimeout": str(hidden_seconds)}
    name = f"arrivals-{next(_numbers)}"
    made = await asyncio.to_thread(call, QueueName=name, Attributes=attributes)
    return TestQueue(stack, made["QueueUrl"])


@contextlib.contextmanager
def ministack(folder: Path) -> Iterator[Stack]:
    """Run ministack with its SQS while the block does."""
    with running(folder, "sqs", "iam", "sts") as url:
        yield Stack(
            url=url,
            key=user(url, "tidegate", {"all": policy(RIGHTS + _SEVERAL)}),
            narrow=user(url, "narrow", {"all": policy(["s3:GetObject"])}),
        )


# --- between --------------------------------------------------------------------------------


@dataclass(slots=True)
class Between:
    """Passes requests on as they are, their signatures included; what is held never arrives."""

    target: str
    url: str = ""
    passed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def count(self, action: str) -> int:
        """Return how many messages requests of an action were about, of those passed on."""
        return sum(len(body.get("Entries", "1")) for name, body in self.passed if name == action)

    async def until(self, true: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Return once something is so; it is looked at whenever a request has come by."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(true)

    async def let_go(self) -> None:
        """Hold nothing any more; what was held is answered that it cannot be done now."""
        self.held.clear()
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.asked.append(action)
        await self._tell()
        if action in self.held:
            async with self._changed:
                await self._changed.wait_for(lambda: action not in self.held)
            return web.Response(status=503)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.request(
                request.method, self.target + request.path_qs, data=body, headers=request.headers
            ) as answer,
        ):
            content = await answer.read()
            headers = {"Content-Type": answer.headers.get("Content-Type", "")}
            found = web.Response(status=answer.status, body=content, headers=headers)
        if answer.status == 200:
            self.passed.append((action, json.loads(body)))
        await self._tell()
        return found


@contextlib.asynccontextmanager
async def between(target: str) -> AsyncIterator[Between]:
    """Stand in front of *target* while the block runs."""
    found = Between(target)
    app = web.Application(client_max_size=2**22)
    app.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    found.url = f"http://127.0.0.1:{port}"
    try:
        yield found
    finally:
        await found.let_go()
        await runner.cleanup()
