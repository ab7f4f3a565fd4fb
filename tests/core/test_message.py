"""A message before it is sent."""

import json

import pytest

from tidegate.core.message import Message, admit, is_timestamp, parse_blocks
from tidegate.errors import ShareError

DIVIDER = {"type": "divider"}


def a_message(**given: object) -> Message:
    return Message(**{"id": "1", "channel_id": "C0OPS"} | given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"text": "x" * 40_000},
        {"blocks": (DIVIDER,)},
        {"text": "x" * 4000, "update_ts": "1.2"},
    ],
)
def test_what_slack_takes_is_admitted(given: dict[str, object]) -> None:
    assert admit(a_message(**given)) == ()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "nothing_to_say"),
        ({"text": " \n"}, "nothing_to_say"),
        ({"text": "x" * 40_001}, "text_too_long"),
        ({"text": "x" * 4001, "update_ts": "1.2"}, "text_too_long"),
        ({"text": "x", "blocks": ({"type": "header"},)}, "blocks_invalid"),
        ({"text": "a\udcff"}, "not_utf8"),
        ({"blocks": (DIVIDER | {"block_id": "\ud800"},)}, "not_utf8"),
        ({"blocks": ({"type": "hologram", "a": [({"b\udfff": 1},)]},)}, "not_utf8"),
    ],
)
def test_what_slack_would_refuse_is_refused_before(given: dict[str, object], code: str) -> None:
    with pytest.raises(ShareError) as caught:
        admit(a_message(**given))
    assert caught.value.code == code


def test_what_cannot_be_told_is_noted() -> None:
    assert len(admit(a_message(blocks=({"type": "hologram"},)))) == 1


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ([DIVIDER], ((DIVIDER,), "")),
        ({"blocks": [DIVIDER], "text": "x"}, ((DIVIDER,), "x")),
        ({"blocks": []}, ((), "")),
    ],
)
def test_blocks_are_a_list_or_an_object_with_one(content: object, found: object) -> None:
    assert parse_blocks(json.dumps(content).encode()) == found
    assert parse_blocks(b"\xef\xbb\xbf" + json.dumps(content).encode()) == found


@pytest.mark.parametrize(
    "content", [b"", b"7", b"null", b'{"text": "x"}', b'{"blocks": [], "text": 7}', b"[" * 99_999]
)
def test_what_is_no_list_of_blocks_is_refused(content: bytes) -> None:
    with pytest.raises(ShareError, match="blocks_unreadable"):
        parse_blocks(content)


@pytest.mark.parametrize("number", [b"1" * 5000, b"-" + b"9" * 5000, b"NaN", b"-Infinity"])
def test_a_number_that_is_none_of_json_s_or_too_long_is_told(number: bytes) -> None:
    with pytest.raises(
        ShareError, match="a number that is too long, or not one of JSON's"
    ) as caught:
        parse_blocks(b'[{"type": "divider", "a": ' + number + b"}]")
    assert caught.value.code == "blocks_unreadable"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("1762531200.000100", True),
        ("1762531200", False),
        ("1762531200.0001", False),
        ("p1762531200000100", False),
        ("1762531200.000100\n", False),
    ],
)
def test_a_timestamp_is_told_by_its_shape(text: str, *, is_one: bool) -> None:
    assert is_timestamp(text) is is_one
