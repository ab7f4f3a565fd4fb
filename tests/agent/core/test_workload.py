"""A workload as it is read from an object."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.core.objects import deployment, other, read, template
from tidegate_agent.core import fields, moment, workload
from tidegate_agent.core.kinds import DAEMON_SET, DEPLOYMENT
from tidegate_agent.core.workload import Container
from tidegate_agent.errors import InputError


def test_it_is_read_with_all_that_decides() -> None:
    now = read(deployment(paused=True))
    assert now.target.words == "web in staging"
    assert (now.generation, now.resource_version, now.replicas, now.paused) == (4, "41", 3, True)
    assert now.selector == "app=web"


def test_replicas_that_are_not_said_are_one_and_a_daemon_sets_are_the_nodes() -> None:
    raw = deployment()
    del raw["spec"]["replicas"]
    assert read(raw).replicas == 1
    assert other(DAEMON_SET, {}, {"desiredNumberScheduled": 4}).replicas == 4


BOTH = (Container(name="web", image="w"), Container(name="proxy", image="p"))


def test_a_container_is_taken_by_name_or_because_it_is_the_only_one() -> None:
    assert workload.container(BOTH[:1], None).name == "web"
    assert workload.container(BOTH, "proxy").name == "proxy"


@pytest.mark.parametrize(
    ("among", "name", "words"),
    [
        (BOTH, None, "Say which `container`: there are web, proxy."),
        (BOTH, "nginx", "no container `nginx`; there are web, proxy."),
        (BOTH[:1], "nginx", "no container `nginx`; there are web."),
    ],
)
def test_a_container_is_never_guessed(
    among: tuple[Container, ...], name: str | None, words: str
) -> None:
    with pytest.raises(InputError, match=words.replace("?", r"\?")):
        workload.container(among, name)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        (
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]},
            "a in (1,2)",
        ),
        (
            {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]},
            "a notin (1)",
        ),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "a"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a"),
        ({"matchExpressions": [{"key": "a", "operator": "Gt"}]}, "a,!a"),
        ({}, ""),
    ],
)
def test_a_selector_is_written_as_a_query_has_it(selector: dict[str, Any], text: str) -> None:
    assert workload.selector(selector) == text


def test_a_fingerprint_does_not_depend_on_the_order_of_members() -> None:
    one = template()
    turned = dict(reversed(one.items()))
    assert workload.fingerprint(one) == workload.fingerprint(turned)
    assert workload.fingerprint(one) != workload.fingerprint(template("web:9"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["metadata", "spec", "status", "name"]), inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON))
def test_no_object_however_odd_can_raise(raw: dict[str, Any]) -> None:
    found = workload.read(DEPLOYMENT, raw)
    assert isinstance(found.replicas, int)
    assert isinstance(found.selector, str)


@given(JSON, st.lists(st.sampled_from(["metadata", "spec", "name"]), max_size=3))
def test_values_are_of_their_type_or_empty(obj: Any, path: list[str]) -> None:
    assert isinstance(fields.text(obj, *path), str)
    assert isinstance(fields.number(obj, *path), int)
    assert isinstance(fields.flag(obj, *path), bool)
    assert all(isinstance(each, dict) for each in fields.mappings(obj, *path))
    assert all(isinstance(each, str) for each in fields.texts(obj, *path).values())


@given(st.integers(0, 4_000_000_000))
def test_a_moment_is_read_as_it_was_written(seconds: int) -> None:
    assert moment.seconds({"at": moment.iso(seconds)}, "at") == seconds


@pytest.mark.parametrize("text", ["", "soon", "2026-11-28", "2026-11-28T10:00:00", 7, None])
def test_what_is_no_moment_is_none(text: object) -> None:
    assert moment.seconds({"at": text}, "at") is None
