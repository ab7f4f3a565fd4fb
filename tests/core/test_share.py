"""What may be shared, for how long, under which name, and in which words it is refused."""

import ast
import contextlib
import functools
import string
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tidegate
from tidegate.core import share
from tidegate.core.share import (
    GUARDDUTY_TAG,
    MAX_FILES,
    MAX_FRONT_SECONDS,
    MAX_LINK_SECONDS,
    MAX_OTHER_BYTES,
    MAX_UPLOAD_BYTES,
    MIB,
    NAME_BYTES,
    NAME_CHARACTERS,
    Mode,
    Object,
    Order,
    Rules,
    Scan,
    Shared,
    disposition,
    file_name,
    human_size,
    is_channel_id,
    lifetime,
    refusal,
    seconds,
)
from tidegate.errors import ShareError

RULES = Rules(alias="reports", bucket="acme-reports")
ORDER = Order(
    id="r1", rules=RULES, keys=("q3/revenue.pdf",), channel_id="C0REPORTS", mode=Mode.UPLOAD
)
FOUND = Object(bucket="acme-reports", key="q3/revenue.pdf", size=10, etag='"e"', version_id="v1")
PDF = b"%PDF-1.7\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
RTL = "\u202e"


def an_order(*, rules: dict[str, Any] | None = None, **given: Any) -> Order:
    return replace(ORDER, **{"rules": replace(RULES, **(rules or {})), **given})


def refused(call: Callable[..., object], *given: Any) -> ShareError:
    with pytest.raises(ShareError) as caught:
        call(*given)
    return caught.value


# --- the words of refusals ------------------------------------------------------------------

SOURCE = Path(tidegate.__file__).parent
OURS = {"again", "unknown"}


def placeholders(code: str) -> set[str]:
    parsed = string.Formatter().parse(share._SAID[code])
    return {name for _, name, _, _ in parsed if name is not None}


def said(code: str, words: str) -> str:
    given: dict[str, Any] = dict.fromkeys(placeholders(code), words)
    return refusal(code, **given).notice


class Refusals:
    """The codes that one module refuses with, and the words it gives each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text())
        self.tables = {
            target.id: node.value
            for node in self.tree.body
            for target in targets_of(node)
            if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign)
            if node.value is not None
        }

    def refuses_from_here(self, call: ast.Call) -> bool:
        """Tell whether a call is of this table's `refusal`: messages have one of their own."""
        if isinstance(call.func, ast.Attribute):
            return ast.unparse(call.func.value) == "share"
        if self.path == Path(share.__file__):
            return True
        around = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if node.lineno <= call.lineno <= (node.end_lineno or 0)
        ]
        # Commands import late, each function for itself.
        for scope in (*around[::-1], self.tree):
            for node in scope.body:
                if isinstance(node, ast.ImportFrom) and any(
                    name.name == "refusal" for name in node.names
                ):
                    return node.module == share.__name__
        return False

    def calls(self, *names: str) -> Iterator[ast.Call]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and name_of(node.func) in names:
                yield node

    def codes(self, given: ast.expr) -> list[str]:
        match given:
            case ast.Constant(value=str(code)):
                return [code]
            case ast.IfExp(body=one, orelse=other):
                return self.codes(one) + self.codes(other)
            case ast.Subscript(value=ast.Name(id=table)):
                values = self.tables[table]
                assert isinstance(values, ast.Dict), f"{self.path}: {table} is no table of codes"
                return [code for value in values.values for code in self.codes(value)]
            case _:
                return []


def targets_of(node: ast.stmt) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=targets):
            return targets
        case ast.AnnAssign(target=target):
            return [target]
        case _:
            return []


