"""A queue that is looked at, over an SQS that others wrote."""

import asyncio

from tests.far_ends.ministack import REGION, client
from tests.far_ends.sqs import Stack, TestQueue, queue_on
from tests.ports import free_port
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.credentials import GivenCredentials
from tidegate.adapters.sqs import Sqs
from tidegate.core.diagnosis import queue as diagnosis_queue
from tidegate.core.diagnosis.finding import State
from tidegate.core.diagnosis.queue import Look
from tidegate.core.sigv4 import Credentials

ROOT = Credentials(access_key="test", secret_key="test")


async def look(queue: TestQueue | str, keys: Credentials, other: str | None = None) -> Look:
    url = queue if isinstance(queue, str) else queue.url
    sqs = Sqs(url=url, region=REGION, credentials=GivenCredentials(keys), clock=SystemClock())
    try:
        return await sqs.look(other)
    finally:
        await sqs.close()


async def test_a_queue_tells_of_itself_and_nothing_is_received(queues: Stack) -> None:
    queue = await queue_on(queues, hidden_seconds=45)
    await queue.send(b"one", b"two")
    seen = await look(queue, ROOT)
    assert (seen.status, seen.kind) == (200, "")
    assert seen.number("VisibilityTimeout") == 45
    assert seen.number("ApproximateNumberOfMessages") == 2
    messages = await queue.messages()
    assert len(messages) == 2
    found = diagnosis_queue.queue(seen, url=queue.url, buried=True)
    assert (found.state, found.said) == (State.OK, "2 waiting")


async def test_what_a_queue_is_set_up_with_is_seen(queues: Stack) -> None:
    queue, dead = await queue_on(queues), await queue_on(queues)
    attributes = await dead.call("get_queue_attributes", AttributeNames=["QueueArn"])
    policy = (
        f'{{"deadLetterTargetArn":"{attributes["Attributes"]["QueueArn"]}","maxReceiveCount":"3"}}'
    )
    call = client("sqs", queues.url, ROOT).set_queue_attributes
    await asyncio.to_thread(call, QueueUrl=queue.url, Attributes={"RedrivePolicy": policy})
    seen = await look(queue, ROOT)
    assert "RedrivePolicy" in seen.attributes
    other = await look(queue, ROOT, dead.url)
    assert "RedrivePolicy" not in other.attributes


async def test_each_no_is_told_by_its_name(queues: Stack) -> None:
    queue = await queue_on(queues)
    missing = await look(f"{queues.url}/000000000000/nowhere", ROOT)
    assert diagnosis_queue.queue(missing, url="u", buried=True).findings[0].code == "queue.missing"
    # The gateway's own rights do not include it, and that is no finding.
    denied = await look(queue, queues.key)
    assert diagnosis_queue.queue(denied, url="u", buried=True).state is State.UNTOLD
    unknown = await look(queue, Credentials(access_key="AKIANOBODY", secret_key="x"))
    found = diagnosis_queue.queue(unknown, url="u", buried=True)
    assert found.findings[0].code == "queue.keys_refused"
    closed = await look(f"http://127.0.0.1:{free_port()}/1/q", ROOT)
    assert closed == Look(status=0)
