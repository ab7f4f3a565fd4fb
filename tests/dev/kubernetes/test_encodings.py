"""Protobuf bodies, ages and fields: the small print of the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_dev.kubernetes import protobuf
from tidegate_dev.kubernetes.ages import human_duration


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def text(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def body(kind: bytes, message: bytes) -> bytes:
    return b"k8s\0" + text(1, text(1, b"v1") + text(2, kind)) + text(2, message)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=200), max_size=4), st.text(max_size=9))
def test_a_config_map_is_read_as_it_was_written(data: dict[str, str], name: str) -> None:
    entries = b"".join(
        text(2, text(1, key.encode()) + text(2, value.encode())) for key, value in data.items()
    )
    read = protobuf.decoded(body(b"ConfigMap", text(1, text(1, name.encode())) + entries))
    assert read.get("data", {}) == data
    assert read.get("metadata", {}).get("name", "") == name
    assert (read["kind"], read["apiVersion"]) == ("ConfigMap", "v1")


def test_a_number_that_may_be_zero_is_kept_and_one_that_may_not_is_left_out() -> None:
    spec = number(1, 0) + number(5, 0)
    read = protobuf.decoded(body(b"Deployment", text(2, spec)))
    assert read["spec"] == {"replicas": 0}


def test_a_negative_number_is_read() -> None:
    spec = number(1, 2**64 - 3)
    assert protobuf.decoded(body(b"Deployment", text(2, spec)))["spec"] == {"replicas": -3}


def test_fields_that_are_not_known_are_passed_over() -> None:
    strange = number(99, 7) + text(98, b"x") + varint(97 << 3 | 1) + b"12345678"
    read = protobuf.decoded(body(b"ConfigMap", strange + text(1, text(1, b"a"))))
    assert read["metadata"] == {"name": "a"}


@given(st.binary(max_size=60), st.sampled_from(sorted(protobuf.KINDS)))
def test_nothing_but_a_decode_error_comes_of_strange_bytes(data: bytes, kind: str) -> None:
    for attempt in (data, b"k8s\0" + data, body(kind.encode(), data)):
        try:
            assert isinstance(protobuf.decoded(attempt), dict)
        except protobuf.DecodeError:
            continue


def test_a_kind_that_is_not_known_is_named() -> None:
    with pytest.raises(protobuf.DecodeError, match="no Gizmo can be read"):
        protobuf.decoded(body(b"Gizmo", b""))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "<invalid>"),
        (-0.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400, "8d"),
        (700 * 86400, "700d"),
        (731 * 86400, "2y1d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_ages_read_as_kubectl_prints_them(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words