def name_of(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""


@functools.cache  # read where it is asked for: each worker imports this module
def modules() -> list[Refusals]:
    return [Refusals(path) for path in sorted(SOURCE.rglob("*.py"))]


@functools.cache
def raised() -> list[tuple[Path, ast.Call, str]]:
    return [
        (module.path, call, code)
        for module in modules()
        for call in module.calls("refusal", "_too_large")
        if module.refuses_from_here(call)
        for code in module.codes(call.args[0])
    ]


def test_the_source_is_seen_to_refuse() -> None:
    assert len(raised()) > 40
    assert {path.stem for path, _, _ in raised()} >= {"share", "transfer"}


def test_every_refusal_has_its_sentence_and_exactly_the_words_it_needs() -> None:
    for path, call, code in raised():
        where = f"{path.name}:{call.lineno}: {code}"
        assert code in share._SAID, where
        given = {keyword.arg for keyword in call.keywords} - OURS
        if name_of(call.func) == "_too_large":
            given = {"size", "most"}
        assert given == placeholders(code), where


def test_every_code_that_an_adapter_raises_has_a_sentence_without_gaps() -> None:
    found = 0
    for module in modules():
        for call in module.calls("ObjectsError", "ScannerError", "said", "of_slack"):
            for code in (code for value in call.args[-1:] for code in module.codes(value)):
                found += 1
                where = f"{module.path.name}:{call.lineno}: {code}"
                assert code in share._SAID, where
                assert not placeholders(code), where
    assert found > 20


def test_no_sentence_is_left_over() -> None:
    text = "".join(
        path.read_text() for path in sorted(SOURCE.rglob("*.py")) if path.stem != "errors"
    )
    for code in share._SAID:
        said = text.count(f'"{code}"')
        assert said >= 2, f"{code} is in the table alone"


@pytest.mark.parametrize("code", share._SAID)
def test_a_refusal_is_whole_sentences_for_people(code: str) -> None:
    notice = said(code, "x")
    assert notice[0].isupper()
    assert notice.endswith((".", " x"))
    assert notice.isascii()
    assert "{" not in notice
    assert len(notice) < 250


@pytest.mark.parametrize("code", share._SAID)
def test_a_refusal_repeats_what_it_is_given_and_nothing_else(code: str) -> None:
    assert placeholders(code) <= {"claimed", "kind", "mode", "most", "prefix", "size", "why"}
    words = "{most} {0.__class__} <!channel>\n%s"
    notice = said(code, words)
    assert notice.count(words) == len(placeholders(code))
    assert notice.replace(words, "") == said(code, "")


def test_a_refusal_says_whether_to_try_again_and_whether_it_may_have_happened() -> None:
    assert (refusal("busy").again, refusal("busy").unknown) == (False, False)
    assert refusal("busy", again=True).again
    assert refusal("unconfirmed", unknown=True).unknown


def test_a_code_without_a_sentence_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        refusal("no_such_code")


def test_a_link_is_in_no_representation_of_what_was_shared() -> None:
    done = Shared(
        order=ORDER, items=(), channel_id="C0", url="https://x/?X-Amz-Signature=s", blocks=({},)
    )
    assert "Signature" not in repr(done)
    assert "blocks" not in repr(done)


# --- before anything is read ----------------------------------------------------------------


@pytest.mark.parametrize("mode", Mode)
def test_an_order_that_the_rules_name_is_admitted(mode: Mode) -> None:
    share.admit(an_order(mode=mode))


@pytest.mark.parametrize("mode", Mode)
def test_a_mode_that_the_rules_do_not_name_is_refused(mode: Mode) -> None:
    modes = frozenset(Mode) - {mode}
    error = refused(share.admit, an_order(mode=mode, rules={"modes": modes}))
    assert error.code == "mode_not_allowed"
    assert mode.value in error.notice


def test_no_modes_allow_no_mode() -> None:
    for mode in Mode:
        order = an_order(mode=mode, rules={"modes": frozenset()})
        assert refused(share.admit, order).code == "mode_not_allowed"


@pytest.mark.parametrize("channel", ["C0OTHER", "c0reports", "C0REPORTS ", "reports"])
def test_a_channel_that_the_rules_do_not_name_is_refused(channel: str) -> None:
    rules = {"channels": frozenset({"C0REPORTS"})}
    share.admit(an_order(rules=rules))
    assert refused(share.admit, an_order(channel_id=channel, rules=rules)).code == (
        "channel_not_allowed"
    )


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"channels": frozenset({"C0REPORTS"})}, "channel_needed"),
        ({"channels": frozenset({"C0REPORTS"}), "external": True}, "channel_needed"),
        ({"channels": frozenset({"C0REPORTS"}), "own": True}, "channel_needed"),
        ({}, "channel_needed"),
        ({"external": True}, None),
        ({"own": True}, None),
    ],
)
def test_only_what_may_go_everywhere_needs_no_channel(
    rules: dict[str, Any], code: str | None
) -> None:
    order = an_order(channel_id="", rules=rules)
    if code is None:
        share.admit(order)
    else:
        assert refused(share.admit, order).code == code


