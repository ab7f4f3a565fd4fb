import string

from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.model import run_id

MOMENTS = st.floats(min_value=0, max_value=2**47 / 1000, allow_nan=False)
ENTROPY = st.binary(min_size=10, max_size=10)


@given(now=MOMENTS, entropy=ENTROPY)
def test_a_run_id_is_26_characters_without_look_alike_letters(now: float, entropy: bytes) -> None:
    made = run_id(now, entropy)
    assert len(made) == 26
    assert set(made) <= set(string.digits + string.ascii_uppercase) - set("ILOU")


@given(now=MOMENTS, later=st.floats(min_value=0.001, max_value=1e9), one=ENTROPY, other=ENTROPY)
def test_run_ids_sort_by_the_time_they_were_made(
    now: float, later: float, one: bytes, other: bytes
) -> None:
    first, second = run_id(now, one), run_id(now + later, other)
    if int(now * 1000) < int((now + later) * 1000):
        assert first < second


@given(now=MOMENTS, one=ENTROPY, other=ENTROPY)
def test_run_ids_of_one_moment_differ_exactly_as_their_entropy(
    now: float, one: bytes, other: bytes
) -> None:
    assert (run_id(now, one) == run_id(now, other)) == (one == other)


def test_a_run_id_is_what_a_ulid_of_the_same_moment_is() -> None:
    """The example of the ULID specification: its first ten characters are the time."""
    assert run_id(1469922850.259, bytes(10)) == "01ARZ3NDEK" + "0" * 16
    assert run_id(1469922850.259, b"\xff" * 10) == "01ARZ3NDEK" + "Z" * 16


def test_only_ten_bytes_of_entropy_are_used() -> None:
    assert run_id(1.0, b"0123456789") == run_id(1.0, b"0123456789more")
