"""Files: the three steps of an upload, what becomes of them, and who gets them."""

import hashlib
import io
import json
import resource
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient

from tests.dev.pictures import GIF, JPEG, PDF, png
from tests.dev.slack_app import api
from tidegate_dev.slack import NotThereError, SlackFarEnd
from tidegate_dev.slack.faults import Fault
from tidegate_dev.slack.files import File

CSV = b"day,deploys\nmonday,3\n"
PICTURE = png(40, 30)


@pytest.fixture
async def slack() -> AsyncIterator[SlackFarEnd]:
    async with SlackFarEnd(limits_enabled=False, processing_seconds=0.02) as slack:
        yield slack


@pytest.fixture
def client(slack: SlackFarEnd) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


class Caller:
    """Does the steps one by one, as an app without Slack's library does."""

    def __init__(self, session: aiohttp.ClientSession, slack: SlackFarEnd) -> None:
        self.session = session
        self.slack = slack

    async def __call__(self, method: str, **arguments: Any) -> dict[str, Any]:
        return await api(
            self.session, self.slack.api_url, method, self.slack.bot_token, **arguments
        )

    async def form(self, method: str, **fields: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.slack.bot_token}"}
        url = self.slack.api_url + method
        async with self.session.post(url, data=fields, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    async def reserve(self, name: str = "deploys.csv", length: int = len(CSV)) -> tuple[str, str]:
        answer = await self.form("files.getUploadURLExternal", filename=name, length=length)
        return answer["upload_url"], answer["file_id"]

    async def put(self, url: str, data: Any = CSV) -> tuple[int, str]:
        async with self.session.post(url, data=data) as response:
            return response.status, await response.text()

    async def upload(self, name: str = "deploys.csv", content: bytes = CSV) -> str:
        url, file_id = await self.reserve(name, len(content))
        assert await self.put(url, content) == (200, f"OK - {len(content)}")
        return file_id

    async def complete(self, file_id: str, **arguments: Any) -> dict[str, Any]:
        return await self("files.completeUploadExternal", files=[{"id": file_id}], **arguments)

    async def ready(self, name: str, content: bytes, **arguments: Any) -> File:
        file_id = await self.upload(name, content)
        assert (await self.complete(file_id, **arguments))["ok"]
        self.slack.files.hurry()
        return self.slack.file(file_id)


@pytest.fixture
async def call(slack: SlackFarEnd) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(session, slack)


# --- the way of a file ------------------------------------------------------------------------


async def test_slack_s_own_client_uploads_a_file_and_it_is_shared_later(
    slack: SlackFarEnd, client: AsyncWebClient
) -> None:
    answer = await client.files_upload_v2(
        content=PICTURE,
        filename="cpu.png",
        title="CPU of the last hour",
        alt_txt="a line that falls",
        channel="C0REPORTS",
        initial_comment="Here it is",
    )
    given = answer["file"]
    assert (given["mimetype"], given["filetype"]) == ("", "")
    assert (given["channels"], given["shares"]) == ([], {})
    assert slack.messages("C0REPORTS") == []
    await slack.wait_for(lambda: len(slack.messages("C0REPORTS")) == 1)
    (message,) = slack.messages("C0REPORTS")
    info = (await client.files_info(file=given["id"]))["file"]
    assert info["mimetype"] == "image/png"
    assert info["title"] == "CPU of the last hour"
    assert info["alt_txt"] == "a line that falls"
    assert (info["original_w"], info["original_h"]) == (40, 30)
    assert info["channels"] == ["C0REPORTS"]
    assert info["shares"]["public"]["C0REPORTS"][0]["ts"] == message.ts
    assert message.text == "Here it is"
    history = await client.conversations_history(channel="C0REPORTS")
    assert [file["id"] for file in history["messages"][0]["files"]] == [given["id"]]


async def test_several_files_are_shared_by_one_message_in_every_channel(
    slack: SlackFarEnd, client: AsyncWebClient
) -> None:
    uploads = [{"content": "a", "filename": "a.txt"}, {"content": "bb", "filename": "b.txt"}]
    await client.files_upload_v2(file_uploads=uploads, channels=["C0OPS", "C0REPORTS"])
    slack.files.hurry()
    for channel in ("C0OPS", "C0REPORTS"):
        (message,) = slack.messages(channel)
        assert [file.name for file in message.files] == ["a.txt", "b.txt"]


async def test_a_thread_gets_the_file(slack: SlackFarEnd, call: Caller) -> None:
    parent = slack.post_as_bot("C0OPS", "A deploy")
    file = await call.ready("log.txt", b"done", channel_id="C0OPS", thread_ts=parent)
    reply = slack.messages("C0OPS")[-1]
    assert (reply.thread_ts, reply.is_reply) == (parent, True)
    info = (await call("files.info", file=file.id))["file"]
    assert info["shares"]["public"]["C0OPS"][0]["thread_ts"] == parent


async def test_a_message_posted_meanwhile_stands_before_the_file(
    slack: SlackFarEnd, call: Caller
) -> None:
    file_id = await call.upload()
    await call.complete(file_id, channel_id="C0OPS")
    await call("chat.postMessage", channel="C0OPS", text="later, but sooner")
    slack.files.hurry()
    assert [len(message.files) for message in slack.messages("C0OPS")] == [0, 1]


async def test_a_file_without_a_channel_is_the_bot_s_alone(
    slack: SlackFarEnd, call: Caller
) -> None:
    file = await call.ready("private.csv", CSV)
    assert all(slack.messages(channel) == [] for channel in slack.workspace.channels)
    assert (await call("files.info", file=file.id))["file"]["shares"] == {}
    assert slack.files.can_see(file, slack.workspace.identity.bot_user_id)
    assert not slack.files.can_see(file, "U0ADA")


async def test_private_channels_and_people_are_private_shares(
    slack: SlackFarEnd, call: Caller
) -> None:
    slack.add_channel("C0SECRET", is_private=True)
    file = await call.ready("a.csv", CSV, channels="C0SECRET,U0ADA")
    info = (await call("files.info", file=file.id))["file"]
    assert info["is_public"] is False
    assert (info["channels"], info["groups"], info["ims"]) == ([], ["C0SECRET"], ["D00ADA"])
    assert set(info["shares"]["private"]) == {"C0SECRET", "D00ADA"}


async def test_blocks_stand_in_for_the_comment_unless_there_is_one(
    slack: SlackFarEnd, call: Caller
) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}
    await call.ready("a.csv", CSV, channel_id="C0OPS", blocks=[section])
    await call.ready("b.csv", CSV, channel_id="C0OPS", blocks=[section], initial_comment="hi")
    first, second = slack.messages("C0OPS")
    assert (first.text, first.blocks[0]["type"]) == ("", "section")
    assert (second.text, second.blocks) == ("hi", [])


