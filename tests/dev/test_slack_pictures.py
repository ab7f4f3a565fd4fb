"""Images in blocks: fetched when a message is posted, shown from what was kept."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tests.dev.pictures import GIF, JPEG, PDF, png
from tests.dev.slack_app import SlackApp
from tidegate_dev import view
from tidegate_dev.listener import Listener
from tidegate_dev.slack import SlackFarEnd, pictures

PICTURE = png(40, 30)


class Web:
    """A place where pictures are; `pages` holds (status, type, content) by path."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, str, bytes]] = {
            "/a.png": (200, "image/png", PICTURE),
            "/a.jpg": (200, "text/plain", JPEG),
            "/a.gif": (200, "image/gif", GIF),
            "/page.png": (200, "image/png", b"<html>not a picture</html>"),
            "/a.pdf": (200, "application/pdf", PDF),
            "/a.webp": (200, "image/webp", b"RIFF\0\0\0\0WEBPVP8 "),
            "/broken": (500, "image/png", PICTURE),
        }
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self._listener = Listener(Starlette(routes=[Route("/{path:path}", self._answer)]))
        self.url = self._listener.url

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append(request.scope["raw_path"].decode() + "?" + request.url.query)
        self.agents.add(request.headers["user-agent"])
        if path == "/never":
            self.reached.set()
            await self.opened.wait()
        if path.startswith("/hops/"):
            left = int(path.rpartition("/")[2])
            return RedirectResponse(f"/hops/{left - 1}" if left else "/a.png", status_code=302)
        if path == "/elsewhere":
            return RedirectResponse("file:///etc/hostname", status_code=302)
        status, kind, content = self.pages.get(path, (404, "text/plain", b"not here"))
        return Response(content, status_code=status, media_type=kind)

    async def __aenter__(self) -> "Web":
        await self._listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.opened.set()
        await self._listener.stop()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web() as web:
        yield web


@pytest.fixture
async def slack() -> AsyncIterator[SlackFarEnd]:
    async with SlackFarEnd(limits_enabled=False) as slack:
        yield slack


@pytest.fixture
def client(slack: SlackFarEnd) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


def image(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image", "image_url": url, "alt_text": "a picture", **more}


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


async def refused(client: AsyncWebClient, *blocks: dict[str, Any]) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as error:
        await client.chat_postMessage(channel="C0OPS", text="x", blocks=list(blocks))
    answer: dict[str, Any] = error.value.response.data
    return answer


async def post(client: AsyncWebClient, *blocks: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.chat_postMessage(channel="C0OPS", text="x", blocks=list(blocks))
    stored: list[dict[str, Any]] = answer["message"]["blocks"]
    return stored


async def proxied(slack: SlackFarEnd, place: str) -> tuple[int, str, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(slack.files.base_url + place) as response,
    ):
        return response.status, response.content_type, await response.read()


def shown(slack: SlackFarEnd) -> list[dict[str, Any]]:
    """What the page is told about the images of the last message in #ops."""
    message = view.message(slack, slack.messages("C0OPS")[-1])
    return [part["picture"] for part in message["blocks"]]


@pytest.mark.parametrize(
    ("path", "size"), [("/a.png", (40, 30)), ("/a.jpg", (13, 9)), ("/a.gif", (5, 4))]
)
async def test_a_png_jpeg_or_gif_is_taken_by_its_content(
    client: AsyncWebClient, web: Web, path: str, size: tuple[int, int]
) -> None:
    (block,) = await post(client, image(web.url + path, title=plain("CPU")))
    assert (block["image_width"], block["image_height"]) == size
    assert web.asked == [f"{path}?"]
    assert web.agents == {"Slackbot 1.0 (+https://api.slack.com/robots)"}


@pytest.mark.parametrize(
    "path", ["/missing", "/broken", "/page.png", "/a.pdf", "/a.webp", "/hops/9", "/elsewhere"]
)
async def test_an_image_that_cannot_be_had_refuses_the_message(
    slack: SlackFarEnd, client: AsyncWebClient, web: Web, path: str
) -> None:
    answer = await refused(client, {"type": "divider"}, image(web.url + path))
    problem = "downloading image failed [json-pointer:/blocks/1/image_url]"
    assert answer == {
        "ok": False,
        "error": "invalid_blocks",
        "errors": [problem],
        "response_metadata": {"messages": [f"[ERROR] {problem}"]},
    }
    assert slack.messages("C0OPS") == []


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,AAAA",
        "ftp://127.0.0.1/a.png",
        "/proxy/x",
        "https://",
        "http://127.0.0.1:1/a.png",
        "http://127.0.0.1/a b.png",
        "http://127.0.0.1/é.png",
        "http://[::1/a.png",
        "http://127.0.0.1:99999/",
    ],
)
async def test_an_address_that_leads_nowhere_refuses_the_message(
    client: AsyncWebClient, url: str
) -> None:
    answer = await refused(client, image(url))
    assert answer["errors"] == ["downloading image failed [json-pointer:/blocks/0/image_url]"]


