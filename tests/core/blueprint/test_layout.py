"""YAML as a person would write it means what it was made from, to every reader of YAML."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import document
from tidegate.core.blueprint.layout import MAX_LINE, Path, write

keys = st.text(min_size=1, max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**15), max_value=10**15)
    | st.text(max_size=20)
    | st.sampled_from(["on", "No", "~", "1e3", "0x1F", "2024-01-01", "- a", "a: b", "#", "'", "{"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=15,
)


@given(st.dictionaries(keys, values, min_size=1, max_size=4), st.booleans())
def test_what_is_written_is_what_is_read(value: dict[str, Any], commented: bool) -> None:
    comments: dict[Path, str] = {}
    if commented:
        comments = {(key,): "a line\nand another" for key in value}
    text = write(value, comments)
    assert yaml.safe_load(text) == value
    read = document.read(text)
    assert read.problems == ()
    assert read.value == value


def test_short_things_stand_on_one_line_and_long_ones_below() -> None:
    long = {f"key{number}": "word" * 4 for number in range(8)}
    text = write({"short": {"a": [1, "b"], "c": {"d": True}}, "long": long}, {})
    assert text.startswith("short: {a: [1, b], c: {d: true}}\nlong:\n  key0: wordwordwordword\n")
    assert all(len(line) <= MAX_LINE for line in text.splitlines())


def test_a_comment_stands_above_its_key_and_opens_what_is_around_it() -> None:
    text = write({"a": {"b": {"c": 1}, "d": 2}}, {("a", "b"): "why b\nand so", ("a",): "why a"})
    assert text == "# why a\na:\n  # why b\n  # and so\n  b: {c: 1}\n  d: 2\n"


def test_what_could_mean_something_else_is_quoted() -> None:
    assert write({"a": ["on", "null", "1", "10.0.0.0/16", "*", "C0OPS", "/deploy"]}, {}) == (
        'a: ["on", "null", "1", "10.0.0.0/16", "*", C0OPS, /deploy]\n'
    )