@pytest.mark.parametrize(
    ("name", "content", "mimetype"),
    [
        ("a.png", png(), "image/png"),
        ("a.bin", JPEG, "image/jpeg"),
        ("a.txt", GIF, "image/gif"),
        ("report", PDF, "application/pdf"),
        ("a.csv", CSV, "text/csv"),
        ("a.svg", b"<svg/>", "image/svg+xml"),
        ("a.png", b"<html>", "application/octet-stream"),
        ("a", b"\0", "application/octet-stream"),
    ],
)
async def test_the_content_says_what_a_file_is_before_its_name_does(
    call: Caller, name: str, content: bytes, mimetype: str
) -> None:
    file = await call.ready(name, content)
    assert (await call("files.info", file=file.id))["file"]["mimetype"] == mimetype


async def test_small_text_is_a_snippet(call: Caller) -> None:
    text, picture = await call.ready("a.py", b"x = 1\n"), await call.ready("a.png", png())
    assert [file.as_api()["mode"] for file in (text, picture)] == ["snippet", "hosted"]


async def test_files_are_listed_newest_first_and_by_type(slack: SlackFarEnd, call: Caller) -> None:
    names = {"a.csv": CSV, "b.png": png(), "c.pdf": PDF}
    for name, content in names.items():
        await call.ready(name, content, channel_id="C0OPS")
    await call.upload("never-completed.csv")
    answer = await call("files.list", count=2)
    assert [file["name"] for file in answer["files"]] == ["c.pdf", "b.png"]
    assert answer["paging"] == {"count": 2, "total": 3, "page": 1, "pages": 2}
    for types, name in (("images", "b.png"), ("pdfs", "c.pdf"), ("snippets", "a.csv")):
        found = await call("files.list", types=types, channel="C0OPS")
        assert [file["name"] for file in found["files"]] == [name]
    assert (await call("files.list", channel="C0REPORTS"))["files"] == []
    assert (await call("files.list", types="films"))["error"] == "unknown_type"


