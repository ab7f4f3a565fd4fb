"""The text of a configuration file as values with places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.document import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    Complaint,
    Place,
    key_text,
    read,
    shown,
)


def whats(text: str) -> list[str]:
    return [problem.what for problem in read(text).problems]


def test_every_key_and_item_has_its_place() -> None:
    found = read("slack:\n  api_url: x\nitems:\n  - a\n  - {b: c}\n")
    assert found.value == {"slack": {"api_url": "x"}, "items": ["a", {"b": "c"}]}
    assert found.places["slack",] == Place(line=1, column=1)
    assert found.places["slack", "api_url"] == Place(line=2, column=3)
    assert found.places["items", 1] == Place(line=5, column=5)
    assert found.places["items", 1, "b"] == Place(line=5, column=6)
    assert found.problems == ()


def test_a_complaint_about_what_is_missing_stands_at_the_nearest_key() -> None:
    problem = read("a:\n  b: 1\n").problem(Complaint(path=("a", "c", 0), what="w", mend="m"))
    assert (problem.line, problem.column, problem.key) == (1, 1, "a.c[0]")


def test_only_what_json_can_say_is_read() -> None:
    text = (
        "{a: yes, b: on, c: 010, d: 22:22, e: 2024-01-01, f: true, g: 12, h: 1.5, i: null, j: ~,"
        " k: 1_000, l: 0x10, m: .inf, n: '5', o: !!str 5, p: -3}"
    )
    assert read(text).value == {
        "a": "yes",
        "b": "on",
        "c": "010",
        "d": "22:22",
        "e": "2024-01-01",
        "f": True,
        "g": 12,
        "h": 1.5,
        "i": None,
        "j": None,
        "k": "1_000",
        "l": "0x10",
        "m": ".inf",
        "n": "5",
        "o": "5",
        "p": -3,
    }


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert read("").value == {}
    assert read("# nothing\n").problems == ()


def test_aliases_are_expanded() -> None:
    assert read("a: &x [1]\nb: *x\n").value == {"a": [1], "b": [1]}


def test_a_key_that_stands_twice_is_a_problem_at_the_second() -> None:
    (problem,) = read("a: 1\nb: 2\na: 3\n").problems
    assert (problem.line, problem.key) == (3, "a")
    assert "first on line 1" in problem.what


@pytest.mark.parametrize("text", ["1: a", "? [x]\n: a", "null: a", "true: a", "~: a"])
def test_a_key_that_is_not_text_is_a_problem(text: str) -> None:
    assert whats(text) == ["a key must be text"]


@pytest.mark.parametrize("text", ["a: !!python/object:os.system {}", "a: !x 1", "a: !!set {b}"])
def test_a_tag_is_a_problem(text: str) -> None:
    found = read(text)
    assert len(found.problems) == 1
    assert found.value == {"a": None}


def test_a_merge_key_is_a_problem() -> None:
    assert whats("a: &x {b: 1}\nc:\n  <<: *x\n") == ["merge keys are not read"]


def test_an_expansion_bomb_is_a_problem_and_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (problem,) = read("\n".join(lines)).problems
    assert problem.what == "the file says too much"
    assert problem.line is not None


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: *a}"])
def test_an_alias_inside_its_own_anchor_is_a_problem(text: str) -> None:
    assert whats(text) == ["the file says too much"]


@pytest.mark.parametrize("text", ["[" * 50_000, "{a: " * 20_000, "- " * 20_000])
def test_deep_nesting_is_a_problem(text: str) -> None:
    (problem,) = read(text).problems
    assert str(MAX_DEPTH) in problem.mend


def test_a_file_that_is_too_large_is_a_problem() -> None:
    assert whats("#" * (MAX_CHARACTERS + 1)) == ["the file is too large"]


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1\nb: 2\n", 2), ("a: 1\n b: 2", 2), ("a: '", 1), ("a: \x00", 1)]
)
def test_broken_yaml_is_a_problem_with_a_place(text: str, line: int) -> None:
    (problem,) = read(text).problems
    assert problem.line == line
    assert problem.mend


@pytest.mark.parametrize("text", ["- a", "just text", "5"])
def test_a_file_that_is_no_mapping_is_a_problem(text: str) -> None:
    assert whats(text) == ["a mapping is expected"]


def test_two_documents_in_one_file_are_a_problem() -> None:
    assert len(whats("a: 1\n---\nb: 2\n")) == 1


def test_half_a_character_is_a_problem() -> None:
    assert whats('a: "\\ud800"') == ["this holds half a character"]
    assert whats('a: "\\U00ffffff"') == ["a number in an escape sequence is too large"]


@pytest.mark.parametrize(
    "text", ["a: *hidden-secret", "a: !hidden-secret!x 1", "a: [hidden-secret"]
)
def test_a_syntax_problem_repeats_nothing_of_the_file(text: str) -> None:
    (problem,) = read(text).problems
    assert "hidden-secret" not in f"{problem.what}{problem.mend}{problem.key}"


def test_a_key_path_reads_as_people_write_it() -> None:
    assert key_text(("actions", "deploy", "allow", 0, "users", 2)) == (
        "actions.deploy.allow[0].users[2]"
    )
    assert key_text(("a\nb",)) == "a\N{REPLACEMENT CHARACTER}b"


def test_what_is_shown_is_cut_and_fits_one_line() -> None:
    assert shown("x" * 100) == "x" * 60 + "…"
    assert shown("a\x1b[31m\r") == "a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}"


PIECES = st.sampled_from(
    [*"[]{}:,-&*!|>%@`'\"#?\n \t~<=.0a", "\n  ", "- ", ": ", "&a ", "*a", "!!int ", "---\n", "\\x"]
)


@given(st.text() | st.lists(PIECES, max_size=40).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = read(text)
    assert isinstance(found.value, dict)
    assert all(problem.what and problem.mend for problem in found.problems)