def test_no_channels_allow_no_channel() -> None:
    order = an_order(rules={"channels": frozenset()})
    assert refused(share.admit, order).code == "channel_not_allowed"


def test_an_image_by_url_is_a_link_and_needs_that_mode() -> None:
    share.admit(an_order(mode=Mode.IMAGE, by_url=True))
    modes = frozenset(Mode) - {Mode.LINK}
    order = an_order(mode=Mode.IMAGE, by_url=True, rules={"modes": modes})
    assert refused(share.admit, order).code == "url_not_allowed"
    share.admit(replace(order, by_url=False))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "reports/..",
        "reports/../secret.pdf",
        "reports/./a",
        "..",
        "../reports/a.pdf",
        "reports/a\0.pdf",
        "reports/\ud800",
        "reports/" + "k" * 1024,
    ],
)
def test_a_key_that_would_lead_elsewhere_is_refused(key: str) -> None:
    rules = {"prefix": "reports/"}
    assert refused(share.admit, an_order(keys=(key,), rules=rules)).code == "key_not_allowed"
    mixed = an_order(keys=("reports/a.pdf", key), rules=rules)
    assert refused(share.admit, mixed).code == "key_not_allowed"


@pytest.mark.parametrize(
    "key",
    ["secret.pdf", "Reports/a.pdf", "/reports/a.pdf", "reports", " reports/a", "reports%2Fa.pdf"],
)
def test_a_key_outside_the_prefix_is_refused(key: str) -> None:
    error = refused(share.admit, an_order(keys=(key,), rules={"prefix": "reports/"}))
    assert error.code == "key_outside_prefix"
    assert "reports/" in error.notice
    assert key == "reports" or key not in error.notice


@pytest.mark.parametrize("key", ["reports/a.pdf", "reports//a", "reports/..a", "reports/a..pdf"])
def test_a_key_inside_the_prefix_is_admitted(key: str) -> None:
    share.admit(an_order(keys=(key,), rules={"prefix": "reports/"}))


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        ("", "key_outside_prefix"),
        ("rep", "key_outside_prefix"),
        ("other/", "key_outside_prefix"),
        ("reports/../", "key_not_allowed"),
        ("reports/./", "key_not_allowed"),
        ("reports/\0", "key_not_allowed"),
        ("reports/\ud800", "key_not_allowed"),
        ("reports/" + "p" * 1024, "key_not_allowed"),
    ],
)
def test_a_prefix_is_held_to_what_holds_for_keys(prefix: str, code: str) -> None:
    order = an_order(keys=(), prefix=prefix, mode=Mode.GALLERY, rules={"prefix": "reports/"})
    assert refused(share.admit, order).code == code


@pytest.mark.parametrize(
    ("allowed", "prefix"),
    [("", ""), ("", "a"), ("reports/", "reports/"), ("reports/", "reports/2026/q")],
)
def test_a_prefix_inside_the_rules_is_admitted(allowed: str, prefix: str) -> None:
    share.admit(an_order(keys=(), prefix=prefix, mode=Mode.GALLERY, rules={"prefix": allowed}))


def test_keys_beside_a_prefix_are_looked_at_as_well() -> None:
    order = an_order(keys=("other/a",), prefix="reports/", rules={"prefix": "reports/"})
    assert refused(share.admit, order).code == "key_outside_prefix"


def test_an_order_of_nothing_is_refused() -> None:
    assert refused(share.admit, an_order(keys=())).code == "no_keys"


def test_an_order_of_too_much_is_refused() -> None:
    share.admit(an_order(keys=tuple(map(str, range(MAX_FILES)))))
    error = refused(share.admit, an_order(keys=tuple(map(str, range(MAX_FILES + 1)))))
    assert error.code == "too_many_keys"
    assert str(MAX_FILES) in error.notice


