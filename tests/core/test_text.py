"""Text of others on a terminal. How it is escaped for Slack is tested with the blocks."""

import pytest

from tidegate.core.text import harmless, harmless_lines, is_whole


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("q3/Umsätze 名前 (1).pdf", "q3/Umsätze 名前 (1).pdf"),
        ("\x1b]0;x\x07a\x1b[2J\x9b1m", "·]0;x·a·[2J·1m"),
        ("a\nadmin: all fine\r\tb\x7f", "a·admin: all fine··b·"),
        ("a\u202egpj.exe\u2066\u200f", "a·gpj.exe··"),
        ("a\u2028b\u0085c\udcff", "a·b·c·"),
        ("", ""),
    ],
)
def test_nothing_in_a_line_moves_the_cursor_or_turns_the_text_around(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_a_text_of_several_lines_keeps_them_and_nothing_else() -> None:
    assert harmless_lines("a\n\x1b[1mb\r\n") == "a\n·[1mb·\n"


def test_half_of_a_character_is_not_whole() -> None:
    assert is_whole("a\U0001f30a")
    assert not is_whole("a\udcff")
