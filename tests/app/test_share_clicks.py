"""Buttons that share from S3: the gateway as a process, between a real Slack and a real S3."""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.app.sharer import BUCKET, KEY, PDF
from tests.dev.pictures import png
from tests.stand import Stand, stand
from tidegate_dev.objects import S3FarEnd
from tidegate_dev.slack.messages import Message

CHANNEL = "C0REPORTS"
PRESETS = {
    "link": "s3_share_link",
    "image": "s3_share_image",
    "gallery": "s3_share_gallery",
    "upload": "s3_upload",
}


@dataclass
class Gate:
    """The stand, and the bucket it shares from."""

    stand: Stand
    s3: S3FarEnd
    root: Path

    def put(self, key: str, content: bytes) -> None:
        place = self.root / BUCKET / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def offer(self, mode: str, key: str, **params: Any) -> str:
        """Post a message with a button that shares."""
        button = {
            "type": "button",
            "action_id": PRESETS[mode],
            "text": {"type": "plain_text", "text": "Share"},
            "value": json.dumps({"bucket": "reports", "key": key} | params),
        }
        blocks = [{"type": "actions", "block_id": "b1", "elements": [button]}]
        return self.stand.message(CHANNEL, blocks)

    async def press(self, mode: str, key: str, **params: Any) -> str:
        ts = self.offer(mode, key, **params)
        await self.click(mode, ts)
        return ts

    async def click(self, mode: str, ts: str, user: str = "U0ADA") -> Any:
        return await self.stand.click(ts, channel=CHANNEL, action_id=PRESETS[mode], user=user)

    async def told(self, ts: str, text: str, *, seconds: float = 15.0) -> str:
        return await self.stand.told(ts, text, channel=CHANNEL, seconds=seconds)

    def shared(self, *known: str) -> list[Message]:
        """What else stands in the channel."""
        return [m for m in self.stand.slack.messages(CHANNEL) if m.ts not in known]


@contextlib.asynccontextmanager
async def gate(folder: Path, **bucket: Any) -> AsyncIterator[Gate]:
    root = folder / "buckets"
    (root / BUCKET).mkdir(parents=True)
    async with S3FarEnd(root, region="eu-west-1", keys={KEY.access_key: KEY}) as s3:

        def change(config: dict[str, Any]) -> None:
            config["s3"] = {
                "region": "eu-west-1",
                "endpoint_url": s3.url,
                "buckets": {
                    "reports": {
                        "name": BUCKET,
                        "channels": [CHANNEL],
                        "modes": ["link", "image", "upload", "gallery"],
                    }
                    | bucket
                },
            }
            allow = {"users": ["U0ADA"], "channels": [CHANNEL]}
            for preset in PRESETS.values():
                config["actions"][preset] = {"use": preset, "allow": allow}
            config["worker"] = {"lease_seconds": 2}
            config["api"] = {
                "tokens": [
                    {
                        "name": "ci",
                        "secret": {"env": "CI_TOKEN"},
                        "buckets": ["reports"],
                        "channels": [CHANNEL],
                        "modes": ["link", "upload", "gallery"],
                        "rate_limit": "20/minute",
                    },
                    {"name": "reader", "secret": {"env": "READER_TOKEN"}},
                ]
            }

        async with stand(folder, change=change, start=False) as found:
            environment = dict(found.gateway.environment)
            environment |= {
                "AWS_ACCESS_KEY_ID": KEY.access_key,
                "AWS_SECRET_ACCESS_KEY": KEY.secret_key,
                "CI_TOKEN": "ci-token",
                "READER_TOKEN": "reader-token",
            }
            found.gateway.environment = environment
            await found.gateway.start()
            yield Gate(found, s3, root)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Gate]:
    async with gate(tmp_path) as found:
        yield found


async def test_a_button_uploads_a_file_and_its_message_says_so(here: Gate) -> None:
    here.put("q3/revenue.pdf", PDF)
    ts = await here.press("upload", "q3/revenue.pdf", title="Q3 revenue")
    content = await here.told(ts, "done")
    [message] = here.shared(ts)
    assert message.files[0].sha256 == hashlib.sha256(PDF).hexdigest()
    assert message.files[0].title == "Q3 revenue"
    assert "<@U0ADA>" in content
    assert "q3/revenue.pdf" in content


async def test_a_button_posts_a_link_that_is_in_no_log_and_no_store(here: Gate) -> None:
    here.put("q3/revenue.pdf", PDF)
    ts = await here.press("link", "q3/revenue.pdf")
    await here.told(ts, "done")
    [message] = here.shared(ts)
    assert "X-Amz-Signature" in json.dumps(message.blocks)
    code, out, _ = await here.stand.gateway.command("runs", "list", "--json")
    assert code == 0
    kept = (here.stand.gateway.folder / "tidegate.db").read_bytes()
    kept += (here.stand.gateway.folder / "tidegate.db-wal").read_bytes()
    assert "X-Amz-Signature" not in "\n".join(here.stand.gateway.raw) + out
    assert b"X-Amz-Signature" not in kept


