"""What would differ is told, but for what may be secret."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.agent.core.objects import deployment
from tidegate_agent.core import difference


def test_differences_name_containers_and_hide_what_may_be_secret() -> None:
    def spec(image: str, secret: str) -> dict[str, Any]:
        env = [{"name": "DB", "value": secret}]
        container = {"name": "web", "image": image, "env": env, "args": [f"--password={secret}"]}
        return {"spec": {"template": {"spec": {"containers": [container]}}}}

    found = difference.of(spec("web:1", "hunter2"), spec("web:2", "hunter3"))
    lines = [each.line for each in found]
    place = "spec.template.spec.containers[web]"
    assert f"{place}.image: web:1 → web:2" in lines
    assert any(line.startswith(f"{place}.env[DB].value: (hidden)") for line in lines)
    assert "hunter" not in " ".join(lines)


def test_what_may_be_secret_is_hidden_by_where_it_is_and_by_no_name_that_is_chosen() -> None:
    def spec(secret: str) -> dict[str, Any]:
        header = {"name": "Authorization", "value": f"Bearer {secret}"}
        container = {
            "name": "web",
            "env": [{"name": "A]B", "value": secret}],
            "livenessProbe": {"httpGet": {"httpHeaders": [header], "path": f"/?token={secret}"}},
        }
        metadata = {"annotations": {"vault.password": secret, "valueFrom": secret}}
        return {
            "metadata": {
                "annotations": {"token": secret, "tidegate.dev/run": f"run-{len(secret)}"}
            },
            "spec": {"template": {"metadata": metadata, "spec": {"containers": [container]}}},
        }

    lines = [each.line for each in difference.of(spec("hunter2"), spec("hunter42"))]
    assert len(lines) == 7
    assert "hunter" not in " ".join(lines)
    assert "metadata.annotations.tidegate.dev/run: run-7 → run-8" in lines


def test_where_a_variable_is_from_is_told() -> None:
    def spec(key: str) -> dict[str, Any]:
        env = [{"name": "DB", "valueFrom": {"secretKeyRef": {"key": key}}}]
        return {"spec": {"containers": [{"name": "web", "env": env}]}}

    (found,) = difference.of(spec("a"), spec("b"))
    assert found.line == "spec.containers[web].env[DB].valueFrom.secretKeyRef.key: a → b"


def test_differences_leave_out_what_nobody_decides() -> None:
    before = deployment()
    after = {**deployment(generation=5, status={"replicas": 9})}
    assert difference.of(before, after) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_differences_are_none_between_the_same_and_bounded_between_others(
    one: Any, another: Any
) -> None:
    assert difference.of({"spec": one}, {"spec": one}) == ()
    found = difference.of({"spec": one}, {"spec": another})
    assert len(found) <= difference.MAX_DIFFERENCES


def said(value: Any) -> Any:
    """Return a value without what says nothing: null, and what is empty."""
    if isinstance(value, dict):
        kept = {name: said(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each is not None} or None
    if isinstance(value, list):
        kept_list = [said(each) for each in value]
        while kept_list and kept_list[-1] is None:
            kept_list.pop()
        return kept_list or None
    return value


@given(JSON, JSON)
def test_what_differs_shows(one: Any, another: Any) -> None:
    found = difference.of({"spec": {"x": one}}, {"spec": {"x": another}})
    if said(one) != said(another):
        assert found
