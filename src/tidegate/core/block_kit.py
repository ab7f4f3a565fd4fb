"""What Slack takes as the blocks of a message: shape, limits, and what must be there.

A block or an element that is not known here passes with a note, since Slack adds some every year;
one that is known is held to its limits. What only Slack can tell (whether an image can be had, or
a file exists) is not looked at.

Source: https://docs.slack.dev/reference/block-kit/blocks
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.core.text import cut

MAX_BLOCKS: Final = 50
MAX_PROBLEMS: Final = 20  # that are listed: more do not help
MAX_FALLBACK: Final = 150
MAX_MARKDOWN: Final = 12_000  # of all markdown blocks of a message together

_FILE_ID: Final = re.compile(r"F[A-Z0-9]{8,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found in blocks.

    Attributes:
        problems: What Slack would refuse, each with its place.
        notes: What could not be judged.
    """

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check(blocks: Sequence[object]) -> Checked:
    """Return what Slack would refuse in the blocks of a message, and what is not known of them."""
    found = _Found()
    if len(blocks) > MAX_BLOCKS:
        found.wrong("blocks", f"a message has at most {MAX_BLOCKS} blocks, these are {len(blocks)}")
    seen: set[str] = set()
    for number, value in enumerate(blocks[:MAX_BLOCKS]):
        at = f"blocks[{number}]"
        block = found.mapping(value, at)
        if block is None:
            continue
        found.text(block, "block_id", at, most=255)
        block_id = block.get("block_id")
        if isinstance(block_id, str) and block_id:
            if block_id in seen:
                found.wrong(f"{at}.block_id", "another block has the same")
            seen.add(block_id)
        _by_kind(found, block, at, _BLOCKS, "block")
    _check_together(found, blocks)
    return Checked(
        problems=tuple(found.problems[:MAX_PROBLEMS]), notes=tuple(dict.fromkeys(found.notes))
    )


def fallback(blocks: Sequence[object]) -> str:
    """Return the first words of blocks: what a notification says, and a screen reader reads."""
    for block in blocks:
        words = _words(block)
        if words:
            return cut(words, MAX_FALLBACK)
    return "message"


# --- what holds everywhere -----------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """Collects what is wrong, each with its place."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def wrong(self, at: str, what: str) -> None:
        """What is at *at* would be refused."""
        self.problems.append(f"{at}: {what}")

    def mapping(self, value: object, at: str) -> Mapping[str, Any] | None:
        """Return *value* if it is an object."""
        if isinstance(value, dict):
            return value
        self.wrong(at, "this must be an object")
        return None

    def text(
        self,
        holder: Mapping[str, Any],
        key: str,
        at: str,
        *,
        most: int,
        least: int = 0,
        need: bool = False,
    ) -> None:
        """The field *key* is a string of fitting length, or absent unless there is need."""
        value = holder.get(key)
        if value is None:
            if need:
                self.wrong(at, f"{key} is missing")
        elif not isinstance(value, str):
            self.wrong(f"{at}.{key}", "this must be a string")
        elif len(value) > most:
            self.wrong(f"{at}.{key}", f"at most {most:,} characters, these are {len(value):,}")
        elif len(value) < least:
            self.wrong(f"{at}.{key}", "this must not be empty")

    def words(
        self,
        holder: Mapping[str, Any],
        key: str,
        at: str,
        *,
        most: int,
        plain: bool = False,
        need: bool = True,
    ) -> None:
        """The field *key* is a text object; with *plain*, one of plain text."""
        value = holder.get(key)
        if value is None:
            if need:
                self.wrong(at, f"{key} is missing")
            return
        self.text_object(value, f"{at}.{key}", most=most, plain=plain)

    def text_object(self, value: object, at: str, *, most: int, plain: bool = False) -> None:
        """*value* is a text object."""
        held = self.mapping(value, at)
        if held is None:
            return
        kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
        if held.get("type") not in kinds:
            self.wrong(f"{at}.type", f"this must be {' or '.join(kinds)}")
        self.text(held, "text", at, most=most, least=1, need=True)

    def items(
        self,
        holder: Mapping[str, Any],
        key: str,
        at: str,
        *,
        most: int,
        least: int = 1,
        need: bool = True,
    ) -> list[tuple[str, Any]]:
        """Return the items of the list in the field *key*, each with its place."""
        value = holder.get(key)
        if value is None:
            if need:
                self.wrong(at, f"{key} is missing")
            return []
        if not isinstance(value, list):
            self.wrong(f"{at}.{key}", "this must be a list")
            return []
        if not least <= len(value) <= most:
            self.wrong(f"{at}.{key}", f"{least} to {most} items, these are {len(value)}")
        return [(f"{at}.{key}[{number}]", item) for number, item in enumerate(value[:most])]


