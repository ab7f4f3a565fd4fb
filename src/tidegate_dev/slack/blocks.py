"""Block Kit as Slack checks and stores it.

Sources: https://docs.slack.dev/reference/block-kit/blocks/ and the pages of the elements.
Errors name the place by JSON pointer, as chat.postMessage does.
"""

import copy
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tidegate_dev.slack import rich_text
from tidegate_dev.slack.block_check import Check, Json
from tidegate_dev.slack.errors import ApiError

MAX_MESSAGE_BLOCKS: Final = 50

_FILE_ID: Final = re.compile(r"F[A-Z0-9]{8,}")


def _option(check: Check, option: object, at: str, *, plain: bool = True) -> None:
    body = check.mapping(option, at)
    if body is None:
        return
    check.text(body, "text", at, most=75, plain=plain)
    check.string(body, "value", at, most=150, need=True)
    check.text(body, "description", at, most=75, plain=plain, need=False)
    check.string(body, "url", at, most=3000)


def _options(check: Check, element: Json, at: str, *, most: int, plain: bool = True) -> None:
    if "option_groups" in element and "options" not in element:
        for index, group in enumerate(check.items(element, "option_groups", at, most=most)):
            body = check.mapping(group, f"{at}/option_groups/{index}")
            if body is None:
                continue
            place = f"{at}/option_groups/{index}"
            check.text(body, "label", place, most=75, plain=True)
            for number, option in enumerate(check.items(body, "options", place, most=most)):
                _option(check, option, f"{place}/options/{number}", plain=plain)
        return
    for index, option in enumerate(check.items(element, "options", at, most=most)):
        _option(check, option, f"{at}/options/{index}", plain=plain)


def _confirm(check: Check, element: Json, at: str) -> None:
    if element.get("confirm") is None:
        return
    confirm = check.mapping(element["confirm"], f"{at}/confirm")
    if confirm is None:
        return
    place = f"{at}/confirm"
    check.text(confirm, "title", place, most=100, plain=True)
    check.text(confirm, "text", place, most=300)
    check.text(confirm, "confirm", place, most=30, plain=True)
    check.text(confirm, "deny", place, most=30, plain=True)
    if confirm.get("style", "primary") not in ("primary", "danger"):
        check.fail("must be one of primary, danger", f"{place}/style")


def _button(check: Check, element: Json, at: str) -> None:
    check.text(element, "text", at, most=75, plain=True)
    check.string(element, "value", at, most=2000)
    check.string(element, "url", at, most=3000)
    check.string(element, "accessibility_label", at, most=75)
    check.one_of(element, "style", at, "primary", "danger")


def _select(check: Check, element: Json, at: str) -> None:
    check.text(element, "placeholder", at, most=150, plain=True, need=False)
    if str(element["type"]).endswith("static_select"):
        _options(check, element, at, most=100)
    initial = element.get("initial_option")
    if initial is not None:
        _option(check, initial, f"{at}/initial_option")


def _overflow(check: Check, element: Json, at: str) -> None:
    _options(check, element, at, most=5)


def _choices(check: Check, element: Json, at: str) -> None:
    _options(check, element, at, most=10, plain=False)


def _text_input(check: Check, element: Json, at: str) -> None:
    check.text(element, "placeholder", at, most=150, plain=True, need=False)
    low, high = element.get("min_length", 0), element.get("max_length", 3000)
    if not isinstance(low, int) or not 0 <= low <= 3000:
        check.fail("must be between 0 and 3000", f"{at}/min_length")
    if not isinstance(high, int) or not 1 <= high <= 3000:
        check.fail("must be between 1 and 3000", f"{at}/max_length")


def _placeholder_only(check: Check, element: Json, at: str) -> None:
    check.text(element, "placeholder", at, most=150, plain=True, need=False)


_Rule = Callable[[Check, Json, str], None]

_ELEMENTS: Final[Mapping[str, _Rule]] = {
    "button": _button,
    "workflow_button": _button,
    "overflow": _overflow,
    "static_select": _select,
    "multi_static_select": _select,
    "external_select": _select,
    "multi_external_select": _select,
    "users_select": _select,
    "multi_users_select": _select,
    "conversations_select": _select,
    "multi_conversations_select": _select,
    "channels_select": _select,
    "multi_channels_select": _select,
    "datepicker": _placeholder_only,
    "timepicker": _placeholder_only,
    "datetimepicker": _placeholder_only,
    "checkboxes": _choices,
    "radio_buttons": _choices,
    "plain_text_input": _text_input,
    "rich_text_input": _placeholder_only,
    "email_text_input": _placeholder_only,
    "url_text_input": _placeholder_only,
    "number_input": _placeholder_only,
}
_IN_ACTIONS: Final = frozenset(
    name for name in _ELEMENTS if not name.endswith("_input") or name == "rich_text_input"
)


