"""What is shared, as blocks: inside Slack's limits, in order, and never as markup."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.core import share_blocks
from tidegate.core.share_blocks import (
    MAX_ALT,
    MAX_BLOCKS,
    MAX_HEADER,
    MAX_LABEL,
    MAX_PLAIN,
    MAX_TITLE,
    MAX_URL,
    Picture,
)
from tidegate_dev.slack import blocks as far_end

URL = "https://acme.s3.eu-west-1.amazonaws.com/a.pdf?X-Amz-Signature=0123"
EXPIRES_AT = 1_795_349_696.9
FALLBACK = "2026-11-22 12:34 UTC"
RTL = "\u202e"
HOSTILE = [
    "<!channel>",
    "<!here|here>",
    "<!date^1^{date}|x>",
    "<@U0ADA>",
    "<#C0OPS|ops>",
    "<https://evil.example|invoice.pdf>",
    "a|b",
    "a>b",
    "a&b &amp; &lt;!channel&gt;",
    "*bold* _italic_ ~gone~ `code`",
    "> quoted\n> twice",
    "```\nmore\n```",
    ":tada: 🎉 👩\u200d💻",
    f"{RTL}fdp.exe\u2066",
    "a\r\nb\x00\x1b[31m\u2028c",
    "\ud800",
]
MARKUP = re.compile(
    r"Works until <!date\^[0-9]+\^\{date_short_pretty\} \{time\}\|[^<>]+>, for anyone who has it"
)
KINDS = {
    "context",
    "header",
    "image",
    "link",
    "mrkdwn",
    "plain_text",
    "rich_text",
    "rich_text_section",
    "section",
}


def parts(value: object) -> Iterator[dict[str, Any]]:
    """Yield every object in blocks that has a type."""
    if isinstance(value, dict):
        if "type" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from parts(each)


def texts(blocks: object) -> list[str]:
    return [part["text"] for part in parts(blocks) if isinstance(part.get("text"), str)]


def assert_slack_takes(blocks: Sequence[dict[str, Any]]) -> None:
    assert far_end.problems(list(blocks)) == []
    far_end.accepted(list(blocks))
    json.dumps(blocks, ensure_ascii=False).encode()  # as it goes out
    assert {part["type"] for part in parts(list(blocks))} <= KINDS
    for part in parts(list(blocks)):
        if part["type"] == "mrkdwn":
            assert MARKUP.fullmatch(part["text"])
        if part["type"] in ("plain_text", "mrkdwn"):
            assert part["text"].strip()


def shown(count: int, start: int = 0) -> list[Picture]:
    return [
        Picture(alt_text=f"picture {number}", title=f"{number}.png", file_id=f"F{number:09d}")
        for number in range(start, start + count)
    ]


def a_link(**given: Any) -> list[dict[str, Any]]:
    return share_blocks.link(**{"title": "Revenue", "url": URL, **given})


# --- a link ---------------------------------------------------------------------------------


def test_a_link_says_what_it_leads_to_and_until_when() -> None:
    blocks = a_link(about="a.pdf · 2 MiB", expires_at=EXPIRES_AT, fallback=FALLBACK)
    assert blocks == [
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_section",
                    "elements": [
                        {"type": "link", "url": URL, "text": "Revenue", "style": {"bold": True}}
                    ],
                }
            ],
        },
        {
            "type": "context",
            "elements": [
                {"type": "plain_text", "text": "a.pdf · 2 MiB", "emoji": False},
                {
                    "type": "mrkdwn",
                    "text": "Works until <!date^1795349696^{date_short_pretty} {time}"
                    "|2026-11-22 12:34 UTC>, for anyone who has it",
                },
            ],
        },
    ]
    assert_slack_takes(blocks)


def test_a_link_alone_is_one_block() -> None:
    assert len(a_link()) == 1
    assert_slack_takes(a_link())


@pytest.mark.parametrize("blank", ["", " ", "\n", "\t", RTL, "\u200b \x00"])
def test_what_is_blank_is_left_out_of_a_link(blank: str) -> None:
    assert a_link(about=blank) == a_link()
    [block] = a_link(title=blank)
    assert texts(block) == ["link"]
    assert_slack_takes([block])
    assert_slack_takes(a_link(expires_at=EXPIRES_AT, fallback=blank))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_link_becomes_markup(text: str) -> None:
    blocks = a_link(title=text, about=text, expires_at=EXPIRES_AT, fallback=text)
    assert_slack_takes(blocks)
    link = blocks[0]["elements"][0]["elements"][0]
    assert link["type"] == "link"
    assert link["url"] == URL
    assert link["text"] == (share_blocks.one_line(text) or "link")


def test_a_link_as_long_as_slack_takes_fits() -> None:
    url = URL + "&X-Amz-Security-Token="
    assert_slack_takes(a_link(url=url + "t" * (MAX_URL - len(url))))


def test_long_words_of_a_link_are_cut() -> None:
    long = "x" * 5000
    blocks = a_link(title=long, about=long, expires_at=EXPIRES_AT, fallback=long)
    assert_slack_takes(blocks)
    assert blocks[0]["elements"][0]["elements"][0]["text"] == "x" * (MAX_LABEL - 1) + "…"
    assert len(blocks[1]["elements"][0]["text"]) == MAX_PLAIN


# --- an image -------------------------------------------------------------------------------


def test_an_image_is_a_file_in_slack_or_a_url() -> None:
    file = share_blocks.image(Picture(alt_text="a chart", title="cpu.png", file_id="F00000001"))
    assert file == {
        "type": "image",
        "alt_text": "a chart",
        "title": {"type": "plain_text", "text": "cpu.png", "emoji": False},
        "slack_file": {"id": "F00000001"},
    }
    linked = share_blocks.image(Picture(alt_text="a chart", url=URL))
    assert linked == {"type": "image", "alt_text": "a chart", "image_url": URL}
    assert_slack_takes([file, linked])


def test_an_image_always_says_something_to_who_cannot_see_it() -> None:
    def said(alt_text: str, title: str = "") -> str:
        block = share_blocks.image(Picture(alt_text=alt_text, title=title, url=URL))
        assert_slack_takes([block])
        return str(block["alt_text"])

    assert said("a chart", "cpu.png") == "a chart"
    assert said("", "cpu.png") == "cpu.png"
    assert said(" \n", f"{RTL}") == "image"


def test_a_blank_title_of_an_image_is_left_out() -> None:
    assert "title" not in share_blocks.image(Picture(alt_text="a", title=" \n", url=URL))


def test_long_words_of_an_image_are_cut() -> None:
    block = share_blocks.image(Picture(alt_text="a" * 5000, title="t" * 5000, url=URL))
    assert_slack_takes([block])
    assert len(block["alt_text"]) == MAX_ALT
    assert len(block["title"]["text"]) == MAX_TITLE


# --- a gallery ------------------------------------------------------------------------------


def test_a_gallery_has_its_title_its_comment_its_pictures_and_what_is_missing() -> None:
    [blocks] = share_blocks.gallery(
        shown(2), title="This week", comment="Look at Monday", missing=["c.png: It is empty."]
    )
    assert [block["type"] for block in blocks] == ["header", "section", "image", "image", "context"]
    assert texts(blocks) == [
        "This week",
        "Look at Monday",
        "0.png",
        "1.png",
        "Not shared: c.png: It is empty.",
    ]
    assert_slack_takes(blocks)


@pytest.mark.parametrize("count", [1, 47, 48, 49, 50, 51, 100, 101, 250])
@pytest.mark.parametrize("title", ["", "This week"])
def test_a_gallery_goes_over_as_many_messages_as_it_takes_in_order(count: int, title: str) -> None:
    messages = share_blocks.gallery(shown(count), title=title, missing=["x: y"])
    for blocks in messages:
        assert 0 < len(blocks) <= MAX_BLOCKS
        assert_slack_takes(blocks)
    assert all(len(blocks) == MAX_BLOCKS for blocks in messages[:-1])
    everything = [block for blocks in messages for block in blocks]
    ids = [block["slack_file"]["id"] for block in everything if block["type"] == "image"]
    assert ids == [f"F{number:09d}" for number in range(count)]
    assert everything[-1]["type"] == "context"
    assert (everything[0]["type"] == "header") == bool(title)


def test_nothing_to_show_is_no_message() -> None:
    assert share_blocks.gallery([]) == []


@pytest.mark.parametrize("blank", ["", " ", "\n\n", RTL, "\u200b"])
def test_what_is_blank_is_left_out_of_a_gallery(blank: str) -> None:
    [blocks] = share_blocks.gallery(shown(1), title=blank, comment=blank)
    assert [block["type"] for block in blocks] == ["image"]


def test_long_words_of_a_gallery_are_cut() -> None:
    long = "x" * 50_000
    [blocks] = share_blocks.gallery(shown(1), title=long, comment=long, missing=[long, long])
    assert_slack_takes(blocks)
    assert list(map(len, texts(blocks))) == [MAX_HEADER, MAX_PLAIN, 5, MAX_PLAIN]


# --- words ----------------------------------------------------------------------------------


def test_what_a_person_said_keeps_its_lines_and_its_emoji() -> None:
    assert share_blocks.said("Look:\n  *a* :tada:\n\n& <b>") == {
        "type": "section",
        "text": {"type": "plain_text", "text": "Look:\n  *a* :tada:\n\n& <b>", "emoji": True},
    }


@pytest.mark.parametrize("text", ["", " ", "\n \n", "\x00", RTL])
def test_nothing_said_is_still_a_block_that_slack_takes(text: str) -> None:
    assert_slack_takes([share_blocks.said(text)])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb", "a b"),
        (" a ", "a"),
        ("a\u2028b\u2029c\x85d\x0be", "a b c d e"),
        (f"a{RTL}b\u200fc", "a b c"),
        ("👩\u200d💻 ❤\ufe0f", "👩\u200d💻 ❤\ufe0f"),
        ("a\ud800b", "a b"),
        ("", ""),
    ],
)
def test_one_line_has_nothing_that_breaks_or_turns_it(text: str, line: str) -> None:
    assert share_blocks.one_line(text) == line


def test_a_title_is_one_line_of_a_length_that_slack_takes() -> None:
    assert share_blocks.cut_title(" a\nb ") == "a b"
    assert share_blocks.cut_title("a" * MAX_LABEL) == "a" * MAX_LABEL
    assert share_blocks.cut_title("a" * 1000) == "a" * (MAX_LABEL - 1) + "…"


# --- anything at all ------------------------------------------------------------------------

words = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(), max_size=20),
    st.sampled_from(HOSTILE),
    st.builds("".join, st.lists(st.sampled_from([*HOSTILE, " ", "&", "x" * 200]), max_size=40)),
)
pictures = st.builds(
    Picture, alt_text=words, title=words, file_id=st.just("F0123ABCD"), url=st.none()
) | st.builds(Picture, alt_text=words, title=words, url=st.just(URL))


@given(
    title=words,
    about=words,
    expires_at=st.none() | st.floats(0, 4e9),
    fallback=words,
)
@example(title="", about="", expires_at=0.0, fallback="")
@example(title="&" * 301, about="&" * 3001, expires_at=1.0, fallback="&" * 151)
def test_slack_takes_any_link(
    title: str, about: str, expires_at: float | None, fallback: str
) -> None:
    blocks = a_link(title=title, about=about, expires_at=expires_at, fallback=fallback)
    assert_slack_takes(blocks)
    assert not any("\n" in text or RTL in text for text in texts(blocks))


@given(
    shown=st.lists(pictures, min_size=1, max_size=3),
    copies=st.integers(1, 60),
    title=words,
    comment=words,
    missing=st.lists(words, max_size=5),
)
@example(
    shown=[Picture(alt_text="&" * 2001, title="&" * 2001, url=URL)],
    copies=1,
    title="&" * 151,
    comment="&" * 3001,
    missing=["&" * 3001],
)
def test_slack_takes_any_gallery(
    shown: list[Picture], copies: int, title: str, comment: str, missing: list[str]
) -> None:
    everything = shown * copies
    messages = share_blocks.gallery(everything, title=title, comment=comment, missing=missing)
    for blocks in messages:
        assert_slack_takes(blocks)
    flat = [block for blocks in messages for block in blocks]
    images = [block for block in flat if block["type"] == "image"]
    assert images == [share_blocks.image(picture) for picture in everything]
    assert not any(RTL in text for text in texts(flat))
