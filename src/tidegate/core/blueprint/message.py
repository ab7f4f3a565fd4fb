"""A first message with a button, so that there is something to press."""

import json
from typing import Any, Final

from tidegate.core.blueprint.answers import Answers

#: The name of the file, and of the workload that the button asks about.
NAME: Final = "first-message.json"
WORKLOAD: Final = "web"


def text(answers: Answers) -> str:
    """Return the file: what `tidegate send --blocks` takes."""
    return json.dumps(blocks(answers), indent=2) + "\n"


def blocks(answers: Answers) -> list[dict[str, Any]]:
    """Return the blocks of the message."""
    namespace = answers.namespaces[0]
    value = {"namespace": namespace, "deployment": WORKLOAD}
    button = {
        "type": "button",
        "action_id": "k8s_status",
        "text": {"type": "plain_text", "text": "Status"},
        "value": json.dumps(value),
    }
    about = {"type": "mrkdwn", "text": f"*{WORKLOAD}* in {namespace}"}
    return [{"type": "section", "text": about}, {"type": "actions", "elements": [button]}]
