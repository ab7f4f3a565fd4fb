"""`tidegate send` as it is typed, against a real Slack."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.app.sharer import CHANNEL, CSV, PDF
from tests.core.test_settings import SMALLEST
from tests.dev.pictures import png
from tests.entry.commands import Said, python, tidegate
from tidegate.app import transfer
from tidegate.entry import send_command
from tidegate_dev.slack import SlackFarEnd
from tidegate_dev.slack.faults import Fault

BLOCKS: list[dict[str, Any]] = [
    {"type": "header", "text": {"type": "plain_text", "text": "Tonight"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "*web* is out"}},
]
#: Faults that mean that Slack did nothing, and those after which it is not known.
BEFORE: tuple[Fault, ...] = ("timeout_before", "limited_before", "error_before", "drop_before")
AFTER: tuple[Fault, ...] = ("drop_after", "error_after")


@pytest.fixture
async def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlackFarEnd]:
    monkeypatch.setattr(transfer, "LOOKS", (0.02,) * 15)
    monkeypatch.chdir(tmp_path)
    for name in ("TIDEGATE_CONFIG", "SLACK_BOT_USER_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    async with SlackFarEnd(limits_enabled=False, processing_seconds=0.02) as far_end:
        far_end.faults.retry_after_seconds = 1
        monkeypatch.setenv("SLACK_API_URL", far_end.api_url)
        monkeypatch.setenv("SLACK_BOT_TOKEN", far_end.bot_token)
        yield far_end


async def typed(*words: str) -> Said:
    """Run the command in a thread, and let the far end serve meanwhile."""
    return await asyncio.to_thread(tidegate, "send", *words)


async def piped(content: bytes, *words: str) -> Said:
    """Run the command as a process of its own, with *content* at its standard input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tidegate",
        "send",
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(content)
    return Said(code=process.returncode or 0, out=out.decode(), err=err.decode())


def written(name: str, content: bytes) -> str:
    Path(name).write_bytes(content)
    return name


def messages(slack: SlackFarEnd) -> list[Any]:
    slack.files.hurry()
    return list(slack.messages(CHANNEL))


def as_json(said: Said) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said.out)
    return found


# --- messages ------------------------------------------------------------------------------


async def test_a_text_reaches_a_channel_by_its_name_in_slacks_markup(slack: SlackFarEnd) -> None:
    said = await typed("reports", "*web* <@U0ADA>")
    [message] = messages(slack)
    assert message.text == "*web* <@U0ADA>"
    assert (said.code, said.err) == (0, "")
    assert said.out == f"the message: sent in {CHANNEL} ({message.ts})\n"


@pytest.mark.parametrize("wrapped", [True, False])
async def test_blocks_come_from_a_file_and_have_words_for_notifications(
    slack: SlackFarEnd, *, wrapped: bool
) -> None:
    given = {"blocks": BLOCKS, "text": "It is out"} if wrapped else BLOCKS
    said = await typed(CHANNEL, "--blocks", written("b.json", json.dumps(given).encode()), "--json")
    [message] = messages(slack)
    assert [block["type"] for block in message.blocks] == ["header", "section"]
    assert message.text == ("It is out" if wrapped else "Tonight")
    assert (as_json(said)["ts"], as_json(said)["channel"]) == (message.ts, CHANNEL)


async def test_text_and_blocks_are_read_from_standard_input(slack: SlackFarEnd) -> None:
    said = await piped("tide «high»\n".encode(), CHANNEL, "-")
    assert said.code == 0, said
    said = await piped(json.dumps(BLOCKS).encode(), CHANNEL, "--blocks", "-")
    assert said.code == 0, said
    text, blocks = messages(slack)
    assert text.text == "tide «high»"
    assert len(blocks.blocks) == 2


async def test_a_reply_stands_in_its_thread(slack: SlackFarEnd) -> None:
    parent = slack.post_as_bot(CHANNEL, "Deploying")
    await typed(CHANNEL, "done", "--thread", parent)
    assert messages(slack)[-1].thread_ts == parent


