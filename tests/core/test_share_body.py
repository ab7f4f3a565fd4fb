"""What a caller of the API may ask for."""

import json

import pytest

from tidegate.core import share_body
from tidegate.core.share_body import Caller
from tidegate.errors import PayloadError

CI = Caller(
    name="ci",
    buckets=frozenset({"reports"}),
    channels=frozenset({"C0REPORTS"}),
    modes=frozenset({"gallery", "upload"}),
)
ORDER = {"bucket": "reports", "channel": "reports", "key": "charts/", "mode": "gallery"}


def body(**given: object) -> share_body.ShareBody:
    return share_body.parse(json.dumps({**ORDER, **given}).encode())


@pytest.mark.parametrize(
    ("given", "channel_id", "why"),
    [
        ({}, "C0REPORTS", None),
        ({}, None, None),
        ({}, "C0OPS", "channel"),
        ({}, "", "channel"),
        ({"bucket": "other"}, None, "bucket"),
        ({"mode": "link"}, None, "mode"),
        ({"by_url": True}, "C0REPORTS", "mode"),
        ({"by_url": True}, None, "mode"),
    ],
)
def test_a_caller_may_what_is_named_and_no_link_in_another_guise(
    given: dict[str, object], channel_id: str | None, why: str | None
) -> None:
    assert CI.refuses(body(**given), channel_id) == why


def test_who_may_make_links_may_show_images_by_their_url() -> None:
    other = Caller(name="ci", modes=frozenset({"link"}))
    assert CI.joined(other).refuses(body(by_url=True), "C0REPORTS") is None


def test_who_may_share_nowhere_is_refused_before_a_name_is_looked_up() -> None:
    nowhere = Caller(name="ci", buckets=CI.buckets, modes=CI.modes)
    assert nowhere.refuses(body()) == "channel"


@pytest.mark.parametrize(
    "given",
    [
        {"key": "k" * 1025},
        {"key": "ü" * 513},
        {"key": "", "keys": ["k"] * 101},
        {"key": "", "keys": ["k", "k" * 1025]},
        {"thread": "1700000000.0001001"},
        {"thread": "x" * 200_000},
    ],
)
def test_what_is_kept_of_a_body_is_bounded(given: dict[str, object]) -> None:
    with pytest.raises(PayloadError):
        body(**given)


def test_a_key_of_a_kilobyte_is_taken() -> None:
    assert body(key="k" * 1024).key == "k" * 1024
