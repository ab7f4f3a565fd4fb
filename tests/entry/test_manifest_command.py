"""`tidegate manifest` as a person or a machine runs it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.entry.commands import Said, tidegate
from tests.slack_manifests import complaints
from tidegate_dev.slack import SlackFarEnd

URL = "https://tidegate.example.com"
CONFIGURATION = """
slack: {bot_token: {env: SLACK_BOT_TOKEN}, signing_secrets: [{env: SLACK_SIGNING_SECRET}]}
store: {url: "sqlite:///t.db"}
pathways: {cluster: {type: direct, url: "https://agent.example.com", auth: {type: none}}}
actions:
  deploy: {use: k8s_deploy, match: {command: [/deploy]}, pathway: cluster, allow: {users: [U0A]}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, and nothing in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("TIDEGATE_CONFIG", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"):
        monkeypatch.delenv(name, raising=False)
    Path("tidegate.yaml").write_text(CONFIGURATION, "utf-8")
    return tmp_path


def socket_mode() -> None:
    text = CONFIGURATION.replace("slack: {", "slack: {app_token: {env: A}, ")
    Path("tidegate.yaml").write_text(text, "utf-8")


def exported(**changes: Any) -> Any:
    document = json.loads(tidegate("manifest", "--url", URL).out)
    return {**document, **changes}


def written(name: str, document: Any) -> str:
    Path(name).write_text(json.dumps(document), "utf-8")
    return name


# --- a manifest -----------------------------------------------------------------------------


def test_it_prints_what_slack_takes() -> None:
    said = tidegate("manifest", "--url", f"{URL}/")
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    assert complaints(document) == []
    assert document["features"]["slash_commands"][0]["url"] == f"{URL}/slack/commands"
    assert tidegate("manifest", "--url", URL, "--json").out == said.out


def test_yaml_says_the_same(folder: Path) -> None:
    said = tidegate("manifest", "--url", URL, "--yaml", "--config", str(folder / "tidegate.yaml"))
    assert said.code == 0
    assert yaml.safe_load(said.out) == exported()


def test_the_app_can_have_another_name_and_fewer_rights() -> None:
    said = tidegate("manifest", "--url", URL, "--name", "Ops gate", "--required-only")
    document = json.loads(said.out)
    assert document["display_information"]["name"] == "Ops gate"
    assert document["features"]["bot_user"]["display_name"] == "ops-gate"
    assert "bot_optional" not in document["oauth_config"]["scopes"]
    more = json.loads(tidegate("manifest", "--url", URL, "--send-files").out)
    assert "files:write" in more["oauth_config"]["scopes"]["bot"]


def test_without_an_address_it_is_told_what_to_give() -> None:
    said = tidegate("manifest")
    assert (said.code, said.out) == (2, "")
    assert "--url: Slack has to know where to call" in said.err
    assert "mend: give the gateway's public address" in said.err


def test_socket_mode_needs_none_and_takes_none() -> None:
    socket_mode()
    said = tidegate("manifest")
    assert said.code == 0
    assert complaints(json.loads(said.out)) == []
    assert said.err.startswith("note: Socket Mode needs an app-level token")
    refused = tidegate("manifest", "--url", URL)
    assert refused.code == 2
    assert "with Socket Mode (slack.app_token) Slack calls nowhere" in refused.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://tidegate.example.com", "plain http"),
        ("tidegate.example.com", "must start with https://"),
        ("https://tidegate.example.com/\x1b[2J", "ASCII"),
    ],
)
def test_an_address_that_slack_cannot_call_is_wrong_usage(url: str, words: str) -> None:
    said = tidegate("manifest", "--url", url)
    assert said.code == 2
    assert said.err.startswith("--url: ")
    assert words in said.err
    assert "\x1b" not in said.err


def test_a_configuration_with_problems_is_refused_as_ever() -> None:
    Path("tidegate.yaml").write_text("slack: {}", "utf-8")
    said = tidegate("manifest", "--url", URL)
    assert said.code == 2
    assert "slack.bot_token" in said.err


def test_each_right_is_explained() -> None:
    said = tidegate("manifest", "--explain")
    assert said.code == 0
    assert "  users:read\n      for users.info\n      guests, people" in said.out
    assert "  channels:history  (can be done without)\n" in said.out
    assert "app-level" not in said.out
    lean = tidegate("manifest", "--explain", "--required-only", "--json")
    told = json.loads(lean.out)
    assert told["app"] == []
    assert all(need["required"] for need in told["bot"])
    socket_mode()
    assert (
        "The app-level token needs:\n  connections:write\n" in tidegate("manifest", "--explain").out
    )


# --- an installed app -----------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_app_that_was_made_from_it_lacks_nothing(*, wrapped: bool) -> None:
    document = {"ok": True, "manifest": exported()} if wrapped else exported()
    said = tidegate("manifest", "--url", URL, "--installed", written("app.json", document))
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "0 missing, 0 different, 0 spare\nThe installed app is what this configuration needs.\n"
    )


