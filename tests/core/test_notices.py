import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidegate
from tests.core.values import a_run
from tidegate.core import notices
from tidegate.core.lifecycle import is_final
from tidegate.core.model import State
from tidegate.core.policy import Denied, Reason
from tidegate.errors import RefusedError


@pytest.mark.parametrize("reason", list(Reason))
def test_everyone_who_is_not_admitted_is_told_why_and_that_nothing_was_done(reason: Reason) -> None:
    text = notices.denied(Denied(reason=reason))
    assert "nothing was done" in text
    assert notices.denied_reason(reason.value) == text


def test_the_way_in_is_named() -> None:
    text = notices.denied(Denied(reason=Reason.NOT_LISTED, groups=frozenset({"S2", "S1"})))
    assert text.endswith("It needs <!subteam^S1> or <!subteam^S2>.")
    many = frozenset(f"S{n}" for n in range(50))
    assert notices.denied(Denied(reason=Reason.NOT_LISTED, groups=many)).count("<!subteam^") == 5


def test_a_denial_of_another_kind_has_words_as_well() -> None:
    assert notices.denied_reason("unrouted") == notices.reason("unrouted")
    assert "nothing was done" in notices.denied_reason("whatever")


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_words(state: State) -> None:
    assert notices.STATE_WORDS[state]


def _reasons_in_source() -> set[str]:
    """What the product gives as `reason=` of a change to a run, or of a request not sent."""
    root = Path(tidegate.__file__).parent
    found: set[str] = set()
    for file in [*root.glob("app/*.py"), *root.glob("adapters/pathways/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if not named or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id not in {"Change", "NotSent", "NoAnswer", "_again", "_ambiguous"}:
                continue
            for keyword in node.keywords:
                if keyword.arg == "reason":
                    texts = [n for n in ast.walk(keyword.value) if isinstance(n, ast.Constant)]
                    found |= {n.value for n in texts if isinstance(n.value, str) and n.value}
    return found


def test_every_reason_a_run_can_end_with_has_words() -> None:
    found = _reasons_in_source()
    assert {"connect", "timeout", "busy", "token", "interrupted", "lost_track"} <= found
    waiting = {"unverified"}  # only while it is queued; denied in these words, see `Reason`
    assert {code for code in found - waiting if not notices.reason(code)} == set()


@pytest.mark.parametrize("status", [*range(300, 309), 400, 401, 403, 404, 405, 409, 410, 422, 451])
def test_every_status_that_says_no_has_words_that_say_that_nothing_was_done(status: int) -> None:
    assert "Nothing was done." in notices.reason(notices.rejected_as(status))


def test_what_is_not_known_is_said_to_be_not_known() -> None:
    for code in ("timeout", "no_answer", "interrupted", "error", "lost_track"):
        assert "may or may not have been done" in notices.reason(code)
        assert "Nothing was done" not in notices.reason(code)


def test_a_reason_of_nobody_has_no_words() -> None:
    assert notices.reason("<!channel>") == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "1 second"),
        (0.2, "1 second"),
        (1.4, "1 second"),
        (2, "2 seconds"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (3600, "60 minutes"),
        (5399, "2 hours"),
        (86400, "24 hours"),
    ],
)
def test_a_wait_is_said_in_words(seconds: float, words: str) -> None:
    assert notices.wait(seconds) == words


@given(st.floats(0, 1e7))
def test_a_wait_is_never_far_from_what_it_says(seconds: float) -> None:
    number, unit = notices.wait(seconds).split()
    said = int(number) * {"second": 1, "minute": 60, "hour": 3600}[unit.removesuffix("s")]
    assert abs(said - max(1.0, seconds)) <= max(1.0, seconds * 0.34)


@pytest.mark.parametrize("state", list(State))
def test_the_second_person_is_told_who_was_first(state: State) -> None:
    text = notices.joined(a_run(state=state))
    assert "<@U0ADA>" in text
    assert ("already done" in text) is (state is State.SUCCEEDED)
    assert ("under way" in text) is not is_final(state)
    assert (notices.STATE_WORDS[state] in text) is is_final(state)


def test_input_that_does_not_fit_is_said_to_have_done_nothing() -> None:
    assert notices.invalid("`x` is missing.") == "`x` is missing. Nothing was done."


def test_notices_are_plain_sentences() -> None:
    texts = [v for k, v in vars(notices).items() if k.isupper() and isinstance(v, str)]
    assert len(texts) > 8
    for text in texts:
        assert text.endswith(".")
        assert not re.search(r"error|exception|invalid|null|!", text, re.IGNORECASE)


def test_refusals_have_no_text_of_their_own_for_people() -> None:
    assert not hasattr(RefusedError("x"), "notice")
