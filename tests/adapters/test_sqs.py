"""A queue of SQS as an emulator has it, which verifies signatures and rights."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.far_ends.sqs import Stack, TestQueue, queue_on
from tests.ports import free_port
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.credentials import GivenCredentials
from tidegate.adapters.sqs import Sqs
from tidegate.core.sigv4 import Credentials
from tidegate.errors import QueueError

KEY = Credentials(access_key="AKIA", secret_key="secret")


def sqs(url: str, key: Credentials, **given: Any) -> Sqs:
    return Sqs(
        url=url,
        region="eu-west-1",
        credentials=GivenCredentials(key),
        clock=SystemClock(),
        wait_seconds=1,
        **given,
    )


@contextlib.asynccontextmanager
async def opened(queue: TestQueue, **given: Any) -> AsyncIterator[Sqs]:
    found = sqs(queue.url, given.pop("key", queue.stack.key), **given)
    try:
        yield found
    finally:
        await found.close()


async def test_what_was_sent_is_received_and_gone_once_it_is_deleted(queues: Stack) -> None:
    queue = await queue_on(queues)
    await queue.send(b"one", "zwei \N{WATER WAVE}".encode())
    async with opened(queue) as ours:
        messages = list(await ours.receive())
        while len(messages) < 2:
            messages += await ours.receive()
        assert {message.body.decode() for message in messages} == {"one", "zwei \N{WATER WAVE}"}
        assert {message.receives for message in messages} == {1}
        assert await ours.delete(messages) == 0
        assert await queue.count() == 0
        assert list(await ours.receive()) == []


async def test_what_is_postponed_comes_again_and_is_counted(queues: Stack) -> None:
    queue = await queue_on(queues, hidden_seconds=600)
    await queue.send(b"one")
    async with opened(queue) as ours:
        await ours.postpone(await ours.receive(), seconds=0)
        (again,) = await ours.receive()
        assert again.receives == 2


async def test_what_is_buried_carries_its_reason(queues: Stack) -> None:
    queue, dead = await queue_on(queues), await queue_on(queues)
    await queue.send(b"hello")
    async with opened(queue, dead_letter_url=dead.url) as ours:
        assert ours.buries
        (message,) = await ours.receive()
        await ours.bury(message, reason="not_an_event")
    (buried,) = await dead.messages()
    assert buried["Body"] == "hello"
    assert buried["MessageAttributes"]["TidegateReason"]["StringValue"] == "not_an_event"
    async with opened(queue) as ours:
        assert not ours.buries
        with pytest.raises(QueueError):
            await ours.bury(message, reason="not_an_event")


async def test_a_receipt_that_is_no_more_is_counted_as_uncertain(queues: Stack) -> None:
    queue, other = await queue_on(queues), await queue_on(queues)
    await other.send(b"one")
    async with opened(other) as theirs, opened(queue) as ours:
        messages = await theirs.receive()
        assert await ours.delete([]) == 0
        assert await ours.delete(messages) in (0, 1)  # AWS takes any well-formed receipt
        assert await other.count() == 1


@pytest.mark.parametrize("which", ["narrow", "wrong secret", "unknown key"])
async def test_a_key_without_rights_has_no_access(queues: Stack, which: str) -> None:
    queue = await queue_on(queues)
    key = {
        "narrow": queues.narrow,
        "wrong secret": Credentials(access_key=queues.key.access_key, secret_key="wrong"),
        "unknown key": Credentials(access_key="AKIAUNKNOWN", secret_key="wrong"),
    }[which]
    async with opened(queue, key=key) as ours:
        with pytest.raises(QueueError) as caught:
            await ours.receive()
    assert caught.value.code == "no_access"


async def test_a_queue_that_is_not_there_is_told_so(queues: Stack) -> None:
    queue = await queue_on(queues)
    async with opened(TestQueue(queues, f"{queue.url}-gone")) as ours:
        with pytest.raises(QueueError) as caught:
            await ours.receive()
    assert caught.value.code == "no_queue"


async def test_nobody_listening_is_unreachable() -> None:
    ours = sqs(f"http://127.0.0.1:{free_port()}/1/q", KEY)
    with pytest.raises(QueueError) as caught:
        await ours.receive()
    await ours.close()
    assert caught.value.code == "unreachable"


@contextlib.asynccontextmanager
async def answering(status: int, body: bytes, **headers: str) -> AsyncIterator[str]:
    """Whatever is asked is answered so."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers["X-Amz-Target"])
        return web.Response(status=status, body=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/1/q"
        assert asked == ["AmazonSQS.ReceiveMessage"]  # once, and nothing was followed
    finally:
        await runner.cleanup()


def refusal(kind: str) -> bytes:
    return json.dumps({"__type": kind, "message": "secret text"}).encode()


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, refusal("com.amazonaws.sqs#QueueDoesNotExist"), "no_queue"),
        (400, refusal("AWS.SimpleQueueService.NonExistentQueue"), "no_queue"),
        (400, refusal("com.amazonaws.sqs#RequestThrottled"), "busy"),
        (400, refusal("ThrottlingException"), "busy"),
        (400, refusal("com.amazon.coral.service#AccessDeniedException"), "no_access"),
        (400, refusal("com.amazonaws.sqs#KmsAccessDenied"), "no_access"),
        (403, b"<html>", "no_access"),
        (400, refusal("ExpiredTokenException"), "no_access"),
        (400, refusal("SomethingElse"), "not_understood"),
        (429, b"", "busy"),
        (500, b"", "unreachable"),
        (503, refusal("ServiceUnavailable"), "unreachable"),
        (302, b"", "not_understood"),
        (200, b"<html>", "not_understood"),
        (200, b"[]", "not_understood"),
        (200, b'{"Messages": 1}', "not_understood"),
        (200, b'{"Messages": [1]}', "not_understood"),
        (200, b'{"Messages": [{"Body": "x"}]}', "not_understood"),
        (200, b'{"Messages": [{"ReceiptHandle": "x", "Body": 1}]}', "not_understood"),
    ],
)
async def test_each_answer_has_a_word_of_ours(status: int, body: bytes, code: str) -> None:
    async with answering(status, body, Location="http://127.0.0.1:9/elsewhere") as url:
        ours = sqs(url, KEY)
        with pytest.raises(QueueError) as caught:
            await ours.receive()
        await ours.close()
    assert caught.value.code == code
    assert "secret" not in str(caught.value)


async def test_a_count_that_is_none_does_not_hold_a_message_up() -> None:
    entry = {"ReceiptHandle": "r", "Body": "b", "Attributes": {"ApproximateReceiveCount": "?"}}
    async with answering(200, json.dumps({"Messages": [entry]}).encode()) as url:
        ours = sqs(url, KEY)
        (message,) = await ours.receive()
        await ours.close()
    assert message.receives == 1
