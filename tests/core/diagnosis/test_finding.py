"""The tree of a diagnosis, and the words of its findings."""

import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.app.doctor import walk
from tidegate.core.diagnosis import agent, keys, line, objects, pathway, place, queue, slack
from tidegate.core.diagnosis.finding import (
    MAX_TEXT,
    MAX_VALUE,
    Check,
    Diagnosis,
    Finding,
    Seen,
    State,
    Words,
    as_json,
    as_lines,
    duration,
    finding,
    listed,
    shown,
)

TABLES = [
    agent.WORDS,
    keys.WORDS,
    line.WORDS,
    objects.WORDS,
    pathway.WORDS,
    place.WORDS,
    queue.WORDS,
    slack.WORDS,
    walk.WORDS,
]
EVERY = [(code, words) for table in TABLES for code, words in table.items()]

GRAVE = Finding(code="a.grave", what="x", why="y", mend="z")
MILD = Finding(code="a.mild", what="x", why="y", mend="z", grave=False)

texts = st.text(max_size=300)
paths = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(tuple)
checks = st.builds(
    Check,
    path=paths,
    title=st.text(alphabet=string.ascii_letters, min_size=1, max_size=9),
    state=st.sampled_from(State),
    said=st.text(alphabet=string.ascii_letters, max_size=9),
    findings=st.lists(st.sampled_from([GRAVE, MILD]), max_size=2).map(tuple),
)


def names(words: Words) -> set[str]:
    whole = (words.what, words.why, words.mend)
    return {name for text in whole for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_code_has_one_meaning_and_a_name_of_its_part() -> None:
    codes = [code for code, _ in EVERY]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z0-9]+\.[a-z_]+", code) for code in codes)
    assert len(codes) > 100


@pytest.mark.parametrize("code", [code for code, _ in EVERY])
def test_every_code_says_what_why_and_mend_in_plain_sentences(code: str) -> None:
    words = dict(EVERY)[code]
    filled = finding({code: words}, code, **dict.fromkeys(names(words), "X"))
    for text in (filled.what, filled.why, filled.mend):
        assert text == text.strip()
        assert text
        assert not text.endswith(".")
        assert "{" not in re.sub(r"\{(type|region): ", "", text)
    assert filled.grave is words.grave


@given(st.sampled_from(EVERY), texts)
def test_what_was_seen_does_nothing_to_a_terminal(one: tuple[str, Words], seen: str) -> None:
    code, words = one
    filled = finding({code: words}, code, **dict.fromkeys(names(words), seen))
    for text in (filled.what, filled.why, filled.mend):
        assert text.isprintable()
        assert len(text) <= MAX_TEXT


@given(texts)
def test_a_value_is_one_short_line(text: str) -> None:
    assert len(shown(text)) <= MAX_VALUE
    assert shown(text).isprintable()


@given(st.lists(st.integers(), max_size=30))
def test_a_list_in_a_sentence_tells_how_many_it_leaves_out(values: list[int]) -> None:
    text = listed(values, most=3)
    if len(values) > 3:
        assert text.endswith(f" and {len(values) - 3} more")
    assert text.count(", ") <= 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-42, "42 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days")],
)
def test_a_duration_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (Seen(said="fine"), State.OK),
        (Seen(untold="cannot be seen"), State.UNTOLD),
        (Seen(findings=(MILD,), untold="x"), State.WARNING),
        (Seen(findings=(MILD, GRAVE)), State.WRONG),
    ],
)
def test_the_worst_counts(seen: Seen, state: State) -> None:
    assert seen.state is state


@given(st.lists(checks, max_size=8))
def test_each_part_is_told_once_and_with_all_its_findings(found: list[Check]) -> None:
    diagnosis = Diagnosis(checks=tuple(found), seconds=1.5)
    lines = as_lines(diagnosis)
    marks = [line for line in lines[:-2] if line.strip()[0] in "✓!✗?-"]
    assert len(marks) == len(found)
    assert sum("mend:" in line for line in lines) == len(diagnosis.findings)
    assert lines[-1].startswith(f"{len(found)} looked at in 1.5 s, ")
    assert diagnosis.ok == all(check.state is not State.WRONG for check in found)


@given(st.lists(checks, max_size=8))
def test_as_json_it_says_the_same(found: list[Check]) -> None:
    diagnosis = Diagnosis(checks=tuple(found), seconds=0.1234)
    plain = json.loads(json.dumps(as_json(diagnosis)))
    assert plain["ok"] is diagnosis.ok
    assert [tuple(check["path"]) for check in plain["checks"]] == [check.path for check in found]
    assert [len(check["findings"]) for check in plain["checks"]] == [
        len(check.findings) for check in found
    ]
    assert sum(plain["counts"].values()) == len(found)
    assert plain["seconds"] == 0.123


def test_a_folder_is_named_once_above_what_is_in_it() -> None:
    def part(*path: str) -> Check:
        return Check(path=path, title=path[-1], state=State.OK)

    found = Diagnosis(checks=(part("s3", "a", "x"), part("s3", "a", "y"), part("s3", "b", "x")))
    assert as_lines(found)[:-2] == ["s3", "  a", "    ✓ x", "    ✓ y", "  b", "    ✓ x"]


def test_the_last_line_says_what_it_comes_to() -> None:
    def ended(state: State) -> Check:
        return Check(path=(state.value,), title="x", state=state)

    every = Diagnosis(checks=tuple(map(ended, State)))
    assert as_lines(every)[-1] == (
        "5 looked at in 0.0 s, 1 wrong, 1 to be mended in time, 1 not tried, 1 could not be told."
    )
