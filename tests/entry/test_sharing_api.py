"""`tidegate.sharing`, as other people's programs use it, against a real S3 and a real Slack."""

import asyncio
import dataclasses
import hashlib
import inspect
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import yaml
from slack_sdk.web.async_client import AsyncWebClient

import tidegate.sharing
from tests.app.sharer import CHANNEL, CSV, KEY, PDF, TEMPORARY, Sharer, pictures, sharer
from tests.core.test_settings import SMALLEST
from tests.dev.pictures import png
from tidegate.app import share as journey
from tidegate.app import transfer
from tidegate.core import message
from tidegate.core.share import refusal
from tidegate.sharing import (
    Access,
    Client,
    ConfigError,
    Posted,
    Prepared,
    S3Object,
    ShareError,
    client,
    script,
)

BUCKET = "acme-reports"


@pytest.fixture
async def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sharer]:
    """Both far ends, and an environment that leads there."""
    for module in (transfer, journey):
        monkeypatch.setattr(module, "LOOKS", (0.02,) * 15)
    for name in ("TIDEGATE_CONFIG", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    async with sharer(tmp_path / "buckets") as found:
        monkeypatch.setenv("SLACK_API_URL", found.slack.api_url)
        monkeypatch.setenv("SLACK_BOT_TOKEN", found.slack.bot_token)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY.secret_key)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", found.s3.url)
        yield found


def configured(gate: Sharer, folder: Path, **bucket: Any) -> Path:
    """Write a configuration with one bucket."""
    config = yaml.safe_load(SMALLEST)
    config["slack"] |= {"api_url": gate.slack.api_url, "bot_token": {"env": "SLACK_BOT_TOKEN"}}
    rules = {"name": BUCKET, "prefix": "q3/", "channels": [CHANNEL], "modes": ["upload", "link"]}
    config["s3"] = {
        "region": "eu-west-1",
        "endpoint_url": gate.s3.url,
        "buckets": {"reports": rules | bucket},
    }
    file = folder / "tidegate.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


async def opened(url: str | None) -> bytes:
    assert url is not None
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.read()


# --- blocks --------------------------------------------------------------------------------


async def test_a_link_comes_as_plain_blocks_and_nothing_is_posted(gate: Sharer) -> None:
    gate.put("q3/revenue.pdf", PDF)
    async with Client() as client:
        card = await client.link_block(
            BUCKET, "q3/revenue.pdf", title="Q3", comment="at last", expires="24h"
        )
    assert gate.messages == []
    assert await opened(card.url) == PDF
    assert [block["type"] for block in card.blocks] == ["section", "rich_text", "context"]
    assert json.loads(json.dumps(card.blocks)) == card.blocks
    assert card.url is not None
    assert card.url in str(card.blocks)
    assert card.expires_at is not None
    assert abs(card.expires_at - gate.clock.now() - 86_400) < 30
    assert (card.text, card.notes, card.items[0].key) == ("Q3", (), "q3/revenue.pdf")
    assert card.url not in repr(card)


async def test_blocks_that_were_prepared_can_be_posted(gate: Sharer) -> None:
    gate.put("a.png", png(40, 30))
    gate.put("b.png", png(50, 30))
    async with Client() as client:
        picture = await client.image_block(BUCKET, "a.png", alt_text="High at noon")
        fetched = await client.image_block(BUCKET, "b.png", by_url=True)
        assert gate.messages == []
        await client.send(CHANNEL, blocks=[*picture.blocks, *fetched.blocks])
    [message] = gate.messages
    first, second = message.blocks
    assert (first["alt_text"], first["slack_file"]) == (
        "High at noon",
        {"id": picture.items[0].file_id},
    )
    assert second["image_url"].startswith(gate.s3.url)
    assert message.text == "a.png"


async def test_a_large_gallery_comes_as_several_messages_in_order(gate: Sharer) -> None:
    names = [f"charts/{number:02d}.png" for number in range(55)]
    for name, content in zip(names, pictures(55), strict=True):
        gate.put(name, content)
    async with Client() as client:
        week = await client.gallery(BUCKET, "charts/", title="This week")
        some = await client.gallery(BUCKET, [names[3], "charts/gone.png", names[1]])
    assert gate.messages == []
    assert [len(blocks) for blocks in week.messages] == [50, 6]
    titles = [
        block["title"]["text"] for blocks in week.messages for block in blocks if "title" in block
    ]
    assert titles == [name.removeprefix("charts/") for name in names]
    assert [block.get("type") for block in some.blocks] == ["image", "image", "context"]
    assert [item.error.code if item.error else "" for item in some.items] == ["", "not_found", ""]


