"""Answers are taken only if each can be one, and all of them go together."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.blueprints import ALL, PLAIN, answers
from tidegate.core.blueprint.answers import Answers, Home, Pathway, agree, complaint, flag
from tidegate.core.fields import ChannelId, GroupId, UserId
from tidegate.errors import ConfigError


def refusals(found: Answers) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        agree(found)
    assert all(problem.mend for problem in refused.value.problems)
    return [f"{problem.key}: {problem.what}" for problem in refused.value.problems]


@pytest.mark.parametrize("found", [*ALL.values(), PLAIN], ids=[*ALL, "plain"])
def test_what_can_be_asked_for_is_taken(found: Answers) -> None:
    agree(found)


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("name", "Tidegate"),
        ("name", "a"),
        ("name", "gate-"),
        ("name", "a" * 21),
        ("region", "Frankfurt"),
        ("cluster", "-prod"),
        ("cluster", "prod; rm -rf"),
        ("bucket", "ab"),
        ("bucket", "Reports"),
        ("bucket", "a..b"),
        ("bucket", "10.0.0.1"),
        ("bucket", "acme.reports"),
        ("bucket", "a" * 58),
        ("bucket", "xn--reports"),
        ("team", "U0ADA"),
        ("registry", "https://registry.example.com"),
        ("registry", "registry.example.com/Team"),
        ("vpc", "vpc-xyz"),
        ("url", "http://tidegate.example.com"),
        ("url", "https://tidegate.example.com/$(id)"),
    ],
)
def test_an_answer_that_cannot_be_one_is_refused_with_a_mend(answer: str, wrong: str) -> None:
    changes: dict[str, Any] = {answer: wrong}
    found = answers(**changes)
    assert f"{flag(answer)}: this is not one" in refusals(found)
    assert complaint(answer, wrong)


@pytest.mark.parametrize(
    ("answer", "wrong", "name"),
    [
        ("namespaces", "Staging", "--namespace"),
        ("users", "ada", "--user"),
        ("user_groups", "devs", "--user-group"),
        ("channels", "#ops", "--channel"),
        ("subnets", "subnet", "--subnet"),
    ],
)
def test_each_of_several_is_looked_at(answer: str, wrong: str, name: str) -> None:
    changes: dict[str, Any] = {answer: (wrong,), "team": "T0ACME"}
    assert refusals(answers(**changes)) == [f"{name}: '{wrong}' is not one"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            answers(Pathway.PRIVATELINK, home=Home.CLUSTER),
            "--gateway: a gateway in the cluster needs no privatelink: it is there already",
        ),
        (answers(region=None), "--region: it has to be known"),
        (
            answers(Pathway.DIRECT, region=None, bucket="acme-b"),
            "--region: it has to be known",
        ),
        (
            replace(answers(socket_mode=True), url="https://t.example.com"),
            "--url: with Socket Mode Slack calls nowhere",
        ),
        (answers(url=None), "--url: Slack has to know where to call"),
        (
            answers(users=("U0ADA",)),
            "--team: the cluster knows a person by workspace and user",
        ),
        (
            answers(namespaces=("tidegate",)),
            "--namespace: tidegate is where Tidegate itself is installed, and that it leaves alone",
        ),
        (answers(namespaces=()), "--namespace: none is named"),
        (
            answers(channels=tuple(f"C{number}" for number in range(101))),
            "--channel: more than 100",
        ),
    ],
)
def test_answers_that_do_not_go_together_are_refused(found: Answers, expected: str) -> None:
    assert refusals(found) == [expected]


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = answers(name="X", region="x", users=("ada", "bob"))
    assert len(refusals(found)) == 5


ids = {"users": UserId, "user_groups": GroupId, "channels": ChannelId}


@given(st.sampled_from(sorted(ids)), st.from_regex(r"[A-Z][A-Z0-9]{1,5}", fullmatch=True))
def test_ids_are_those_that_a_configuration_takes(answer: str, text: str) -> None:
    try:
        TypeAdapter(ids[answer]).validate_python(text)
    except ValidationError:
        assert complaint(answer, text)
    else:
        assert complaint(answer, text) is None


@given(st.text(max_size=30), st.sampled_from([each.name for each in fields(Answers)]))
def test_any_text_is_judged(text: str, answer: str) -> None:
    found: Any = complaint(answer, text)
    assert found is None or isinstance(found, str)


def test_nothing_that_could_end_a_line_or_a_word_of_a_shell_is_an_answer() -> None:
    for answer in ("name", "region", "cluster", "bucket", "team", "registry", "namespaces", "url"):
        begins = "https://t.example.com/" if answer == "url" else ""
        for text in ("a\nb", "a b", "a'b", 'a"b', "a;b", "$(a)", "`a`", "a\n"):
            assert complaint(answer, begins + text), (answer, text)