def test_a_link_is_to_one_object() -> None:
    share.admit(an_order(mode=Mode.LINK, keys=("a", "a")))
    assert refused(share.admit, an_order(mode=Mode.LINK, keys=("a", "b"))).code == "one_link"
    order = an_order(mode=Mode.LINK, keys=(), prefix="a")
    assert refused(share.admit, order).code == "one_link"


@pytest.mark.parametrize("mode", [Mode.LINK, Mode.UPLOAD])
def test_a_link_by_cloudfront_may_live_for_a_year_and_no_longer(mode: Mode) -> None:
    front = {"front": True, "modes": frozenset(Mode)}
    share.admit(an_order(rules=front, mode=mode, expires_seconds=MAX_FRONT_SECONDS))
    longer = an_order(rules=front, mode=mode, expires_seconds=MAX_FRONT_SECONDS + 1)
    assert refused(share.admit, longer).code == "bad_expiry"


@pytest.mark.parametrize("asked", [-1, 0, MAX_LINK_SECONDS + 1])
def test_a_life_that_no_link_has_is_refused_and_not_replaced(asked: int) -> None:
    order = an_order(mode=Mode.LINK, expires_seconds=asked)
    assert refused(share.admit, order).code == "bad_expiry"


@given(
    key=st.one_of(
        st.text(max_size=30),
        st.lists(st.sampled_from(["reports", "..", ".", "", "a", "\0"])).map("/".join),
    )
)
def test_only_keys_below_the_prefix_and_without_steps_are_admitted(key: str) -> None:
    order = an_order(keys=(key,), rules={"prefix": "reports/"})
    if key.startswith("reports/") and not {".", ".."} & set(key.split("/")) and "\0" not in key:
        share.admit(order)
    else:
        assert refused(share.admit, order).code in ("key_not_allowed", "key_outside_prefix")


# --- the head of an object ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "most"),
    [
        (Mode.UPLOAD, MAX_UPLOAD_BYTES),
        (Mode.LINK, MAX_OTHER_BYTES),
        (Mode.IMAGE, MAX_OTHER_BYTES),
        (Mode.GALLERY, MAX_OTHER_BYTES),
    ],
)
def test_an_object_has_a_usual_bound(mode: Mode, most: int) -> None:
    order = an_order(mode=mode)
    assert share.limit(order) == most
    share.admit_object(replace(FOUND, size=most), order)
    assert refused(share.admit_object, replace(FOUND, size=most + 1), order).code == "too_large"


def test_the_rules_set_another_bound() -> None:
    order = an_order(rules={"max_bytes": 5})
    assert share.limit(order) == 5
    share.admit_object(replace(FOUND, size=5), order)
    assert refused(share.admit_object, replace(FOUND, size=6), order).code == "too_large"
    none = an_order(rules={"max_bytes": 0})
    assert refused(share.admit_object, replace(FOUND, size=1), none).code == "too_large"


def test_two_sizes_that_are_said_alike_are_said_in_bytes() -> None:
    order = an_order(mode=Mode.LINK)
    error = refused(share.admit_object, replace(FOUND, size=MAX_OTHER_BYTES + 1), order)
    assert "104,857,601 bytes" in error.notice
    assert "104,857,600 bytes" in error.notice
    error = refused(share.admit_object, replace(FOUND, size=200 * MIB), order)
    assert "200 MiB" in error.notice
    assert "100 MiB" in error.notice


@pytest.mark.parametrize("part", ["title", "alt_text", "comment", "text", "thread_ts"])
def test_words_that_are_no_text_are_refused(part: str) -> None:
    order = replace(ORDER, **{part: "a\udcff"})  # type: ignore[arg-type]
    assert refused(share.admit, order).code == "not_utf8"


def test_an_empty_object_is_refused() -> None:
    assert refused(share.admit_object, replace(FOUND, size=0), ORDER).code == "empty"


