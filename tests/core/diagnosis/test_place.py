"""The store and the scanner, judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.diagnosis.finding import State
from tidegate.core.diagnosis.place import (
    LEAST_FREE_BYTES,
    MIB,
    Disk,
    Schema,
    disk,
    scanner,
    schema,
    store,
)


@pytest.mark.parametrize(
    ("seen", "codes"),
    [
        (Disk(writable=True), []),
        (Disk(writable=False), ["store.not_writable"]),
        (Disk(writable=True, passing=True), ["store.disk_passes"]),
        (Disk(writable=True, free_bytes=LEAST_FREE_BYTES - 1), ["store.disk_full"]),
    ],
)
def test_a_place_that_does_not_keep_what_is_written_is_told(seen: Disk, codes: list[str]) -> None:
    found = disk(seen, folder="/var/lib/tidegate")
    assert [each.code for each in found.findings] == codes
    assert found.said.startswith("/var/lib/tidegate, ")


@given(st.integers(0, 20), st.integers(1, 20))
def test_only_a_newer_store_cannot_be_used(version: int, known: int) -> None:
    seen = schema(Schema(version=version, known=known))
    assert (seen.state is State.WRONG) == (version > known)
    assert ("next start" in seen.said) == (0 < version < known)


def test_a_store_that_fails_is_told_by_why() -> None:
    assert store("store.refused", "the password is wrong").findings[0].why == (
        "the password is wrong"
    )
    found = store("store.no_right", what="make tables in it").findings[0]
    assert "may not make tables in it" in found.what


@pytest.mark.parametrize("code", ["scanner_unreachable", "scanner_limit", "scanner_failed"])
def test_a_scanner_that_is_not_fit_is_told(code: str) -> None:
    seen = scanner(code, address="unix:/run/clamd", size=5 * MIB)
    assert seen.findings[0].code == code.replace("_", ".", 1)


def test_a_scanner_that_is_fit_is_told_by_how_much_it_reads() -> None:
    seen = scanner("", address="unix:/run/clamd", size=5 * MIB)
    assert seen.state is State.OK
    assert seen.said == "unix:/run/clamd, reads 5 MiB to the end"
