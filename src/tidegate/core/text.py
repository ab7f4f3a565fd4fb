"""Text that others wrote, made fit to be shown in Slack and on a terminal.

Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
"""

from typing import Final

_KEPT: Final = "\n\u200d"  # the joiner inside many emoji; direction overrides are not kept


def escape(text: str) -> str:
    """Return *text* as Slack shows it literally: no mention, no link, no control character."""
    visible = "".join(c if c in _KEPT or c.isprintable() else " " for c in text)
    return visible.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def is_whole(text: str) -> bool:
    """Tell whether *text* can be encoded: halves of characters stand for bytes that are no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def harmless(text: object) -> str:
    """Return *text* as a terminal can show it: one line, no controls, no direction overrides."""
    return "".join(c if c.isprintable() else "·" for c in str(text))


def harmless_lines(text: str) -> str:
    """Return *text* as `harmless` does, with its own line ends left in it."""
    return "\n".join(map(harmless, text.split("\n")))


def cut(text: str, most: int) -> str:
    """Return *text*, not longer than *most* characters, without half an entity at its end."""
    if len(text) <= most:
        return text
    short = text[: most - 1]
    start = short.rfind("&", max(0, len(short) - 5))
    if start != -1 and ";" not in short[start:]:
        short = short[:start]
    return short + "…"