def test_an_object_that_is_not_the_one_that_was_meant_is_refused() -> None:
    share.admit_object(FOUND, an_order(etag=FOUND.etag))
    for other in ('"f"', "e", ""):
        error = refused(share.admit_object, FOUND, an_order(etag=other))
        assert error.code == "replaced"


def test_an_archived_object_is_refused() -> None:
    assert refused(share.admit_object, replace(FOUND, archived=True), ORDER).code == "archived"


def test_an_object_that_cannot_be_scanned_whole_is_refused() -> None:
    order = an_order(rules={"scan": Scan(clamd="unix:/run/clamd", max_bytes=5)})
    share.admit_object(replace(FOUND, size=5), order)
    error = refused(share.admit_object, replace(FOUND, size=6), order)
    assert error.code == "too_large_to_scan"
    assert "5 bytes" in error.notice


def test_a_bound_of_the_scanner_counts_only_where_it_scans() -> None:
    order = an_order(rules={"scan": Scan(guardduty=True, max_bytes=5)})
    share.admit_object(replace(FOUND, size=6), order)


@pytest.mark.parametrize(
    ("mode", "by_url", "pinned"),
    [
        (Mode.LINK, False, True),
        (Mode.IMAGE, True, True),
        (Mode.GALLERY, True, True),
        (Mode.IMAGE, False, False),
        (Mode.UPLOAD, False, False),
    ],
)
def test_a_link_needs_a_version_unless_the_rules_waive_it(
    mode: Mode, by_url: bool, pinned: bool
) -> None:
    order, loose = an_order(mode=mode, by_url=by_url), replace(FOUND, version_id=None)
    share.admit_object(FOUND, order)
    if pinned:
        assert refused(share.admit_object, loose, order).code == "unversioned"
    else:
        share.admit_object(loose, order)
    waived = an_order(mode=mode, by_url=by_url, rules={"unversioned": True})
    share.admit_object(loose, waived)


# --- its content ----------------------------------------------------------------------------


def test_content_that_is_what_it_is_called_is_admitted() -> None:
    assert share.admit_content(PDF, "q3/revenue.pdf", ORDER).media_type == "application/pdf"


@pytest.mark.parametrize(
    ("head", "key", "code"),
    [
        (b"\x7fELF\x02\x01\x01\0", "a.pdf", "executable"),
        (b"#!/bin/sh\n", "a", "executable"),
        (b"hello\n", "a.exe", "executable"),
        (PNG, "a.pdf", "type_mismatch"),
        (b"<html>", "a.png", "type_mismatch"),
    ],
)
def test_programs_and_disguises_are_refused(head: bytes, key: str, code: str) -> None:
    error = refused(share.admit_content, head, key, ORDER)
    assert error.code == code


@pytest.mark.parametrize(
    "key",
    [
        "a.exe/",
        "a.exe//",
        "a.exe . ",
        "a.ex\u0065",
        "a.ln\u212a",  # the sign for kelvin: k, once it is normalised
        "n" * 176 + ".exe" + "x" * 40,  # what is cut off was the suffix
        "n" * 176 + ".bat." + "x" * 40,
        "🚢" * 59 + ".bat" + "x" * 40,
    ],
)
def test_it_is_judged_by_the_name_under_which_people_get_it(key: str) -> None:
    assert refused(share.admit_content, b"hello\n", key, ORDER).code == "executable"


@given(key=st.text(max_size=30), ending=st.sampled_from([".exe", ".bat", ".lnk", ".Js", ".JAR"]))
@example(key="", ending=".exe")
def test_nothing_is_delivered_under_the_name_of_a_program(key: str, ending: str) -> None:
    for whole in (key + ending, key + ending + "/", ending + key, key + ending + "x" * 200):
        name = file_name(whole).lower()
        if name.endswith(ending.lower()) and name != ending.lower():
            assert refused(share.admit_content, b"hello\n", whole, ORDER).code == "executable"


def test_a_mismatch_says_what_the_name_stands_for_and_not_what_the_content_says() -> None:
    notice = refused(share.admit_content, b"visit evil.example", "a.png", ORDER).notice
    assert "image/png" in notice
    assert "evil" not in notice