async def test_a_deleted_file_takes_the_message_that_held_only_it_along(
    slack: SlackFarEnd, call: Caller
) -> None:
    file = await call.ready("a.csv", CSV, channel_id="C0OPS")
    assert (await call.ready("b.csv", CSV, channel_id="C0OPS", initial_comment="stays")).id
    path = file.path
    assert path is not None
    assert path.read_bytes() == CSV
    for other in slack.files.all():
        assert (await call("files.delete", file=other.id))["ok"]
    (left,) = slack.messages("C0OPS")
    assert (left.text, left.files) == ("stays", [])
    assert not path.exists()
    assert (await call("files.info", file=file.id))["error"] == "file_deleted"
    assert (await call("files.delete", file="F0NOTTHERE"))["error"] == "file_not_found"


async def test_a_deleted_message_shares_nothing(slack: SlackFarEnd, call: Caller) -> None:
    file = await call.ready("a.csv", CSV, channel_id="C0OPS")
    await call("chat.delete", channel="C0OPS", ts=slack.messages("C0OPS")[0].ts)
    assert (await call("files.info", file=file.id))["file"]["shares"] == {}


async def test_another_s_file_is_seen_where_it_was_shared_but_not_deleted(
    slack: SlackFarEnd, call: Caller
) -> None:
    slack.add_channel("C0SECRET", is_private=True, members={"U0ADA"})
    seen = slack.say_with_file("C0OPS", "U0ADA", "plan.txt", b"one")
    hidden = slack.say_with_file("C0SECRET", "U0ADA", "secret.txt", b"two")
    assert (await call("files.info", file=seen.id))["file"]["user"] == "U0ADA"
    assert (await call("files.delete", file=seen.id))["error"] == "cant_delete_file"
    assert (await call("files.info", file=hidden.id))["error"] == "file_not_found"


# --- step one ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"filename": "a.txt"}, "missing_argument"),
        ({"length": 3}, "missing_argument"),
        ({"filename": "a.txt", "length": 0}, "missing_argument"),
        ({"filename": "a.txt", "length": -1}, "invalid_arguments"),
        ({"filename": "a.txt", "length": "three"}, "invalid_arguments"),
        ({"filename": "a.txt", "length": 1024**3 + 1}, "file_upload_size_restricted"),
        ({"filename": "a.txt", "length": 3, "alt_txt": "x" * 1001}, "alt_txt_too_large"),
        ({"filename": "a.txt", "length": 3, "snippet_type": "runes"}, "unknown_snippet_type"),
        ({"filename": "a", "length": 2**20 + 1, "snippet_type": "text"}, "snippet_too_large"),
    ],
)
async def test_what_slack_would_not_take_is_refused_before_any_byte(
    call: Caller, fields: dict[str, Any], error: str
) -> None:
    assert (await call.form("files.getUploadURLExternal", **fields))["error"] == error


async def test_a_gibibyte_may_be_announced(call: Caller) -> None:
    url, file_id = await call.reserve("disk.img", 1024**3)
    assert "/upload/v1/" in url
    assert file_id.startswith("F")


async def test_files_need_their_scopes(slack: SlackFarEnd, call: Caller) -> None:
    slack.workspace.scopes -= {"files:write", "files:read"}
    for method, scope in (
        ("files.getUploadURLExternal", "files:write"),
        ("files.completeUploadExternal", "files:write"),
        ("files.info", "files:read"),
    ):
        answer = await call(method)
        assert (answer["error"], answer["needed"]) == ("missing_scope", scope)