async def test_a_few_redirects_are_followed(client: AsyncWebClient, web: Web) -> None:
    assert await post(client, image(f"{web.url}/hops/3"))


async def test_a_signed_address_is_asked_for_letter_by_letter(
    client: AsyncWebClient, web: Web
) -> None:
    query = "X-Amz-Credential=AK%2Feu%2Fs3&X-Amz-Signature=0a%2b+~&x="
    await post(client, image(f"{web.url}/a.png?{query}"))
    assert web.asked == [f"/a.png?{query}"]


async def test_a_slow_place_is_not_waited_for(web: Web) -> None:
    async with SlackFarEnd(fetch_seconds=0.1) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        assert (await refused(client, image(f"{web.url}/never")))["error"] == "invalid_blocks"


async def test_a_picture_that_is_too_large_refuses_the_message(
    client: AsyncWebClient, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", len(PICTURE))
    assert await post(client, image(f"{web.url}/a.png"))
    monkeypatch.setattr(pictures, "MAX_BYTES", len(PICTURE) - 1)
    assert (await refused(client, image(f"{web.url}/a.png?2")))["error"] == "invalid_blocks"


async def test_every_image_that_fails_is_named_wherever_it_stands(
    client: AsyncWebClient, web: Web
) -> None:
    missing, there = f"{web.url}/missing", f"{web.url}/a.png"
    answer = await refused(
        client,
        image(there),
        {"type": "section", "text": plain("x"), "accessory": image(missing)},
        {"type": "context", "elements": [plain("x"), image(there), image(missing)]},
    )
    assert answer["errors"] == [
        "downloading image failed [json-pointer:/blocks/1/accessory/image_url]",
        "downloading image failed [json-pointer:/blocks/2/elements/2/image_url]",
    ]
    assert sorted(web.asked) == ["/a.png?", "/missing?"], "each address once"


async def test_what_is_wrong_by_its_form_is_not_even_fetched(
    client: AsyncWebClient, web: Web
) -> None:
    answer = await refused(client, image(f"{web.url}/a.png"), {"type": "nope"})
    assert answer["errors"] == ["unsupported type: nope [json-pointer:/blocks/1/type]"]
    assert web.asked == []


async def test_an_update_fetches_too_and_leaves_the_message_when_it_fails(
    slack: SlackFarEnd, client: AsyncWebClient, web: Web
) -> None:
    ts = slack.post_as_bot("C0OPS", "before")
    good, bad = [image(f"{web.url}/a.png")], [image(f"{web.url}/missing")]
    with pytest.raises(SlackApiError, match="downloading image failed"):
        await client.chat_update(channel="C0OPS", ts=ts, text="after", blocks=bad)
    assert slack.message("C0OPS", ts).text == "before"
    await client.chat_update(channel="C0OPS", ts=ts, text="after", blocks=good)
    assert slack.message("C0OPS", ts).blocks[0]["image_height"] == 30


async def test_a_message_deleted_while_its_image_is_fetched_stays_deleted(
    slack: SlackFarEnd, client: AsyncWebClient, web: Web
) -> None:
    web.pages["/never"] = web.pages["/a.png"]
    ts = slack.post_as_bot("C0OPS", "before")
    blocks = [image(f"{web.url}/never")]
    changing = client.chat_update(channel="C0OPS", ts=ts, text="after", blocks=blocks)
    update = asyncio.create_task(changing)
    await web.reached.wait()
    await client.chat_delete(channel="C0OPS", ts=ts)
    web.opened.set()
    with pytest.raises(SlackApiError, match="message_not_found"):
        await update
    assert slack.messages("C0OPS") == []


async def test_stored_blocks_can_be_sent_again(client: AsyncWebClient, web: Web) -> None:
    stored = await post(client, image(f"{web.url}/a.png"))
    assert await post(client, *stored) == stored


async def test_answers_by_response_url_and_to_commands_fetch_too(web: Web) -> None:
    async with (
        SlackApp(answer_type="application/json") as app,
        SlackFarEnd(gateway_url=app.url) as slack,
        aiohttp.ClientSession() as session,
    ):
        url = slack.response_urls.make(channel="C0OPS", user="U0ADA", source=None)
        for path, status in (("/missing", 400), ("/a.png", 200)):
            body = {"blocks": [image(web.url + path)]}
            async with session.post(url, json=body) as response:
                assert response.status == status
        (message,) = slack.ephemerals("U0ADA")
        assert message.blocks[0]["image_width"] == 40
        app.answer = b'{"blocks": [{"type": "image", "alt_text": "", "image_url": "http:/"}]}'
        await slack.command("/status")
        assert "blocks that Slack refuses" in slack.ephemerals("U0ADA")[-1].text


# --- the proxy --------------------------------------------------------------------------------


async def test_people_see_a_picture_through_the_proxy_and_its_place_is_not_asked_again(
    slack: SlackFarEnd, client: AsyncWebClient, web: Web
) -> None:
    await post(client, image(f"{web.url}/a.png?X-Amz-Signature=secret"))
    (picture,) = shown(slack)
    assert (picture["width"], picture["height"]) == (40, 30)
    assert picture["src"].startswith("/proxy/")
    assert "secret" not in picture["src"]
    assert await proxied(slack, picture["src"]) == (200, "image/png", PICTURE)
    assert len(web.asked) == 1


async def test_a_picture_that_is_not_kept_any_more_breaks_when_its_address_expired(
    slack: SlackFarEnd, client: AsyncWebClient, web: Web
) -> None:
    await post(client, image(f"{web.url}/a.png"))
    (picture,) = shown(slack)
    slack.pictures.forget()
    assert (await proxied(slack, picture["src"]))[0] == 200
    slack.pictures.forget()
    web.pages["/a.png"] = (403, "application/xml", b"<Error/>")
    assert (await proxied(slack, picture["src"]))[0] == 404


async def test_what_is_kept_of_pictures_is_bounded(
    slack: SlackFarEnd, client: AsyncWebClient, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "KEPT_BYTES", 2 * len(PICTURE))
    for number in range(3):
        await post(client, image(f"{web.url}/a.png?{number}"))
    places = [slack.pictures.place(f"{web.url}/a.png?{number}") for number in range(3)]
    for place in reversed(places):
        await proxied(slack, place)
    assert web.asked == [f"/a.png?{number}" for number in (0, 1, 2, 0)]


async def test_the_proxy_serves_only_what_stands_in_a_message(slack: SlackFarEnd) -> None:
    assert (await proxied(slack, "/proxy/http:%2F%2F127.0.0.1"))[0] == 404
    assert (await proxied(slack, f"/proxy/{'0' * 32}"))[0] == 404


# --- slack_file -------------------------------------------------------------------------------


async def uploaded(
    slack: SlackFarEnd, client: AsyncWebClient, content: bytes = PICTURE, **more: Any
) -> str:
    answer = await client.files_upload_v2(content=content, filename="a.png", **more)
    file_id: str = answer["file"]["id"]
    return file_id


def slack_file(**by: str) -> dict[str, Any]:
    return {"type": "image", "slack_file": by, "alt_text": "a picture"}


INVALID = ["invalid slack file [json-pointer:/blocks/0/slack_file]"]


async def test_a_file_is_shown_once_it_is_processed(
    slack: SlackFarEnd, client: AsyncWebClient
) -> None:
    file_id = await uploaded(slack, client)
    assert (await refused(client, slack_file(id=file_id)))["errors"] == INVALID
    slack.files.hurry()
    addresses = slack.file(file_id).addresses
    for by in (
        {"id": file_id},
        {"url": addresses["url_private"]},
        {"url": addresses["permalink"]},
    ):
        await post(client, slack_file(**by))
        (picture,) = shown(slack)
        assert picture == {"src": slack.file(file_id).place, "width": 40, "height": 30}


async def test_who_sees_the_message_sees_a_file_that_was_shared_nowhere(
    slack: SlackFarEnd, client: AsyncWebClient
) -> None:
    file_id = await uploaded(slack, client)
    slack.files.hurry()
    assert not slack.files.can_see(slack.file(file_id), "U0ADA")
    await post(client, slack_file(id=file_id))
    assert slack.files.can_see(slack.file(file_id), "U0ADA")
    slack.workspace.channels["C0OPS"].members.discard("U0ADA")
    assert not slack.files.can_see(slack.file(file_id), "U0ADA")


async def test_a_file_that_is_not_there_no_picture_or_not_the_poster_s_is_refused(
    slack: SlackFarEnd, client: AsyncWebClient
) -> None:
    table = await uploaded(slack, client, b"a,b")
    gone = await uploaded(slack, client)
    slack.files.hurry()
    await client.files_delete(file=gone)
    slack.add_channel("C0SECRET", is_private=True, members={"U0ADA"})
    hidden = slack.say_with_file("C0SECRET", "U0ADA", "a.png", PICTURE).id
    for file_id in (table, gone, hidden, "F0NOTTHERE"):
        assert (await refused(client, slack_file(id=file_id)))["errors"] == INVALID
    assert (await refused(client, slack_file(url="https://a.test/x")))["errors"] == INVALID


async def test_a_deleted_file_is_shown_no_more(slack: SlackFarEnd, client: AsyncWebClient) -> None:
    file_id = await uploaded(slack, client)
    slack.files.hurry()
    await post(client, slack_file(id=file_id))
    await client.files_delete(file=file_id)
    message = view.message(slack, slack.messages("C0OPS")[-1])
    assert "picture" not in message["blocks"][0]