def test_types_that_the_rules_do_not_name_are_refused() -> None:
    order = an_order(rules={"types": ("image/*", "text/csv")})
    share.admit_content(PNG, "a.png", order)
    share.admit_content(b"a,b\n", "a.csv", order)
    error = refused(share.admit_content, PDF, "a.pdf", order)
    assert error.code == "type_not_allowed"
    assert "application/pdf" in error.notice
    # A name alone does not make it one of them.
    assert refused(share.admit_content, b"\0\1\2", "a.heic", order).code == "type_not_allowed"
    assert refused(share.admit_content, b"\0\1\2", "a", order).code == "type_not_allowed"


def test_no_types_allow_no_type_and_no_rule_about_them_allows_all() -> None:
    none = an_order(rules={"types": ()})
    assert refused(share.admit_content, PNG, "a.png", none).code == "type_not_allowed"
    assert refused(share.admit_content, b"hello\n", "a", none).code == "type_not_allowed"
    share.admit_content(b"\0\1\2", "a", ORDER)


def test_a_program_is_refused_even_where_its_type_is_named() -> None:
    order = an_order(rules={"types": ("application/*", "text/*")})
    assert refused(share.admit_content, b"#!/bin/sh\n", "a.sh", order).code == "executable"


@pytest.mark.parametrize("mode", [Mode.IMAGE, Mode.GALLERY])
def test_what_slack_does_not_show_is_no_image(mode: Mode) -> None:
    order = an_order(mode=mode)
    share.admit_content(PNG, "a.png", order)
    webp = b"RIFF\x10\0\0\0WEBPVP8 "
    for head, name in ((webp, "a.webp"), (b"<svg/>", "a.svg"), (PDF, "a"), (b"\0", "a")):
        assert refused(share.admit_content, head, name, order).code == "not_an_image"


# --- the verdict of GuardDuty ---------------------------------------------------------------


def test_an_object_that_guardduty_found_clean_is_admitted() -> None:
    share.admit_tags({GUARDDUTY_TAG: "NO_THREATS_FOUND", "team": "x"})


@pytest.mark.parametrize(
    ("tags", "code", "again"),
    [
        ({GUARDDUTY_TAG: "THREATS_FOUND"}, "malware", False),
        ({GUARDDUTY_TAG: "UNSUPPORTED"}, "scan_refused", False),
        ({GUARDDUTY_TAG: "ACCESS_DENIED"}, "scan_refused", False),
        ({GUARDDUTY_TAG: "FAILED"}, "scan_refused", False),
        ({}, "not_scanned", True),
        ({GUARDDUTY_TAG: ""}, "not_scanned", True),
        ({GUARDDUTY_TAG: "no_threats_found"}, "not_scanned", True),
        ({GUARDDUTY_TAG: "NO_THREATS_FOUND "}, "not_scanned", True),
        ({GUARDDUTY_TAG: "SOMETHING_NEW"}, "not_scanned", True),
        ({GUARDDUTY_TAG.lower(): "NO_THREATS_FOUND"}, "not_scanned", True),
        ({"Status": "NO_THREATS_FOUND"}, "not_scanned", True),
    ],
)
def test_everything_else_is_refused(tags: dict[str, str], code: str, again: bool) -> None:
    error = refused(share.admit_tags, tags)
    assert (error.code, error.again) == (code, again)


@given(status=st.text(max_size=20))
def test_no_other_status_is_clean(status: str) -> None:
    if status != "NO_THREATS_FOUND":
        error = refused(share.admit_tags, {GUARDDUTY_TAG: status})
        known = ("", "FAILED", "THREATS_FOUND")  # each notice is one of ours, whatever it says
        assert error.notice in {
            refused(share.admit_tags, {GUARDDUTY_TAG: each}).notice for each in known
        }


# --- how long -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "left", "lives"),
    [
        (1, None, 1),
        (3600, None, 3600),
        (MAX_LINK_SECONDS, None, MAX_LINK_SECONDS),
        (3600, 3600.0, 3600),
        (3600, 1800.9, 1800),
        (3600, 1.0, 1),
        (60, 1e9, 60),
        (60, float("inf"), 60),
    ],
)
def test_a_link_lives_as_asked_but_not_longer_than_the_credentials(
    asked: int, left: float | None, lives: int
) -> None:
    assert lifetime(asked, left) == lives