def _image(check: Check, body: Json, at: str) -> None:
    if ("image_url" in body) == ("slack_file" in body):
        check.fail("must provide exactly one of image_url or slack_file", at)
    check.string(body, "image_url", at, most=3000, least=1)
    check.string(body, "alt_text", at, most=2000, need=True)
    check.text(body, "title", at, most=2000, plain=True, need=False)
    if "slack_file" in body:
        _slack_file(check, body["slack_file"], f"{at}/slack_file")


def _slack_file(check: Check, value: object, at: str) -> None:
    body = check.mapping(value, at)
    if body is None:
        return
    if ("id" in body) == ("url" in body):
        check.fail("must provide exactly one of id or url", at)
        return
    check.string(body, "url", at, most=3000, least=1)
    file_id = body.get("id", "")
    if "id" in body and not (isinstance(file_id, str) and _FILE_ID.fullmatch(file_id)):
        check.fail("must match the pattern ^F[A-Z0-9]{8,}$", f"{at}/id")


def _element(check: Check, value: object, at: str, *, allowed: frozenset[str]) -> None:
    element = check.mapping(value, at)
    if element is None:
        return
    kind = element.get("type")
    if kind == "image" and "image" in allowed:
        _image(check, element, at)
        return
    rule = _ELEMENTS.get(kind) if isinstance(kind, str) and kind in allowed else None
    if rule is None:
        check.fail(f"unsupported type: {kind}", f"{at}/type")
        return
    check.string(element, "action_id", at, most=255)
    rule(check, element, at)
    _confirm(check, element, at)


def _unique_action_ids(check: Check, elements: list[Any], at: str) -> None:
    seen: set[str] = set()
    for index, element in enumerate(elements):
        action_id = element.get("action_id") if isinstance(element, dict) else None
        if isinstance(action_id, str):
            if action_id in seen:
                check.fail(
                    f"action_id `{action_id}` already exists for this block", f"{at}/{index}"
                )
            seen.add(action_id)


def _section(check: Check, block: Json, at: str) -> None:
    if "text" not in block and "fields" not in block:
        check.fail("missing required field: text or fields", at)
    check.text(block, "text", at, most=3000, need=False)
    for index, field in enumerate(check.items(block, "fields", at, most=10, need=False)):
        body = check.mapping(field, f"{at}/fields/{index}")
        if body is not None:
            check.text_object(body, f"{at}/fields/{index}", most=2000)
    if block.get("accessory") is not None:
        _element(check, block["accessory"], f"{at}/accessory", allowed=_IN_ACTIONS | {"image"})


def _actions(check: Check, block: Json, at: str) -> None:
    elements = check.items(block, "elements", at, most=25)
    for index, element in enumerate(elements):
        _element(check, element, f"{at}/elements/{index}", allowed=_IN_ACTIONS)
    _unique_action_ids(check, elements, f"{at}/elements")


def _context(check: Check, block: Json, at: str) -> None:
    for index, element in enumerate(check.items(block, "elements", at, most=10)):
        place = f"{at}/elements/{index}"
        body = check.mapping(element, place)
        if body is None:
            continue
        if body.get("type") == "image":
            _image(check, body, place)
        else:
            check.text_object(body, place, most=3000)


def _header(check: Check, block: Json, at: str) -> None:
    check.text(block, "text", at, most=150, plain=True)


def _input(check: Check, block: Json, at: str) -> None:
    check.text(block, "label", at, most=2000, plain=True)
    check.text(block, "hint", at, most=2000, plain=True, need=False)
    if "element" not in block:
        check.fail("missing required field: element", at)
        return
    allowed = frozenset(_ELEMENTS) - {"button", "workflow_button", "overflow"}
    _element(check, block["element"], f"{at}/element", allowed=allowed)


def _markdown(check: Check, block: Json, at: str) -> None:
    check.string(block, "text", at, most=12000, least=1, need=True)


def _nothing_more(check: Check, block: Json, at: str) -> None:
    """A divider has no fields of its own."""


