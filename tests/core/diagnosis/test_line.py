"""What is seen of a line, judged."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.diagnosis.finding import State
from tidegate.core.diagnosis.line import (
    MAX_SKEW_SECONDS,
    NOTICED_SKEW_SECONDS,
    SOON_SECONDS,
    WORDS,
    Certificate,
    Line,
    Trouble,
    addresses,
    certificate,
    clock,
    skew,
    trouble,
)

LINE = Line(host="agent.internal", port=8443, tls=True, name="agent.acme.io")
NOW = 1_700_000_000.0


@pytest.mark.parametrize("found", list(Trouble))
def test_each_trouble_has_words(found: Trouble) -> None:
    one = trouble(LINE, found)
    assert one.code == found.value
    assert one.grave


def test_a_name_in_the_vpc_must_not_lead_out_of_it() -> None:
    def codes(*found: str, inside: bool) -> list[str]:
        return [each.code for each in addresses(LINE, found, inside=inside).findings]

    assert codes("52.1.2.3", "10.0.0.5", inside=True) == ["dns.public_address"]
    assert codes("10.0.0.5", "fd00::1", "169.254.171.0", inside=True) == []
    assert codes("fe80::1%eth0", inside=True) == []
    assert codes("52.1.2.3", inside=False) == []


@given(st.floats(-1e9, 1e9), st.floats(60.0, 1e9))
def test_a_certificate_that_was_not_renewed_in_time_is_told(left: float, whole: float) -> None:
    ends = NOW + left
    shown = Certificate(life=(ends - whole, ends), issuer="Acme", version="TLSv1.3")
    seen = certificate(LINE, shown, now=NOW)
    missed = left < SOON_SECONDS and left < whole / 4
    assert (seen.state is State.WARNING) == missed or left == pytest.approx(whole / 4)
    assert "TLSv1.3, for agent.acme.io by Acme" in seen.said


def test_a_certificate_that_lives_for_days_only_is_no_alarm_each_day() -> None:
    day = 86_400.0
    shown = Certificate(life=(NOW - day, NOW + 2 * day), issuer="Acme", version="TLSv1.3")
    assert certificate(LINE, shown, now=NOW).findings == ()


@pytest.mark.parametrize(
    ("left", "words"), [(-60.0, "has expired"), (3600.0, "expires in 60 min"), (1e8, None)]
)
def test_our_own_certificate_is_looked_at_as_well(left: float, words: str | None) -> None:
    whole = (NOW - 1e8, NOW + 1e8)
    own = (NOW - 1e8, NOW + left)
    shown = Certificate(life=whole, issuer="Acme", version="TLSv1.3", own_life=own)
    seen = certificate(LINE, shown, now=NOW)
    assert [words in each.what for each in seen.findings if words] == ([True] if words else [])


@given(st.integers(-10_000, 10_000))
def test_the_skew_is_told_to_the_second(ahead: int) -> None:
    date = formatdate(int(NOW) - ahead, usegmt=True)
    found = skew(date, now=NOW + 0.5)
    assert found == pytest.approx(ahead, abs=0.01)


@given(st.none() | st.text(max_size=80))
def test_no_date_is_taken_for_one_that_is_none(text: str | None) -> None:
    found = skew(text, now=time.time())
    assert found is None or isinstance(found, float)


@given(st.floats(-1e6, 1e6))
def test_a_clock_that_is_off_is_grave_where_signatures_end(ahead: float) -> None:
    seen = clock(ahead)
    if abs(ahead) >= MAX_SKEW_SECONDS:
        assert seen.state is State.WRONG
    elif abs(ahead) >= NOTICED_SKEW_SECONDS:
        assert seen.state is State.WARNING
    else:
        assert seen.state is State.OK
    for each in seen.findings:
        assert ("ahead of" in each.what) == (ahead > 0)


def test_a_far_end_without_a_clock_is_no_finding() -> None:
    assert clock(None).state is State.UNTOLD


def test_every_word_of_the_table_is_used() -> None:
    told = {found.value for found in Trouble} | {
        "dns.public_address",
        "tls.expires_soon",
        "tls.client_certificate_expires",
        "clock.skewed",
        "clock.drifting",
    }
    assert told == set(WORDS)