@pytest.mark.parametrize("left", [0.99, 0.0, -5.0])
def test_no_link_is_made_with_credentials_that_are_about_to_end(left: float) -> None:
    error = refused(lifetime, 3600, left)
    assert error.code == "expired_credentials"
    assert error.again


@pytest.mark.parametrize("asked", [-1, 0, MAX_LINK_SECONDS + 1, 10**9])
@pytest.mark.parametrize("left", [None, 100.0, 0.0])
def test_a_life_from_a_second_to_a_week_is_all_there_is(asked: int, left: float | None) -> None:
    assert refused(lifetime, asked, left).code == "bad_expiry"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("24h", 86_400),
        ("7d", 604_800),
        (" 7D ", 604_800),
        ("15 m", 900),
        ("604800", 604_800),
        ("0001", 1),
    ],
)
def test_a_duration_is_read(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0",
            "0d",
            "-1",
            "+5",
            "366d",
            "8761h",
            "31536001",
            "1.5h",
            "1h30m",
            "h",
            "5w",
            "1e3",
        ),
        *("9" * 5000, "1_0", "0x10", "nan", "30 minutes", "∞", "٣m"),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert refused(seconds, text).code == "bad_expiry"


@given(text=st.text(max_size=12) | st.text("0123456789smhd \n", max_size=9))
def test_any_text_is_a_duration_up_to_a_year_or_refused(text: str) -> None:
    with contextlib.suppress(ShareError):
        assert 1 <= seconds(text) <= MAX_FRONT_SECONDS


# --- channels -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["C0REPORTS", "G01ABC", "D02X", "C123"])
def test_a_channels_id_is_known_by_its_shape(text: str) -> None:
    assert is_channel_id(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "reports", "#reports", "c0reports", "C0reports", "U0ADA", "C", "C1", "C0 X", "C0X\n"),
        *("C" + "1" * 40, "<#C0REPORTS>", "C0RÉ"),
    ],
)
def test_what_is_no_channels_id_is_not_taken_for_one(text: str) -> None:
    assert not is_channel_id(text)


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("revenue.pdf", "revenue.pdf"),
        ("q3/revenue.pdf", "revenue.pdf"),
        ("q3/", "q3"),
        ("/", "file"),
        ("", "file"),
        (".", "file"),
        ("a/..", "file"),
        ("......", "file"),
        (" . . ", "file"),
        (".env", "env"),
        ("a.pdf. .", "a.pdf"),
        ("..\\..\\a.pdf", "_.._a.pdf"),
        ("c:\\a.pdf", "c__a.pdf"),
        ('<a>"b"|c?*.txt', "_a__b__c__.txt"),
        ("a.txt:stream", "a.txt_stream"),
        (f"a{RTL}fdp.exe", "a_fdp.exe"),
        ("a\u200b\u2066b\ufeff.pdf", "a__b_.pdf"),
        ("a\r\nb\tc\0d\x7f.pdf", "a__b_c_d_.pdf"),
        ("a\u2028b\u00a0c.pdf", "a_b_c.pdf"),
        ("\ud800.pdf", "_.pdf"),
        ("e\u0301.pdf", "é.pdf"),
        ("名前 🚢.png", "名前 🚢.png"),
        ("👩\u200d💻.png", "👩\u200d💻.png"),
        ("❤\ufe0f.png", "❤\ufe0f.png"),
        ("a b+c%2F.pdf", "a b+c%2F.pdf"),
    ],
)
def test_a_file_is_called_like_the_last_step_of_its_key(key: str, name: str) -> None:
    assert file_name(key) == name


@pytest.mark.parametrize(
    "name",
    [
        *("CON", "con", "NUL", "prn", "aux.txt", "Aux.tar.gz", "COM1", "com9.log", "LPT1.pdf"),
        *("com0", "COM¹", "lpt³.txt", "CONIN$", "conout$.txt", "nul .txt", "CLOCK$"),
    ],
)
def test_a_device_of_windows_is_no_files_name(name: str) -> None:
    assert file_name(f"a/{name}") == f"_{name}"


