"""Rich text: the one block with a tree inside.

Source: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block/
"""

from collections.abc import Mapping
from typing import Any, Final

from tidegate_dev.slack.block_check import Check, Json

MOST_ELEMENTS: Final = 1000
MOST_TEXT: Final = 12_000
_STYLES: Final = frozenset(
    {"bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"}
)
# Fields that must be there, by the type of the run that has them.
_RUNS: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text",),
    "link": ("url",),
    "emoji": ("name",),
    "user": ("user_id",),
    "usergroup": ("usergroup_id",),
    "channel": ("channel_id",),
    "team": ("team_id",),
    "broadcast": ("range",),
    "date": ("format",),
    "color": ("value",),
}
_IN_PREFORMATTED: Final = frozenset({"text", "link"})


def check_block(check: Check, block: Json, at: str) -> None:
    """*block* is a rich_text block that Slack takes, or what is wrong is in *check*."""
    for index, part in enumerate(check.items(block, "elements", at, most=MOST_ELEMENTS)):
        place = f"{at}/elements/{index}"
        body = check.mapping(part, place)
        if body is None:
            continue
        match body.get("type"):
            case "rich_text_section" | "rich_text_quote":
                _runs(check, body, place)
            case "rich_text_preformatted":
                _runs(check, body, place, allowed=_IN_PREFORMATTED)
            case "rich_text_list":
                _list(check, body, place)
            case kind:
                check.fail(f"unsupported type: {kind}", f"{place}/type")


def _list(check: Check, body: Json, at: str) -> None:
    if "style" not in body:
        check.fail("missing required field: style", at)
    check.one_of(body, "style", at, "bullet", "ordered")
    _whole(check, body, "indent", at, most=8)
    _whole(check, body, "offset", at, most=MOST_ELEMENTS)
    for index, item in enumerate(check.items(body, "elements", at, most=MOST_ELEMENTS)):
        place = f"{at}/elements/{index}"
        section = check.mapping(item, place)
        if section is None:
            continue
        if section.get("type") != "rich_text_section":
            check.fail(f"unsupported type: {section.get('type')}", f"{place}/type")
            continue
        _runs(check, section, place)


def _whole(check: Check, body: Json, key: str, at: str, *, most: int) -> None:
    value = body.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        check.fail(f"must be between 0 and {most}", f"{at}/{key}")


def _runs(check: Check, body: Json, at: str, *, allowed: frozenset[str] = frozenset(_RUNS)) -> None:
    for index, run in enumerate(check.items(body, "elements", at, least=0, most=MOST_ELEMENTS)):
        place = f"{at}/elements/{index}"
        inside = check.mapping(run, place)
        if inside is None:
            continue
        kind = inside.get("type")
        if not isinstance(kind, str) or kind not in allowed:
            check.fail(f"unsupported type: {kind}", f"{place}/type")
            continue
        for field in _RUNS[kind]:
            check.string(inside, field, place, most=MOST_TEXT, least=1, need=True)
        if kind == "broadcast":
            check.one_of(inside, "range", place, "here", "channel", "everyone")
        _style(check, inside.get("style", {}), f"{place}/style")


def _style(check: Check, style: Any, at: str) -> None:
    body = check.mapping(style, at)
    for name, value in (body or {}).items():
        if name not in _STYLES:
            check.fail(f"unsupported style: {name}", f"{at}/{name}")
        elif not isinstance(value, bool):
            check.fail("must be a boolean", f"{at}/{name}")