async def test_an_update_takes_the_place_of_our_message_and_of_no_other(slack: SlackFarEnd) -> None:
    ours = slack.post_as_bot(CHANNEL, "Deploying", blocks=BLOCKS)
    theirs = slack.say(CHANNEL, "U0ADA", "hello")
    said = await typed(CHANNEL, "done", "--update", ours)
    assert (said.code, slack.message(CHANNEL, ours).text) == (0, "done")
    assert slack.message(CHANNEL, ours).blocks == []
    said = await typed(CHANNEL, "done", "--update", theirs)
    assert (said.code, said.err) == (
        1,
        "Only messages that the app itself has sent can be changed.\n",
    )


async def test_an_ephemeral_message_is_seen_by_one_person_with_its_blocks(
    slack: SlackFarEnd,
) -> None:
    file = written("b.json", json.dumps(BLOCKS).encode())
    said = await typed(CHANNEL, "--blocks", file, "--ephemeral", "U0ADA")
    assert said.code == 0, said
    assert messages(slack) == []
    assert len(slack.ephemerals("U0ADA")[0].blocks) == 2
    said = await typed(CHANNEL, "x", "--ephemeral", "U0NOBODY")
    assert (said.code, said.err) == (1, "There is no such person in that channel.\n")


@pytest.mark.parametrize("what", [*BEFORE, *AFTER])
async def test_a_message_is_posted_once_whatever_becomes_of_the_call(
    slack: SlackFarEnd, what: Fault
) -> None:
    slack.faults.once("chat.postMessage", what)
    said = await typed(CHANNEL, "once", "--json")
    [message] = messages(slack)
    assert (said.code, as_json(said)["ts"]) == (0, message.ts)


async def test_a_message_that_is_there_after_the_last_try_is_found(slack: SlackFarEnd) -> None:
    slack.faults.once("chat.postMessage", "drop_before", times=3)
    slack.faults.once("chat.postMessage", "drop_after")
    said = await typed(CHANNEL, "once", "--json")
    [message] = messages(slack)
    assert (said.code, as_json(said)["ts"]) == (0, message.ts)


async def test_what_cannot_be_looked_up_is_told_as_unknown_and_not_sent_again(
    slack: SlackFarEnd,
) -> None:
    slack.faults.once("chat.postMessage", "drop_after")
    slack.faults.always("conversations.history", "error_before")
    said = await typed(CHANNEL, "once", "--json")
    assert (said.code, as_json(said)["error"]["code"]) == (1, "unconfirmed")
    assert len(messages(slack)) == 1


async def test_an_ephemeral_message_of_unknown_end_is_not_repeated(slack: SlackFarEnd) -> None:
    slack.faults.once("chat.postEphemeral", "drop_after")
    said = await typed(CHANNEL, "once", "--ephemeral", "U0ADA", "--json")
    assert (said.code, as_json(said)["error"]["code"]) == (1, "unconfirmed")
    assert len(slack.ephemerals("U0ADA")) == 1


# --- refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said_of_it"),
    [
        (b"{", "line 1, column 2"),
        (b'{"text": "x"}', "there is no list of blocks"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"type": "header"}]', "blocks[0]: text is missing"),
        (json.dumps([{"type": "divider"}] * 51).encode(), "at most 50 blocks, these are 51"),
        (b"[]", "There is nothing to send"),
        (b" " * 2_000_000, "more than any message holds"),
        (b'[{"type": "divider", "a": ' + b"1" * 5000 + b"}]", "a number that is too long"),
        (b'[{"type": "divider", "a": "\\ud800"}]', "not UTF-8"),
    ],
)
async def test_blocks_that_slack_would_not_take_are_refused_with_their_place(
    slack: SlackFarEnd, content: bytes, said_of_it: str
) -> None:
    said = await typed(CHANNEL, "--blocks", written("b.json", content))
    assert said.code == 1
    assert said_of_it in said.err
    assert slack.calls == []