_Rule = Callable[[_Found, Mapping[str, Any], str], None]


def _by_kind(
    found: _Found, held: Mapping[str, Any], at: str, rules: Mapping[str, _Rule], what: str
) -> None:
    """Hold something to the rule of its type; of a type that is not known, note it."""
    kind = held.get("type")
    if not isinstance(kind, str) or not kind:
        found.wrong(at, "type is missing")
    elif kind in rules:
        rules[kind](found, held, at)
    elif kind in _BLOCKS or kind in _ELEMENTS:
        found.wrong(f"{at}.type", "this cannot stand here")
    else:
        found.notes.append(f"{what}s of the type {cut(kind, 40)} are not known here: not checked")


# --- elements ------------------------------------------------------------------------------


def _button(found: _Found, held: Mapping[str, Any], at: str) -> None:
    found.words(held, "text", at, most=75, plain=True)
    found.text(held, "value", at, most=2000)
    found.text(held, "url", at, most=3000)
    found.text(held, "accessibility_label", at, most=75)
    if held.get("style") not in (None, "primary", "danger"):
        found.wrong(f"{at}.style", "this must be primary or danger")


def _option(found: _Found, value: object, at: str, *, plain: bool) -> None:
    option = found.mapping(value, at)
    if option is not None:
        found.words(option, "text", at, most=75, plain=plain)
        found.text(option, "value", at, most=150, need=True)
        found.words(option, "description", at, most=75, plain=plain, need=False)


def _options(
    found: _Found, held: Mapping[str, Any], at: str, *, most: int, plain: bool = True
) -> None:
    for place, option in found.items(held, "options", at, most=most):
        _option(found, option, place, plain=plain)


def _placeholder(found: _Found, held: Mapping[str, Any], at: str) -> None:
    found.words(held, "placeholder", at, most=150, plain=True, need=False)


def _static_select(found: _Found, held: Mapping[str, Any], at: str) -> None:
    _placeholder(found, held, at)
    if held.get("option_groups") is None:
        _options(found, held, at, most=100)
        return
    for place, value in found.items(held, "option_groups", at, most=100):
        group = found.mapping(value, place)
        if group is not None:
            found.words(group, "label", place, most=75, plain=True)
            _options(found, group, place, most=100)


def _overflow(found: _Found, held: Mapping[str, Any], at: str) -> None:
    _options(found, held, at, most=5)


def _choices(found: _Found, held: Mapping[str, Any], at: str) -> None:
    _options(found, held, at, most=10, plain=False)


def _image(found: _Found, held: Mapping[str, Any], at: str) -> None:
    found.text(held, "alt_text", at, most=2000, need=True)
    found.words(held, "title", at, most=2000, plain=True, need=False)
    if (held.get("image_url") is None) == (held.get("slack_file") is None):
        found.wrong(at, "exactly one of image_url and slack_file must be there")
        return
    found.text(held, "image_url", at, most=3000, least=1)
    if held.get("slack_file") is None:
        return
    file = found.mapping(held["slack_file"], f"{at}.slack_file")
    if file is None:
        return
    if (file.get("id") is None) == (file.get("url") is None):
        found.wrong(f"{at}.slack_file", "exactly one of id and url must be there")
    elif file.get("id") is not None and not _FILE_ID.fullmatch(str(file["id"])):
        found.wrong(f"{at}.slack_file.id", "this is no file's id (F and capital letters or digits)")


