"""What a person sees after a slash command: the app's answer, or why there is none."""

from typing import Any

from tidegate_dev.slack.deliveries import Delivery
from tidegate_dev.slack.errors import ApiError
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.pictures import Pictures
from tidegate_dev.slack.state import Workspace

Json = dict[str, Any]


async def shown(workspace: Workspace, pictures: Pictures, delivery: Delivery) -> Message | None:
    """Return the message that *delivery*'s answer becomes, not yet posted; None for an empty one.

    Source: https://docs.slack.dev/interactivity/implementing-slash-commands/#responding_to_commands
    """
    content = await _content(workspace, pictures, delivery)
    if content is None:
        return None
    public = content.get("response_type") == "in_channel"
    message = workspace.bot_message(
        delivery.channel,
        text=content.get("text", ""),
        blocks=content.get("blocks", []),
        ephemeral_for=None if public else delivery.user,
    )
    if not delivery.acked:
        message.user, message.bot_id, message.app_id = "USLACKBOT", "B0SLACKBOT", None
    return message


async def _content(workspace: Workspace, pictures: Pictures, delivery: Delivery) -> Json | None:
    if not delivery.acked:
        return {"text": delivery.note or ""}
    if not delivery.answer.strip():
        return None
    if not delivery.answer_type.startswith("application/json"):
        return {"text": delivery.answer.decode("utf-8", "replace")}
    answer = delivery.answer_json()
    if not isinstance(answer, dict) or not (answer.get("text") or answer.get("blocks")):
        return None
    bot = workspace.identity.bot_user_id
    try:
        blocks = await pictures.accepted(
            answer.get("blocks") or [], user=bot, channel=delivery.channel
        )
    except ApiError as error:
        return {"text": f"{delivery.title} answered with blocks that Slack refuses: {error}"}
    return {
        "text": str(answer.get("text") or ""),
        "blocks": blocks,
        "response_type": answer.get("response_type", "ephemeral"),
    }