@pytest.mark.parametrize("name", ["console.log", "nullable", "com10", "auxiliary.txt", "a.con"])
def test_what_only_begins_like_a_device_keeps_its_name(name: str) -> None:
    assert file_name(name) == name


def test_a_long_name_loses_the_end_of_its_stem_and_keeps_its_suffix() -> None:
    assert file_name("a" * 300 + ".pdf") == "a" * (NAME_CHARACTERS - 4) + ".pdf"
    assert file_name("a" * 300) == "a" * NAME_CHARACTERS
    assert file_name("a." + "b" * 300) == ("a." + "b" * 300)[:NAME_CHARACTERS]
    assert file_name("a" * NAME_CHARACTERS) == "a" * NAME_CHARACTERS


def test_a_long_name_is_measured_in_bytes_as_well_and_no_character_is_halved() -> None:
    name = file_name("名" * 150 + ".pdf")
    assert name == "名" * ((NAME_BYTES - 4) // 3) + ".pdf"
    assert file_name("🚢" * 300) == "🚢" * (NAME_BYTES // 4)


def test_a_name_that_is_cut_at_a_dot_does_not_end_in_it() -> None:
    assert file_name("a" * (NAME_CHARACTERS - 1) + "." + "b" * 40) == "a" * (NAME_CHARACTERS - 1)


keys = st.one_of(
    st.text(max_size=40),
    st.text(max_size=300),
    st.lists(st.sampled_from(["..", ".", " ", "a", "CON", ".exe", RTL, "é", "🚢", "\\", "/"])).map(
        "".join
    ),
)


@given(key=keys)
@example(key="🚢" * 100 + "." + "🚢" * 20)
@example(key=" CON")
@example(key="CON." + "b" * 300)
@example(key="\u0344" * 200)  # grows when it is normalised
@example(key="." * 400)
def test_any_name_is_harmless_in_every_file_system(key: str) -> None:
    name = file_name(key)
    assert 0 < len(name) <= NAME_CHARACTERS
    assert len(name.encode()) <= NAME_BYTES
    assert not set(name) & set('/\\:*?"<>|')
    assert name == name.strip(". ")
    assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in name)
    assert not set(name) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069")
    assert name.partition(".")[0].strip().upper() not in ("CON", "NUL", "AUX", "PRN", "COM1")
    assert file_name(name) == name


# --- Content-Disposition --------------------------------------------------------------------


@given(key=keys)
@example(key="a;b=c'd\"e\r\nX-Evil: 1.pdf")
def test_a_browser_saves_under_that_name_and_nothing_breaks_out_of_it(key: str) -> None:
    name = file_name(key)
    value = disposition(name)
    assert value.startswith("attachment; filename*=UTF-8''")
    encoded = value.removeprefix("attachment; filename*=UTF-8''")
    assert encoded.isascii()
    assert not set(encoded) - set(string.ascii_letters + string.digits + "-._~%")
    assert unquote(encoded, errors="strict") == name


# --- sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (812, "812 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1_048_524, "1,023.9 KiB"),
        (1_048_575, "1 MiB"),
        (1_048_576, "1 MiB"),
        (2_516_582, "2.4 MiB"),
        (100 * 1_048_576, "100 MiB"),
        (1_073_741_823, "1 GiB"),
        (5 * 1024**4, "5 TiB"),
        (2000 * 1024**4, "2,000 TiB"),
    ],
)
def test_a_size_is_said_for_people(size: int, words: str) -> None:
    assert human_size(size) == words


@given(size=st.integers(0, 10**18))
def test_a_size_is_short_and_about_right(size: int) -> None:
    words = human_size(size)
    number, _, unit = words.partition(" ")
    factor = {"byte": 1, "bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit]
    assert abs(float(number.replace(",", "")) * factor - size) <= factor * 0.051
    assert factor == 2**40 or float(number.replace(",", "")) < 1024


def test_an_object_goes_by_the_harmless_form_of_its_keys_last_step() -> None:
    assert replace(FOUND, key=f"a/b{RTL}.pdf").name == "b_.pdf"
