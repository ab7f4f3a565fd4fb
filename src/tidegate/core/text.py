"""Text that others wrote, made fit to be shown in Slack.

Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
"""

from typing import Final

_KEPT: Final = "\n\u200d"  # the joiner inside many emoji; direction overrides are not kept


def escape(text: str) -> str:
    """Return *text* as Slack shows it literally: no mention, no link, no control character."""
    visible = "".join(c if c in _KEPT or c.isprintable() else " " for c in text)
    return visible.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, most: int) -> str:
    """Return *text*, not longer than *most* characters, without half an entity at its end."""
    if len(text) <= most:
        return text
    short = text[: most - 1]
    start = short.rfind("&", max(0, len(short) - 5))
    if start != -1 and ";" not in short[start:]:
        short = short[:start]
    return short + "…"