_SELECTS: Final = ("external", "users", "conversations", "channels")
#: What stands in actions, beside a section, and in an input.
_ELEMENTS: Final[Mapping[str, _Rule]] = {
    "button": _button,
    "workflow_button": _button,
    "static_select": _static_select,
    "multi_static_select": _static_select,
    **{f"{kind}_select": _placeholder for kind in _SELECTS},
    **{f"multi_{kind}_select": _placeholder for kind in _SELECTS},
    "overflow": _overflow,
    "checkboxes": _choices,
    "radio_buttons": _choices,
    "datepicker": _placeholder,
    "timepicker": _placeholder,
    "datetimepicker": _placeholder,
    "plain_text_input": _placeholder,
    "rich_text_input": _placeholder,
    "email_text_input": _placeholder,
    "url_text_input": _placeholder,
    "number_input": _placeholder,
}
_IN_ACTIONS: Final = {
    kind: rule
    for kind, rule in _ELEMENTS.items()
    if not kind.endswith("_input") or kind == "rich_text_input"
}
_BESIDE_SECTION: Final = {**_IN_ACTIONS, "image": _image}
_IN_INPUT: Final = {
    kind: rule
    for kind, rule in _ELEMENTS.items()
    if kind not in ("button", "workflow_button", "overflow")
}


def _element(found: _Found, value: object, at: str, rules: Mapping[str, _Rule]) -> None:
    held = found.mapping(value, at)
    if held is None:
        return
    found.text(held, "action_id", at, most=255)
    _by_kind(found, held, at, rules, "element")
    if held.get("confirm") is None:
        return
    dialog = found.mapping(held["confirm"], f"{at}.confirm")
    if dialog is not None:
        place = f"{at}.confirm"
        found.words(dialog, "title", place, most=100, plain=True)
        found.words(dialog, "text", place, most=300)
        found.words(dialog, "confirm", place, most=30, plain=True)
        found.words(dialog, "deny", place, most=30, plain=True)


# --- blocks --------------------------------------------------------------------------------


def _section(found: _Found, held: Mapping[str, Any], at: str) -> None:
    if held.get("text") is None and held.get("fields") is None:
        found.wrong(at, "text or fields must be there")
    found.words(held, "text", at, most=3000, need=False)
    for place, value in found.items(held, "fields", at, most=10, need=False):
        found.text_object(value, place, most=2000)
    if held.get("accessory") is not None:
        _element(found, held["accessory"], f"{at}.accessory", _BESIDE_SECTION)


def _actions(found: _Found, held: Mapping[str, Any], at: str) -> None:
    seen: set[str] = set()
    for place, value in found.items(held, "elements", at, most=25):
        _element(found, value, place, _IN_ACTIONS)
        action_id = value.get("action_id") if isinstance(value, dict) else None
        if isinstance(action_id, str):
            if action_id in seen:
                found.wrong(f"{place}.action_id", "another element of the block has the same")
            seen.add(action_id)


def _context(found: _Found, held: Mapping[str, Any], at: str) -> None:
    for place, value in found.items(held, "elements", at, most=10):
        if isinstance(value, dict) and value.get("type") == "image":
            _image(found, value, place)
        else:
            found.text_object(value, place, most=3000)


def _header(found: _Found, held: Mapping[str, Any], at: str) -> None:
    found.words(held, "text", at, most=150, plain=True)


def _input(found: _Found, held: Mapping[str, Any], at: str) -> None:
    found.words(held, "label", at, most=2000, plain=True)
    found.words(held, "hint", at, most=2000, plain=True, need=False)
    if held.get("element") is None:
        found.wrong(at, "element is missing")
    else:
        _element(found, held["element"], f"{at}.element", _IN_INPUT)


