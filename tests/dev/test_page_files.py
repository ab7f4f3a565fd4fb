"""Files and pictures on the page of a real workspace, in a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Page, async_playwright, expect
from slack_sdk.web.async_client import AsyncWebClient

from tests.chromium import ARGUMENTS, executable
from tests.dev.pictures import PDF, png
from tests.dev.test_slack_pictures import Web, image
from tests.dev.test_workspace import make
from tidegate_dev.workspace import DevWorkspace

pytestmark = pytest.mark.xdist_group("browser")

ARTEFACTS = Path(__file__).parents[2] / "test-artifacts"
FROM_THE_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def workspace() -> AsyncIterator[DevWorkspace]:
    workspace = make()
    workspace.slack.limits.enabled = False
    try:
        await workspace.start()
        yield workspace
    finally:
        await workspace.stop()


@pytest.fixture
async def page(workspace: DevWorkspace) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        page = await browser.new_page(reduced_motion="reduce")
        errors: list[str] = []
        page.on("console", lambda line: errors.append(line.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{workspace.url}#C0REPORTS")
        yield page
        await browser.close()
    assert errors == []


def client_of(workspace: DevWorkspace) -> AsyncWebClient:
    return AsyncWebClient(token=workspace.slack.bot_token, base_url=workspace.slack.api_url)


async def test_files_and_pictures_come_to_the_page_as_they_are_shared(
    workspace: DevWorkspace, page: Page
) -> None:
    client = client_of(workspace)
    async with Web() as web:
        web.pages["/cpu.png"] = (200, "image/png", png(600, 280))
        await client.chat_postMessage(
            channel="C0REPORTS", text="CPU", blocks=[image(f"{web.url}/cpu.png")]
        )
    uploads = [
        {"content": PDF, "filename": "review.pdf", "title": "The review"},
        {"content": png(500, 300, (140, 47, 75)), "filename": "latency.png"},
    ]
    await client.files_upload_v2(file_uploads=uploads, channel="C0REPORTS")
    for name, size in (("a picture", [600, 384, 179]), ("latency.png", [500, 384, 230])):
        picture = page.get_by_role("img", name=name, exact=True)
        await expect(picture).to_have_js_property("complete", True)
        seen = await picture.evaluate("(e) => [e.naturalWidth, e.clientWidth, e.clientHeight]")
        assert seen == size, "through the workspace, though its first place is gone"
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Download The review").click()
    download = await coming.value
    assert download.suggested_filename == "review.pdf"
    assert (await download.path()).read_bytes() == PDF
    ARTEFACTS.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.screenshot(path=ARTEFACTS / f"files-{scheme}.png")


async def test_the_state_tells_where_the_page_gets_files_and_pictures(
    workspace: DevWorkspace,
) -> None:
    client = client_of(workspace)
    async with Web() as web:
        blocks = [image(f"{web.url}/a.png?X-Amz-Signature=secret")]
        await client.chat_postMessage(channel="C0REPORTS", text="x", blocks=blocks)
    await client.files_upload_v2(content=png(), filename="b.png", channel="C0REPORTS")
    workspace.slack.files.hurry()
    state = workspace.state()["messages"]["C0REPORTS"]
    picture = state[-2]["blocks"][0]["picture"]
    (file,) = state[-1]["files"]
    assert (file["name"], file["size"], file["type"]) == ("b.png", len(png()), "PNG")
    assert file["seen_by"] == ["U0ADA", "U0GRACE", "U0GUEST"]
    async with aiohttp.ClientSession(base_url=workspace.url, headers=FROM_THE_PAGE) as session:
        for place, kind in (
            (picture["src"], "inline"),
            (file["src"], "inline"),
            (file["download"], "attachment"),
        ):
            async with session.get(place) as response:
                assert response.status == 200
                assert response.content_type == "image/png"
                shown = response.headers.get("content-disposition", "inline")
                assert shown.partition(";")[0] == kind
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        async with session.get(file["src"], headers=elsewhere) as response:
            assert response.status == 403


async def test_only_members_of_its_channel_get_a_file(workspace: DevWorkspace) -> None:
    await client_of(workspace).files_upload_v2(content="a,b", filename="a.csv", channel="C0REPORTS")
    workspace.slack.files.hurry()
    workspace.slack.workspace.channels["C0REPORTS"].members.discard("U0GUEST")
    (file,) = workspace.state()["messages"]["C0REPORTS"][-1]["files"]
    assert file["seen_by"] == ["U0ADA", "U0GRACE"]
    async with aiohttp.ClientSession(base_url=workspace.url, headers=FROM_THE_PAGE) as session:
        for user, status in (("U0ADA", 200), ("U0GUEST", 403), ("U0GRACE", 200)):
            workspace.become(user)
            async with session.get(file["src"]) as response:
                assert response.status == status
