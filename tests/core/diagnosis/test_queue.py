"""What a queue says of itself, judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.diagnosis.finding import State
from tidegate.core.diagnosis.queue import WORDS, Look, dead_letters, queue, region

WELL = {"VisibilityTimeout": "60", "RedrivePolicy": "{}", "ApproximateNumberOfMessages": "2"}


def codes(seen: Look, *, buried: bool = True) -> list[str]:
    return [each.code for each in queue(seen, url="u", buried=buried).findings]


def test_a_queue_that_is_well_is_told_by_what_waits_in_it() -> None:
    seen = queue(Look(status=200, attributes=WELL), url="u", buried=False)
    assert seen.state is State.OK
    assert seen.said == "2 waiting"


@pytest.mark.parametrize(
    ("attributes", "buried", "expected"),
    [
        ({"VisibilityTimeout": "60"}, True, []),
        ({"VisibilityTimeout": "60"}, False, ["queue.no_dead_letters"]),
        ({"VisibilityTimeout": "29"}, True, ["queue.hidden_too_short"]),
        ({"VisibilityTimeout": "soon"}, True, []),
        ({}, True, []),
    ],
)
def test_what_loses_or_doubles_messages_is_told(
    attributes: dict[str, str], buried: bool, expected: list[str]
) -> None:
    assert codes(Look(status=200, attributes=attributes), buried=buried) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Look(status=0), ["queue.unreachable"]),
        (Look(status=400, kind="QueueDoesNotExist"), ["queue.missing"]),
        (Look(status=400, kind="QueueDoesNotExistException"), ["queue.missing"]),
        (Look(status=403, kind="InvalidClientTokenId"), ["queue.keys_refused"]),
        (Look(status=403, kind="UnrecognizedClientException"), ["queue.keys_refused"]),
        (Look(status=400, kind="ThrottlingException"), ["queue.busy"]),
        (Look(status=429), ["queue.busy"]),
        (Look(status=500), ["queue.not_understood"]),
        (Look(status=404), ["queue.not_understood"]),
    ],
)
def test_each_no_has_a_meaning(seen: Look, expected: list[str]) -> None:
    assert codes(seen) == expected


@pytest.mark.parametrize("seen", [Look(status=403), Look(status=400, kind="AccessDenied")])
def test_a_right_that_only_the_check_needs_is_not_missed(seen: Look) -> None:
    found = queue(seen, url="u", buried=True)
    assert found.state is State.UNTOLD
    assert "sqs:GetQueueAttributes" in found.untold


def test_what_could_not_be_followed_is_told() -> None:
    def told(**attributes: str) -> list[str]:
        seen = dead_letters(Look(status=200, attributes=attributes), url="u")
        return [each.code for each in seen.findings]

    assert told(ApproximateNumberOfMessages="0") == []
    assert told() == []
    assert told(ApproximateNumberOfMessages="3") == ["queue.dead_letters_waiting"]
    missing = dead_letters(Look(status=400, kind="QueueDoesNotExist"), url="u")
    assert missing.findings[0].code == "queue.dead_letters_missing"


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/1/q", None),
        ("https://sqs.eu-central-1.amazonaws.com/1/q", "eu-central-1"),
        ("http://127.0.0.1:9324/1/q", None),
    ],
)
def test_a_queue_of_another_region_is_told(url: str, there: str | None) -> None:
    found = region(url, signed_for="eu-west-1")
    assert (found is not None) == (there is not None)
    if found is not None:
        assert there is not None
        assert there in found.mend


@given(
    st.integers(0, 599),
    st.text(max_size=40),
    st.dictionaries(st.sampled_from([*WELL]), st.text(max_size=14)),
)
def test_no_answer_is_too_strange(status: int, kind: str, attributes: dict[str, str]) -> None:
    seen = Look(status=status, kind=kind, attributes=attributes)
    for found in (queue(seen, url="u", buried=False), dead_letters(seen, url="u")):
        assert all(each.code in WORDS for each in found.findings)
