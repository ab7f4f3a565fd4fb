"""The dev workspace's page in a real browser, against a stand-in for the workspace."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from tests.chromium import ARGUMENTS, executable
from tests.dev import page_workspace as scene
from tests.dev.page_workspace import Json, Workspace
from tests.dev.pictures import png

pytestmark = pytest.mark.xdist_group("browser")

# Chromium logs requests that fail as errors of the page; tests that cause them expect that.
FAILED_REQUEST = "Failed to load resource"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as started:
        yield started


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    opened.set_default_timeout(5000)
    yield opened
    opened.close()


@pytest.fixture
def page(tab: Page, workspace: Workspace) -> Iterator[Page]:
    """A page that must not report a single error, a breach of the content policy included."""
    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.emulate_media(color_scheme="light", reduced_motion="reduce")
    errors: list[str] = []

    def on_console(line: ConsoleMessage) -> None:
        if line.type in ("error", "warning") and FAILED_REQUEST not in line.text:
            errors.append(line.text)

    def on_error(error: Error) -> None:
        errors.append(str(error))

    tab.on("console", on_console)
    tab.on("pageerror", on_error)
    yield tab
    tab.goto("about:blank")
    tab.remove_listener("console", on_console)
    tab.remove_listener("pageerror", on_error)
    assert errors == []


def visit(page: Page, workspace: Workspace) -> None:
    page.goto(workspace.url)
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def show(page: Page, workspace: Workspace, *blocks: Json, **more: Any) -> Locator:
    """Show one message of *blocks* as the only one, and return it."""
    workspace.state["messages"]["C0OPS"] = [scene.message(scene.CARD_TS, *blocks, **more)]
    visit(page, workspace)
    return page.get_by_role("article")


def card(page: Page) -> Locator:
    return page.get_by_role("article").filter(has_text="Deploy web 2.4.1 to staging?")


# --- blocks -----------------------------------------------------------------------------------


def test_a_section_shows_its_text_its_fields_and_its_accessory(
    page: Page, workspace: Workspace
) -> None:
    fields = [scene.mrkdwn("*Ready*\n3 of 3"), scene.plain("plain *stars*")]
    accessory = scene.button("Open", "open")
    message = show(page, workspace, scene.section("All *well*", fields=fields, accessory=accessory))
    expect(message.locator("strong")).to_have_text(["well", "Ready"])
    expect(message).to_contain_text("plain *stars*")
    expect(message.get_by_role("button", name="Open", exact=True)).to_be_visible()


def test_header_divider_context_and_image_are_drawn(page: Page, workspace: Workspace) -> None:
    message = show(
        page,
        workspace,
        {"type": "header", "text": scene.plain("Release :rocket:")},
        {"type": "divider"},
        {
            "type": "context",
            "elements": [
                {"type": "image", "image_url": scene.DOT, "alt_text": "a dot"},
                scene.mrkdwn("by _Ada_"),
            ],
        },
        {
            "type": "image",
            "image_url": scene.DOT,
            "alt_text": "CPU of the last hour",
            "title": scene.plain("cpu.png"),
        },
    )
    expect(message.get_by_role("heading", name="Release 🚀")).to_be_visible()
    expect(message.get_by_role("separator")).to_have_count(1)
    expect(message.get_by_role("img", name="a dot")).to_be_visible()
    expect(message.locator("em")).to_have_text("Ada")
    expect(message.get_by_role("figure")).to_contain_text("cpu.png")
    expect(message.get_by_role("img", name="CPU of the last hour")).to_be_visible()


def test_a_picture_that_does_not_load_leaves_its_description(
    page: Page, workspace: Workspace
) -> None:
    gone = {"type": "image", "image_url": f"{workspace.url}gone.png", "alt_text": "the graph"}
    message = show(page, workspace, gone)
    expect(message).to_contain_text("This picture cannot be shown. the graph")
    expect(message.get_by_role("img", name="the graph (cannot be shown)")).to_be_visible()


def test_every_kind_of_element_is_drawn_with_slacks_words(page: Page, workspace: Workspace) -> None:
    options = [
        scene.option("One", "1", description=scene.plain("the first")),
        scene.option("Two", "2"),
    ]
    elements = [
        scene.button("Go", "go", style="primary"),
        scene.button("Stop", "stop", style="danger"),
        {
            "type": "static_select",
            "action_id": "s",
            "placeholder": scene.plain("Pick"),
            "options": options,
        },
        {"type": "overflow", "action_id": "o", "options": options},
        {"type": "users_select", "action_id": "u", "placeholder": scene.plain("Who")},
        {
            "type": "checkboxes",
            "action_id": "c",
            "options": options,
            "initial_options": options[:1],
        },
        {
            "type": "radio_buttons",
            "action_id": "r",
            "options": options,
            "initial_option": options[1],
        },
        {"type": "datepicker", "action_id": "d", "initial_date": "2026-11-22"},
        {"type": "timepicker", "action_id": "t", "initial_time": "10:42"},
    ]
    message = show(page, workspace, {"type": "actions", "block_id": "a", "elements": elements})
    for name in ("Go", "Stop", "Pick", "More actions", "Who"):
        expect(message.get_by_role("button", name=name, exact=True)).to_be_visible()
    expect(message.get_by_role("checkbox", name="One the first")).to_be_checked()
    expect(message.get_by_role("radio", name="Two")).to_be_checked()
    expect(message.get_by_label("Date", exact=True)).to_have_value("2026-11-22")
    expect(message.get_by_label("Time", exact=True)).to_have_value("10:42")


def test_rich_text_inputs_and_tables_are_drawn(page: Page, workspace: Workspace) -> None:
    words = [
        {"type": "text", "text": "Bold", "style": {"bold": True}},
        {"type": "user", "user_id": "U0GRACE"},
        {"type": "emoji", "name": "tada"},
        {"type": "link", "url": "https://example.com/x", "text": "a link"},
    ]
    item = {"type": "rich_text_section", "elements": [{"type": "text", "text": "an item"}]}
    message = show(
        page,
        workspace,
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_section", "elements": words},
                {"type": "rich_text_list", "style": "bullet", "elements": [item]},
                {"type": "rich_text_quote", "elements": [{"type": "text", "text": "quoted"}]},
                {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "a\nb"}]},
            ],
        },
        {
            "type": "input",
            "label": scene.plain("Reason"),
            "hint": scene.plain("Short"),
            "element": {"type": "plain_text_input", "action_id": "why"},
        },
        {
            "type": "table",
            "rows": [
                [{"type": "raw_text", "text": "Pod"}],
                [{"type": "raw_text", "text": "web-1"}],
            ],
        },
    )
    expect(message.locator("strong")).to_have_text("Bold")
    expect(message).to_contain_text("@Grace🎉")
    expect(message.get_by_role("link", name="a link")).to_have_attribute(
        "href", "https://example.com/x"
    )
    expect(message.get_by_role("listitem")).to_have_text("an item")
    expect(message.locator("blockquote")).to_have_text("quoted")
    expect(message.locator("pre")).to_have_text("a\nb")
    expect(message.get_by_role("textbox", name="Reason")).to_be_visible()
    expect(message.get_by_role("cell", name="web-1")).to_be_visible()


def test_a_block_of_an_unknown_kind_says_so(page: Page, workspace: Workspace) -> None:
    message = show(
        page, workspace, {"type": "constructor"}, {"type": "carousel"}, scene.section("after")
    )
    expect(message).to_contain_text("A “carousel” block, which this workspace does not draw")
    expect(message).to_contain_text("A “constructor” block")
    expect(message).to_contain_text("after")


def test_mrkdwn_is_drawn_as_slack_draws_it(page: Page, workspace: Workspace) -> None:
    source = (
        "*bold _both_* ~gone~ `x &lt; y` :tada: :no_such_name: 2*3*4 snake_case_name\n"
        "&gt; a quote\n• one\n• two\n```\n*raw*\n```\n"
        "<https://example.com/a|label> <@U0GRACE> <#C0OPS> <!here> <!subteam^S0|@sre> "
        "https://example.com/b. a &amp; b"
    )
    message = show(page, workspace, scene.section(source))
    expect(message.locator("strong")).to_have_text("bold both")
    expect(message.locator("strong em")).to_have_text("both")
    expect(message.locator("s")).to_have_text("gone")
    expect(message.locator("p code")).to_have_text("x < y")
    expect(message.locator("blockquote")).to_have_text("a quote")
    expect(message.get_by_role("listitem")).to_have_text(["one", "two"])
    expect(message.locator("pre")).to_have_text("*raw*")
    expect(message).to_contain_text("🎉 :no_such_name: 2*3*4 snake_case_name")
    expect(message.locator(".mention")).to_have_text(["@Grace", "#ops", "@here", "@sre"])
    expect(message.get_by_role("link", name="label")).to_have_attribute(
        "href", "https://example.com/a"
    )
    expect(message.get_by_role("link", name="https://example.com/b")).to_have_attribute(
        "href", "https://example.com/b"
    )
    expect(message).to_contain_text("a & b")


def test_rich_text_shows_its_styles_and_who_is_meant(page: Page, workspace: Workspace) -> None:
    runs = [
        {"type": "text", "text": "all of it", "style": {"bold": True, "italic": True}},
        {"type": "text", "text": "kubectl", "style": {"code": True}},
        {"type": "usergroup", "usergroup_id": "S0SRE", "handle": "sre"},
        {"type": "broadcast", "range": "here"},
    ]
    items = [
        {"type": "rich_text_section", "elements": [{"type": "text", "text": word}]}
        for word in ("third", "fourth")
    ]
    ordered = {"type": "rich_text_list", "style": "ordered", "offset": 2, "elements": items}
    sections = [{"type": "rich_text_section", "elements": runs}, ordered]
    message = show(page, workspace, {"type": "rich_text", "elements": sections})
    expect(message.locator("strong em")).to_have_text("all of it")
    expect(message.locator("code")).to_have_text("kubectl")
    expect(message.locator(".mention")).to_have_text(["@sre", "@here"])
    expect(message.locator("ol")).to_have_attribute("start", "3")


# --- files and pictures -----------------------------------------------------------------------


def test_a_file_is_a_card_with_its_name_its_size_and_a_download(
    page: Page, workspace: Workspace
) -> None:
    files = [
        scene.file("deploys.csv", "CSV", 1536, title="Deploys of June"),
        scene.file("report.pdf", "PDF", 3_400_000),
        scene.file("empty.log", "", 1),
    ]
    message = show(page, workspace, text="The *numbers*", files=files)
    expect(message.locator("strong")).to_have_text("numbers")
    card = message.get_by_role("group", name="Deploys of June")
    expect(card).to_contain_text("CSV · 1.5 KB")
    download = card.get_by_role("link", name="Download Deploys of June")
    expect(download).to_have_attribute("href", "/files/F0/download/deploys.csv")
    expect(download).to_have_attribute("download", "deploys.csv")
    expect(message.get_by_role("group", name="report.pdf")).to_contain_text("PDF · 3.2 MB")
    expect(message.get_by_role("group", name="empty.log")).to_contain_text("File · 1 byte")
    page.get_by_role("region", name="Messages in #ops").focus()
    page.keyboard.press("Tab")
    expect(download).to_be_focused()


def test_a_picture_file_is_shown_with_its_description_and_opens_in_full(
    page: Page, workspace: Workspace
) -> None:
    workspace.pictures["/files/F0/cpu.png"] = png(800, 400)
    files = [scene.picture_file("cpu.png", 800, 400, title="CPU", alt_text="a line that falls")]
    message = show(page, workspace, files=files)
    figure = message.get_by_role("figure", name="CPU")
    expect(figure).to_contain_text("47 KB")
    expect(figure.get_by_role("link", name="Download CPU")).to_be_visible()
    picture = figure.get_by_role("img", name="a line that falls")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("(e) => [e.naturalWidth, e.clientWidth]") == [800, 384]
    whole = figure.get_by_role("link", name="a line that falls (opens in full)")
    with page.expect_popup() as opened:
        whole.press("Enter")
    opened.value.wait_for_url(f"{workspace.url}files/F0/cpu.png")
    opened.value.close()


def test_a_file_is_only_for_those_who_are_where_it_was_shared(
    page: Page, workspace: Workspace
) -> None:
    files = [scene.file("plan.pdf", "PDF", 10, seen_by=["U0GRACE"])]
    message = show(page, workspace, text="The plan", files=files)
    expect(message).to_contain_text("A file for the members of this channel.")
    expect(message).not_to_contain_text("plan.pdf")
    workspace.emit("user", me="U0GRACE")
    expect(message.get_by_role("link", name="Download plan.pdf")).to_be_visible()


def test_hostile_file_names_stay_text(page: Page, workspace: Workspace) -> None:
    named = scene.file(HOSTILE, HOSTILE, 5)
    message = show(page, workspace, text="x", files=[named, scene.file("a.pdf", "PDF", 7)])
    expect(message.get_by_role("group", name=HOSTILE)).to_be_visible()
    assert message.locator("script, img[src=x]").count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_picture_has_its_room_before_it_comes(page: Page, workspace: Workspace) -> None:
    tall = scene.image("/proxy/never", "tall", 300, 3000)
    wide = scene.image("/proxy/never", "wide", 3000, 300)
    small = scene.image("/proxy/never", "small", 40, 30)
    blocks = [tall, scene.section("between"), wide, scene.section("after"), small]
    page.route("**/proxy/never", lambda _: None)  # never answered
    message = show(page, workspace, *blocks)
    boxes = "(all) => all.map((e) => [e.width, e.height])"
    assert message.locator("img.picture").evaluate_all(boxes) == [[35, 352], [384, 38], [40, 30]]
    page.unroute_all()


def test_pictures_that_follow_each_other_stand_in_a_grid(page: Page, workspace: Workspace) -> None:
    sizes = [(800, 400), (300, 900), (640, 480), (64, 64)]
    for number, size in enumerate(sizes):
        workspace.pictures[f"/proxy/{number}"] = png(*size)
    blocks = [
        scene.image(f"/proxy/{n}", f"no {n}", *size, title=scene.plain(f"{n}.png"))
        for n, size in enumerate(sizes)
    ]
    message = show(page, workspace, scene.section("Four"), *blocks, scene.section("one"), blocks[0])
    expect(message.locator(".gallery")).to_have_count(1)
    pictures = message.locator(".gallery").get_by_role("img")
    expect(pictures).to_have_count(4)
    corners = "(all) => all.map((e) => e.getBoundingClientRect().toJSON())"
    boxes = pictures.evaluate_all(corners)
    assert len({(round(box["width"]), round(box["height"])) for box in boxes}) == 1
    assert round(boxes[0]["y"]) == round(boxes[1]["y"])
    assert boxes[0]["bottom"] < boxes[-1]["y"], "more than one row"


def test_a_picture_that_the_proxy_lost_leaves_its_description(
    page: Page, workspace: Workspace
) -> None:
    message = show(page, workspace, scene.image("/proxy/gone", "the graph", 40, 30))
    expect(message).to_contain_text("This picture cannot be shown. the graph")


def test_a_button_with_an_address_opens_it_and_tells_the_app(
    page: Page, workspace: Workspace
) -> None:
    target = f"{workspace.url}page/mark.svg"
    link = scene.button("Open report", "open", url=target)
    asks = scene.button("Open secret", "secret", url=target, confirm=scene.CONFIRM)
    message = show(page, workspace, {"type": "actions", "block_id": "a", "elements": [link, asks]})
    with page.context.expect_page() as opened:
        message.get_by_role("button", name="Open report", exact=True).press("Enter")
    opened.value.wait_for_url(target)
    opened.value.close()
    assert workspace.next_request("/dev/click")["action_id"] == "open"
    message.get_by_role("button", name="Open secret", exact=True).click()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Yes, deploy").click()
    opened.value.close()
    assert workspace.next_request("/dev/click")["action_id"] == "secret"


HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"


def test_hostile_text_stays_text(page: Page, workspace: Workspace) -> None:
    vnode = {"type": "img", "props": {"src": "x", "onerror": "hacked=1"}, "constructor": None}
    message = show(
        page,
        workspace,
        scene.section(HOSTILE),
        {"type": "header", "text": scene.plain(HOSTILE)},
        {"type": "section", "text": {"type": "plain_text", "text": vnode}},
        {"type": "actions", "elements": [scene.button(HOSTILE, HOSTILE)]},
        {"type": HOSTILE},
    )
    expect(message.get_by_role("heading")).to_have_text(HOSTILE)
    expect(message.get_by_role("button", name=HOSTILE, exact=True)).to_be_visible()
    assert message.locator("script, img[src=x]").count() == 0
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "file:///etc/x"]
)
def test_an_address_that_could_run_never_becomes_a_link(
    page: Page, workspace: Workspace, address: str
) -> None:
    link = {"type": "link", "url": address, "text": "press me"}
    message = show(
        page,
        workspace,
        scene.section(f"<{address}|label> <{address}>"),
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [link]}]},
        {"type": "image", "image_url": address, "alt_text": "bad"},
    )
    expect(message).to_contain_text("press me")
    assert message.get_by_role("link").count() == 0
    assert message.locator("img").count() == 1, "the avatar only"


# --- pressing ---------------------------------------------------------------------------------


def test_the_keyboard_reaches_deploy_and_esc_takes_the_question_back(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    deploy = page.get_by_role("button", name="Deploy", exact=True)
    page.get_by_role("region", name="Messages in #ops").focus()
    page.keyboard.press("Tab")
    expect(deploy).to_be_focused()
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog", name="Deploy to staging?")
    expect(question).to_contain_text("web 2.4.1 replaces what runs now.")
    expect(question.get_by_role("button", name="Yes, deploy")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).not_to_be_visible()
    expect(deploy).to_be_focused()
    assert [path for path, _ in workspace.asked.queue if path == "/dev/click"] == []


def test_saying_yes_sends_the_click_and_gives_the_focus_back(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    deploy = page.get_by_role("button", name="Deploy", exact=True)
    deploy.press("Enter")
    page.keyboard.press("Enter")
    assert workspace.next_request("/dev/click") == {
        "channel": "C0OPS",
        "ts": scene.CARD_TS,
        "block_id": "a",
        "action_id": "k8s_deploy",
    }
    expect(deploy).to_be_focused()


def test_a_press_shows_that_it_works_until_the_ack(page: Page, workspace: Workspace) -> None:
    waiting = scene.delivery()
    workspace.answers["/dev/click"] = (200, {"ok": True, "delivery": waiting})
    visit(page, workspace)
    status = page.get_by_role("button", name="Status", exact=True)
    status.click()
    expect(status).to_have_attribute("aria-busy", "true")
    expect(page.get_by_role("button", name="Deploy", exact=True)).not_to_have_attribute(
        "aria-busy", "true"
    )
    workspace.emit("delivery", delivery=scene.delivery("acked", ack_ms=1.1))
    expect(status).not_to_have_attribute("aria-busy", "true")
    expect(page.get_by_text("⚠")).to_have_count(0)


def test_an_answer_that_overtakes_the_stream_does_not_undo_the_ack(
    page: Page, workspace: Workspace
) -> None:
    workspace.state["deliveries"] = [scene.delivery("acked")]
    workspace.answers["/dev/click"] = (200, {"ok": True, "delivery": scene.delivery()})
    visit(page, workspace)
    status = page.get_by_role("button", name="Status", exact=True)
    status.click()
    workspace.next_request("/dev/click")
    expect(status).not_to_have_attribute("aria-busy", "true")


@pytest.mark.parametrize("outcome", ["timeout", "unreachable", "error"])
def test_a_press_that_was_not_acknowledged_gets_the_warning_and_slacks_words(
    page: Page, workspace: Workspace, outcome: str
) -> None:
    visit(page, workspace)
    workspace.emit("delivery", delivery=scene.delivery())
    note = "Operation timed out. Apps need to respond within three seconds"
    workspace.emit("delivery", delivery=scene.delivery(outcome, note=note))
    warning = card(page).get_by_role("alert")
    expect(warning).to_have_text(re.compile(f"⚠\\s+{note}"))
    status = page.get_by_role("button", name="Status", exact=True)
    expect(status).to_have_accessible_description(re.compile(note))
    workspace.emit("user", me="U0GRACE")
    expect(warning).to_have_count(0)


def test_a_refused_press_tells_why_and_can_be_tried_again(page: Page, workspace: Workspace) -> None:
    workspace.answers["/dev/click"] = (409, {"ok": False, "error": "This message is gone."})
    visit(page, workspace)
    status = page.get_by_role("button", name="Status", exact=True)
    status.click()
    expect(page.get_by_role("alert").filter(has_text="This message is gone.")).to_be_visible()
    expect(status).not_to_have_attribute("aria-busy", "true")


def test_a_select_is_picked_from_with_the_keyboard(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    page.get_by_role("button", name="Scale", exact=True).press("ArrowDown")
    menu = page.get_by_role("listbox", name="Scale")
    expect(menu.get_by_role("option", name="2 replicas")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")  # past the end is the beginning
    page.keyboard.press("3")  # its first letter
    page.keyboard.press("Enter")
    assert workspace.next_request("/dev/click")["value"] == "3"
    expect(menu).to_have_count(0)
    picked = page.get_by_role("button", name="Scale: 3 replicas")
    expect(picked).to_be_focused()


def test_esc_closes_a_menu_and_gives_the_focus_back(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    scale = page.get_by_role("button", name="Scale", exact=True)
    scale.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    expect(scale).to_be_focused()
    scale.click()
    page.get_by_role("heading", level=1).click()
    expect(page.get_by_role("listbox")).to_have_count(0)


def test_checkboxes_send_all_that_is_ticked(page: Page, workspace: Workspace) -> None:
    boxes = {
        "type": "checkboxes",
        "action_id": "c",
        "options": [scene.option("One", "1"), scene.option("Two", "2")],
        "initial_options": [scene.option("One", "1")],
    }
    message = show(page, workspace, {"type": "actions", "block_id": "a", "elements": [boxes]})
    message.get_by_role("checkbox", name="Two").check()
    assert workspace.next_request("/dev/click")["value"] == ["1", "2"]


def test_a_date_is_sent_once_it_is_left(page: Page, workspace: Workspace) -> None:
    date = {"type": "datepicker", "action_id": "d", "initial_date": "2026-11-22"}
    message = show(page, workspace, {"type": "actions", "block_id": "a", "elements": [date]})
    message.get_by_label("Date", exact=True).fill("2026-12-01")
    message.get_by_label("Date", exact=True).press("Enter")
    assert workspace.next_request("/dev/click")["value"] == "2026-12-01"


# --- messages ---------------------------------------------------------------------------------


def changed_card(*elements: Json, block_id: str = "a") -> Json:
    actions = {"type": "actions", "block_id": block_id, "elements": list(elements)}
    text = scene.section("*Deploy web 2.4.1 to staging?* rolling out 1 of 3")
    return scene.message(scene.CARD_TS, text, actions, edited=True)


@pytest.mark.parametrize("block_id", ["a", "another"])
def test_a_changed_message_keeps_the_focus(page: Page, workspace: Workspace, block_id: str) -> None:
    visit(page, workspace)
    status = page.get_by_role("button", name="Status", exact=True)
    status.focus()
    changed = changed_card(scene.button("Status", "k8s_status"), block_id=block_id)
    workspace.emit("message", channel="C0OPS", message=changed)
    expect(card(page)).to_contain_text("rolling out 1 of 3")
    expect(card(page)).to_contain_text("(edited)")
    expect(status).to_be_focused()


def test_when_the_pressed_button_gives_way_the_focus_stays_with_its_message(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    page.get_by_role("button", name="Deploy", exact=True).focus()
    changed = changed_card(scene.button("Status", "k8s_status"))
    workspace.emit("message", channel="C0OPS", message=changed)
    expect(page.get_by_role("button", name="Deploy", exact=True)).to_have_count(0)
    expect(card(page)).to_be_focused()


WATCH_CARD = """(ts) => {
  const card = document.querySelector(`[data-ts='${ts}']`);
  let changes = 0;
  new MutationObserver((seen) => { changes += seen.length; }).observe(
    card, {subtree: true, childList: true, attributes: true, characterData: true},
  );
  window.isUntouched = () => card.isConnected && changes === 0;
}"""


def test_a_message_that_did_not_change_is_not_drawn_again(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    page.evaluate(WATCH_CARD, scene.CARD_TS)
    workspace.emit("message", channel="C0OPS", message=scene.said(scene.ts(99), "U0GRACE", "new"))
    workspace.emit("state", **workspace.state)
    workspace.emit("cluster", cluster=scene.cluster())
    workspace.emit("gateway", gateway={"state": "down", "pid": None, "restarts": 0})
    expect(page.get_by_role("status").filter(has_text="Gateway is down")).to_be_visible()
    assert page.evaluate("window.isUntouched()")


def test_only_the_person_it_is_for_sees_an_ephemeral_message(
    page: Page, workspace: Workspace
) -> None:
    private = scene.message(scene.ts(70), scene.section("Needs @sre."), ephemeral_for="U0ADA")
    workspace.state["messages"]["C0OPS"].append(private)
    visit(page, workspace)
    notice = page.get_by_role("article").filter(has_text="Only visible to you")
    expect(notice).to_contain_text("Needs @sre.")
    page.get_by_role("radio", name="Guest").check()
    assert workspace.next_request("/dev/user") == {"user": "U0GUEST"}
    expect(notice).to_have_count(0)


def test_a_refused_change_of_person_is_taken_back(page: Page, workspace: Workspace) -> None:
    workspace.answers["/dev/user"] = (400, {"ok": False, "error": "No such person."})
    visit(page, workspace)
    page.get_by_role("radio", name="Grace").click()
    expect(page.get_by_role("alert").filter(has_text="No such person.")).to_be_visible()
    expect(page.get_by_role("radio", name="Ada")).to_be_checked()


def test_replies_stand_indented_below_their_message(page: Page, workspace: Workspace) -> None:
    reply = scene.said(scene.ts(70), "U0GRACE", "in a reply", thread_ts=scene.CARD_TS)
    workspace.state["messages"]["C0OPS"][1]["replies"] = [reply]
    visit(page, workspace)
    replies = page.get_by_role("group", name="Replies")
    expect(replies.get_by_role("article")).to_contain_text(["in a reply"])
    later = scene.said(scene.ts(71), "U0ADA", "and another", thread_ts=scene.CARD_TS)
    workspace.emit("message", channel="C0OPS", message=later)
    expect(replies.get_by_role("article")).to_contain_text(["in a reply", "and another"])
    workspace.emit("message_deleted", channel="C0OPS", ts=scene.ts(71))
    expect(replies.get_by_role("article")).to_contain_text(["in a reply"])


def test_unread_channels_are_marked_until_they_are_opened(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    reports = page.get_by_role("button", name=re.compile("reports"))
    expect(reports).to_have_accessible_name(re.compile("2 unread"))
    said = scene.said(scene.ts(80), "U0GRACE", "more", "C0REPORTS")
    workspace.emit("message", channel="C0REPORTS", message=said)
    expect(reports).to_have_accessible_name(re.compile("3 unread"))
    reports.click()
    assert workspace.next_request("/dev/read") == {"channel": "C0REPORTS"}
    expect(page.get_by_role("article")).to_contain_text(["Numbers are in", "more"])
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("reports")


# --- composer ---------------------------------------------------------------------------------


def test_a_slash_leads_to_the_composer_and_completes_commands(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    box = page.get_by_role("combobox", name="Message #ops")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    expect(box).to_have_value("")
    page.keyboard.type("/s")
    options = page.get_by_role("listbox", name="Commands").get_by_role("option")
    expect(options).to_contain_text(["/status", "/scale"])
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    active = options.nth(1).get_attribute("id")
    assert active
    expect(box).to_have_attribute("aria-activedescendant", active)
    page.keyboard.press("Tab")
    expect(box).to_have_value("/scale ")
    expect(box).to_be_focused()
    page.keyboard.type("web 3")
    page.keyboard.press("Enter")
    sent = {"channel": "C0OPS", "text": "/scale web 3"}
    assert workspace.next_request("/dev/command") == sent
    expect(box).to_have_value("")
    page.keyboard.press("ArrowUp")
    expect(box).to_have_value("/scale web 3")


def test_plain_words_are_said_and_kept_when_they_cannot_be_sent(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    box = page.get_by_role("combobox", name="Message #ops")
    box.fill("hello there")
    box.press("Enter")
    sent = {"channel": "C0OPS", "text": "hello there"}
    assert workspace.next_request("/dev/message") == sent
    workspace.answers["/dev/message"] = (400, {"ok": False, "error": "Not now."})
    box.fill("once more")
    box.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Not now.")).to_be_visible()
    expect(box).to_have_value("once more")


def test_a_command_without_an_answer_gets_the_warning(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    out = scene.delivery(kind="command", message_ts=None, block_id=None, action_id=None)
    workspace.emit("delivery", delivery=out)
    expect(page.get_by_text("Waiting for an answer…")).to_be_visible()
    failed = {**out, "status": "timeout", "note": "/deploy failed with operation_timeout"}
    workspace.emit("delivery", delivery=failed)
    warning = page.get_by_role("alert").filter(has_text="operation_timeout")
    expect(warning).to_contain_text("⚠")


# --- journey ----------------------------------------------------------------------------------


def test_the_journey_is_told_step_by_step_with_the_reply_as_the_line(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    log = page.get_by_role("log", name="Journey of your last click")
    expect(log).to_contain_text("Press a button or send a command.")
    workspace.emit("journey", journey=scene.journey())
    lines = log.get_by_role("listitem")
    expect(lines).to_have_count(9)
    expect(lines.nth(3)).to_contain_text("●")
    expect(lines.nth(3)).to_contain_text("recorded run 01J9ZK3M5T")
    expect(lines.nth(3)).to_contain_text("0.6 ms")
    expect(lines.nth(5)).to_have_text("the reply is out")
    expect(lines.nth(7)).to_contain_text("◌")
    expect(lines.nth(8)).to_contain_text("○")
    failed = scene.journey(state="failed")
    failed["steps"][-1]["status"] = "failed"
    workspace.emit("journey", journey=failed)
    expect(lines.nth(8)).to_contain_text("✕")


def test_an_opened_step_stays_open_while_the_journey_goes_on(
    page: Page, workspace: Workspace
) -> None:
    workspace.state["journeys"] = [scene.journey()]
    visit(page, workspace)
    log = page.get_by_role("log")
    log.get_by_text("verified").click()
    expect(log.get_by_text('"X-Slack-Signature"')).to_be_visible()
    done = scene.journey(state="succeeded")
    workspace.emit("journey", journey=done)
    expect(log).to_contain_text("succeeded")
    expect(log.get_by_text('"X-Slack-Signature"')).to_be_visible()


def test_earlier_journeys_stand_below_and_open(page: Page, workspace: Workspace) -> None:
    old = scene.journey("J0", "denied", title="Deploy · web → production", user="U0GUEST")
    workspace.state["journeys"] = [scene.journey(), old]
    visit(page, workspace)
    earlier = page.get_by_text("Deploy · web → production")
    expect(page.get_by_role("log")).not_to_contain_text("production")
    expect(page.get_by_text("verified").nth(1)).to_have_count(0)
    earlier.click()
    expect(page.get_by_text("verified").nth(1)).to_be_visible()


def test_the_records_show_the_request_the_run_and_the_log(page: Page, workspace: Workspace) -> None:
    workspace.state["journeys"] = [scene.journey()]
    workspace.journeys["J1"] = {
        **scene.journey(),
        "delivery": {"headers": {"X-Slack-Signature": "v0=…"}, "body": "payload=…"},
        "base_string": "v0:1800000000:payload=…",
        "run": {"id": "01J9Z", "state": "running"},
        "audit": [{"event": "recorded"}],
        "log": [{"event": "answered", "status": 200}],
    }
    visit(page, workspace)
    for name, words in (
        ("raw request", "v0:1800000000:payload=…"),
        ("run", '"event": "recorded"'),
        ("log", '"event": "answered"'),
    ):
        opener = page.get_by_role("button", name=name, exact=True)
        opener.click()
        dialog = page.get_by_role("dialog", name=re.compile(name))
        expect(dialog).to_contain_text(words)
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()


def test_a_record_that_cannot_be_fetched_says_what_to_do(page: Page, workspace: Workspace) -> None:
    workspace.state["journeys"] = [scene.journey()]
    visit(page, workspace)
    page.get_by_role("button", name="run", exact=True).click()
    expect(page.get_by_text("Try again in a moment.")).to_be_visible()


# --- the far ends -----------------------------------------------------------------------------


def test_faults_are_switches(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    slow = page.get_by_role("switch", name="service slow")
    expect(slow).not_to_be_checked()
    slow.press(" ")
    assert workspace.next_request("/dev/fault") == {"name": "service_slow", "on": True}
    expect(slow).to_be_checked()
    expect(slow).to_have_accessible_description("The service takes five seconds to answer.")
    workspace.answers["/dev/fault"] = (400, {"ok": False, "error": "Not now."})
    slow.click()
    expect(page.get_by_text("Not now.")).to_be_visible()
    expect(slow).to_be_checked()


def test_killing_the_gateway_shows_it_going_down_and_coming_back(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    page.get_by_role("button", name="kill the gateway").click()
    assert workspace.next_request("/dev/kill") == {}
    light = page.get_by_role("status").filter(has_text="Gateway is")
    for state, words in (
        ("down", "It is being started again"),
        ("restarting", "as soon as it is up"),
    ):
        workspace.emit("gateway", gateway={"state": state, "pid": None, "restarts": 1})
        expect(light).to_have_text(f"Gateway is {state}")
        expect(page.get_by_text(words)).to_be_visible()
    workspace.emit("gateway", gateway={"state": "up", "pid": 4243, "restarts": 1})
    expect(light).to_have_text("Gateway is up")
    expect(page.get_by_text("as soon as it is up")).to_have_count(0)


def test_the_cluster_drawer_shows_pods_as_they_change(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    drawer = page.get_by_role("button", name="Cluster")
    expect(drawer).to_have_attribute("aria-expanded", "false")
    drawer.click()
    web = page.get_by_role("region", name="staging/web")
    expect(web).to_contain_text("3 of 3 ready")
    expect(web).to_contain_text("Scaled up replica set web-7c to 1")
    pending = scene.pod("web-8d-00abc", "Pending", ready=False, version="2.5.0")
    workspace.emit("cluster", cluster=scene.cluster(scene.pod("web-7c-x2v9p"), pending))
    tiles = web.get_by_role("list").first.get_by_role("listitem")
    expect(tiles).to_contain_text(["ready", "pending"])
    expect(tiles.nth(1)).to_contain_text("2.5.0")
    page.reload()
    expect(web).to_be_visible()


def test_the_cluster_drawer_tells_the_past_of_a_workload_and_how_to_look_from_a_shell(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    page.get_by_role("button", name="Cluster").click()
    drawer = page.get_by_role("region", name="Cluster")
    expect(drawer).to_contain_text("kubectl get pods -n staging")
    expect(drawer.get_by_role("button", name="Copy")).to_be_visible()
    expect(drawer).to_contain_text("a record of 2 operations")
    web = page.get_by_role("region", name="staging/web")
    expect(web).to_contain_text("Deployment")
    expect(web.get_by_role("list", name="Revisions")).to_have_count(0)
    web.locator("summary").click()
    revisions = web.get_by_role("list", name="Revisions").get_by_role("listitem")
    expect(revisions).to_contain_text(["deploy by slack:T0TIDE:U0ADA", "2.4.0"])
    expect(web.get_by_role("list", name="Events")).to_contain_text("Scaled up replica set")
    assert page.evaluate(OVERFLOWS) == []


def test_the_cluster_drawer_shows_how_the_agent_is(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    page.get_by_role("button", name="Cluster").click()
    light = page.get_by_role("region", name="Cluster").get_by_role("status")
    expect(light).to_have_text("agent is up")
    workspace.emit("agent", agent={"state": "down", "pid": None, "restarts": 0})
    expect(light).to_have_text("agent is down")


def test_the_hint_goes_with_the_first_click(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    hint = page.get_by_text("Press Deploy. Then press it again, or be Guest.")
    expect(hint).to_be_visible()
    workspace.emit("delivery", delivery=scene.delivery())
    expect(hint).to_have_count(0)


def test_a_lost_stream_is_said_and_found_again_with_what_happened_meanwhile(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    workspace.drop_streams(refuse_new=True)
    lost = page.get_by_role("alert").filter(has_text="Connection to the workspace lost")
    expect(lost).to_contain_text("trying again…")
    missed = scene.said(scene.ts(90), "U0GRACE", "said while you were away")
    workspace.state["messages"]["C0OPS"].append(missed)
    workspace.refuses_streams = False
    expect(page.get_by_text("said while you were away").first).to_be_visible(timeout=8000)
    expect(lost).to_have_count(0)


def test_an_empty_channel_says_what_to_do(page: Page, workspace: Workspace) -> None:
    visit(page, workspace)
    page.get_by_role("button", name="incidents").click()
    expect(page.get_by_text("Nothing has been said in #incidents yet.")).to_be_visible()


# --- looks ------------------------------------------------------------------------------------

# For every text on the page: its contrast with what it stands on, as WCAG 2 computes it.
CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const words = walker.currentNode.textContent.trim();
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (!words || style.visibility === "hidden" || box.width < 2) continue;
    if (element.closest(":disabled, .emoji")) continue;
    const pair = [luminance(rgba(style.color).slice(0, 3)), luminance(ground(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) found.push(`${words.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""


def test_the_bucket_drawer_shows_what_lies_there_and_opens_nothing(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    page.get_by_role("button", name="Bucket").click()
    drawer = page.get_by_role("region", name="Bucket")
    expect(drawer).to_contain_text("/tmp/tidegate-dev-x/buckets/acme-reports")
    rows = drawer.get_by_role("listitem")
    expect(rows).to_contain_text(["q3/report.pdf"])
    expect(rows.first).to_contain_text("application/pdf · 1.3 KB · version 486b6b8")
    new = scene.object_("notes <b>.txt", "text/plain", 21)
    workspace.emit("bucket", bucket=scene.bucket(*workspace.state["bucket"]["objects"], new))
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("notes <b>.txt")
    expect(drawer.get_by_role("link")).to_have_count(0)
    expect(drawer.get_by_role("button")).to_have_count(0)
    workspace.emit("bucket", bucket=scene.bucket(new, count=300))
    expect(drawer).to_contain_text("… and 299 more.")
    workspace.emit("bucket", bucket=scene.bucket())
    expect(drawer).to_contain_text("The bucket is empty.")


def test_one_drawer_is_open_at_a_time_and_stays_so_after_a_reload(
    page: Page, workspace: Workspace
) -> None:
    visit(page, workspace)
    page.get_by_role("button", name="Cluster").click()
    page.get_by_role("button", name="Bucket").click()
    for _ in range(2):
        expect(page.get_by_role("region", name="Bucket")).to_be_visible()
        expect(page.get_by_role("region", name="Cluster")).to_have_count(0)
        page.reload()
    page.get_by_role("button", name="Bucket").click()
    expect(page.get_by_role("region", name="Bucket")).to_have_count(0)


# What sticks out of the window, or out of a box that does not scroll sideways.
OVERFLOWS = """() => [...document.querySelectorAll("#page *")]
  .filter((e) => !e.closest(".unseen, .tip, svg") && e.getBoundingClientRect().width > 1)
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5
    || e.getBoundingClientRect().left < -0.5
    || (e.clientWidth && e.scrollWidth > e.clientWidth + 1
        && getComputedStyle(e).overflowX === "visible" && getComputedStyle(e).display !== "inline"))
  .map((e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 30)}`)"""


def busy_state() -> Json:
    """A state with something of everything."""
    state = scene.first_state()
    state["messages"]["C0OPS"] += [
        scene.message(scene.ts(70), scene.section("Needs *@sre*."), ephemeral_for="U0ADA"),
        scene.message(
            scene.ts(80),
            scene.section(
                "`code` <https://example.com|link> <@U0ADA> <@U0GRACE> " + "long" * 60,
                fields=[scene.mrkdwn("*Ready*\n3 of 3"), scene.mrkdwn("*Revision*\n7")],
                accessory=scene.button("Roll back", "rollback", style="danger"),
            ),
            {"type": "context", "elements": [scene.mrkdwn("Asked by <@U0ADA>")]},
            {"type": "image", "image_url": "", "alt_text": "nothing"},
            edited=True,
            replies=[scene.said(scene.ts(90), "U0GUEST", "> thanks", thread_ts=scene.ts(80))],
        ),
    ]
    state["messages"]["C0OPS"].append(
        scene.message(
            scene.ts(100),
            scene.image("/proxy/1", "one", 400, 300, title=scene.plain("one.png " + "long" * 20)),
            scene.image("/proxy/2", "two", 300, 900),
            scene.section("More", accessory=scene.button("Open", "o", url="https://example.com")),
            files=[
                scene.file("a-name-without-any-space-" * 5 + ".csv", "CSV", 1536),
                scene.picture_file("cpu.png", 800, 400),
                scene.file("secret.pdf", "PDF", 10, seen_by=[]),
            ],
        )
    )
    note = "Operation timed out. Apps need to respond within three seconds."
    state["deliveries"] = [scene.delivery("timeout", note=note)]
    failed = scene.journey("J0", "failed", title="Deploy · web → production · with a long title")
    failed["steps"][-1]["status"] = "failed"
    state["journeys"] = [failed, scene.journey("J2"), scene.journey("J3", "unknown")]
    state["faults"][0]["on"] = True
    state["gateway"] = {"state": "restarting", "pid": None, "restarts": 3}
    state["agent"] = {"state": "down", "pid": None, "restarts": 3}
    state["cluster"] = scene.cluster(
        scene.pod("web-7c-x2v9p"),
        scene.pod("web-7c-lm4kd", "Pending", ready=False),
        scene.pod("web-5f-zzz11", "Terminating", ready=False),
        scene.pod("web-5f-zz911", "CrashLoopBackOff", ready=False),
    )
    state["bucket"] = scene.bucket(
        scene.object_("q3/" + "a-name-without-any-space-" * 5 + ".csv", "text/csv", 1536),
        scene.object_("q3/report", "application/vnd.openxmlformats-officedocument", 10**9),
        folder="/tmp/" + "a-folder-without-any-space-" * 5,
        count=7,
    )
    state["cluster"]["workloads"][0]["events"].append(
        {"at": "2027-01-15T08:00:00Z", "text": "Back-off restarting", "level": "warning"}
    )
    return state


@pytest.mark.parametrize("drawer", ["Cluster", "Bucket"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_in_light_and_in_dark(
    page: Page, workspace: Workspace, scheme: str, drawer: str
) -> None:
    workspace.state = busy_state()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    visit(page, workspace)
    page.get_by_role("button", name=drawer).click()
    page.get_by_role("log").get_by_text("verified").click()
    page.get_by_role("combobox", name="Message #ops").fill("/")
    expect(page.get_by_role("listbox", name="Commands")).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
    ground = page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor")
    red = int(re.findall(r"\d+", ground)[0])
    assert red < 60 if scheme == "dark" else red > 200


@pytest.mark.parametrize("drawer", ["Cluster", "Bucket"])
@pytest.mark.parametrize(
    "width", [900, *(pytest.param(width, marks=pytest.mark.long) for width in (1440, 1920))]
)
def test_nothing_sticks_out_at_any_width(
    page: Page, workspace: Workspace, width: int, drawer: str
) -> None:
    workspace.state = busy_state()
    page.set_viewport_size({"width": width, "height": 700})
    visit(page, workspace)
    page.get_by_role("button", name=drawer).click()
    assert page.evaluate(OVERFLOWS) == []


def test_someone_who_wants_less_motion_gets_none(page: Page, workspace: Workspace) -> None:
    workspace.state = busy_state()
    workspace.state["deliveries"] = [scene.delivery()]
    visit(page, workspace)
    expect(page.get_by_role("button", name="Status", exact=True)).to_have_attribute(
        "aria-busy", "true"
    )
    moving = page.evaluate(
        "document.getAnimations({subtree: true}).map((a) => a.animationName)"
        ".filter((name) => ['turn', 'breathe'].includes(name))"
    )
    assert moving == []
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate("document.getAnimations().some((a) => a.animationName === 'turn')")
