"""Block Kit: what Slack refuses, where it says the mistake is, and what it stores."""

from typing import Any

import pytest

from tidegate_dev.slack import blocks
from tidegate_dev.slack.errors import ApiError


def text(content: str = "x", kind: str = "mrkdwn") -> dict[str, Any]:
    return {"type": kind, "text": content}


def plain(content: str = "x") -> dict[str, Any]:
    return text(content, "plain_text")


def button(**fields: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "a", "text": plain(), **fields}


def actions(*elements: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def option(value: str = "v", label: str = "x") -> dict[str, Any]:
    return {"text": plain(label), "value": value}


def menu(*options: Any) -> dict[str, Any]:
    return {"type": "static_select", "action_id": "s", "options": list(options)}


def rich(*parts: Any) -> dict[str, Any]:
    return {"type": "rich_text", "elements": list(parts)}


def run(**fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": "x", **fields}


def section(*runs: Any) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": list(runs)}


GOOD = [
    {"type": "header", "text": plain("A title")},
    {"type": "section", "text": text("*hello*"), "accessory": button(style="danger")},
    {"type": "section", "fields": [text(), plain()]},
    {
        "type": "section",
        "text": text(),
        "accessory": {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
    },
    actions(button(value="x" * 2000), menu(option(), option("w"))),
    actions({"type": "overflow", "action_id": "o", "options": [option()]}),
    actions({"type": "users_select", "action_id": "u", "placeholder": plain()}),
    {"type": "context", "elements": [text(), {"type": "image", "image_url": "u", "alt_text": ""}]},
    {"type": "divider"},
    {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a", "title": plain()},
    {"type": "image", "slack_file": {"id": "F0123456789"}, "alt_text": "a"},
    {
        "type": "input",
        "label": plain(),
        "element": {"type": "plain_text_input", "action_id": "i", "max_length": 10},
    },
    {"type": "image", "slack_file": {"url": "https://example.com/F1/a.png"}, "alt_text": "a"},
    {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]},
    rich(
        section(
            run(text="bold", style={"bold": True, "italic": True, "code": True}),
            {"type": "link", "url": "https://example.com", "text": "here"},
            {"type": "emoji", "name": "tada"},
            {"type": "user", "user_id": "U0ADA"},
            {"type": "usergroup", "usergroup_id": "S0SRE"},
            {"type": "channel", "channel_id": "C0OPS"},
            {"type": "broadcast", "range": "here"},
        ),
        {"type": "rich_text_list", "style": "ordered", "indent": 1, "elements": [section(run())]},
        {"type": "rich_text_quote", "elements": [run()]},
        {"type": "rich_text_preformatted", "elements": [run()]},
    ),
    {"type": "markdown", "text": "**x**"},
]


@pytest.mark.parametrize("block", GOOD, ids=lambda block: block["type"])
def test_what_slack_takes_is_taken(block: dict[str, Any]) -> None:
    assert blocks.problems([block]) == []


BAD = {
    "must be less than 151 characters [json-pointer:/blocks/0/text/text]": {
        "type": "header",
        "text": plain("x" * 151),
    },
    "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]": {
        "type": "header",
        "text": text(),
    },
    "missing required field: text or fields [json-pointer:/blocks/0]": {"type": "section"},
    "must be less than 3001 characters [json-pointer:/blocks/0/text/text]": {
        "type": "section",
        "text": text("x" * 3001),
    },
    "must be more than 0 characters [json-pointer:/blocks/0/text/text]": {
        "type": "section",
        "text": text(""),
    },
    "no more than 10 items allowed [json-pointer:/blocks/0/fields]": {
        "type": "section",
        "fields": [text()] * 11,
    },
    "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]": {
        "type": "section",
        "fields": [text("x" * 2001)],
    },
    "must provide an object [json-pointer:/blocks/0/text]": {"type": "section", "text": "x"},
    "no fewer than 1 items allowed [json-pointer:/blocks/0/elements]": actions(),
    "no more than 25 items allowed [json-pointer:/blocks/0/elements]": actions(
        *(button(action_id=f"a{n}") for n in range(26))
    ),
    "action_id `a` already exists for this block [json-pointer:/blocks/0/elements/1]": actions(
        button(), button()
    ),
    "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]": actions(
        button(text=plain("x" * 76))
    ),
    "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]": actions(
        button(value="x" * 2001)
    ),
    "must be a string [json-pointer:/blocks/0/elements/0/value]": actions(button(value=1)),
    "must be one of primary, danger [json-pointer:/blocks/0/elements/0/style]": actions(
        button(style="loud")
    ),
    "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]": actions(
        button(action_id="x" * 256)
    ),
    "must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]": (
        actions(
            button(
                confirm={
                    "title": plain(),
                    "text": text("x" * 301),
                    "confirm": plain(),
                    "deny": plain(),
                }
            )
        )
    ),
    "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]": actions(
        menu(*(option(str(n)) for n in range(101)))
    ),
    "must be less than 151 characters [json-pointer:/blocks/0/elements/0/options/0/value]": actions(
        menu(option("x" * 151))
    ),
    "no more than 5 items allowed [json-pointer:/blocks/0/elements/0/options]": actions(
        {"type": "overflow", "action_id": "o", "options": [option(str(n)) for n in range(6)]}
    ),
    "unsupported type: image [json-pointer:/blocks/0/elements/0/type]": actions(
        {"type": "image", "image_url": "u", "alt_text": "a"}
    ),
    "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]": actions(
        {"type": "plain_text_input", "action_id": "i"}
    ),
    "no more than 10 items allowed [json-pointer:/blocks/0/elements]": {
        "type": "context",
        "elements": [text()] * 11,
    },
    "must provide exactly one of image_url or slack_file [json-pointer:/blocks/0]": {
        "type": "image",
        "alt_text": "a",
    },
    "missing required field: alt_text [json-pointer:/blocks/0]": {
        "type": "image",
        "image_url": "u",
    },
    "missing required field: element [json-pointer:/blocks/0]": {"type": "input", "label": plain()},
    "unsupported type: button [json-pointer:/blocks/0/element/type]": {
        "type": "input",
        "label": plain(),
        "element": button(),
    },
    "must provide exactly one of id or url [json-pointer:/blocks/0/slack_file]": {
        "type": "image",
        "slack_file": {"id": "F0123456789", "url": "https://example.com/a.png"},
        "alt_text": "a",
    },
    "must match the pattern ^F[A-Z0-9]{8,}$ [json-pointer:/blocks/0/slack_file/id]": {
        "type": "image",
        "slack_file": {"id": "F12"},
        "alt_text": "a",
    },
    "must be less than 3001 characters [json-pointer:/blocks/0/image_url]": {
        "type": "image",
        "image_url": "https://example.com/" + "a" * 2981,
        "alt_text": "a",
    },
    "must be less than 2001 characters [json-pointer:/blocks/0/alt_text]": {
        "type": "image",
        "image_url": "u",
        "alt_text": "a" * 2001,
    },
    "unsupported type: mrkdwn [json-pointer:/blocks/0/title/type]": {
        "type": "image",
        "image_url": "u",
        "alt_text": "a",
        "title": text(),
    },
    "missing required field: elements [json-pointer:/blocks/0]": {"type": "rich_text"},
    "unsupported type: rich [json-pointer:/blocks/0/elements/0/type]": rich({"type": "rich"}),
    "unsupported type: image [json-pointer:/blocks/0/elements/0/elements/0/type]": rich(
        section({"type": "image"})
    ),
    "missing required field: url [json-pointer:/blocks/0/elements/0/elements/0]": rich(
        section({"type": "link"})
    ),
    "unsupported style: loud [json-pointer:/blocks/0/elements/0/elements/0/style/loud]": rich(
        section(run(style={"loud": True}))
    ),
    "must be a boolean [json-pointer:/blocks/0/elements/0/elements/0/style/bold]": rich(
        section(run(style={"bold": "yes"}))
    ),
    "must be one of here, channel, everyone [json-pointer:/blocks/0/elements/0/elements/0/range]": (
        rich(section({"type": "broadcast", "range": "all"}))
    ),
    "missing required field: style [json-pointer:/blocks/0/elements/0]": rich(
        {"type": "rich_text_list", "elements": [section()]}
    ),
    "unsupported type: text [json-pointer:/blocks/0/elements/0/elements/0/type]": rich(
        {"type": "rich_text_list", "style": "bullet", "elements": [run()]}
    ),
    "must be between 0 and 8 [json-pointer:/blocks/0/elements/0/indent]": rich(
        {"type": "rich_text_list", "style": "bullet", "indent": 9, "elements": [section()]}
    ),
    "unsupported type: emoji [json-pointer:/blocks/0/elements/0/elements/0/type]": rich(
        {"type": "rich_text_preformatted", "elements": [{"type": "emoji", "name": "tada"}]}
    ),
    "unsupported type: nope [json-pointer:/blocks/0/type]": {"type": "nope"},
    "unsupported type: ['section'] [json-pointer:/blocks/0/type]": {"type": ["section"]},
    "must be less than 256 characters [json-pointer:/blocks/0/block_id]": {
        "type": "divider",
        "block_id": "x" * 256,
    },
}


@pytest.mark.parametrize(("problem", "block"), BAD.items(), ids=range(len(BAD)))
def test_what_slack_refuses_is_refused_at_its_place(problem: str, block: dict[str, Any]) -> None:
    assert blocks.problems([block]) == [problem]


def test_a_message_has_at_most_fifty_blocks() -> None:
    assert blocks.problems([{"type": "divider"}] * 50) == []
    assert blocks.problems([{"type": "divider"}] * 51) == [
        "no more than 50 items allowed [json-pointer:/blocks]"
    ]


def test_a_block_id_is_used_once() -> None:
    twice = [{"type": "divider", "block_id": "b"}] * 2
    assert blocks.problems(twice) == [
        "block_id `b` already exists [json-pointer:/blocks/1/block_id]"
    ]


def test_stored_blocks_have_ids_and_defaults_and_the_given_ones_stay_as_they_were() -> None:
    given = [
        {"type": "divider", "block_id": "mine"},
        actions({"type": "button", "text": plain()}),
        {"type": "section", "text": text()},
    ]
    stored = blocks.accepted(given)
    assert stored[0]["block_id"] == "mine"
    assert len({block["block_id"] for block in stored}) == 3
    assert stored[1]["elements"][0]["action_id"]
    assert stored[1]["elements"][0]["text"]["emoji"] is True
    assert stored[2]["text"]["verbatim"] is False
    assert "block_id" not in given[1]


def test_a_refusal_has_slack_s_shape() -> None:
    with pytest.raises(ApiError) as refused:
        blocks.accepted([{"type": "nope"}])
    problem = "unsupported type: nope [json-pointer:/blocks/0/type]"
    assert refused.value.answer() == {
        "ok": False,
        "error": "invalid_blocks",
        "errors": [problem],
        "response_metadata": {"messages": [f"[ERROR] {problem}"]},
    }


def test_an_element_is_found_by_its_ids() -> None:
    stored = blocks.accepted(
        [
            {**actions(button(value="1")), "block_id": "one"},
            {"type": "section", "text": text(), "accessory": button(value="2"), "block_id": "two"},
        ]
    )
    found = blocks.find(stored, action_id="a", block_id="two")
    assert found is not None
    assert found[1]["value"] == "2"
    first = blocks.find(stored, action_id="a", block_id=None)
    assert first is not None
    assert first[1]["value"] == "1"
    assert blocks.find(stored, action_id="b", block_id=None) is None
