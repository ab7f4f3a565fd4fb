"""Sharing from a private bucket, as a newcomer sees it in the browser."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Workspace, dev, keep, opened
from tests.e2e.test_first_click import be, go_to, journey, message, press
from tests.far_ends.clamd import Daemon

pytestmark = pytest.mark.xdist_group("browser")


CHARTS = ("deploys.png", "latency.png", "sunset.jpg", "tide.gif")


def report(page: Page) -> Locator:
    return message(page, "The Q3 report is ready")


def newest(page: Page) -> Locator:
    return page.get_by_role("article").last


def open_reports(page: Page) -> None:
    go_to(page, "reports")
    expect(report(page)).to_be_visible()


def bucket(page: Page, workspace: Workspace) -> Any:
    return workspace.state(page)["bucket"]


def kept(page: Page, workspace: Workspace, key: str) -> bytes:
    """What lies in the bucket's folder under a key."""
    return (Path(bucket(page, workspace)["folder"]) / key).read_bytes()


def say(page: Page, words: str) -> None:
    composer = page.get_by_role("combobox").last
    composer.fill(words)
    composer.press("Enter")


def open_bucket(page: Page) -> Locator:
    drawer = page.get_by_role("button", name="Bucket")
    if drawer.get_attribute("aria-expanded") != "true":
        drawer.click()
    return page.get_by_role("region", name="Bucket")


def has_loaded(picture: Locator) -> None:
    expect(picture).to_be_visible()
    picture.evaluate("(image) => image.decode()")
    assert picture.evaluate("(image) => image.naturalWidth") > 0