def _markdown(found: _Found, held: Mapping[str, Any], at: str) -> None:
    found.text(held, "text", at, most=MAX_MARKDOWN, least=1, need=True)


def _rich_text(found: _Found, held: Mapping[str, Any], at: str) -> None:
    kinds = {f"rich_text_{kind}" for kind in ("section", "list", "quote", "preformatted")}
    for place, value in found.items(held, "elements", at, most=1000):
        part = found.mapping(value, place)
        if part is None:
            continue
        if part.get("type") not in kinds:
            found.wrong(f"{place}.type", f"this must be one of {', '.join(sorted(kinds))}")
        if part.get("type") == "rich_text_list" and part.get("style") not in ("bullet", "ordered"):
            found.wrong(f"{place}.style", "this must be bullet or ordered")
        for inside, run in found.items(part, "elements", place, most=1000, least=0):
            found.mapping(run, inside)


def _video(found: _Found, held: Mapping[str, Any], at: str) -> None:
    found.text(held, "alt_text", at, most=2000, least=1, need=True)
    found.words(held, "title", at, most=199, plain=True)
    found.text(held, "author_name", at, most=50)
    for key in ("video_url", "thumbnail_url"):
        found.text(held, key, at, most=3000, least=1, need=True)
    if not str(held.get("video_url", "https://")).startswith("https://"):
        found.wrong(f"{at}.video_url", "this must begin with https://")


def _table(found: _Found, held: Mapping[str, Any], at: str) -> None:
    for place, row in found.items(held, "rows", at, most=100):
        if not isinstance(row, list):
            found.wrong(place, "this must be a list of cells")
        elif len(row) > 20:
            found.wrong(place, f"at most 20 cells, these are {len(row)}")


def _nothing_more(found: _Found, held: Mapping[str, Any], at: str) -> None:
    """A divider has no fields of its own."""


def _cannot_be_sent(found: _Found, held: Mapping[str, Any], at: str) -> None:
    found.wrong(at, f"{held['type']} blocks cannot be sent in a message")


_BLOCKS: Final[Mapping[str, _Rule]] = {
    "section": _section,
    "actions": _actions,
    "context": _context,
    "header": _header,
    "divider": _nothing_more,
    "image": _image,
    "input": _input,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "video": _video,
    "table": _table,
    "alert": _cannot_be_sent,
    "file": _cannot_be_sent,
    "call": _cannot_be_sent,
}


def _check_together(found: _Found, blocks: Sequence[object]) -> None:
    """Look at what holds for all blocks of a message together."""
    held = [block for block in blocks if isinstance(block, dict)]
    texts = [block.get("text") for block in held if block.get("type") == "markdown"]
    length = sum(len(text) for text in texts if isinstance(text, str))
    if len(texts) > 1 and length > MAX_MARKDOWN:
        found.wrong("blocks", f"markdown blocks have at most {MAX_MARKDOWN:,} characters together")
    tables = sum(block.get("type") == "table" for block in held)
    if tables > 1:
        found.wrong("blocks", f"a message has at most one table, these are {tables}")


def _words(value: object, depth: int = 6) -> str:
    """Return the text that a block shows first."""
    if depth == 0:
        return ""
    if isinstance(value, list):
        return next(filter(None, (_words(item, depth - 1) for item in value[:10])), "")
    if not isinstance(value, dict):
        return ""
    text = value.get("text")
    if isinstance(text, str) and text.strip():
        return " ".join(text.split())
    inside = (value.get(key) for key in ("text", "title", "fields", "elements", "label"))
    words = next(filter(None, (_words(each, depth - 1) for each in inside)), "")
    alt_text = value.get("alt_text")
    return words or (alt_text.strip() if isinstance(alt_text, str) else "")
