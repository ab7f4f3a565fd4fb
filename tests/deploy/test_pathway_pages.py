"""What the pages about pathways tell people to write is understood, and what they name is there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.cloudformation.templates import NAMES
from tidegate.core.configuration import parse
from tidegate.core.remedy import remedy
from tidegate.entry import cli

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted((ROOT / "docs" / "pathways").glob("*.md"))
AROUND: Final = """\
slack: {bot_token: {env: SLACK_BOT_TOKEN}, signing_secrets: [{env: SLACK_SIGNING_SECRET}]}
store: {url: "sqlite:///tidegate.db"}
"""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(page: Path, kind: str) -> Iterator[str]:
    yield from re.findall(rf"```{kind}\n(.*?)```", page.read_text(), re.DOTALL)


def reasons(page: Path) -> list[str]:
    """What stands in the first column of the table of reasons."""
    (_, _, table) = page.read_text().partition("| reason |")
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return [reason for row in rows for reason in re.findall(r"`(\w+)`", row)]


@each_page
def test_its_pathways_are_understood(page: Path) -> None:
    found = list(blocks(page, "yaml"))
    assert found or page.stem == "README"
    for block in found:
        parse(AROUND + block, source=page.name)


def test_its_ways_to_prove_oneself_are_understood() -> None:
    page = ROOT / "docs" / "pathways" / "direct.md"
    written = re.findall(r"`(\{type: .*?\})`", page.read_text())
    assert len(written) >= 3
    for auth in written:
        pathway: dict[str, Any] = {"type": "direct", "url": "https://agent.example.com"}
        pathway["auth"] = yaml.safe_load(auth)
        parse(AROUND + yaml.safe_dump({"pathways": {"cluster": pathway}}), source=page.name)


@each_page
def test_its_reasons_are_those_of_the_gateway(page: Path) -> None:
    named = reasons(page)
    assert named or page.stem == "README"
    for reason in named:
        assert remedy(reason), f"{reason} is no reason"


@each_page
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@each_page
def test_its_stacks_are_templates(page: Path) -> None:
    for name in re.findall(
        r"tidegate-((?:pathway|load|slack|privatelink)-[a-z-]+)", page.read_text()
    ):
        assert name in NAMES, name


def test_a_policy_is_taken_from_its_role_before_the_stack_that_has_it_is_deleted() -> None:
    """IAM refuses to delete a policy that a role holds, and the stack stays half deleted."""
    text = (ROOT / "docs" / "pathways" / "api-gateway.md").read_text()
    (_, _, down) = text.partition("## Take it down")
    assert 0 < down.find("`InvokePolicyArn`") < down.find("delete-stack")


@each_page
def test_its_init_writes_what_it_says(page: Path, tmp_path: Path) -> None:
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    for number, line in enumerate(line for line in lines if line.startswith("tidegate init")):
        words = shlex.split(line)[1:]
        words[words.index("--out") + 1] = str(tmp_path / f"setup-{number}")
        assert cli.main(words) == 0, line
