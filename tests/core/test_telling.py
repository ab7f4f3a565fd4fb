"""What is kept of a message once it was told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.values import NOW, a_run
from tidegate.core.lifecycle import FINAL
from tidegate.core.model import Posting, State
from tidegate.core.telling import Kept, Told, told, was_told_to_its_end

KEPT = Kept(
    posting="posted",
    ts="1.1",
    version=3,
    shown=1,
    urgent=2,
    lookups=1,
    failures=2,
    leased_at=NOW - 1,
    told_at=NOW - 60,
)


def after(kept: Kept = KEPT, **options: Any) -> Told:
    usual: dict[str, Any] = {
        "seen": kept.version,
        "posting": None,
        "ts": None,
        "rendered": True,
        "due_at": None,
        "failed": False,
        "now": NOW,
    }
    return told(kept, **(usual | options))


def test_what_shows_all_there_is_waits_for_more() -> None:
    now = after()
    assert (now.shown, now.due_at, now.urgent) == (3, None, False)
    assert (now.posting, now.ts, now.failures) == ("posted", "1.1", 0)
    assert now.told_at == KEPT.leased_at, "what it shows was read when it was leased"


def test_what_came_meanwhile_is_told_next_and_an_end_first() -> None:
    now = after(seen=2)
    assert (now.shown, now.due_at, now.urgent) == (2, NOW, False)
    assert after(KEPT._replace(urgent=3), seen=2).urgent


def test_what_was_not_rendered_shows_what_it_did() -> None:
    now = after(rendered=False, failed=True, due_at=NOW + 8)
    assert (now.shown, now.told_at, now.failures) == (1, KEPT.told_at, 3)
    assert (now.hold_at, now.due_at, now.urgent) == (NOW + 8, NOW + 8, True)


def test_a_pause_that_is_over_holds_nothing_up() -> None:
    assert after(seen=2, due_at=NOW - 5).due_at == NOW


def test_a_message_that_was_given_up_is_not_due_whatever_came() -> None:
    now = after(rendered=False, posting=Posting.GIVEN_UP)
    assert (now.posting, now.due_at) == ("given_up", None)


@pytest.mark.parametrize(
    ("posting", "lookups"), [(Posting.AMBIGUOUS, 2), (Posting.POSTED, 0), (None, 1)]
)
def test_looks_for_a_post_are_counted_until_it_is_there(
    posting: Posting | None, lookups: int
) -> None:
    now = after(posting=posting, ts="2.2")
    assert (now.lookups, now.ts) == (lookups, "2.2")


@given(version=st.integers(1, 9), shown=st.integers(0, 9), seen=st.integers(0, 9))
def test_what_is_shown_never_gets_older_and_what_is_behind_is_due(
    version: int, shown: int, seen: int
) -> None:
    now = after(KEPT._replace(version=version, shown=shown), seen=seen)
    assert now.shown == max(shown, seen)
    assert (now.due_at is not None) == (version > now.shown)


@pytest.mark.parametrize("state", list(State))
def test_only_an_end_from_before_was_told(state: State) -> None:
    run = a_run(state=state, updated_at=NOW)
    assert was_told_to_its_end(run, NOW + 1) is (state in FINAL)
    assert not was_told_to_its_end(run, NOW)
