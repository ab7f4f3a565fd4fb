"""Blocks before they are sent: what Slack would refuse is named with its place."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import share_blocks
from tidegate.core.block_kit import MAX_PROBLEMS, check, fallback
from tidegate.core.share_blocks import Picture
from tidegate_dev.slack import blocks as far_end


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def markup(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


BUTTON: dict[str, Any] = {"type": "button", "action_id": "go", "text": plain("Go")}
OPTION: dict[str, Any] = {"text": plain("Web"), "value": "web"}
CONFIRM: dict[str, Any] = {
    "title": plain("Sure?"),
    "text": markup("It *deploys*"),
    "confirm": plain("Yes"),
    "deny": plain("No"),
}
IMAGE: dict[str, Any] = {"type": "image", "alt_text": "tide", "slack_file": {"id": "F0123456789"}}


def actions(*elements: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def select(**given: Any) -> dict[str, Any]:
    return {"type": "static_select", "action_id": "which", "options": [OPTION]} | given


def without(held: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name != key}


GOOD: dict[str, list[Any]] = {
    "header": [{"type": "header", "text": plain("x" * 150)}],
    "divider": [{"type": "divider"}],
    "section": [{"type": "section", "text": markup("x" * 3000), "accessory": IMAGE}],
    "fields": [{"type": "section", "fields": [plain("x" * 2000)] * 10}],
    "context": [{"type": "context", "elements": [IMAGE, markup("x")] * 5}],
    "buttons": [actions(*({**BUTTON, "action_id": f"b{n}"} for n in range(25)))],
    "confirm": [actions({**BUTTON, "confirm": CONFIRM})],
    "select": [actions(select(options=[OPTION] * 100))],
    "groups": [
        actions(
            without(select(option_groups=[{"label": plain("a"), "options": [OPTION]}]), "options")
        )
    ],
    "overflow": [actions({"type": "overflow", "action_id": "o", "options": [OPTION] * 5})],
    "image": [IMAGE],
    "input": [
        {"type": "input", "label": plain("Why"), "element": {"type": "plain_text_input"}},
    ],
    "rich text": share_blocks.link(title="Q3", url="https://x.example/", about="a", expires_at=1.0),
    "gallery": share_blocks.gallery(
        [Picture(alt_text="a", file_id="F0123456789"), Picture(alt_text="b", url="https://x/")],
        title="Week",
        comment="see",
        missing=["c.png: gone"],
    )[0],
    "fifty": [{"type": "divider"}] * 50,
    "markdown": [{"type": "markdown", "text": "x" * 12_000}],
}
BAD: dict[str, tuple[list[Any], str]] = {
    "too many": ([{"type": "divider"}] * 51, "blocks: a message has at most 50 blocks"),
    "no object": (["text"], "blocks[0]: this must be an object"),
    "no type": ([{}], "blocks[0]: type is missing"),
    "odd type": ([{"type": 7}], "blocks[0]: type is missing"),
    "a button as a block": ([BUTTON], "blocks[0].type: this cannot stand here"),
    "long header": (
        [{"type": "header", "text": plain("x" * 151)}],
        "blocks[0].text.text: at most 150",
    ),
    "markup header": ([{"type": "header", "text": markup("x")}], "blocks[0].text.type: "),
    "empty text": ([{"type": "section", "text": markup("")}], "must not be empty"),
    "no text": ([{"type": "section"}], "text or fields must be there"),
    "text as a string": (
        [{"type": "section", "text": "x"}],
        "blocks[0].text: this must be an object",
    ),
    "text of a number": ([{"type": "section", "text": markup(7)}], "must be a string"),  # type: ignore[arg-type]
    "long section": ([{"type": "section", "text": markup("x" * 3001)}], "at most 3,000"),
    "eleven fields": ([{"type": "section", "fields": [plain("x")] * 11}], "1 to 10 items"),
    "long field": ([{"type": "section", "fields": [plain("x" * 2001)]}], "fields[0].text: at most"),
    "fields as an object": ([{"type": "section", "fields": {}}], "this must be a list"),
    "no elements": ([{"type": "actions", "elements": []}], "1 to 25 items"),
    "elements missing": ([{"type": "actions"}], "elements is missing"),
    "an image among buttons": ([actions(IMAGE)], "elements[0].type: this cannot stand here"),
    "same action id": ([actions(BUTTON, BUTTON)], "elements[1].action_id: another"),
    "same block id": ([{"type": "divider", "block_id": "a"}] * 2, "blocks[1].block_id: another"),
    "long block id": ([{"type": "divider", "block_id": "x" * 256}], "block_id: at most 255"),
    "long button": ([actions({**BUTTON, "text": plain("x" * 76)})], "text.text: at most 75"),
    "long value": ([actions({**BUTTON, "value": "x" * 2001})], "value: at most 2,000"),
    "odd style": ([actions({**BUTTON, "style": "loud"})], "must be primary or danger"),
    "button of no text": ([actions(without(BUTTON, "text"))], "text is missing"),
    "confirm of no deny": (
        [actions({**BUTTON, "confirm": without(CONFIRM, "deny")})],
        "confirm: deny is missing",
    ),
    "long option": (
        [actions(select(options=[{**OPTION, "value": "x" * 151}]))],
        "options[0].value: at most 150",
    ),
    "no options": ([actions(select(options=[]))], "options: 1 to 100 items"),
    "six in overflow": (
        [actions({"type": "overflow", "action_id": "o", "options": [OPTION] * 6})],
        "1 to 5 items",
    ),
    "image of nothing": ([without(IMAGE, "slack_file")], "exactly one of image_url and slack_file"),
    "image of two": ([{**IMAGE, "image_url": "https://x/"}], "exactly one of image_url"),
    "image without alt text": ([without(IMAGE, "alt_text")], "alt_text is missing"),
    "odd file id": ([{**IMAGE, "slack_file": {"id": "x"}}], "slack_file.id: this is no file's id"),
    "file of nothing": ([{**IMAGE, "slack_file": {}}], "exactly one of id and url"),
    "long url": ([{"type": "image", "alt_text": "x", "image_url": "h" * 3001}], "at most 3,000"),
    "input of a button": (
        [{"type": "input", "label": plain("x"), "element": BUTTON}],
        "element.type: this cannot stand here",
    ),
    "input of nothing": ([{"type": "input", "label": plain("x")}], "element is missing"),
    "odd rich text": ([{"type": "rich_text", "elements": [{"type": "x"}]}], "must be one of"),
    "list of no style": (
        [{"type": "rich_text", "elements": [{"type": "rich_text_list", "elements": []}]}],
        "bullet or ordered",
    ),
    "alert": ([{"type": "alert", "text": plain("x")}], "alert blocks cannot be sent"),
}
#: What the far end does not know, or leaves to its caller.
ONLY_HERE: dict[str, tuple[list[Any], str]] = {
    "two markdowns": ([{"type": "markdown", "text": "x" * 6001}] * 2, "12,000 characters together"),
    "two tables": ([{"type": "table", "rows": [[{}]]}] * 2, "at most one table, these are 2"),
    "wide table": ([{"type": "table", "rows": [[{}] * 21]}], "rows[0]: at most 20 cells"),
    "video over http": (
        [
            {
                "type": "video",
                "alt_text": "x",
                "title": plain("x"),
                "video_url": "http://x/",
                "thumbnail_url": "https://x/",
            }
        ],
        "must begin with https://",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_blocks_that_slack_takes_pass_without_a_word(name: str) -> None:
    found = check(GOOD[name])
    assert (found.problems, found.notes) == ((), ())
    assert far_end.problems(copy.deepcopy(GOOD[name])) == []


@pytest.mark.parametrize("name", BAD)
def test_what_slack_refuses_is_named_with_its_place(name: str) -> None:
    blocks, said = BAD[name]
    found = check(blocks)
    assert any(said in problem for problem in found.problems), found
    assert far_end.problems(copy.deepcopy(blocks)), "the far end takes it"


@pytest.mark.parametrize("name", ONLY_HERE)
def test_what_holds_for_a_whole_message_is_looked_at(name: str) -> None:
    blocks, said = ONLY_HERE[name]
    assert any(said in problem for problem in check(blocks).problems)


def test_what_is_not_known_passes_with_one_note() -> None:
    found = check([{"type": "hologram"}, {"type": "hologram"}, actions({"type": "dial"})])
    assert found.problems == ()
    assert found.notes == (
        "blocks of the type hologram are not known here: not checked",
        "elements of the type dial are not known here: not checked",
    )


def test_not_more_problems_are_listed_than_help() -> None:
    assert len(check([{"type": "header"}] * 50).problems) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([{"type": "divider"}, {"type": "header", "text": plain("To\nnight")}], "To night"),
        ([{"type": "section", "fields": [markup("*a*"), markup("b")]}], "*a*"),
        (GOOD["rich text"], "Q3"),
        ([IMAGE], "tide"),
        ([{**IMAGE, "title": plain("High")}], "High"),
        ([{"type": "section", "text": markup("x" * 500)}], "x" * 149 + "…"),
        ([{"type": "divider"}], "message"),
        (["odd", 7, None], "message"),
    ],
)
def test_the_first_words_stand_for_a_message(blocks: list[Any], words: str) -> None:
    assert fallback(blocks) == words


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ("type", "text", "elements", "fields", "options", "confirm", "slack_file", "rows")
            ),
            inner
            | st.sampled_from(
                ("section", "actions", "image", "rich_text", "button", "table", "video", "input")
            ),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.lists(_JSON, max_size=5))
def test_nothing_that_json_can_say_breaks_the_check(blocks: list[Any]) -> None:
    found = check(blocks)
    assert all(isinstance(problem, str) for problem in found.problems)
    assert fallback(blocks)