async def test_a_link_that_lives_shorter_says_so(gate: Sharer) -> None:
    gate.put("a.pdf", PDF)
    access = Access(
        access_key=TEMPORARY.access_key,
        secret_key=TEMPORARY.secret_key,
        session_token=TEMPORARY.session_token,
    )
    async with Client(access=access) as client:
        card = await client.link_block(BUCKET, "a.pdf", expires=604_800)
    assert "the AWS credentials in use end then" in card.notes[0]
    assert f"X-Amz-Credential={TEMPORARY.access_key}" in str(card.url)


# --- the same checks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("elf.pdf", "executable"),
        ("png.pdf", "type_mismatch"),
        ("gone.pdf", "not_found"),
        ("empty.txt", "empty"),
        ("../a.pdf", "key_not_allowed"),
    ],
)
async def test_what_the_command_refuses_is_refused_in_every_way(
    gate: Sharer, key: str, code: str
) -> None:
    gate.put("elf.pdf", b"\x7fELF" + bytes(200))
    gate.put("png.pdf", png(10, 10))
    gate.put("empty.txt", b"")
    async with Client() as client:
        for way in (
            client.link_block(BUCKET, key),
            client.image_block(BUCKET, key),
            client.upload(S3Object(BUCKET, key), CHANNEL),
            client.share(BUCKET, key, CHANNEL, mode="link"),
        ):
            with pytest.raises(ShareError) as caught:
                await way
            assert caught.value.code == code
            assert caught.value.notice.endswith(".")
    assert gate.messages == []


async def test_a_link_to_what_may_change_needs_a_word_for_it(gate: Sharer) -> None:
    gate.s3.add_bucket("plain", versioned=False)
    gate.put("a.pdf", PDF, bucket="plain")
    async with Client() as client:
        with pytest.raises(ShareError, match="unversioned"):
            await client.link_block("plain", "a.pdf")
        card = await client.link_block("plain", "a.pdf", unversioned=True)
    assert await opened(card.url) == PDF


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"key": "q3/a.pdf"}, "channel_needed"),
        ({"key": "q3/a.pdf", "channel": "C0OPS"}, "channel_not_allowed"),
        ({"key": "other/a.pdf", "channel": CHANNEL}, "key_outside_prefix"),
        ({"key": "q3/a.pdf", "channel": CHANNEL, "bucket": "another-bucket"}, "bucket_not_allowed"),
        ({"key": "q3/a.pdf", "channel": "nowhere"}, "channel_not_found"),
    ],
)
async def test_with_a_configuration_its_allow_lists_bind(
    gate: Sharer, tmp_path: Path, given: dict[str, str], code: str
) -> None:
    gate.put("q3/a.pdf", PDF)
    gate.put("other/a.pdf", PDF)
    async with Client(config=configured(gate, tmp_path)) as client:
        with pytest.raises(ShareError) as caught:
            await client.link_block(**{"bucket": "reports"} | given)  # type: ignore[arg-type]
        assert caught.value.code == code
        card = await client.link_block("reports", "q3/a.pdf", channel="reports")
    assert await opened(card.url) == PDF


async def test_blocks_for_a_channel_with_outsiders_are_refused_unless_allowed(
    gate: Sharer, tmp_path: Path
) -> None:
    gate.put("q3/a.pdf", PDF)
    gate.slack.workspace.channels[CHANNEL].is_ext_shared = True
    async with Client(config=configured(gate, tmp_path)) as client:
        with pytest.raises(ShareError, match="channel_external"):
            await client.link_block("reports", "q3/a.pdf", channel=CHANNEL)
        with pytest.raises(ShareError, match="mode_not_allowed"):
            await client.image_block("reports", "q3/a.pdf", channel=CHANNEL)
    async with Client(config=configured(gate, tmp_path, external=True)) as client:
        assert (await client.link_block("reports", "q3/a.pdf", channel=CHANNEL)).url is not None
    async with Client() as client:
        with pytest.raises(ShareError, match="channel_external"):
            await client.link_block(BUCKET, "q3/a.pdf", channel=CHANNEL)
        card = await client.link_block(BUCKET, "q3/a.pdf", channel=CHANNEL, external=True)
        assert card.url is not None


