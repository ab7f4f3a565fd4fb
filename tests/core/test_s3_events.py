"""What messages of S3's event notifications say, in every shape they come in."""

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.core import s3_events
from tidegate.core.s3_events import MAX_BYTES, MAX_RECORDS, Appeared, parse
from tidegate.errors import EventError

ODD_KEY = "q3/räport + 100 % (1)&<!channel>.pdf"
SEQUENCER = "0055AED6DCD90281E5"


def record(
    key: str = "q3/a.pdf", *, name: str = "ObjectCreated:Put", bucket: str = "acme", **found: Any
) -> dict[str, Any]:
    """A record as S3 sends it: the key is encoded as forms are."""
    about = {"key": quote_plus(key), "size": 1024, "eTag": "d41d", "sequencer": SEQUENCER}
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventName": name,
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket}, "object": about | found},
    }


def direct(*records: dict[str, Any]) -> bytes:
    return json.dumps({"Records": list(records)}).encode()


def bridged(key: str = "q3/a.pdf", *, kind: str = "Object Created", **found: Any) -> bytes:
    """An event as EventBridge passes it on: the key stands as it is."""
    about = {"key": key, "size": 1024, "etag": "d41d", "sequencer": SEQUENCER}
    detail = {"version": "0", "bucket": {"name": "acme"}, "object": about | found}
    event = {"version": "0", "detail-type": kind, "source": "aws.s3", "detail": detail}
    return json.dumps(event).encode()


def by_topic(body: bytes) -> bytes:
    return json.dumps({"Type": "Notification", "Message": body.decode()}).encode()


EXPECTED = Appeared(bucket="acme", key="q3/a.pdf", size=1024, etag="d41d", sequencer=SEQUENCER)


@pytest.mark.parametrize(
    "body", [direct(record()), bridged(), by_topic(direct(record())), by_topic(bridged())]
)
def test_each_shape_tells_of_the_same_object(body: bytes) -> None:
    assert parse(body) == (EXPECTED,)


@given(st.text(min_size=1, max_size=200))
@example(ODD_KEY)
@example("a+b c")
@example("%2B")
def test_any_key_is_read_as_it_was_written(key: str) -> None:
    (one,) = parse(direct(record(key)))
    (other,) = parse(bridged(key))
    assert one.key == other.key == key


def test_several_records_are_several_objects() -> None:
    found = parse(direct(record("a"), record("b", name="ObjectCreated:Copy")))
    assert [one.key for one in found] == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"t","Bucket":"acme"}',
        direct(record(name="ObjectRemoved:Delete")),
        direct(record(name="ObjectRemoved:DeleteMarkerCreated")),
        direct({"eventSource": "aws:s3", "eventName": "ReducedRedundancyLostObject"}),
        direct(),
        bridged(kind="Object Deleted"),
        bridged(kind="GuardDuty Malware Protection Object Scan Result"),
        json.dumps({"source": "aws.ec2", "detail-type": "Object Created", "detail": {}}).encode(),
    ],
)
def test_what_tells_of_no_new_object_is_passed_over(body: bytes) -> None:
    assert parse(body) == ()


def test_a_removal_beside_a_creation_does_not_hide_it() -> None:
    (found,) = parse(direct(record("gone", name="ObjectRemoved:Delete"), record("here")))
    assert found.key == "here"


def test_a_version_is_read_from_either_shape() -> None:
    (one,) = parse(direct(record(versionId="v1")))
    (other,) = parse(bridged(**{"version-id": "v1"}))
    assert one.version_id == other.version_id == "v1"
    (none,) = parse(direct(record(versionId="null")))
    assert none.version_id == ""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_an_event"),
        (b"hello", "not_an_event"),
        (b"\xff\xfe", "not_an_event"),
        (b"[]", "not_an_event"),
        (b'{"hello": 1}', "not_an_event"),
        (b'{"Records": [1]}', "not_an_event"),
        (b'{"Records": [{}]}', "not_an_event"),
        (direct(record("")), "not_an_event"),
        (direct(record(key="x" * 1025)), "not_an_event"),
        (direct(record(bucket="")), "not_an_event"),
        (direct(record(eTag=7)), "not_an_event"),
        (direct(record(eTag="", sequencer="")), "not_an_event"),
        (direct(record(versionId="v\u00e9")), "not_an_event"),
        (direct(record()).replace(b"q3%2Fa.pdf", b"%ff%fe"), "not_an_event"),
        (by_topic(by_topic(direct(record()))), "not_an_event"),
        (b'{"a":' * 20_000, "not_an_event"),
        (direct(*[record()] * (MAX_RECORDS + 1)), "too_large"),
        (b" " * (MAX_BYTES + 1), "too_large"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_a_reason(body: bytes, code: str) -> None:
    with pytest.raises(EventError) as caught:
        parse(body)
    assert caught.value.code == code


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@st.composite
def nearly_events(draw: st.DrawFn) -> bytes:
    """An event in which some value is another."""
    whole: Any = json.loads(draw(st.sampled_from([direct(record()), bridged()])))
    here: Any = whole
    while True:
        steps = list(here) if isinstance(here, dict) else list(range(len(here)))
        step = draw(st.sampled_from(steps))
        inner = here[step]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            here[step] = draw(_JSON)
            return json.dumps(whole).encode()
        here = inner


@given(st.one_of(st.binary(), _JSON.map(lambda value: json.dumps(value).encode()), nearly_events()))
def test_any_bytes_are_objects_or_a_refusal(body: bytes) -> None:
    try:
        found = parse(body)
    except EventError:
        return
    for one in found:
        assert one.bucket
        assert 0 < len(one.key.encode()) <= 1024
        assert one.version_id or one.sequencer or one.etag


def test_the_same_state_of_an_object_has_one_delivery_key_for_each_rule() -> None:
    (one,), (again,) = parse(direct(record(versionId="v"))), parse(bridged(**{"version-id": "v"}))
    assert one.delivery_key("event:a") == again.delivery_key("event:a")
    assert one.delivery_key("event:a") != one.delivery_key("event:b")


_SHORT = st.text(max_size=3)
_APPEARED = st.builds(
    Appeared,
    bucket=_SHORT,
    key=_SHORT,
    version_id=_SHORT,
    sequencer=_SHORT,
    etag=st.just("e"),
)


@given(_APPEARED, _APPEARED)
def test_other_states_have_other_delivery_keys(one: Appeared, other: Appeared) -> None:
    def state(found: Appeared) -> tuple[str, ...]:
        which = found.version_id or f"-{found.sequencer or found.etag}"
        return (found.bucket, found.key, str(bool(found.version_id)), which)

    same = one.delivery_key("event:a") == other.delivery_key("event:a")
    assert same == (state(one) == state(other))


def test_the_bound_leaves_room_for_every_key() -> None:
    body = direct(*[record("ü" * 512)] * 60)
    assert len(body) < s3_events.MAX_BYTES
    assert len(parse(body)) == 60