_BLOCKS: Final[Mapping[str, _Rule]] = {
    "section": _section,
    "actions": _actions,
    "context": _context,
    "header": _header,
    "divider": _nothing_more,
    "image": _image,
    "input": _input,
    "rich_text": rich_text.check_block,
    "markdown": _markdown,
}


def problems(
    blocks: list[Any], *, at: str = "/blocks", most: int = MAX_MESSAGE_BLOCKS
) -> list[str]:
    """Return what Slack would reject in *blocks*, each with its JSON pointer."""
    check = Check()
    if len(blocks) > most:
        check.fail(f"no more than {most} items allowed", at)
        return check.errors
    seen: set[str] = set()
    for index, value in enumerate(blocks):
        place = f"{at}/{index}"
        block = check.mapping(value, place)
        if block is None:
            continue
        kind = block.get("type")
        rule = _BLOCKS.get(kind) if isinstance(kind, str) else None
        if rule is None:
            check.fail(f"unsupported type: {kind}", f"{place}/type")
            continue
        check.string(block, "block_id", place, most=255)
        block_id = block.get("block_id")
        if isinstance(block_id, str) and block_id:
            if block_id in seen:
                check.fail(f"block_id `{block_id}` already exists", f"{place}/block_id")
            seen.add(block_id)
        rule(check, block, place)
    return check.errors


def accepted(blocks: object) -> list[Json]:
    """Return *blocks* as Slack stores them: every one with a `block_id`, defaults filled in.

    Raises:
        ApiError: `invalid_blocks_format` for what is no list, else `invalid_blocks`.
    """
    if not isinstance(blocks, list):
        raise ApiError("invalid_blocks_format")
    errors = problems(blocks)
    if errors:
        raise refusal(errors)
    stored: list[Json] = copy.deepcopy(blocks)
    taken = {block["block_id"] for block in stored if block.get("block_id")}
    for block in stored:
        if not block.get("block_id"):
            block["block_id"] = _new_id(taken)
        for element in elements(block):
            if element.get("type") != "image" and not element.get("action_id"):
                element["action_id"] = _new_id(taken)
        _fill_text_defaults(block)
    return stored


def refusal(errors: list[str]) -> ApiError:
    """Return the error of a call whose blocks are wrong in these places."""
    return ApiError(
        "invalid_blocks",
        messages=[f"[ERROR] {error}" for error in errors],
        fields={"errors": errors},
    )


def images(blocks: list[Json], *, at: str = "/blocks") -> Iterator[tuple[Json, str]]:
    """Yield every image in *blocks*, be it a block or part of one, with its JSON pointer."""
    for index, block in enumerate(blocks):
        place = f"{at}/{index}"
        accessory = block.get("accessory")
        if block.get("type") == "image":
            yield block, place
        elif isinstance(accessory, dict) and accessory.get("type") == "image":
            yield accessory, f"{place}/accessory"
        elif block.get("type") == "context":
            for number, element in enumerate(block["elements"]):
                if element.get("type") == "image":
                    yield element, f"{place}/elements/{number}"


def _new_id(taken: set[str]) -> str:
    while True:
        made = secrets.token_urlsafe(4)[:5]
        if made not in taken:
            taken.add(made)
            return made


def _fill_text_defaults(value: object) -> None:
    """Slack answers with `emoji` and `verbatim` written out on every text object."""
    if isinstance(value, list):
        for item in value:
            _fill_text_defaults(item)
    elif isinstance(value, dict):
        if value.get("type") == "plain_text" and "text" in value:
            value.setdefault("emoji", True)
        elif value.get("type") == "mrkdwn" and "text" in value:
            value.setdefault("verbatim", False)
        for item in value.values():
            _fill_text_defaults(item)


def elements(block: Json) -> Iterator[Json]:
    """Yield the interactive elements of *block*, in order."""
    candidates: list[object] = []
    if block.get("type") == "actions":
        candidates = list(block.get("elements") or [])
    elif block.get("type") == "section":
        candidates = [block.get("accessory")]
    elif block.get("type") == "input":
        candidates = [block.get("element")]
    for candidate in candidates:
        if isinstance(candidate, dict):
            yield candidate


def find(blocks: list[Json], *, action_id: str, block_id: str | None) -> tuple[Json, Json] | None:
    """Return the block and element that *action_id* names, or None."""
    for block in blocks:
        if block_id is not None and block.get("block_id") != block_id:
            continue
        for element in elements(block):
            if element.get("action_id") == action_id:
                return block, element
    return None
