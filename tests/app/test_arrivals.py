"""Objects that appear are shared: the gateway as a process between S3, its queue and Slack."""

import asyncio
import contextlib
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

import pytest

from tests.app.sharer import BUCKET, PDF
from tests.dev.pictures import png
from tests.far_ends.ministack import client
from tests.far_ends.sqs import Between, Stack, TestQueue, between, queue_on
from tests.stand import Stand, stand
from tidegate_dev.objects import AccessKey, ObjectChange, S3FarEnd
from tidegate_dev.slack.messages import Message

CHANNEL = "C0REPORTS"
Shape = Callable[[ObjectChange], bytes]
RULES: Final = [
    {
        "name": "reports",
        "bucket": "reports",
        "prefix": "q3/",
        "suffix": ".pdf",
        "channel": CHANNEL,
        "mode": "upload",
        "title": "{name} ({size})",
        "comment": "fresh <!channel>",
    },
    {"name": "links", "bucket": "reports", "prefix": "both/", "channel": CHANNEL, "mode": "link"},
    {"name": "files", "bucket": "reports", "prefix": "both/", "channel": CHANNEL, "mode": "upload"},
]


def direct(change: ObjectChange) -> bytes:
    """S3's own notification."""
    found = {
        "key": quote_plus(change.key),
        "size": change.size,
        "eTag": change.etag,
        "versionId": change.version_id,
        "sequencer": change.sequencer,
    }
    s3 = {"s3SchemaVersion": "1.0", "bucket": {"name": change.bucket}, "object": found}
    record = {"eventSource": "aws:s3", "eventName": change.event_name, "s3": s3}
    return json.dumps({"Records": [record]}).encode()


def bridged(change: ObjectChange) -> bytes:
    """The same by EventBridge."""
    found = {
        "key": change.key,
        "size": change.size,
        "etag": change.etag,
        "version-id": change.version_id,
        "sequencer": change.sequencer,
    }
    detail = {"version": "0", "bucket": {"name": change.bucket}, "object": found}
    event = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    return json.dumps(event).encode()


@dataclass
class Shore:
    """The stand, the bucket in which things appear, and the queue that tells of them."""

    stand: Stand
    s3: S3FarEnd
    root: Path
    queue: TestQueue
    dead: TestQueue
    between: Between
    changes: list[ObjectChange] = field(default_factory=list)

    async def put(self, key: str, content: bytes) -> ObjectChange:
        """Drop a file into the bucket, and return what S3 tells of it."""
        place = self.root / BUCKET / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        await self.s3.look()
        return next(one for one in reversed(self.changes) if one.key == key)

    async def remove(self, key: str) -> None:
        (self.root / BUCKET / key).unlink()
        await self.s3.look()

    @property
    def shared(self) -> list[Message]:
        return list(self.stand.slack.messages(CHANNEL))

    async def shown(self, count: int) -> None:
        await self.stand.slack.wait_for(lambda: len(self.shared) >= count, seconds=30)

    async def deleted(self, count: int) -> None:
        await self.between.until(lambda: self.between.count("DeleteMessageBatch") >= count)

    def digests(self) -> list[str]:
        """What was shared, by its content."""
        self.stand.slack.files.hurry()
        return sorted(message.files[0].sha256 for message in self.shared)

    async def tag(self, key: str, verdict: str) -> None:
        """Say what GuardDuty found, as it does."""
        store = client("s3", self.s3.url, self.queue.stack.key)
        tags = {"TagSet": [{"Key": "GuardDutyMalwareScanStatus", "Value": verdict}]}
        await asyncio.to_thread(store.put_object_tagging, Bucket=BUCKET, Key=key, Tagging=tags)

    async def noted(self, event: str, **fields: Any) -> dict[str, Any]:
        """Return the first line of the gateway's log that says so."""
        async with asyncio.timeout(30):
            while True:
                for line in self.stand.gateway.events(event):
                    if fields.items() <= line.items():
                        return line
                await asyncio.sleep(0.02)  # the log is a pipe, which is read beside this

    async def ended(self, state: str) -> dict[str, Any]:
        """Return a run once it has ended so."""
        run_id = (await self.noted("outcome", state=state))["run"]
        code, out, _ = await self.stand.gateway.command("runs", "show", run_id, "--json")
        assert code == 0
        found: dict[str, Any] = json.loads(out)["run"]
        return found


