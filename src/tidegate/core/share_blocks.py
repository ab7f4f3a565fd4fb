"""Block Kit for what is shared: link blocks, image blocks, galleries.

What others wrote, an object's name above all, stands in text elements that Slack does not read
as markup, so it can neither mention anyone nor break out of a link.

Source: https://docs.slack.dev/reference/block-kit/blocks
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.core.text import cut, escape

Block = dict[str, Any]

MAX_BLOCKS: Final = 50  # of a message
MAX_URL: Final = 3000
MAX_TITLE: Final = 2000
MAX_ALT: Final = 2000
MAX_PLAIN: Final = 3000
MAX_HEADER: Final = 150
MAX_LABEL: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image: a file in Slack, or a URL that Slack fetches; exactly one of the two."""

    alt_text: str
    title: str = ""
    file_id: str | None = None
    url: str | None = None


def link(
    *, title: str, url: str, about: str = "", expires_at: float | None = None, fallback: str = ""
) -> list[Block]:
    """Return blocks with one link, what it leads to, and until when.

    Args:
        title: The link's text.
        url: Where it leads.
        about: What it leads to, such as a key and a size.
        expires_at: Seconds since the Unix epoch, or None if it does not expire.
        fallback: The same moment in words, for who does not see Slack's own rendering.
    """
    text = cut(one_line(title), MAX_LABEL) or "link"
    element = {"type": "link", "url": url, "text": text, "style": {"bold": True}}
    section = {"type": "rich_text_section", "elements": [element]}
    blocks: list[Block] = [{"type": "rich_text", "elements": [section]}]
    below: list[dict[str, Any]] = []
    if one_line(about):
        below.append(plain(about))
    if expires_at is not None:
        words = escape(cut(one_line(fallback), MAX_HEADER)) or "then"
        moment = f"<!date^{int(expires_at)}^{{date_short_pretty}} {{time}}|{words}>"
        below.append({"type": "mrkdwn", "text": f"Works until {moment}, for anyone who has it"})
    if below:
        blocks.append({"type": "context", "elements": below})
    return blocks


def image(picture: Picture) -> Block:
    """Return an image block."""
    title = cut(one_line(picture.title), MAX_TITLE)
    alt_text = cut(one_line(picture.alt_text), MAX_ALT) or title or "image"
    block: Block = {"type": "image", "alt_text": alt_text}
    if title:
        block["title"] = {"type": "plain_text", "text": title, "emoji": False}
    if picture.file_id is not None:
        block["slack_file"] = {"id": picture.file_id}
    else:
        block["image_url"] = picture.url
    return block


def gallery(
    pictures: Sequence[Picture], *, title: str = "", comment: str = "", missing: Sequence[str] = ()
) -> list[list[Block]]:
    """Return the blocks of as many messages as it takes, in order.

    Args:
        pictures: In the order in which they are to appear.
        title: Stands above the first.
        comment: Stands below the title.
        missing: What could not be shared, each with its reason; stands below the last.
    """
    blocks: list[Block] = []
    if one_line(title):
        text = cut(one_line(title), MAX_HEADER)
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": text}})
    if one_line(comment):
        blocks.append(said(comment))
    blocks += [image(picture) for picture in pictures]
    if missing:
        text = "Not shared: " + "; ".join(missing)
        blocks.append({"type": "context", "elements": [plain(text)]})
    return [blocks[start : start + MAX_BLOCKS] for start in range(0, len(blocks), MAX_BLOCKS)]


def said(text: str) -> Block:
    """Return a section with what a person said, word for word, lines and all."""
    legible = "\n".join(map(_legible, text.splitlines()))
    words = cut(legible, MAX_PLAIN) if legible.strip() else "…"
    shown = {"type": "plain_text", "text": words, "emoji": True}
    return {"type": "section", "text": shown}


def plain(text: str) -> dict[str, Any]:
    """Return an element with a text that Slack shows as it is."""
    return {"type": "plain_text", "text": cut(one_line(text), MAX_PLAIN), "emoji": False}


def cut_title(text: str) -> str:
    """Return a title that Slack takes."""
    return cut(one_line(text), MAX_LABEL)


def one_line(text: str) -> str:
    """Return a text without what would break or turn a line."""
    return _legible(text).strip()


def _legible(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\u200d" else " " for char in text)