def in_both_schemes(page: Page, name: str) -> None:
    """Keep a picture of the page in light and in dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        keep(page, f"{name}-{scheme}")


def test_a_link_is_posted_and_opens_the_object(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    page = shared_page
    open_reports(page)
    press(report(page), "Post a link")
    link = newest(page).get_by_role("link", name="Q3 report")
    expect(link).to_be_visible()
    expect(newest(page)).to_contain_text("for anyone who has it")
    expect(report(page)).to_contain_text("done")
    expect(journey(page)).to_contain_text("presigned")
    expect(journey(page)).to_contain_text("works for 60 minutes")
    expect(journey(page)).to_contain_text("PDF")
    address = link.get_attribute("href") or ""
    answer = page.request.get(address)
    assert answer.status == 200
    assert answer.body() == kept(page, shared_workspace, "q3/report.pdf")
    expect(journey(page)).to_contain_text("link opened")
    keep(page, "share-link")
    # Of another object, or without its signature, the link opens nothing.
    assert page.request.get(address.replace("report.pdf?", "invoice.pdf?")).status == 403
    assert page.request.get(address.partition("?")[0]).status == 403


@pytest.mark.long
def test_what_is_shown_of_a_journey_opens_no_link(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    page = shared_page
    open_reports(page)
    say(page, "/share q3/report.pdf")
    expect(journey(page)).to_contain_text("as a file, in this channel")
    state = shared_workspace.state(page)
    told = page.request.get(f"{shared_workspace.url}dev/journey/{state['journeys'][0]['id']}")
    for secret in (r"X-Amz-Signature=[0-9a-f]", r"/upload/v1/\w"):
        assert not re.search(secret, told.text())


def test_an_image_is_shown(shared_page: Page) -> None:
    page = shared_page
    open_reports(page)
    press(report(page), "Show the chart")
    expect(newest(page)).to_contain_text("Deploys by week")
    has_loaded(newest(page).get_by_role("img", name="Bars that rise from 31 deploys to 79"))
    expect(journey(page)).to_contain_text("as an image, in this channel")
    expect(journey(page)).to_contain_text("streamed S3 → Slack")
    keep(page, "share-image")


def test_all_charts_are_shown_in_one_message(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    page = shared_page
    open_reports(page)
    before = page.get_by_role("article").count()
    press(report(page), "Show all charts")
    expect(newest(page)).to_contain_text("Charts of Q3")
    for name in CHARTS:
        has_loaded(newest(page).get_by_role("img", name=name))
    expect(page.get_by_role("article")).to_have_count(before + 1)
    expect(report(page)).to_contain_text("done")
    expect(journey(page)).to_contain_text("Show all charts · q3/charts/")
    expect(journey(page)).to_contain_text("4 images")
    expect(journey(page)).to_contain_text("as a gallery, in this channel")
    newest(page).scroll_into_view_if_needed()
    in_both_schemes(page, "share-all-charts")


def test_a_file_is_uploaded_and_its_members_can_download_it(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    page = shared_page
    open_reports(page)
    press(report(page), "Upload the CSV")
    card = page.get_by_role("group", name="deploys.csv").last
    expect(card).to_contain_text("CSV")
    expect(journey(page)).to_contain_text("the file is in the channel")
    expect(journey(page)).to_contain_text("CSV · 1.3 KB")
    with page.expect_download() as download:
        card.get_by_role("link", name="Download deploys.csv").click()
    saved = Path(download.value.path()).read_bytes()
    assert saved == kept(page, shared_workspace, "q3/deploys.csv")
    place = card.get_by_role("link").get_attribute("href") or ""
    stranger = page.request.get(shared_workspace.url.rstrip("/") + place)
    assert "Sign in to the workspace" in stranger.text()
    keep(page, "share-file")


def test_a_program_under_another_name_is_refused_in_words(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    page = shared_page
    open_reports(page)
    press(report(page), "Upload invoice.pdf")
    expect(report(page)).to_contain_text("It is a program (something a computer would run)")
    expect(journey(page)).to_contain_text("not shared")
    expect(journey(page)).to_contain_text("it is a program, whatever its name says")
    keep(page, "share-refused")
    shown = shared_workspace.state(page)["messages"]["C0REPORTS"]
    assert not any(file["name"] == "invoice.pdf" for one in shown for file in one["files"])


def test_malware_is_refused_and_nobody_sees_it(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    page = shared_page
    open_reports(page)
    assert b"ANTIVIRUS-TEST" in kept(page, shared_workspace, "q3/eicar.txt")
    press(report(page), "Upload eicar.txt")
    sentence = "The malware scanner found something in it, so it was not shared."
    expect(report(page)).to_contain_text(sentence)
    expect(journey(page)).to_contain_text("not shared")
    expect(journey(page)).to_contain_text("the malware scanner found something in it")
    expect(journey(page)).to_contain_text("not completed, so nobody can see it")
    in_both_schemes(page, "share-malware")
    shown = shared_workspace.state(page)["messages"]["C0REPORTS"]
    assert not any(file["name"] == "eicar.txt" for one in shown for file in one["files"])
    expect(report(page).get_by_role("button", name="Upload eicar.txt")).to_be_visible()


@pytest.mark.parametrize(
    ("button", "shows"),
    [
        pytest.param("Upload the CSV", "deploys.csv", marks=pytest.mark.long),
        pytest.param("Post a link", "Q3 report", marks=pytest.mark.long),
        ("Show all charts", "tide.gif"),
    ],
)
def test_without_a_scanner_nothing_is_shared_until_there_is_one(
    page: Page, workspace: Workspace, button: str, shows: str
) -> None:
    open_reports(page)
    down = page.get_by_role("switch", name="malware scanner is down")
    down.click()
    expect(down).to_be_checked()
    before = page.get_by_role("article").count()
    press(report(page), button)
    sentence = "The malware scanner does not answer, so nothing was shared. It is tried again"
    expect(report(page)).to_contain_text(sentence)
    expect(journey(page)).to_contain_text("the malware scanner does not answer")
    in_both_schemes(page, f"share-no-scanner-{button.split()[-1]}")
    expect(page.get_by_role("article")).to_have_count(before)
    assert not any(one["files"] for one in workspace.state(page)["messages"]["C0REPORTS"])
    down.click()
    expect(down).not_to_be_checked()
    expect(page.get_by_role("article")).to_have_count(before + 1, timeout=40_000)
    expect(page.get_by_role("article").last).to_contain_text(shows)


def test_a_guest_may_not_share(shared_page: Page, shared_workspace: Workspace) -> None:
    page = shared_page
    open_reports(page)
    be(page, "Guest")
    press(report(page), "Upload invoice.pdf")
    notice = page.get_by_role("article").filter(has_text="Only visible to you")
    expect(notice.last).to_contain_text("nothing was done")
    expect(journey(page)).to_contain_text("not among the people who may use it")
    assert shared_workspace.state(page)["journeys"][0]["run"] is None


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_the_line_that_the_welcome_shows_posts_a_gallery(
    shared_page: Page, shared_workspace: Workspace, scheme: Any
) -> None:
    page = shared_page
    page.emulate_media(color_scheme=scheme)
    open_reports(page)
    before = page.get_by_role("article").count()
    line = message(page, "All charts as one gallery").locator("pre").inner_text()
    # As in a shell of somebody who works with AWS: none of it is taken along.
    theirs = {"PATH": "/usr/bin:/bin", "AWS_PROFILE": "prod", "AWS_ENDPOINT_URL": "http://x"}
    done = subprocess.run(line, shell=True, capture_output=True, text=True, env=theirs, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 objects: shared in C0REPORTS as gallery" in done.stdout
    expect(page.get_by_role("article")).to_have_count(before + 1)
    for name in CHARTS:
        has_loaded(newest(page).get_by_role("img", name=name))
    open_bucket(page)
    keep(page, f"share-gallery-{scheme}")


def test_a_file_that_is_dropped_into_the_folder_is_there_and_can_be_shared(
    page: Page, workspace: Workspace
) -> None:
    open_reports(page)
    drawer = open_bucket(page)
    expect(drawer.get_by_role("listitem")).to_have_count(8)
    folder = Path(bucket(page, workspace)["folder"])
    expect(drawer).to_contain_text(str(folder))
    expect(drawer).to_contain_text("the one here knows the EICAR test file alone")
    (folder / "notes.txt").write_text("Ship it on Thursday.\n")
    row = drawer.get_by_role("listitem").filter(has_text="notes.txt")
    expect(row).to_contain_text("text/plain · 21 bytes · version")
    keep(page, "bucket")
    told = {one["key"]: one["size"] for one in bucket(page, workspace)["objects"]}
    assert told["notes.txt"] == 21
    say(page, "/share notes.txt")
    expect(page.get_by_role("group", name="notes.txt")).to_be_visible()
    (folder / "notes.txt").unlink()
    expect(row).to_have_count(0)
    say(page, "/share notes.txt")
    expect(journey(page)).to_contain_text("there is no such object")


@pytest.mark.long
def test_a_file_arrives_whole_although_s3_breaks_off(page: Page, workspace: Workspace) -> None:
    open_reports(page)
    page.get_by_role("switch", name="S3 breaks off").click()
    expect(page.get_by_role("switch", name="S3 breaks off")).to_be_checked()
    press(report(page), "Upload the CSV")
    expect(journey(page)).to_contain_text("in 4 pieces")
    card = page.get_by_role("group", name="deploys.csv")
    with page.expect_download() as download:
        card.get_by_role("link", name="Download deploys.csv").click()
    saved = Path(download.value.path()).read_bytes()
    assert saved == kept(page, workspace, "q3/deploys.csv")


@pytest.mark.long
def test_a_share_goes_on_when_s3_no_longer_asks_to_wait(page: Page) -> None:
    open_reports(page)
    page.get_by_role("switch", name="S3 asks to wait").click()
    expect(page.get_by_role("switch", name="S3 asks to wait")).to_be_checked()
    press(report(page), "Post a link")
    expect(journey(page)).to_contain_text("S3 answered 503 SlowDown")
    expect(report(page)).to_contain_text("S3 asks to wait")
    keep(page, "share-waits")
    page.get_by_role("switch", name="S3 asks to wait").click()
    expect(newest(page).get_by_role("link", name="Q3 report")).to_be_visible(timeout=40_000)
    expect(journey(page)).to_contain_text("as a link, in this channel")


@pytest.mark.long
def test_a_killed_gateway_shares_once_all_the_same(page: Page, workspace: Workspace) -> None:
    open_reports(page)
    page.get_by_role("switch", name="S3 asks to wait").click()
    expect(page.get_by_role("switch", name="S3 asks to wait")).to_be_checked()
    press(report(page), "Upload the CSV")
    expect(journey(page)).to_contain_text("S3 answered 503 SlowDown")
    page.get_by_role("button", name="kill the gateway").click()
    expect(page.get_by_text(re.compile("Gateway is (restarting|down|starting)"))).to_be_visible()
    page.get_by_role("switch", name="S3 asks to wait").click()
    expect(page.get_by_role("group", name="deploys.csv")).to_be_visible(timeout=40_000)
    expect(report(page)).to_contain_text("done")
    shown = workspace.state(page)["messages"]["C0REPORTS"]
    assert [file["name"] for one in shown for file in one["files"]] == ["deploys.csv"]


@pytest.mark.long
def test_a_folder_of_one_s_own_outlives_the_workspace(tmp_path: Path) -> None:
    own = tmp_path / "my buckets"
    with dev("--bucket-folder", str(own)):
        assert (own / "acme-reports" / "q3" / "report.pdf").is_file()
        (own / "acme-reports" / "mine.txt").write_text("mine")
    with dev("--bucket-folder", str(own)):
        pass
    assert (own / "acme-reports" / "mine.txt").read_text() == "mine"


@pytest.mark.long
def test_a_clamd_of_one_s_own_scans_instead(browser: Browser, clamd_daemon: Daemon) -> None:
    with dev("--clamd", clamd_daemon.unix) as own, opened(browser, own) as page:
        open_reports(page)
        press(report(page), "Upload eicar.txt")
        expect(report(page)).to_contain_text("The malware scanner found something in it")
        press(report(page), "Upload the CSV")
        expect(page.get_by_role("group", name="deploys.csv")).to_be_visible()
        expect(open_bucket(page)).to_contain_text(f"clamd at {clamd_daemon.unix} looks for malware")
        expect(page.get_by_role("switch", name="S3 breaks off")).to_be_visible()
        expect(page.get_by_role("switch", name="malware scanner is down")).to_have_count(0)
