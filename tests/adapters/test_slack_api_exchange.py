"""What stands on the wire for a call, and answers that are too much or lead elsewhere."""

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from tests.adapters.wire import Connection, Wire, Wired, answering, wired
from tidegate.adapters.slack_api import SlackApi, SlackClient, SlackFiles
from tidegate.adapters.slack_api.exchange import MAX_ANSWER_BYTES
from tidegate.core.model import RunId
from tidegate.errors import SlackAmbiguousError, SlackError

RUN = RunId("01HZ0000000000000000000001")
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*für alle*"}}
Call = Callable[[SlackClient], Awaitable[object]]

CALLS: dict[str, Call] = {
    "auth.test": lambda client: SlackApi(client).workspace(),
    "users.info": lambda client: SlackApi(client).person("U0ADA"),
    "conversations.info": lambda client: SlackApi(client).channel_external("C0OPS"),
    "conversations.list": lambda client: SlackFiles(client).channel_id("ops"),
    "conversations.history": lambda client: SlackApi(client).find(
        channel_id="C0OPS", thread_ts=None, run_id=RUN, since=1.5
    ),
    "conversations.replies": lambda client: SlackApi(client).find(
        channel_id="C0OPS", thread_ts="1.1", run_id=RUN, since=1.5
    ),
    "usergroups.list": lambda client: SlackApi(client).groups(frozenset({"S0SRE"})),
    "chat.postMessage": lambda client: SlackApi(client).post(
        channel_id="C0OPS", text="für alle", blocks=[SECTION], thread_ts=None, run_id=RUN
    ),
    "chat.update": lambda client: SlackApi(client).update(
        channel_id="C0OPS", ts="1.1", text="für alle", blocks=[SECTION]
    ),
    "chat.postEphemeral": lambda client: SlackApi(client).ephemeral(
        channel_id="C0OPS", user_id="U0ADA", text="für dich"
    ),
    "files.getUploadURLExternal": lambda client: SlackFiles(client).begin(
        name="Gehälter & mehr.pdf", size=5, alt_text="Was jede=r verdient"
    ),
    "files.completeUploadExternal": lambda client: SlackFiles(client).complete(
        [("F1", "Gehälter"), ("F2", "売上 +1")], channel_id="C0OPS", comment="nur für uns"
    ),
    "files.info": lambda client: SlackFiles(client).file("F1"),
}
each_call = pytest.mark.parametrize("method", CALLS)


@contextlib.asynccontextmanager
async def connected(api_url: str) -> AsyncIterator[SlackClient]:
    client = SlackClient(api_url=api_url, token="xoxb-1")
    try:
        yield client
    finally:
        await client.close()


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


async def says_yes(connection: Connection, wire: Wire) -> None:
    """Answer whatever is asked as Slack would, all at once."""
    answer = {
        "ok": True,
        "channel": {"is_ext_shared": False, "is_pending_ext_shared": False},
        "channels": [],
        "file": {},
        "file_id": "F1",
        "messages": [],
        "ts": "1.1",
        "upload_url": f"{wire.url()}/upload/F1",
        "user": {},
        "usergroups": [],
    }
    while True:
        wire.seen.append(await connection.request())
        kind = "Content-Type: application/json; charset=utf-8"
        await connection.answer(http("200 OK", json.dumps(answer).encode(), kind))


def fields(request: Wired) -> dict[str, Any]:
    """Return what a call says, wherever it says it."""
    query = dict(parse_qsl(urlsplit(request.line.split()[1]).query, keep_blank_values=True))
    if request.headers.get("content-type", "").startswith("application/json"):
        said: dict[str, Any] = json.loads(request.body)
        return query | said
    return query | dict(parse_qsl(request.body.decode(), keep_blank_values=True))


@each_call
async def test_a_call_says_what_slack_sdk_says_and_posts_nothing_in_the_address(
    method: str,
) -> None:
    async with wired(says_yes) as wire:
        async with connected(f"{wire.url()}/api/") as client:
            await CALLS[method](client)
        (ours,) = wire.seen
        wire.seen.clear()
        async with connected(f"{wire.url()}/api/") as client:
            sdk = AsyncWebClient(token="xoxb-1", base_url=client.api_url, session=client.http)
            client._client = sdk  # type: ignore[assignment]  # slack_sdk's own exchange
            await CALLS[method](client)
        (theirs,) = wire.seen
    verb, target, _ = ours.line.split()
    assert (verb, urlsplit(target).path) == (theirs.line.split()[0], f"/api/{method}")
    assert fields(ours) == fields(theirs)
    for name in ("authorization", "user-agent", "content-type"):
        assert ours.headers.get(name) == theirs.headers.get(name)
    if verb == "POST":
        assert "?" not in target


async def test_titles_and_comments_of_any_length_leave_the_address_short() -> None:
    titles = [(f"F{n:010}", "売上報告書" * 20) for n in range(100)]
    async with wired(says_yes) as wire, connected(f"{wire.url()}/api/") as client:
        await SlackFiles(client).complete(titles, channel_id="C0OPS", comment="日" * 3000)
    (request,) = wire.seen
    assert len(request.line) < 100
    given = fields(request)
    assert [(file["id"], file["title"]) for file in json.loads(given["files"])] == titles
    assert given["initial_comment"] == "日" * 3000