# --- step two ---------------------------------------------------------------------------------


async def test_bytes_come_raw_or_as_a_form_s_file(slack: SlackFarEnd, call: Caller) -> None:
    content = bytes(range(256)) * 5000 + b"\r\n--"
    form = aiohttp.FormData()
    form.add_field("note", "not the file")
    form.add_field("filename", io.BytesIO(content), filename="b.bin")
    for data in (io.BytesIO(content), form):
        url, file_id = await call.reserve("b.bin", len(content))
        assert await call.put(url, data) == (200, f"OK - {len(content)}")
        file = slack.file(file_id)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert file.path is not None
        assert file.path.read_bytes() == content


async def test_an_upload_url_is_good_once(slack: SlackFarEnd, call: Caller) -> None:
    url, file_id = await call.reserve()
    assert (await call.put(url))[0] == 200
    assert (await call.put(url))[0] == 404
    assert (await call.put(url + "x"))[0] == 404
    assert slack.file(file_id).state == "uploaded"
    assert [(made.file, made.status) for made in slack.uploads_made] == [(file_id, 200)]


@pytest.mark.parametrize("content", [CSV[:-1], CSV + b"!", b""])
async def test_bytes_must_be_as_many_as_announced(
    slack: SlackFarEnd, call: Caller, content: bytes
) -> None:
    url, file_id = await call.reserve()
    status, _ = await call.put(url, content)
    assert status == 400
    assert (await call.complete(file_id))["error"] == "file_update_failed"
    path = slack.files.path_for(slack.file(file_id))
    assert path is not None
    assert not path.exists()


async def test_a_form_that_is_none_is_refused(slack: SlackFarEnd, call: Caller) -> None:
    for kind, body in (
        ("multipart/form-data", CSV),
        ("multipart/form-data; boundary=b", b"no boundary in here"),
    ):
        url, _ = await call.reserve()
        headers = {"Content-Type": kind}
        async with call.session.post(url, data=body, headers=headers) as response:
            assert response.status == 400


async def test_a_connection_that_breaks_leaves_a_file_that_cannot_be_completed(
    slack: SlackFarEnd, call: Caller
) -> None:
    url, file_id = await call.reserve(length=1000)

    async def half() -> AsyncIterator[bytes]:
        yield b"x" * 500
        raise OSError("the cable is out")

    with pytest.raises((aiohttp.ClientError, OSError)):
        await call.put(url, half())
    await slack.wait_for(lambda: slack.file(file_id).state == "broken")
    assert (await call.complete(file_id))["error"] == "file_update_failed"


async def test_bytes_that_are_not_kept_are_counted_and_hashed() -> None:
    async with (
        SlackFarEnd(keep_bytes=False) as slack,
        aiohttp.ClientSession() as session,
    ):
        call = Caller(session, slack)
        file = await call.ready("a.png", PICTURE, channel_id="C0OPS")
        assert file.path is None
        assert file.sha256 == hashlib.sha256(PICTURE).hexdigest()
        assert file.as_api()["mimetype"] == "image/png"
        headers = {"Authorization": f"Bearer {slack.bot_token}"}
        async with session.get(file.addresses["url_private"], headers=headers) as response:
            assert response.status == 410


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize("keep_bytes", [True, False])
async def test_a_gibibyte_comes_through_in_constant_memory(keep_bytes: bool) -> None:
    block = bytes(1024 * 1024)

    async def gibibyte() -> AsyncIterator[bytes]:
        for _ in range(1024):
            yield block

    async with SlackFarEnd(keep_bytes=keep_bytes) as slack, aiohttp.ClientSession() as session:
        call = Caller(session, slack)
        url, file_id = await call.reserve("disk.img", 1024**3)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert await call.put(url, gibibyte()) == (200, f"OK - {1024**3}")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 64 * 1024, "KiB"
        assert slack.file(file_id).state == "uploaded"


async def test_nothing_is_left_on_the_disk_when_slack_stops() -> None:
    async with SlackFarEnd() as slack, aiohttp.ClientSession() as session:
        file = await Caller(session, slack).ready("a.csv", CSV)
        assert file.path is not None
        folder = file.path.parent
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


