"""What a newcomer sees in the first minutes, in a real browser on the real workspace."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Workspace, keep

pytestmark = pytest.mark.xdist_group("browser")

RUNS = "web in staging runs registry.example.com/web:2.4.1"


def message(page: Page, text: str) -> Locator:
    return page.get_by_role("article").filter(has_text=text).first


def staging(page: Page) -> Locator:
    return message(page, "Deploy web 2.4.1 to staging?")


def journey(page: Page) -> Locator:
    return page.get_by_role("log")


def be(page: Page, name: str) -> None:
    page.get_by_role("radio", name=re.compile(name)).check()


def go_to(page: Page, channel: str) -> None:
    page.get_by_role("navigation").get_by_text(channel, exact=True).click()


def press(within: Locator, name: str) -> None:
    within.get_by_role("button", name=name, exact=True).click()


def test_ada_presses_deploy_and_watches_it_finish(page: Page, workspace: Workspace) -> None:
    press(staging(page), "Deploy")
    expect(journey(page)).to_contain_text("acked")
    expect(journey(page)).to_contain_text("the reply is out")
    keep(page, "deploy-working")
    expect(staging(page)).to_contain_text(RUNS)
    expect(staging(page)).to_contain_text("done")
    expect(staging(page).get_by_role("button", name="Deploy", exact=True)).to_have_count(0)
    expect(staging(page).get_by_role("button", name="Status", exact=True)).to_be_visible()
    expect(journey(page)).to_contain_text("told in Slack")
    expect(journey(page)).to_contain_text("3 of 3")
    keep(page, "deploy-done")
    assert workspace.state(page)["cluster"]["effects"] == {"distinct": 1, "performed": 1}
    page.reload()
    expect(staging(page)).to_contain_text(RUNS)
    expect(journey(page)).to_contain_text("succeeded")


def test_a_guest_is_told_that_it_is_not_for_guests(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    be(shared_page, "Guest")
    press(staging(shared_page), "Deploy")
    notice = shared_page.get_by_role("article").filter(has_text="Only visible to you")
    expect(notice.first).to_contain_text("nothing was done")
    expect(staging(shared_page).get_by_role("button", name="Deploy", exact=True)).to_be_visible()
    keep(shared_page, "guest-refused")
    be(shared_page, "Ada")
    expect(notice).to_have_count(0)
    runs = shared_workspace.state(shared_page)["journeys"]
    assert {run["state"] for run in runs if run["user"] == "U0GUEST"} <= {"refused", "denied"}


def test_production_asks_first_and_needs_the_right_group(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    production = message(shared_page, "Production needs")
    press(production, "Deploy to production")
    shared_page.get_by_role("dialog").get_by_role("button", name="Not now").click()
    expect(shared_page.get_by_role("dialog")).to_have_count(0)
    delivered = shared_workspace.state(shared_page)["deliveries"]
    assert not any(one["action_id"] == "k8s_deploy_production" for one in delivered)
    press(production, "Deploy to production")
    press(shared_page.get_by_role("dialog"), "Deploy")
    notice = shared_page.get_by_role("article").filter(has_text="Only visible to you")
    expect(notice.first).to_contain_text("@sre")
    be(shared_page, "Grace")
    press(production, "Deploy to production")
    press(shared_page.get_by_role("dialog"), "Deploy")
    expect(production).to_contain_text("web in production runs registry.example.com/web:2.4.1")


def test_two_presses_by_two_people_are_one_deploy(page: Page, workspace: Workspace) -> None:
    found = workspace.state(page)["messages"]["C0OPS"][0]["ts"]
    target = {"channel": "C0OPS", "action_id": "k8s_deploy", "block_id": "staging", "ts": found}
    for user in ("U0ADA", "U0GRACE", "U0ADA"):
        # The answer does not wait, so that no message has changed before the last press.
        page.request.post(f"{workspace.url}dev/click", data={**target, "user": user})
    expect(staging(page)).to_contain_text(RUNS)
    state = workspace.state(page)
    assert [delivery["status"] for delivery in state["deliveries"]] == ["acked"] * 3
    assert state["cluster"]["effects"] == {"distinct": 1, "performed": 1}


def test_a_slash_command_is_answered_with_a_message_of_its_own(shared_page: Page) -> None:
    composer = shared_page.get_by_role("combobox").last
    composer.fill("/deploy web 2.4.2")
    composer.press("Enter")
    answer = shared_page.get_by_role("article").filter(has_text="/deploy")
    expect(answer.last).to_contain_text("web in staging runs registry.example.com/web:2.4.2")


def test_a_button_that_nothing_is_connected_to_says_so(shared_page: Page) -> None:
    go_to(shared_page, "incidents")
    press(message(shared_page, "Old runbook"), "Restart checkout")
    notice = shared_page.get_by_role("article").filter(has_text="Only visible to you")
    expect(notice.first).to_contain_text("not connected to anything")


def test_a_killed_gateway_goes_on_where_it_was(page: Page, workspace: Workspace) -> None:
    page.get_by_role("switch", name="service slow").click()
    expect(page.get_by_role("switch", name="service slow")).to_be_checked()
    press(staging(page), "Deploy")
    # Not "acked": that step is named from the start, and a click is only safe once it is out.
    expect(journey(page)).to_contain_text("the reply is out")
    page.get_by_role("button", name="kill the gateway").click()
    expect(page.get_by_text(re.compile("Gateway is (restarting|down|starting)"))).to_be_visible()
    page.get_by_role("switch", name="service slow").click()
    expect(staging(page)).to_contain_text(RUNS, timeout=40_000)
    keep(page, "after-the-kill")
    assert workspace.state(page)["cluster"]["effects"]["distinct"] == 1


@pytest.mark.long
def test_a_service_that_is_down_is_tried_again(page: Page, workspace: Workspace) -> None:
    page.get_by_role("switch", name="service down").click()
    expect(page.get_by_role("switch", name="service down")).to_be_checked()
    press(staging(page), "Deploy")
    expect(staging(page)).to_contain_text(re.compile("trying again|busy|could not be reached"))
    page.get_by_role("switch", name="service down").click()
    expect(staging(page)).to_contain_text(RUNS, timeout=40_000)
    assert workspace.state(page)["cluster"]["effects"]["distinct"] == 1


def test_what_the_edge_turns_away_is_told_in_plain_words(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    for fault, words in (
        ("not permitted", "no policy lets the gateway in"),
        ("clocks differ", "the clocks are too far apart"),
        ("wrong region", "it was signed for another region"),
        ("wrong stage", "there is no such stage"),
    ):
        switch = shared_page.get_by_role("switch", name=fault)
        switch.click()
        expect(switch).to_have_attribute("aria-checked", "true")
        shared_page.request.post(
            f"{shared_workspace.url}dev/command",
            data={"channel": "C0OPS", "text": "/status web", "wait": True},
        )
        expect(journey(shared_page)).to_contain_text(f"turned away by the edge: {words}")
        expect(journey(shared_page)).to_contain_text("told in Slack")
        switch.click()
        expect(switch).to_have_attribute("aria-checked", "false")
    keep(shared_page, "edge-turned-away")


def test_a_button_can_be_pressed_with_the_keyboard(shared_page: Page) -> None:
    staging(shared_page).get_by_role("button", name="Status", exact=True).focus()
    shared_page.keyboard.press("Enter")
    expect(staging(shared_page)).to_contain_text("done")


@pytest.mark.long
def test_no_answer_in_three_seconds_gets_the_warning(
    shared_page: Page, shared_workspace: Workspace
) -> None:
    shared_page.request.post(f"{shared_workspace.url}dev/kill", data={})
    press(staging(shared_page), "Deploy")
    expect(staging(shared_page)).to_contain_text("⚠")