@pytest.mark.parametrize(
    ("words", "said_of_it"),
    [
        ((CHANNEL,), "There is nothing to send"),
        ((CHANNEL, "x" * 40_001), "at most 40,000"),
        ((CHANNEL, "x" * 4_001, "--update", "1762531200.000100"), "at most 4,000"),
        ((CHANNEL, "--blocks", "gone.json"), "gone.json cannot be read"),
        ((CHANNEL, "--blocks", "\x1b[2J\nfine"), "·[2J·fine cannot be read"),
        ((CHANNEL, "--file", "\x1b[2J\udcff"), "·[2J·: There is no file"),
        ((CHANNEL, "a\udcff"), "not UTF-8"),
        (("nowhere", "x"), "no such channel"),
        (("C0NOWHERE", "x"), "no such channel"),
        ((CHANNEL, "x", "--update", "1762531200.000100"), "no such message"),
    ],
)
async def test_what_cannot_be_sent_exits_with_1_and_says_why(
    slack: SlackFarEnd, words: tuple[str, ...], said_of_it: str
) -> None:
    said = await typed(*words)
    assert (said.code, said.out) == (1, "")
    assert said_of_it in said.err
    assert messages(slack) == []


@pytest.mark.parametrize(
    "words",
    [
        (),
        (CHANNEL, "x", "--thread", "yesterday"),
        (CHANNEL, "-", "--blocks", "-"),
        (CHANNEL, "x", "--update", "1762531200.000100", "--thread", "1762531200.000100"),
        (CHANNEL, "x", "--update", "1762531200.000100", "--ephemeral", "U0ADA"),
        (CHANNEL, "--file", "a", "--blocks", "b"),
        (CHANNEL, "--file", "a", "--update", "1762531200.000100"),
        (CHANNEL, "--file", "a", "--ephemeral", "U0ADA"),
        (CHANNEL, "--file", "a", "--file", "b", "--name", "c"),
        (CHANNEL, "x", "--file", "a", "--comment", "y"),
        (CHANNEL, "x", "--comment", "y"),
        (CHANNEL, "--file", "a", "--length", "3"),
        (CHANNEL, "--file", "-", "--length", "0"),
    ],
)
async def test_options_that_contradict_each_other_are_wrong_usage(words: tuple[str, ...]) -> None:
    said = await typed(*words)
    assert said.code == 2
    assert "usage: tidegate send" in said.err