# --- step three -------------------------------------------------------------------------------


async def test_an_upload_is_completed_once(slack: SlackFarEnd, call: Caller) -> None:
    file_id = await call.upload()
    assert (await call.complete(file_id, channel_id="C0OPS"))["ok"]
    assert (await call.complete(file_id, channel_id="C0OPS"))["error"] == "file_not_found"
    slack.files.hurry()
    assert (await call.complete(file_id, channel_id="C0OPS"))["error"] == "file_not_found"
    assert len(slack.messages("C0OPS")) == 1


async def test_completing_takes_json_and_forms(slack: SlackFarEnd, call: Caller) -> None:
    for send in (call, call.form):
        file_id = await call.upload()
        files = [{"id": file_id, "title": "Deploys"}]
        answer = await send(
            "files.completeUploadExternal",
            files=files if send is call else json.dumps(files),
            channel_id="C0OPS",
        )
        assert [file["title"] for file in answer["files"]] == ["Deploys"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel_id": "#ops"}, "invalid_channel"),
        ({"channel_id": "ops"}, "invalid_channel"),
        ({"channel_id": "C0NOWHERE"}, "channel_not_found"),
        ({"channel_id": "C0HIDDEN"}, "channel_not_found"),
        ({"channel_id": "C0OTHERS"}, "not_in_channel"),
        ({"channel_id": "C0OLD"}, "posting_to_channel_denied"),
        ({"channels": ",".join(f"C{n:05}" for n in range(101))}, "channels_limit_exceeded"),
        ({"channels": "C0OPS,C0REPORTS", "thread_ts": "1.000001"}, "invalid_arguments"),
        ({"channel_id": "C0OPS", "thread_ts": "yesterday"}, "invalid_thread_ts"),
        ({"channel_id": "C0OPS", "blocks": [{"type": "nope"}]}, "invalid_blocks"),
        ({"files": [{"id": "F0NOTTHERE"}]}, "file_not_found"),
        ({"files": []}, "invalid_arguments"),
        ({"files": "nonsense"}, "invalid_arguments"),
        ({"files": None}, "missing_argument"),
    ],
)
async def test_a_refused_completion_leaves_the_upload_to_be_completed_well(
    slack: SlackFarEnd, call: Caller, arguments: dict[str, Any], error: str
) -> None:
    slack.add_channel("C0HIDDEN", is_private=True, members={"U0ADA"})
    slack.add_channel("C0OTHERS", members={"U0ADA"})
    slack.add_channel("C0OLD", is_archived=True)
    file_id = await call.upload()
    wrong = {"files": [{"id": file_id}], **arguments}
    assert (await call("files.completeUploadExternal", **wrong))["error"] == error
    assert (await call.complete(file_id, channel_id="C0OPS"))["ok"]
    slack.files.hurry()
    assert len(slack.messages("C0OPS")) == 1


async def test_a_file_without_its_bytes_cannot_be_completed(call: Caller) -> None:
    _, file_id = await call.reserve()
    assert (await call.complete(file_id))["error"] == "file_update_failed"


async def test_an_upload_that_nobody_completes_is_thrown_away(
    slack: SlackFarEnd, call: Caller
) -> None:
    url, reserved = await call.reserve()
    uploaded = await call.upload()
    kept = await call.ready("kept.csv", CSV)
    path = slack.file(uploaded).path
    slack.files.expire()
    assert (await call.put(url))[0] == 404
    for file_id in (reserved, uploaded):
        assert (await call.complete(file_id))["error"] == "file_not_found"
        with pytest.raises(NotThereError):
            slack.file(file_id)
    assert path is not None
    assert not path.exists()
    assert (await call("files.info", file=kept.id))["ok"]


async def test_a_file_that_is_not_completed_cannot_be_looked_at(call: Caller) -> None:
    file_id = await call.upload()
    assert (await call("files.info", file=file_id))["error"] == "file_not_found"


# --- getting the bytes ------------------------------------------------------------------------