def test_an_exported_yaml_is_read_too() -> None:
    Path("app.yaml").write_text(yaml.safe_dump(exported()), "utf-8")
    assert tidegate("manifest", "--url", URL, "--installed", "app.yaml").code == 0


def test_what_is_missing_differs_and_is_to_spare_is_told_with_its_why() -> None:
    document = exported()
    document["oauth_config"]["scopes"]["bot"] = ["chat:write", "admin", "channels:history"]
    document["settings"]["interactivity"]["request_url"] = "https://old.example.com/slack/actions"
    file = written("app.json", document)
    said = tidegate("manifest", "--url", URL, "--installed", file)
    assert said.code == 1
    assert "+ oauth_config.scopes.bot: commands (missing)\n    the configuration has" in said.out
    assert "groups:history (missing, can be done without)" in said.out
    assert (
        "~ settings.interactivity.request_url: https://old.example.com/slack/actions, and it "
        f"should be {URL}/slack/actions (different)\n" in said.out
    )
    assert "- oauth_config.scopes.bot: admin (spare)\n" in said.out
    assert "\n6 missing, 1 different, 1 spare\nMend it: paste" in said.out
    told = json.loads(tidegate("manifest", "--url", URL, "--installed", file, "--json").out)
    assert told["ok"] is False
    assert told["differences"][0] == {
        "kind": "missing",
        "key": "oauth_config.scopes.bot",
        "wanted": "channels:read",
        "found": None,
        "why": told["differences"][0]["why"],
        "required": True,
    }


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    document = exported()
    document["oauth_config"]["scopes"]["bot"].append("\x9b31m\u202eadmin\nAll is well.")
    file = written("app.json", document)
    for form in ([], ["--json"]):
        said = tidegate("manifest", "--url", URL, "--installed", file, *form)
        assert said.code == 0
        assert "31m" in said.out
        assert not {"\x9b", "\u202e"} & set(said.out)
        assert "\nAll is well." not in said.out


def test_without_an_address_the_rest_is_compared_and_that_is_said() -> None:
    file = written("app.json", exported())
    said = tidegate("manifest", "--installed", file)
    assert said.code == 0
    assert said.out.endswith("Addresses were not compared: give the gateway's with --url.\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "this is not the manifest of a Slack app"),
        (b"[1]", "this is not the manifest of a Slack app"),
        (b'{"manifest": {"name": "x"}}', "this is not the manifest of a Slack app"),
        (b"a: [", "this is not YAML"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b"[" * 500, "the file says too much"),
        (b"a" * 300_000, "the file is too large"),
    ],
)
def test_a_file_that_is_no_manifest_is_told(content: bytes, words: str) -> None:
    Path("app.json").write_bytes(content)
    said = tidegate("manifest", "--installed", "app.json")
    assert (said.code, said.out) == (2, "")
    assert words in said.err


def test_a_file_that_is_not_there_is_told() -> None:
    said = tidegate("manifest", "--installed", "nowhere.json")
    assert said.code == 2
    assert "nowhere.json: cannot be read: No such file" in said.err


# --- asked of Slack -------------------------------------------------------------------------


def speaking_to(api_url: str) -> None:
    text = CONFIGURATION.replace("slack: {", f"slack: {{api_url: '{api_url}', ")
    Path("tidegate.yaml").write_text(text, "utf-8")


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlackFarEnd]:
    async with SlackFarEnd(limits_enabled=False) as far_end:
        speaking_to(far_end.api_url)
        monkeypatch.setenv("SLACK_BOT_TOKEN", far_end.bot_token)
        yield far_end


async def asked(*words: str) -> Said:
    return await asyncio.to_thread(tidegate, "manifest", "--installed", "live", *words)


async def test_slack_tells_what_the_token_may_do(slack: SlackFarEnd) -> None:
    said = await asked()
    assert said.code == 0
    assert "- oauth_config.scopes.bot: usergroups:read (spare)" in said.out
    assert "compare an exported manifest for the rest" in said.out
    slack.workspace.scopes.discard("users:read")
    told = json.loads((await asked("--json")).out)
    assert told["ok"] is False
    assert [each["wanted"] for each in told["differences"] if each["required"]] == ["users:read"]


async def test_a_token_that_is_none_or_not_there_is_told(
    slack: SlackFarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-none")
    said = await asked()
    assert (said.code, said.out) == (1, "")
    assert "Slack did not tell what the token may do (invalid_auth)" in said.err
    assert "look at slack.bot_token" in said.err
    assert "xoxb" not in said.err
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    said = await asked()
    assert said.code == 2
    assert said.err.startswith("slack.bot_token: ")