async def test_without_a_token_it_says_what_to_set(
    slack: SlackFarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    said = await typed(CHANNEL, "x")
    assert said.code == 2
    assert "SLACK_BOT_USER_OAUTH_TOKEN" in said.err


async def test_with_a_configuration_its_token_is_used(
    slack: SlackFarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load(SMALLEST)
    config["slack"] |= {"api_url": slack.api_url, "bot_token": {"env": "OTHER_TOKEN"}}
    file = written("tidegate.yaml", yaml.safe_dump(config).encode())
    monkeypatch.setenv("OTHER_TOKEN", slack.bot_token)
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    said = await typed(CHANNEL, "x", "--config", file)
    assert (said.code, len(messages(slack))) == (0, 1)


# --- files ---------------------------------------------------------------------------------


async def test_files_arrive_in_one_message_byte_for_byte(slack: SlackFarEnd) -> None:
    big = os.urandom(3_000_000)
    said = await typed(
        CHANNEL,
        "*numbers* <@U0ADA>",
        "--file",
        written("a.pdf", PDF),
        "--file",
        written("b.bin", big),
        "--json",
    )
    [message] = messages(slack)
    assert [file.name for file in message.files] == ["a.pdf", "b.bin"]
    assert [file.sha256 for file in message.files] == [
        hashlib.sha256(content).hexdigest() for content in (PDF, big)
    ]
    assert message.text == "*numbers* <@U0ADA>"
    found = as_json(said)
    assert (said.code, found["ts"]) == (0, message.ts)
    assert [file["file_id"] for file in found["files"]] == [file.id for file in message.files]


async def test_a_file_has_its_name_title_comment_and_thread(slack: SlackFarEnd) -> None:
    parent = slack.post_as_bot(CHANNEL, "Numbers")
    words = ("--name", "q3.pdf", "--title", "Q3", "--comment", "see <!channel>")
    said = await typed(CHANNEL, "--file", written("a.pdf", PDF), *words, "--thread", parent)
    assert said.code == 0, said
    message = messages(slack)[-1]
    assert (message.files[0].name, message.files[0].title) == ("q3.pdf", "Q3")
    assert (message.text, message.thread_ts) == ("see &lt;!channel&gt;", parent)


async def test_whoever_waits_for_blocks_from_a_pipe_can_end_it(slack: SlackFarEnd) -> None:
    os.mkfifo("pipe")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidegate", "send", CHANNEL, "--blocks", "pipe"),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await asyncio.sleep(1.5)  # until it waits; sooner, it ends all the same
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode != -signal.SIGKILL

    async def fill() -> None:
        await asyncio.to_thread(Path("pipe").write_bytes, json.dumps(BLOCKS).encode())

    said, _ = await asyncio.gather(typed(CHANNEL, "--blocks", "pipe"), fill())
    assert said.code == 0, said
    assert len(messages(slack)) == 1


async def test_what_is_piped_in_becomes_a_file(slack: SlackFarEnd) -> None:
    said = await piped(CSV, CHANNEL, "--file", "-", "--name", "days.csv")
    assert said.code == 0, said
    [message] = messages(slack)
    assert message.files[0].name == "days.csv"
    assert message.files[0].sha256 == hashlib.sha256(CSV).hexdigest()


async def test_a_stream_of_a_known_length_is_not_held(slack: SlackFarEnd) -> None:
    content = os.urandom(2_000_000)
    said = await piped(content, CHANNEL, "--file", "-", "--length", "2000000")
    assert said.code == 0, said
    [message] = messages(slack)
    assert message.files[0].sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("length", ["1999999", "2000001"])
async def test_a_stream_of_another_length_than_was_said_is_refused(
    slack: SlackFarEnd, length: str
) -> None:
    said = await piped(bytes(2_000_000), CHANNEL, "--file", "-", "--length", length)
    assert said.code == 1
    assert "as many bytes as was said" in said.err
    assert messages(slack) == []


async def test_standard_input_from_a_file_is_streamed_without_a_length(
    slack: SlackFarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(1_000_000)
    descriptor = os.open(written("in.bin", content), os.O_RDONLY)
    monkeypatch.setattr(send_command, "MAX_HELD", 1000)
    monkeypatch.setattr(send_command, "STDIN", descriptor)
    said = await typed(CHANNEL, "--file", "-")
    os.close(descriptor)
    assert said.code == 0, said
    [message] = messages(slack)
    assert message.files[0].sha256 == hashlib.sha256(content).hexdigest()


async def test_more_than_fits_needs_a_length(
    slack: SlackFarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(send_command, "MAX_HELD", 1000)
    monkeypatch.setattr(send_command, "STDIN", reading)
    os.write(writing, bytes(1001))
    os.close(writing)
    said = await typed(CHANNEL, "--file", "-")
    os.close(reading)
    assert said.code == 1
    assert "--length" in said.err
    assert messages(slack) == []


@pytest.mark.parametrize(
    ("content", "said_of_it"),
    [
        (b"\x7fELF" + bytes(100), "It is a program"),
        (png(10, 10), "It is named like application/pdf"),
    ],
)
async def test_content_is_looked_at_and_any_type_overrides_it(
    slack: SlackFarEnd, content: bytes, said_of_it: str
) -> None:
    file = written("a.pdf", content)
    said = await typed(CHANNEL, "--file", file)
    assert said.code == 1
    assert said_of_it in said.err
    assert "--any-type" in said.err
    assert messages(slack) == []
    assert (await typed(CHANNEL, "--file", file, "--any-type")).code == 0
    assert messages(slack)[0].files[0].sha256 == hashlib.sha256(content).hexdigest()


async def test_files_that_are_none_are_refused(slack: SlackFarEnd) -> None:
    os.mkfifo("pipe")
    written("empty.txt", b"")
    written("closed.txt", b"x")
    for name, said_of_it in (
        ("gone.txt", "There is no file at that path"),
        (".", "a folder"),
        ("pipe", "a pipe"),
        ("empty.txt", "It is empty"),
        ("a\0b", "could not be read"),
        ("empty.txt/x", "There is no file"),
    ):
        said = await typed(CHANNEL, "--file", name)
        assert (said.code, said.out) == (1, ""), name
        assert said_of_it in said.err, name
    assert slack.calls == []


async def test_a_file_that_cannot_be_had_does_not_keep_the_others(slack: SlackFarEnd) -> None:
    said = await typed(CHANNEL, "--file", written("a.pdf", PDF), "--file", "gone.txt")
    assert said.code == 1
    assert said.err == "gone.txt: There is no file at that path.\n"
    assert said.out.startswith("a.pdf: sent in")
    assert [file.name for file in messages(slack)[0].files] == ["a.pdf"]


@pytest.mark.parametrize("what", [*BEFORE, *AFTER])
async def test_a_fault_at_the_last_step_neither_loses_nor_doubles_a_file(
    slack: SlackFarEnd, what: Fault
) -> None:
    slack.faults.once("files.completeUploadExternal", what)
    said = await typed(CHANNEL, "--file", written("a.pdf", PDF))
    assert said.code == 0, said
    assert len(messages(slack)) == 1


# --- dry run, help -------------------------------------------------------------------------


async def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(slack: SlackFarEnd) -> None:
    blocks = written("b.json", json.dumps([*BLOCKS, {"type": "hologram"}]).encode())
    said = await typed("reports", "--blocks", blocks, "--dry-run", "--json")
    found = as_json(said)
    assert (said.code, found["dry_run"], found["channel"]) == (0, True, CHANNEL)
    assert found["text"] == "Tonight"
    assert "hologram" in found["notes"][0]
    said = await typed(CHANNEL, "--file", written("a.pdf", PDF), "--dry-run")
    assert said.out == f"a.pdf: would be sent in {CHANNEL}\n\n"
    assert (messages(slack), slack.uploads_made) == ([], [])
    assert {call.method for call in slack.calls} == {"conversations.info", "conversations.list"}


async def test_what_is_said_does_nothing_to_a_terminal(slack: SlackFarEnd) -> None:
    name = written("a\x1b[2J\n\u202efdp.csv", CSV)
    said = await typed(CHANNEL, "--file", name, "--file", "gone\x1b[1m", "--comment", "hi")
    assert len(messages(slack)) == 1
    text = await typed(CHANNEL, "one\ntwo \x1b[2J\u202e", "--dry-run")
    assert "one\ntwo ·[2J·\n" in text.out
    for shown in (said.out, said.err, text.out):
        assert shown.replace("\n", "").isprintable(), repr(shown)


@pytest.mark.parametrize("words", [("x",), ("--file", "a.pdf")])
async def test_a_dry_run_finds_that_there_is_no_such_channel(
    slack: SlackFarEnd, words: tuple[str, ...]
) -> None:
    written("a.pdf", PDF)
    said = await typed("C0NOWHERE", *words, "--dry-run")
    assert said.code == 1
    assert "no such channel" in said.err


async def test_no_secret_is_in_any_output(slack: SlackFarEnd) -> None:
    said = await typed(CHANNEL, "x", "--file", written("a.pdf", PDF), "--json")
    assert slack.bot_token not in said.out + said.err


def test_help_is_there_without_loading_anything_heavy() -> None:
    script = (
        "import sys\nfrom tidegate.entry.cli import main\n"
        "try:\n    main(['send', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(any(m in sys.modules for m in "
        "('aiohttp', 'pydantic', 'slack_sdk', 'botocore', 'asyncio', 'puremagic')))\n"
    )
    done = python("-c", script)
    assert (done.code, done.err) == (0, "")
    assert "exit codes" in done.out
    assert "--any-type" in done.out