async def test_the_configuration_that_the_environment_names_binds_too(
    gate: Sharer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_CONFIG", str(configured(gate, tmp_path)))
    async with Client() as client:
        with pytest.raises(ShareError, match="bucket_not_allowed"):
            await client.share("another-bucket", "a.pdf", CHANNEL)


async def test_what_is_given_wins_over_the_environment(
    gate: Sharer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.put("a.pdf", PDF)
    access = Access(
        slack_token=gate.slack.bot_token,
        slack_api_url=gate.slack.api_url,
        region="eu-west-1",
        endpoint_url=gate.s3.url,
        access_key=KEY.access_key,
        secret_key=KEY.secret_key,
    )
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    for name in ("SLACK_BOT_TOKEN", "SLACK_API_URL", "AWS_ACCESS_KEY_ID", "AWS_REGION"):
        monkeypatch.delenv(name)
    async with Client(access=access) as client:
        await client.share(BUCKET, "a.pdf", CHANNEL)
    assert len(gate.messages) == 1
    for secret in (gate.slack.bot_token, KEY.secret_key):
        assert secret not in repr(access)


async def test_without_a_token_it_says_what_is_missing(
    gate: Sharer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    with pytest.raises(ConfigError) as caught:
        Client()
    assert caught.value.problems[0].key == "SLACK_BOT_TOKEN"
    with pytest.raises(ConfigError):
        Client(access=Access(slack_token="x", slack_api_url="https://evil.example/api/"))
    for url in ("http://192.0.2.1:9000", "http://127.0.0.1:9/#x", "http://[::1"):
        with pytest.raises(ConfigError) as caught:
            Client(access=Access(slack_token="x", endpoint_url=url))
        assert caught.value.problems[0].key == "endpoint_url"


@pytest.mark.parametrize("expires", [0, -5, 604_801, "soon"])
async def test_a_time_that_no_link_can_live_is_refused(gate: Sharer, expires: int | str) -> None:
    gate.put("a.pdf", PDF)
    async with Client() as client:
        with pytest.raises(ShareError, match="bad_expiry"):
            await client.link_block(BUCKET, "a.pdf", expires=expires)


# --- what appears --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["upload", "link", "image", "gallery"])
async def test_share_posts_in_any_mode(gate: Sharer, mode: Any) -> None:
    gate.put("charts/a.png", png(10, 10))
    key = "charts/" if mode == "gallery" else "charts/a.png"
    async with Client() as client:
        shared = await client.share(BUCKET, key, "reports", mode=mode, title="Tide")
    [message] = gate.messages
    assert (shared.channel, shared.ts) == (CHANNEL, (message.ts,))
    assert bool(shared.file_ids) == (mode != "link")
    assert (shared.url is not None) == (mode == "link")


async def test_a_mode_that_there_is_not_is_a_mistake_of_the_program(gate: Sharer) -> None:
    wrong: Any = "fax"
    async with Client() as client:
        with pytest.raises(ValueError, match="mode is one of upload, link, image, gallery"):
            await client.share(BUCKET, "a.pdf", CHANNEL, mode=wrong)


async def test_a_link_is_posted_once_whatever_becomes_of_the_call(gate: Sharer) -> None:
    gate.put("a.pdf", PDF)
    gate.slack.faults.once("chat.postMessage", "drop_after")
    async with Client() as client:
        shared = await client.share(BUCKET, "a.pdf", CHANNEL, mode="link")
    assert [message.ts for message in gate.messages] == list(shared.ts)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 10_000):
        yield content[start : start + 10_000]


@pytest.mark.parametrize(
    "kind", ["path", "text path", "bytes", "stream", "stream of a length", "s3"]
)
async def test_an_upload_takes_what_there_is_at_hand(
    gate: Sharer, tmp_path: Path, kind: str
) -> None:
    content = os.urandom(400_000)
    file = tmp_path / "data.bin"
    file.write_bytes(content)
    gate.put("q3/data.bin", content)
    told: list[tuple[str, int, int]] = []
    async with Client() as client:
        watch: dict[str, Any] = {"watch": lambda *moved: told.append(moved), "title": "Numbers"}
        match kind:
            case "path":
                done = await client.upload(file, CHANNEL, **watch)
            case "text path":
                done = await client.upload(str(file), CHANNEL, **watch)
            case "bytes":
                done = await client.upload(content, CHANNEL, name="data.bin", **watch)
            case "stream":
                done = await client.upload(pieces(content), CHANNEL, name="data.bin", **watch)
            case "stream of a length":
                done = await client.upload(
                    pieces(content), CHANNEL, name="data.bin", length=len(content), **watch
                )
            case _:
                done = await client.upload(S3Object(BUCKET, "q3/data.bin"), CHANNEL, **watch)
    [message] = gate.messages
    [sent] = message.files
    assert (sent.name, sent.title) == ("data.bin", "Numbers")
    assert sent.sha256 == hashlib.sha256(content).hexdigest()
    assert (done.file_ids, done.ts) == ((sent.id,), (message.ts,))
    assert told[-1][0] == done.items[0].key
    assert told[-1][1:] == (400_000, 400_000)


async def test_a_stream_that_breaks_off_gives_its_own_error_and_nothing_is_shown(
    gate: Sharer,
) -> None:
    class BrokenError(Exception):
        pass

    async def breaking() -> AsyncIterator[bytes]:
        yield bytes(300_000)
        raise BrokenError

    async with Client() as client:
        with pytest.raises(BrokenError):
            await client.upload(breaking(), CHANNEL, name="a.bin", length=400_000)
    assert gate.messages == []


async def test_a_stream_that_slack_lost_midway_is_not_pieced_together(gate: Sharer) -> None:
    gate.slack.faults.once("upload", "error_after")
    content = os.urandom(400_000)
    async with Client() as client:
        with pytest.raises(ShareError, match="spent"):
            await client.upload(pieces(content), CHANNEL, name="a.bin", length=len(content))
        gate.slack.faults.once("upload", "error_after")
        await client.upload(content, CHANNEL, name="a.bin")
    assert len(gate.messages) == 1


async def test_a_file_that_changes_while_it_is_sent_is_refused(
    gate: Sharer, tmp_path: Path
) -> None:
    file = tmp_path / "log.txt"
    file.write_bytes(b"a line\n" * 100_000)

    def grow(_name: str, _moved: int, _total: int) -> None:
        with file.open("ab") as stream:
            stream.write(b"one more\n")

    async with Client() as client:
        with pytest.raises(ShareError, match="changed"):
            await client.upload(file, CHANNEL, watch=grow)
    assert gate.messages == []


async def test_files_at_hand_are_looked_at_too(gate: Sharer) -> None:
    async with Client() as client:
        with pytest.raises(ShareError, match="executable"):
            await client.upload(b"MZ" + bytes(100), CHANNEL, name="setup.txt")
        await client.upload(b"MZ" + bytes(100), CHANNEL, name="setup.txt", any_type=True)
    assert len(gate.messages) == 1


@pytest.mark.parametrize(
    ("source", "given"),
    [
        (b"x", {"length": 1}),
        (S3Object(BUCKET, "a.pdf"), {"any_type": True}),
        (S3Object(BUCKET, "a.pdf"), {"name": "b.pdf"}),
    ],
)
async def test_what_cannot_be_asked_for_together_is_a_mistake_of_the_program(
    gate: Sharer, source: Any, given: dict[str, Any]
) -> None:
    async with Client() as client:
        with pytest.raises(ValueError, match=r"length|any_type"):
            await client.upload(source, CHANNEL, **given)


async def test_a_message_is_sent_and_changed(gate: Sharer) -> None:
    async with Client() as client:
        sent = await client.send("reports", "on its way")
        again = await client.send(sent.channel, "out", update_ts=sent.ts[0])
        with pytest.raises(ShareError, match="blocks_invalid"):
            await client.send(CHANNEL, blocks=[{"type": "header"}])
        with pytest.raises(ValueError, match="update_ts"):
            await client.send(CHANNEL, "x", update_ts=sent.ts[0], only_for="U0ADA")
    assert [(message.text, message.ts) for message in gate.messages] == [("out", again.ts[0])]


# --- plain functions -----------------------------------------------------------------------


async def test_plain_functions_do_the_same_in_threads(gate: Sharer, tmp_path: Path) -> None:
    gate.put("charts/a.png", png(10, 10))
    gate.put("a.csv", CSV)
    file = tmp_path / "b.csv"
    file.write_bytes(CSV)
    ways: list[Callable[[], Prepared | Posted]] = [
        lambda: script.link_block(BUCKET, "a.csv"),
        lambda: script.image_block(BUCKET, "charts/a.png"),
        lambda: script.gallery(BUCKET, "charts/"),
        lambda: script.share(BUCKET, "a.csv", "reports", mode="link"),
        lambda: script.upload(file, "reports"),
        lambda: script.send("reports", "done"),
    ]
    done = await asyncio.gather(*(asyncio.to_thread(way) for way in ways))
    assert [type(each) for each in done] == [Prepared] * 3 + [Posted] * 3
    assert len(gate.messages) == 3


@pytest.mark.parametrize(
    "name", ["link_block", "image_block", "gallery", "share", "upload", "send"]
)
async def test_a_plain_function_does_not_block_an_event_loop(name: str) -> None:
    function = getattr(tidegate.sharing, name)
    with pytest.raises(RuntimeError, match=rf"await client\.{name}\("):
        function("a", "b", "c") if name == "share" else function("a", "b")


@pytest.mark.parametrize(
    "name", ["link_block", "image_block", "gallery", "share", "upload", "send"]
)
def test_a_plain_function_takes_what_the_clients_method_takes(name: str) -> None:
    method = inspect.signature(getattr(Client, name)).parameters
    plain = inspect.signature(getattr(script, name)).parameters
    streamed = {"length"} if name == "upload" else set()
    assert set(plain) == set(method) - {"self"} - streamed | {"config", "access"}
    for each in set(plain) - {"config", "access"}:
        assert plain[each].default == method[each].default
        assert plain[each].kind == method[each].kind


def test_everything_public_says_what_it_does_with_an_example() -> None:
    for name in tidegate.sharing.__all__:
        found = getattr(tidegate.sharing, name)
        assert getattr(found, "__doc__", None), name
    for name in ("link_block", "image_block", "gallery", "share", "upload", "send"):
        for holder in (Client, script):
            assert "Example:\n" in inspect.getdoc(getattr(holder, name)), name  # type: ignore[operator]


def test_results_do_not_change() -> None:
    results: list[Any] = [
        S3Object("acme-reports", "a.pdf"),
        Access(),
        Posted(channel=CHANNEL, ts=()),
        Prepared(messages=([],), text="", items=()),
    ]
    for result in results:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, dataclasses.fields(result)[0].name, "other")


def test_how_much_is_held_is_the_same_everywhere() -> None:
    from tidegate.entry import send_command

    assert client.MAX_HELD == send_command.MAX_HELD
    assert message.MAX_JSON_BYTES < client.MAX_HELD


# --- the page ------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "sharing.md"


def test_every_refusal_that_the_page_names_is_one() -> None:
    table = PAGE.read_text().partition("| checked | refused as |")[2].partition("\n\n")[0]
    rows = [row.rpartition("| ")[2] for row in table.splitlines() if "`" in row]
    codes = [code for row in rows for code in re.findall(r"`(\w+)`", row)]
    assert len(codes) > 20
    words = dict.fromkeys(("prefix", "mode", "size", "most", "kind", "claimed"), "x")
    for code in codes:
        assert refusal(code, **words).notice, code  # type: ignore[arg-type]


async def test_what_the_page_shows_of_python_runs_as_it_stands(
    gate: Sharer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = PAGE.read_text().partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "details.csv").write_bytes(CSV)
    gate.put("q3/revenue.pdf", PDF)
    gate.put("charts/tide.png", png(10, 10))
    gate.put("q3/setup.exe", b"MZ" + bytes(100))
    app = SimpleNamespace(
        client=AsyncWebClient(token=gate.slack.bot_token, base_url=gate.slack.api_url)
    )
    names: dict[str, Any] = {}
    exec(compile(source, "sharing.md", "exec"), names)
    await names["tell"](app)
    assert capsys.readouterr().out.startswith("executable It is a program")
    gate.slack.files.hurry()
    assert len(gate.slack.messages("C0OPS")) == 3