@contextlib.asynccontextmanager
async def shore(
    folder: Path, queues: Stack, *, buries: bool = True, **bucket: Any
) -> AsyncIterator[Shore]:
    root = folder / "buckets"
    (root / BUCKET).mkdir(parents=True)
    key = AccessKey(access_key=queues.key.access_key, secret_key=queues.key.secret_key)
    queue, dead = await queue_on(queues), await queue_on(queues)
    async with (
        S3FarEnd(root, region="eu-west-1", keys={key.access_key: key}) as s3,
        between(queues.url) as middle,
    ):

        def change(config: dict[str, Any]) -> None:
            allowed = {"name": BUCKET, "channels": [CHANNEL], "modes": ["upload", "link"]}
            events: dict[str, Any] = {"queue_url": middle.url + queue.path, "rules": RULES}
            if buries:
                events["dead_letter_url"] = middle.url + dead.path
            config["s3"] = {
                "region": "eu-west-1",
                "endpoint_url": s3.url,
                "buckets": {"reports": allowed | bucket},
                "events": events,
            }
            config["worker"] = {"lease_seconds": 2}

        async with stand(folder, change=change, start=False) as found:
            found.gateway.environment = dict(found.gateway.environment) | {
                "AWS_ACCESS_KEY_ID": key.access_key,
                "AWS_SECRET_ACCESS_KEY": key.secret_key,
            }
            here = Shore(found, s3, root, queue, dead, middle)
            s3.changes(here.changes.append)
            await found.gateway.start()
            yield here


@pytest.fixture
async def here(tmp_path: Path, queues: Stack) -> AsyncIterator[Shore]:
    async with shore(tmp_path, queues) as found:
        yield found


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("shape", [direct, bridged])
async def test_each_version_is_shared_once_however_often_and_late_it_is_told(
    here: Shore, shape: Shape
) -> None:
    first = await here.put("q3/räport 1+2.pdf", PDF)
    second = await here.put("q3/räport 1+2.pdf", PDF + b"more")
    assert first.version_id != second.version_id
    for _ in range(3):
        await here.queue.send(shape(second), shape(first))
    await here.deleted(6)
    await here.shown(2)
    assert here.digests() == sorted([digest(PDF), digest(PDF + b"more")])
    assert here.shared[0].files[0].title.startswith("räport 1+2.pdf (31")
    assert "&lt;!channel&gt;" in here.shared[0].text
    assert await here.queue.count() == 0


async def test_both_shapes_of_one_event_are_one_share(here: Shore) -> None:
    change = await here.put("q3/a.pdf", PDF)
    await here.queue.send(direct(change), bridged(change))
    await here.deleted(2)
    await here.shown(1)
    assert here.digests() == [digest(PDF)]


async def test_every_rule_that_fits_shares(here: Shore) -> None:
    await here.queue.send(direct(await here.put("both/a.pdf", PDF)))
    await here.shown(2)
    await here.deleted(1)
    assert sorted(bool(message.files) for message in here.shared) == [False, True]


async def test_what_no_rule_means_is_deleted_and_leaves_no_run(here: Shore) -> None:
    change = await here.put("q2/a.pdf", PDF)
    await here.queue.send(direct(change), b'{"Service":"Amazon S3","Event":"s3:TestEvent"}')
    await here.deleted(2)
    assert here.stand.gateway.events("event_shared") == []
    assert await here.dead.count() == 0


async def test_a_message_goes_only_after_its_run_is_there_and_a_kill_between_shares_once(
    here: Shore,
) -> None:
    here.between.held.add("DeleteMessageBatch")
    await here.queue.send(direct(await here.put("q3/a.pdf", PDF)))
    await here.between.until(lambda: "DeleteMessageBatch" in here.between.asked)
    # About to be deleted: the run is committed.
    path = here.stand.gateway.config["store"]["url"].removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path)) as store:
        (count,) = store.execute(
            "SELECT count(*) FROM runs WHERE action = 'event:reports'"
        ).fetchone()
    assert count == 1
    await here.stand.gateway.kill()
    assert await here.queue.count() == 1
    await here.between.let_go()
    await here.stand.gateway.start()
    await here.deleted(1)
    await here.shown(1)
    assert here.digests() == [digest(PDF)]
    assert await here.queue.count() == 0