async def get(call: Caller, url: str, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    async with call.session.get(url, headers=headers, allow_redirects=False) as response:
        return response, await response.read()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_the_bytes_are_for_the_token(slack: SlackFarEnd, call: Caller) -> None:
    file = await call.ready("Ümlaut & more.csv", CSV)
    for name in ("url_private", "url_private_download"):
        url = file.addresses[name]
        response, body = await get(call, url, **bearer(slack.bot_token))
        assert (response.status, body) == (200, CSV)
        assert response.headers["content-disposition"].startswith("attachment; ")
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_without_the_token_one_is_led_to_a_sign_in_page(
    slack: SlackFarEnd, call: Caller
) -> None:
    file = await call.ready("a.csv", CSV, channel_id="C0OPS")
    url = file.addresses["url_private"]
    for headers in ({}, bearer("xoxb-wrong"), {"Sec-Fetch-Site": "same-origin"}):
        response, body = await get(call, url, **headers)
        assert response.status == 302
        assert body == b""
    async with call.session.get(url) as followed:
        assert followed.status == 200
        assert followed.content_type == "text/html"
        assert "Sign in" in await followed.text()
    slack.workspace.scopes.discard("files:read")
    response, _ = await get(call, url, **bearer(slack.bot_token))
    assert response.status == 302


async def test_the_page_s_person_gets_what_stands_in_their_channels(
    slack: SlackFarEnd, call: Caller
) -> None:
    slack.add_channel("C0SECRET", is_private=True, members={"U0GRACE", "U0TIDEGATE"})
    file = await call.ready("a.csv", CSV, channel_id="C0SECRET")
    url = file.addresses["url_private"]
    slack.viewer = "U0GRACE"
    assert (await get(call, url, **{"Sec-Fetch-Site": "same-origin"}))[1] == CSV
    assert (await get(call, url))[0].status == 302, "not a browser, and no token"
    assert (await get(call, url, **{"Sec-Fetch-Site": "cross-site"}))[0].status == 302
    slack.viewer = "U0ADA"
    assert (await get(call, url, **{"Sec-Fetch-Site": "same-origin"}))[0].status == 403


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.pdf", "a.png"])
async def test_only_pictures_are_ever_shown_in_the_browser(
    slack: SlackFarEnd, call: Caller, name: str
) -> None:
    content = {"a.pdf": PDF, "a.png": png()}.get(name, b"<script>alert(1)</script>")
    file = await call.ready(name, content)
    response, _ = await get(call, file.addresses["url_private"], **bearer(slack.bot_token))
    shown = response.headers["content-disposition"].startswith("inline")
    assert shown is (name == "a.png")
    assert "sandbox" in response.headers["content-security-policy"]
    response, _ = await get(call, file.addresses["url_private_download"], **bearer(slack.bot_token))
    assert response.headers["content-disposition"].startswith("attachment")


async def test_a_permalink_leads_to_the_file(slack: SlackFarEnd, call: Caller) -> None:
    file = await call.ready("a/b.csv", CSV, channel_id="C0OPS")
    response, _ = await get(call, file.addresses["permalink"])
    assert (response.status, response.headers["location"]) == (302, file.place)
    missing, _ = await get(
        call, f"{slack.files.base_url}/files/F0NOTTHERE/x", **bearer(slack.bot_token)
    )
    assert missing.status == 404


# --- bad days ---------------------------------------------------------------------------------

STEPS = ("files.getUploadURLExternal", "upload", "files.completeUploadExternal", "files.info")
BEFORE: dict[Fault, int] = {"timeout_before": 408, "limited_before": 429, "error_before": 500}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", BEFORE)
async def test_a_step_that_fails_before_it_did_anything_can_be_done_again(
    slack: SlackFarEnd, call: Caller, step: str, fault: Fault
) -> None:
    slack.faults.once(step, fault)
    statuses = []

    async def insist(url: str, data: Any) -> Any:
        headers = bearer(slack.bot_token)
        async with call.session.post(url, data=data, headers=headers) as response:
            statuses.append((response.status, response.headers.get("retry-after")))
            if response.status == 200:
                return await response.read()
        return await insist(url, data)

    api_url = slack.api_url
    size = {"filename": "a.csv", "length": len(CSV)}
    made = json.loads(await insist(f"{api_url}files.getUploadURLExternal", size))
    await insist(made["upload_url"], CSV)
    files = {"files": json.dumps([{"id": made["file_id"]}]), "channel_id": "C0OPS"}
    await insist(f"{api_url}files.completeUploadExternal", files)
    slack.files.hurry()
    await insist(f"{api_url}files.info", {"file": made["file_id"]})
    failed = [status for status in statuses if status[0] != 200]
    assert failed == [(BEFORE[fault], "3" if fault == "limited_before" else None)]
    assert len(slack.messages("C0OPS")) == 1
    assert len(slack.uploads_made) == 1


@pytest.mark.parametrize("fault", ["drop_after", "error_after"])
async def test_a_step_that_breaks_after_it_was_done_was_done(
    slack: SlackFarEnd, call: Caller, fault: Fault
) -> None:
    slack.faults.once("files.getUploadURLExternal", fault)
    with pytest.raises((aiohttp.ClientError, ValueError)):
        await call.reserve()
    url, file_id = await call.reserve()
    slack.faults.once("upload", fault)
    if fault == "drop_after":
        with pytest.raises(aiohttp.ClientError):
            await call.put(url)
    else:
        assert (await call.put(url))[0] == 500
    assert slack.file(file_id).state == "uploaded"
    slack.faults.once("files.completeUploadExternal", fault)
    with pytest.raises((aiohttp.ClientError, ValueError)):
        await call.complete(file_id, channel_id="C0OPS")
    slack.files.hurry()
    assert len(slack.messages("C0OPS")) == 1


@pytest.mark.parametrize(("fault", "status"), [("refused", 403), ("gone", 404)])
async def test_an_upload_url_may_refuse(
    slack: SlackFarEnd, client: AsyncWebClient, fault: Fault, status: int
) -> None:
    slack.faults.always("upload", fault)
    for _ in range(2):
        with pytest.raises(SlackRequestError, match=f"status: {status}"):
            await client.files_upload_v2(content="x", filename="a.txt", channel="C0OPS")
    slack.faults.always("upload", None)
    assert (await client.files_upload_v2(content="x", filename="a.txt", channel="C0OPS"))["ok"]


async def test_a_connection_may_end_before_the_bytes_are_taken(
    slack: SlackFarEnd, call: Caller
) -> None:
    url, file_id = await call.reserve()
    slack.faults.once("upload", "drop_before")
    with pytest.raises(aiohttp.ClientError):
        await call.put(url)
    assert slack.file(file_id).state == "promised"
    assert (await call.put(url))[0] == 200


async def test_a_share_may_get_lost_though_all_said_ok(slack: SlackFarEnd, call: Caller) -> None:
    slack.faults.once("sharing", "lost")
    file = await call.ready("a.csv", CSV, channel_id="C0OPS")
    info = (await call("files.info", file=file.id))["file"]
    assert (info["mimetype"], info["shares"]) == ("text/csv", {})
    assert slack.messages("C0OPS") == []


async def test_processing_may_take_long(slack: SlackFarEnd, call: Caller) -> None:
    slack.faults.once("processing", "slow")
    slow = await call.upload("slow.csv")
    await call.complete(slow, channel_id="C0OPS")
    quick = await call.upload("quick.csv")
    await call.complete(quick, channel_id="C0OPS")
    await slack.wait_for(lambda: slack.file(quick).state == "ready")
    assert (await call("files.info", file=slow))["file"]["mimetype"] == ""
    slack.files.hurry()
    assert (await call("files.info", file=slow))["file"]["mimetype"] == "text/csv"


async def test_files_info_may_fail(
    slack: SlackFarEnd, call: Caller, client: AsyncWebClient
) -> None:
    file = await call.ready("a.csv", CSV)
    slack.faults.always("files.info", "internal_error")
    with pytest.raises(SlackApiError, match="internal_error"):
        await client.files_info(file=file.id)
    slack.faults.calm()
    assert (await client.files_info(file=file.id))["ok"]
