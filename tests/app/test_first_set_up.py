"""What `tidegate init` writes works: the app it makes may do enough, and a click arrives."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.blueprints import answers
from tests.stand import Stand, stand
from tidegate.core.blueprint import Pathway, draw

ANSWERS = answers(
    Pathway.DIRECT,
    region=None,
    namespaces=("staging",),
    users=("U0ADA",),
    team="T0TIDEGATE",
    channels=("C0OPS",),
)
FILES = {file.name: file.text for file in draw(ANSWERS).files}


def on_this_machine(config: dict[str, Any]) -> None:
    """Put the file that was written into the stand, but for the addresses."""
    drawn = yaml.safe_load(FILES["tidegate.yaml"])
    config["actions"] = drawn["actions"]
    assert drawn["slack"]["bot_token"] == config["slack"]["bot_token"]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand(tmp_path, change=on_this_machine) as found:
        scopes = json.loads(FILES["slack-manifest.json"])["oauth_config"]["scopes"]
        required = set(scopes["bot"]) - set(scopes["bot_optional"])
        found.slack.workspace.scopes = required
        yield found


async def test_the_button_of_the_first_message_and_the_command_ask_for_the_status(
    here: Stand,
) -> None:
    ts = here.message(blocks=json.loads(FILES["first-message.json"]))
    await here.click(ts, action_id="k8s_status")
    await here.told(ts, "done")
    (command,) = json.loads(FILES["slack-manifest.json"])["features"]["slash_commands"]
    await here.slack.command(command["command"], "api")
    await here.slack.wait_for(lambda: len(here.service.posts) == 2, seconds=15)
    assert [(each.path, each.json()["params"]) for each in here.service.posts] == [
        ("/api/v1/status", {"namespace": "staging", "deployment": "web"}),
        ("/api/v1/status", {"namespace": "staging", "deployment": "api"}),
    ]
    assert [call.method for call in here.slack.calls if call.error == "missing_scope"] == []