async def test_a_message_stays_while_the_store_cannot_be_written(here: Shore) -> None:
    path = here.stand.gateway.config["store"]["url"].removeprefix("sqlite:///")
    change = await here.put("q3/a.pdf", PDF)
    with contextlib.closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as store:
        store.execute("BEGIN IMMEDIATE")
        await here.queue.send(direct(change))
        await here.between.until(
            lambda: here.between.count("ChangeMessageVisibilityBatch") > 0, seconds=40
        )
        assert "DeleteMessageBatch" not in here.between.asked
        assert await here.queue.count() == 1
        store.execute("ROLLBACK")
    await here.deleted(1)
    await here.shown(1)
    assert here.digests() == [digest(PDF)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"hello", "not_an_event"),
        (b"x" * 262_145, "too_large"),
        (
            direct(
                ObjectChange(
                    kind="new",
                    bucket="another",
                    key="a",
                    size=1,
                    version_id="v",
                    etag="e",
                    sequencer="01",
                    event_name="ObjectCreated:Put",
                    at=0.0,
                )
            ),
            "unknown_bucket",
        ),
    ],
)
async def test_what_cannot_be_followed_is_buried_with_the_reason(
    here: Shore, body: bytes, reason: str
) -> None:
    await here.queue.send(body)
    await here.deleted(1)
    (buried,) = await here.dead.messages()
    assert buried["Body"].encode() == body
    assert buried["MessageAttributes"]["TidegateReason"]["StringValue"] == reason
    assert await here.queue.count() == 0
    noted = await here.noted("event_dead")
    assert (noted["reason"], noted["buried"]) == (reason, True)


async def test_what_cannot_be_followed_and_not_buried_is_left_to_the_queue(
    tmp_path: Path, queues: Stack
) -> None:
    async with shore(tmp_path, queues, buries=False) as here:
        await here.queue.send(b"hello")
        noted = await here.noted("event_dead")
        assert (noted["reason"], noted["buried"]) == ("not_an_event", False)
        # What comes after it is not held up.
        await here.queue.send(direct(await here.put("q3/a.pdf", PDF)))
        await here.shown(1)
        assert await here.queue.count() == 1


async def test_an_object_that_is_gone_fails_in_words_and_is_not_asked_for_again(
    here: Shore,
) -> None:
    change = await here.put("q3/a.pdf", PDF)
    await here.remove("q3/a.pdf")
    await here.queue.send(direct(change))
    await here.deleted(1)
    run = await here.ended("failed")
    assert (run["action"], run["reason"]) == ("event:reports", "share_not_found")
    assert "no object with that key" in run["message"]
    assert here.shared == []


async def test_an_object_that_is_not_scanned_yet_is_shared_once_it_is(
    tmp_path: Path, queues: Stack
) -> None:
    async with shore(tmp_path, queues, scan={"guardduty": True}) as here:
        await here.queue.send(direct(await here.put("q3/a.pdf", PDF)))
        assert (await here.noted("outcome"))["reason"] == "share_not_scanned"
        await here.tag("q3/a.pdf", "NO_THREATS_FOUND")
        await here.shown(1)
        assert here.digests() == [digest(PDF)]


async def test_a_queue_that_is_away_for_a_while_is_asked_again(here: Shore) -> None:
    here.between.held.add("ReceiveMessage")
    await here.queue.send(direct(await here.put("q3/a.pdf", PDF)))
    await here.between.let_go()
    await here.shown(1)
    assert await here.stand.gateway.end() == 0
    assert here.digests() == [digest(PDF)]


async def test_what_the_bucket_forbids_is_refused_when_it_is_carried_out(
    tmp_path: Path, queues: Stack
) -> None:
    async with shore(tmp_path, queues, types=["text/csv"]) as here:
        await here.queue.send(direct(await here.put("q3/a.pdf", png(10, 10))))
        run = await here.ended("failed")
        assert run["reason"] == "share_type_mismatch"
        assert here.shared == []
