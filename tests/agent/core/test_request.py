"""A body becomes an order, or is refused with what and where."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_agent.core import request
from tidegate_agent.core.kinds import DEPLOYMENT, STATEFUL_SET
from tidegate_agent.core.request import Deploy, Logs, Rollback, Scale, Status, Target
from tidegate_agent.errors import InputError

WEB = Target(namespace="staging", kind=DEPLOYMENT, name="web")
PLACE = {"namespace": "staging", "deployment": "web"}


def test_each_verb_is_read_from_what_the_presets_send() -> None:
    assert request.order("deploy", {**PLACE, "image": "web:2"}) == Deploy(target=WEB, image="web:2")
    assert request.order("scale", {**PLACE, "replicas": 3}) == Scale(target=WEB, replicas=3)
    assert request.order("rollback", {**PLACE}) == Rollback(target=WEB, revision=0)
    assert request.order("status", {"namespace": "staging"}) == Status(namespace="staging")
    logs = request.order("logs", {**PLACE, "tail": "20", "since": "15m", "previous": True})
    assert logs == Logs(target=WEB, tail=20, since_seconds=900, previous=True)


def test_what_people_type_is_taken_as_text() -> None:
    found = request.order("scale", {**PLACE, "replicas": "07", "dry_run": "true", "force": None})
    assert found == Scale(target=WEB, replicas=7, dry_run=True)


def test_other_kinds_are_named_by_their_own_param() -> None:
    found = request.order("restart", {"namespace": "staging", "statefulset": "orders-db"})
    assert isinstance(found, request.Restart)
    assert found.target.kind is STATEFUL_SET


@pytest.mark.parametrize(
    ("verb", "params", "field"),
    [
        ("deploy", PLACE, "image"),
        ("deploy", {**PLACE, "image": ""}, "image"),
        ("deploy", {**PLACE, "image": 5}, "image"),
        ("deploy", {**PLACE, "image": "x" * 513}, "image"),
        ("deploy", {**PLACE, "image": "web:1", "container": "A"}, "container"),
        ("deploy", {**PLACE, "image": "web:1", "replicas": 3}, "replicas"),
        ("scale", PLACE, "replicas"),
        ("scale", {**PLACE, "replicas": -1}, "replicas"),
        ("scale", {**PLACE, "replicas": 1.5}, "replicas"),
        ("scale", {**PLACE, "replicas": True}, "replicas"),
        ("scale", {**PLACE, "replicas": "1e3"}, "replicas"),
        ("scale", {**PLACE, "replicas": "٣"}, "replicas"),
        ("scale", {**PLACE, "replicas": 10**30}, "replicas"),
        ("scale", {"namespace": "a", "daemonset": "d", "replicas": 1}, "daemonset"),
        ("restart", {"namespace": "staging"}, "deployment"),
        ("restart", {"deployment": "web"}, "namespace"),
        ("restart", {**PLACE, "statefulset": "db"}, "statefulset"),
        ("restart", {**PLACE, "namespace": "Staging"}, "namespace"),
        ("restart", {**PLACE, "namespace": "../x"}, "namespace"),
        ("restart", {**PLACE, "namespace": "staging\n"}, "namespace"),
        ("restart", {**PLACE, "deployment": "web/scale"}, "deployment"),
        ("restart", {**PLACE, "dry_run": "yes"}, "dry_run"),
        ("restart", {**PLACE, "dry_run": 1}, "dry_run"),
        ("rollback", {**PLACE, "revision": -1}, "revision"),
        ("logs", {**PLACE, "tail": 0}, "tail"),
        ("logs", {**PLACE, "since": "soon"}, "since"),
        ("logs", {**PLACE, "since": "31d"}, "since"),
        ("logs", {**PLACE, "since": True}, "since"),
        ("logs", {**PLACE, "pod": "a b"}, "pod"),
    ],
)
def test_a_param_that_is_not_what_it_has_to_be_is_refused_by_name(
    verb: str, params: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputError) as refused:
        request.order(verb, params)
    assert refused.value.field == field
    assert f"`{field}`" in refused.value.notice or field == "daemonset"


def test_an_unknown_param_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="no param `imgae`; deploy takes container, daemonset"):
        request.order("deploy", {**PLACE, "imgae": "web:1"})


def test_params_come_in_the_usual_body_or_alone() -> None:
    whole = {"run_id": "r", "action": "a", "user_id": "U", "params": PLACE}
    assert request.params(json.dumps(whole).encode(), key="r") == PLACE
    assert request.params(json.dumps(PLACE).encode(), key="r") == PLACE


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not a JSON object"),
        (b"NaN", "not a JSON object"),
        (b'{"replicas": NaN}', "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"params": []}', "`params` is not"),
        (b'{"params": {}, "extra": 1}', "no `extra` beside"),
        (b'{"params": {}, "run_id": "other"}', "`run_id` is not"),
        (b'{"image": "a", "image": "b"}', "the same member twice"),
        (b'{"a": "' + b"x" * 300_000 + b'"}', "256 KiB"),
    ],
)
def test_a_body_that_is_not_one_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        request.params(body, key="r")


def test_what_is_refused_is_shown_without_what_could_do_harm() -> None:
    with pytest.raises(InputError) as refused:
        request.order("restart", {**PLACE, "<!channel>\n" + "x" * 100: 1})
    assert "<" not in refused.value.notice
    assert "\n" not in refused.value.notice
    assert len(refused.value.notice) < 200


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
TARGETS = st.builds(
    lambda kind, namespace, name: {"namespace": namespace, kind: name},
    st.sampled_from(["deployment", "statefulset"]),
    NAMES,
    NAMES,
)
ORDERS: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
    st.tuples(
        st.just("deploy"), st.fixed_dictionaries({"image": st.text(min_size=1, max_size=50)})
    ),
    st.tuples(st.just("scale"), st.fixed_dictionaries({"replicas": st.integers(0, 10_000)})),
    st.tuples(st.just("restart"), st.just({})),
    st.tuples(st.just("rollback"), st.fixed_dictionaries({"revision": st.integers(0, 2**53)})),
)


@given(ORDERS, TARGETS, st.booleans(), st.booleans())
def test_an_order_survives_being_written_down(
    order: tuple[str, dict[str, Any]], target: dict[str, str], dry_run: bool, force: bool
) -> None:
    verb, params = order
    asked = request.order(verb, {**params, **target, "dry_run": dry_run, "force": force})
    assert isinstance(asked, request.ChangeOrder)
    said = json.loads(json.dumps(request.canonical(asked)))
    again = request.order(request.verb_of(asked), said)
    assert again == asked
    assert isinstance(again, request.ChangeOrder)
    assert request.digest(again, "me") == request.digest(asked, "me")


@given(ORDERS, ORDERS, TARGETS)
def test_other_orders_have_other_digests(
    one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]], target: dict[str, str]
) -> None:
    first, second = (request.order(verb, {**params, **target}) for verb, params in (one, other))
    assert isinstance(first, request.ChangeOrder)
    assert isinstance(second, request.ChangeOrder)
    assert (request.digest(first, "me") == request.digest(second, "me")) == (first == second)
    assert request.digest(first, "me") != request.digest(first, "another")


@given(
    st.sampled_from(sorted(request.PARAMS)),
    st.dictionaries(
        st.sampled_from(sorted(set.union(*(set(p) for p in request.PARAMS.values())))),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    ),
)
def test_no_params_however_odd_do_anything_but_order_or_be_refused(
    verb: str, params: dict[str, Any]
) -> None:
    field: str | None = "none"
    try:
        request.order(verb, params)
    except InputError as refused:
        field = refused.field
    assert field is not None


@given(st.binary(max_size=300))
def test_no_body_however_odd_does_anything_but_be_read_or_be_refused(body: bytes) -> None:
    with contextlib.suppress(InputError):
        assert isinstance(request.params(body), dict)
