"""Every reason that a request did not arrive has an operator's next step beside it."""

import pytest

from tests.core.test_notices import _reasons_in_source
from tidegate.core import notices
from tidegate.core.remedy import _REMEDIES, remedy

#: Said by the run's own life, where there is nothing to mend at a pathway.
OF_THE_RUN = {
    "busy",
    "error",
    "bad_location",
    "redirected",
    "untraceable",
    "lost_track",
    "refused_again",
    "interrupted",
    "not_started",
    "joined",
    "unverified",
    "unrouted",
    "failed",
    "cancelled",
}


def test_every_reason_of_a_pathway_has_a_next_step() -> None:
    found = _reasons_in_source() - OF_THE_RUN
    assert {"connect", "dns", "tls_files", "token", "credentials", "too_large"} <= found
    assert {code for code in found if not remedy(code)} == set()


@pytest.mark.parametrize("code", sorted(_REMEDIES))
def test_what_has_a_next_step_has_words_for_people_too(code: str) -> None:
    assert notices.reason(code)
    assert remedy(code) != notices.reason(code)


def test_a_reason_of_nobody_has_no_next_step() -> None:
    assert remedy("<!channel>") == ""