async def test_a_button_shows_an_image(here: Gate) -> None:
    here.put("tide.png", png(40, 30))
    ts = await here.press("image", "tide.png", alt_text="High at noon")
    await here.told(ts, "done")
    [message] = here.shared(ts)
    assert message.blocks[0]["alt_text"] == "High at noon"


async def test_a_button_shows_all_images_below_a_prefix_in_one_message(here: Gate) -> None:
    for key in ("charts/tide.png", "charts/wind.png", "rain.png"):
        here.put(key, png(40, 30))
    here.put("charts/notes.txt", b"hello\n")
    ts = await here.press("gallery", "charts/", title="This week")
    content = await here.told(ts, "done")
    assert "reports charts/" in content
    [message] = here.shared(ts)
    shown = [block["alt_text"] for block in message.blocks if block["type"] == "image"]
    assert shown == ["tide.png", "wind.png"]
    assert "This week" in json.dumps(message.blocks)


@pytest.mark.parametrize(
    ("rules", "key", "words"),
    [
        ({"modes": ["link", "image", "upload"]}, "q3/charts/", "may not be shared as gallery"),
        ({"prefix": "q3/"}, "q2/charts/", "Only objects whose keys begin with q3/"),
        ({"prefix": "q3/"}, "q3", "Only objects whose keys begin with q3/"),
        ({"channels": ["C0OPS"]}, "q3/charts/", "may not be shared in that channel"),
        ({}, "q3/none/", "There is no image whose key begins so"),
        ({}, "q3/../", "That key cannot be shared"),
    ],
)
async def test_a_gallery_is_bound_by_what_its_bucket_allows(
    tmp_path: Path, rules: dict[str, Any], key: str, words: str
) -> None:
    async with gate(tmp_path, **rules) as here:
        here.put("q3/charts/tide.png", png(40, 30))
        here.put("q2/charts/tide.png", png(40, 30))
        ts = await here.press("gallery", key)
        assert words in await here.told(ts, "failed")
        assert here.shared(ts) == []
        assert not here.stand.slack.uploads_made


@pytest.mark.parametrize(
    ("mode", "key", "params", "words"),
    [
        ("upload", "invoice.pdf", {}, "It is a program"),
        ("upload", "gone.pdf", {}, "There is no object with that key"),
        ("image", "notes.txt", {}, "Slack shows PNG, JPEG and GIF images"),
        ("upload", "../etc/passwd", {}, "That key cannot be shared"),
        ("upload", "notes.txt", {"bucket": "another"}, "Nothing may be shared from that bucket"),
    ],
)
async def test_a_refusal_is_told_in_words_and_the_button_stays(
    here: Gate, mode: str, key: str, params: dict[str, str], words: str
) -> None:
    here.put("invoice.pdf", b"\x7fELF" + bytes(100))
    here.put("notes.txt", b"hello\n")
    ts = await here.press(mode, key, **params)
    content = await here.told(ts, "failed")
    assert words in content
    assert '"type": "button"' in content
    assert here.shared(ts) == []


async def test_who_may_not_share_is_told_so_and_nothing_is_read(here: Gate) -> None:
    here.put("a.pdf", PDF)
    ts = here.offer("upload", "a.pdf")
    await here.click("upload", ts, user="U0GUEST")
    await here.stand.slack.wait_for(lambda: bool(here.stand.slack.ephemerals("U0GUEST")))
    assert here.shared(ts) == []
    assert list(here.s3.served) == []


async def test_two_presses_are_one_share(here: Gate) -> None:
    here.put("a.pdf", PDF)
    ts = here.offer("upload", "a.pdf")
    await here.click("upload", ts)
    await here.click("upload", ts)
    await here.told(ts, "done")
    here.stand.slack.files.hurry()
    assert len(here.shared(ts)) == 1


@pytest.mark.parametrize(
    "mode",
    [
        "upload",
        *(pytest.param(mode, marks=pytest.mark.long) for mode in ("link", "image", "gallery")),
    ],
)
async def test_a_gateway_that_is_killed_while_it_shares_finishes_once(
    here: Gate, mode: str
) -> None:
    here.put("a.png", png(40, 30))
    step = {
        "upload": "files.completeUploadExternal",
        "link": "chat.postMessage",
        "image": "files.completeUploadExternal",
        "gallery": "chat.postMessage",
    }[mode]
    # It is done, and the gateway dies before it hears of it.
    here.stand.slack.faults.once(step, "drop_after")
    ts = here.offer(mode, "a" if mode == "gallery" else "a.png")
    await here.click(mode, ts)
    await here.stand.slack.wait_for(
        lambda: any(call.method == step for call in here.stand.slack.calls)
    )
    await here.stand.gateway.kill()
    await here.stand.gateway.start()
    await here.told(ts, "done", seconds=25)
    here.stand.slack.files.hurry()
    assert len(here.shared(ts)) == 1


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_share_that_never_appears_is_unknown_and_can_be_checked(here: Gate) -> None:
    here.put("a.pdf", PDF)
    here.stand.slack.faults.always("sharing", "lost")
    ts = await here.press("upload", "a.pdf")
    content = await here.told(ts, "outcome unknown", seconds=45)
    assert "Look into the channel" in content
    assert "Check status" in content
    assert len(here.stand.slack.uploads_made) == 1