@each_call
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_a_call_is_not_followed(method: str, status: int) -> None:
    async with wired(answering()) as elsewhere:
        raw = http(f"{status} Go", b"", f"Location: {elsewhere.url()}/api/{method}")
        async with wired(answering(raw)) as wire, connected(f"{wire.url()}/api/") as client:
            with pytest.raises(SlackAmbiguousError, match=f"http {status}"):
                await CALLS[method](client)
    assert elsewhere.connections == 0


@each_call
async def test_an_answer_without_an_end_is_left(method: str) -> None:
    sent = 0

    async def never_ends(connection: Connection, wire: Wire) -> None:
        nonlocal sent
        wire.seen.append(await connection.request())
        await connection.answer(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b'{"ok":true,"x":"'
        )
        while True:
            await connection.answer(b"x" * 65_536)
            sent += 65_536

    async with wired(never_ends) as wire, connected(f"{wire.url()}/api/") as client:
        async with asyncio.timeout(5):
            with pytest.raises(SlackAmbiguousError, match="answer too large"):
                await CALLS[method](client)
        await asyncio.wait_for(wire.ended.wait(), 5)  # the connection is not kept
    assert MAX_ANSWER_BYTES // 2 < sent < MAX_ANSWER_BYTES * 3  # what is on the way included


async def test_a_small_answer_that_unpacks_to_a_large_one_is_left() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(b'{"ok":true,"x":"' + b"x" * 5 * MAX_ANSWER_BYTES) + packer.flush()
    assert len(packed) < 100_000
    raw = http("200 OK", packed, "Content-Type: application/json", "Content-Encoding: gzip")
    async with wired(answering(raw)) as wire, connected(f"{wire.url()}/api/") as client:
        with pytest.raises(SlackAmbiguousError, match="answer too large"):
            await SlackApi(client).workspace()


async def test_an_answer_that_is_just_not_too_large_is_read() -> None:
    answer = {"ok": True, "team_id": "T1", "x": "x" * (MAX_ANSWER_BYTES - 100)}
    raw = http("200 OK", json.dumps(answer).encode(), "Content-Type: application/json")
    async with wired(answering(raw)) as wire, connected(f"{wire.url()}/api/") as client:
        assert (await SlackApi(client).workspace()).team_id == "T1"


# --- where the bytes of a file go -----------------------------------------------------------

REAL = "https://slack.com/api/"
LOCAL = "http://127.0.0.1:9001/api/"


def taken(api_url: str, url: str) -> bool:
    return SlackFiles(SlackClient(api_url=api_url, token="x"))._is_slack(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://files.slack.com/upload/v1/CwABAAAAWg",
        "https://FILES.slack.com:443/upload/v1/x?a=b&c=%20",
        "https://slack-files.slack-gov.com/upload/v1/x",
        "https://a.b.slack-files.com/x",
    ],
)
def test_bytes_go_to_slacks_own_upload_urls(url: str) -> None:
    assert taken(REAL, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://files.slack.com/x",
        "https://slack.com.evil.example/x",
        "https://evilslack.com/",
        "https://.slack.com/",
        "https://a..slack.com/",
        "https://[::1%25.slack.com]/",
        "https://[::1%25lo.slack.com]:8443/",
        "https://[fe80::1%25.slack.com]/",
        "https://evil.com%2f.slack.com/",
        "https://evil.com%00.slack.com/",
        "https://evil.com\\.slack.com/",
        "https://evil.com;.slack.com/",
        "https://evil.com&.slack.com/",
        "https://evil.com_.slack.com/",
        "https://evil.com\uff0f.slack.com/",
        "https://f\u0131les.slack.com/",
        "https://a b.slack.com/",
        "https://files.sl\tack.com/x",
        "https://files.slack.com\n/x",
        "\nhttps://files.slack.com/x",
        "https://files.slack.com/x\r",
        "https://files.slack.com/ x",
        "https://files.slack.com./x",
        "https://files.slack.com:22/x",
        "https://files.slack.com:0/x",
        "https://files.slack.com:8443/x",
        "https://files.slack.com:99999/x",
        "https://user@files.slack.com/x",
        "https://:p@files.slack.com/x",
        "https://@files.slack.com/x",
        "https://files.slack.com@evil.example/",
        "https://evil.example/.slack.com",
        "https://169.254.169.254/",
        "http://127.0.0.1:9001/upload/x",
    ],
)
def test_bytes_go_nowhere_else(url: str) -> None:
    assert not taken(REAL, url)


@pytest.mark.parametrize(
    ("url", "goes"),
    [
        ("http://127.0.0.1:9001/upload/x", True),
        ("http://127.0.0.1:9002/upload/x", False),
        ("http://user@127.0.0.1:9001/upload/x", False),
        ("http://127.0.0.1:9001/\tx", False),
        ("https://files.slack.com/upload/x", False),
    ],
)
def test_with_an_api_on_loopback_bytes_stay_there(url: str, goes: bool) -> None:
    assert taken(LOCAL, url) is goes


async def test_an_upload_url_elsewhere_is_refused_before_a_byte_is_sent() -> None:
    async with wired(answering()) as elsewhere:
        answer = {"ok": True, "file_id": "F1", "upload_url": f"{elsewhere.url()}/x"}
        raw = http("200 OK", json.dumps(answer).encode(), "Content-Type: application/json")
        async with wired(answering(raw)) as wire, connected(f"{wire.url()}/api/") as client:
            with pytest.raises(SlackError, match="not Slack's"):
                await SlackFiles(client).begin(name="a.pdf", size=1)
    assert elsewhere.connections == 0
