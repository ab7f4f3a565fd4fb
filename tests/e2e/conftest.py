"""A dev workspace as a person starts it, and a real browser on its page."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.chromium import ARGUMENTS, executable
from tests.ports import free_ports

ARTEFACTS = Path(__file__).parents[2] / "test-artifacts"
PORTS = 9  # the workspace takes so many in a row


@dataclass(frozen=True, slots=True)
class Workspace:
    """A running `tidegate dev`."""

    url: str
    process: subprocess.Popen[str]

    def state(self, page: Page) -> Any:
        return page.request.get(f"{self.url}dev/state").json()


@contextlib.contextmanager
def dev(*arguments: str) -> Iterator[Workspace]:
    """A dev workspace while the block runs."""
    port = str(free_ports(PORTS))
    command = [sys.executable, "-m", "tidegate", "dev", "--no-browser", "--port", port]
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"Tidegate workspace: (http://127\.0\.0\.1:\d+/)", line):
                yield Workspace(found[1], process)
                break
        else:
            raise AssertionError("".join(said))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(20) == 0


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """A workspace of the test's own."""
    with dev() as started:
        yield started


@pytest.fixture(scope="module")
def shared_workspace() -> Iterator[Workspace]:
    """One workspace for tests that do not mind what others did there."""
    with dev() as started:
        yield started


# While the browser's own loop runs, no other test of the same process could have one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, workspace: Workspace) -> Iterator[Page]:
    """The page of a workspace of the test's own."""
    with opened(browser, workspace) as page:
        yield page


@pytest.fixture
def shared_page(browser: Browser, shared_workspace: Workspace) -> Iterator[Page]:
    """The page of the shared workspace, where one is Ada again."""
    with opened(browser, shared_workspace) as page:
        page.request.post(f"{shared_workspace.url}dev/user", data={"user": "U0ADA"})
        yield page


@contextlib.contextmanager
def opened(browser: Browser, workspace: Workspace) -> Iterator[Page]:
    """A workspace's page, which must not report a single error."""
    errors: list[str] = []
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    expect.set_options(timeout=15_000)
    page.goto(workspace.url)
    expect(page.get_by_role("article").first).to_be_visible()
    yield page
    context.close()
    assert errors == []


def keep(page: Page, name: str) -> None:
    """Keep a picture of the page for people to look at."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
