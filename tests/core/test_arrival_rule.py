"""Which objects a rule means, and in which words they are shared."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import arrival_rule
from tidegate.core.arrival_rule import ArrivalRule, matching, titled, unknown_fields
from tidegate.core.s3_events import Appeared
from tidegate.core.share import Mode, Object, Rules, admit_object
from tidegate.errors import ShareError

RULE = ArrivalRule(
    name="reports",
    alias="reports",
    bucket="acme",
    prefixes=("q3/", "q3/pdf/"),
    suffix=".pdf",
    channel_id="C0FIN",
    mode=Mode.UPLOAD,
    title="{name}",
)
FOUND = Appeared(bucket="acme", key="q3/pdf/a b.pdf", size=2048, etag="d41d", sequencer="01")


@pytest.mark.parametrize(
    ("bucket", "key", "meant"),
    [
        ("acme", "q3/pdf/a.pdf", True),
        ("acme", "q3/a.pdf", False),
        ("acme", "pdf/a.pdf", False),
        ("acme", "q3/pdf/a.csv", False),
        ("other", "q3/pdf/a.pdf", False),
    ],
)
def test_a_rule_means_what_lies_in_both_prefixes_and_ends_so(
    bucket: str, key: str, meant: bool
) -> None:
    assert RULE.matches(bucket, key) is meant


def test_the_mark_of_a_folder_is_never_meant() -> None:
    rule = ArrivalRule(name="all", alias="a", bucket="acme", channel_id="C1", mode=Mode.UPLOAD)
    assert rule.matches("acme", "new/file")
    assert not rule.matches("acme", "new/")


def test_every_rule_that_fits_shares() -> None:
    other = ArrivalRule(name="all", alias="a", bucket="acme", channel_id="C1", mode=Mode.LINK)
    assert [rule.name for rule in matching([RULE, other], FOUND)] == ["reports", "all"]


@pytest.mark.parametrize(
    ("template", "title"),
    [
        ("", ""),
        ("{name} ({size})", "a b.pdf (2 KiB)"),
        ("New: {key}", "New: q3/pdf/a b.pdf"),
        ("{NAME} {0} {", "{NAME} {0} {"),
    ],
)
def test_a_title_names_the_object(template: str, title: str) -> None:
    assert titled(template, FOUND) == title


@given(st.text(max_size=300), st.text(min_size=1, max_size=1024))
def test_any_title_of_any_key_is_bounded(template: str, key: str) -> None:
    found = Appeared(bucket="acme", key=key, etag="e")
    assert len(titled(template, found)) <= arrival_rule.MAX_TITLE


def test_what_a_key_says_in_braces_is_not_replaced() -> None:
    found = Appeared(bucket="acme", key="{size}{name}", size=1, etag="e")
    assert titled("{key}", found) == "{size}{name}"


def test_other_fields_are_told_apart() -> None:
    assert unknown_fields("{name} {title} {params.x} {}") == ["title", "params.x", ""]


def test_a_run_is_pinned_to_its_version_or_else_to_its_etag() -> None:
    rules = Rules(alias="reports", bucket="acme")
    versioned = Appeared(bucket="acme", key="q3/pdf/a.pdf", etag="d41d", version_id="v1")
    for found, version, etag in ((versioned, "v1", None), (FOUND, None, '"d41d"')):
        params = RULE.params(found)
        order = arrival_rule.order(
            params, mode=Mode.UPLOAD, run_id="r", rules=rules, channel_id="C0FIN"
        )
        assert (order.version_id, order.etag) == (version, etag)
        assert order.keys == (found.key,)
        assert order.title == found.key.rpartition("/")[2]


def test_what_has_replaced_an_object_without_versions_is_not_taken_for_it() -> None:
    rules = Rules(alias="reports", bucket="acme")
    order = arrival_rule.order(
        RULE.params(FOUND), mode=Mode.UPLOAD, run_id="r", rules=rules, channel_id="C0FIN"
    )
    there = Object(bucket="acme", key=FOUND.key, size=2048, etag='"d41d"')
    admit_object(there, order)
    with pytest.raises(ShareError) as caught:
        admit_object(replace(there, etag='"other"'), order)
    assert caught.value.code == "replaced"


def test_a_run_of_what_the_rule_no_longer_says_is_not_permitted() -> None:
    params = RULE.params(FOUND)
    assert RULE.permits(params, "C0FIN")
    assert not RULE.permits(params, "C0OTHER")
    assert not RULE.permits(params, None)
    assert not RULE.permits(params | {"bucket": "another"}, "C0FIN")
    assert not RULE.permits(params | {"key": "q2/a.pdf"}, "C0FIN")
