"""The algebra of the three kinds of patch."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_dev.kubernetes.patches import PatchError, json_patched, merge_patched
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, PODS, SERVICES
from tidegate_dev.kubernetes.strategic import strategic_patched

KEYS = st.sampled_from(["a", "b", "~c", "d/e", ""])
PLAIN = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["x", "y"])
JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def difference(old: Any, new: Any) -> Any:
    """Return the merge patch from *old* to *new*."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old or old[key] != value or type(old[key]) is not type(value):
            patch[key] = difference(old.get(key), value)
    return patch


# --- merge patch -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_the_examples_of_rfc_7386_say(
    target: Any, patch: Any, result: Any
) -> None:
    assert merge_patched(target, patch) == result


@given(OBJECTS, OBJECTS)
def test_the_difference_of_two_objects_makes_one_the_other(old: Any, new: Any) -> None:
    old, new = without_nulls(old), without_nulls(new)
    assert merge_patched(old, difference(old, new)) == new


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_twice_is_the_same_as_once(target: Any, patch: Any) -> None:
    once = merge_patched(target, patch)
    assert merge_patched(once, patch) == once


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_leaves_its_target_alone(target: Any, patch: Any) -> None:
    before = repr(target)
    result = merge_patched(target, patch)
    for part in result.values():
        if isinstance(part, list | dict):
            part.clear()
    assert repr(target) == before


# --- JSON patch --------------------------------------------------------------------


def pointer(*parts: str | int) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


@given(OBJECTS, KEYS, JSON)
def test_what_was_added_is_there_and_passes_its_test(target: Any, key: str, value: Any) -> None:
    path = pointer(key)
    operations = [
        {"op": "add", "path": path, "value": value},
        {"op": "test", "path": path, "value": value},
    ]
    assert json_patched(target, operations) == {**target, key: value}


@given(OBJECTS, KEYS, JSON)
def test_adding_and_removing_comes_to_nothing(target: Any, key: str, value: Any) -> None:
    target.pop(key, None)
    add = {"op": "add", "path": pointer(key), "value": value}
    assert json_patched(target, [add, {"op": "remove", "path": pointer(key)}]) == target


@given(st.lists(JSON, max_size=4), JSON, st.data())
def test_inserting_and_removing_comes_to_nothing(
    items: list[Any], value: Any, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(items)))
    add = {"op": "add", "path": pointer("l", place), "value": value}
    inserted = json_patched({"l": items}, [add])
    assert inserted["l"][place] == value
    assert len(inserted["l"]) == len(items) + 1
    remove = {"op": "remove", "path": pointer("l", place)}
    assert json_patched({"l": items}, [add, remove]) == {"l": items}


@given(OBJECTS, JSON)
def test_moving_there_and_back_comes_to_nothing(target: Any, value: Any) -> None:
    target["a"] = value
    target.pop("b", None)
    there = {"op": "move", "from": "/a", "path": "/b"}
    back = {"op": "move", "from": "/b", "path": "/a"}
    assert json_patched(target, [there, back]) == target


def test_a_dash_appends() -> None:
    assert json_patched({"l": [1]}, [{"op": "add", "path": "/l/-", "value": 2}]) == {"l": [1, 2]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/nowhere"},
        {"op": "replace", "path": "/nowhere", "value": 1},
        {"op": "add", "path": "/nowhere/x", "value": 1},
        {"op": "add", "path": "/l/3", "value": 1},
        {"op": "add", "path": "/l/01", "value": 1},
        {"op": "add", "path": "/s/x", "value": 1},
        {"op": "add", "path": "/x"},
        {"op": "remove", "path": "/l/-"},
        {"op": "remove", "path": ""},
        {"op": "move", "from": "/nowhere", "path": "/x"},
        {"op": "test", "path": "/n", "value": True},
        {"op": "test", "path": "/l", "value": [1]},
        {"op": "grow", "path": "/n", "value": 2},
        {"op": "add", "path": "n", "value": 2},
        {"path": "/n"},
        "add",
    ],
)
def test_an_operation_that_cannot_be_done_is_an_error(operation: Any) -> None:
    with pytest.raises(PatchError):
        json_patched({"n": 1, "l": [1, 2], "s": "text"}, [operation])


@given(OBJECTS, st.lists(st.fixed_dictionaries({"op": JSON, "path": JSON, "value": JSON})))
def test_nothing_but_a_patch_error_comes_of_a_strange_json_patch(
    target: Any, operations: Any
) -> None:
    try:
        json_patched(target, operations)
    except PatchError:
        return


# --- strategic merge patch ---------------------------------------------------------


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}}


def names(patched: dict[str, Any], field: str = "containers") -> list[str]:
    return [each["name"] for each in patched["spec"][field]]


def test_a_container_is_found_by_its_name_and_keeps_the_rest() -> None:
    target = pod({"name": "a", "image": "x:1", "tty": True}, {"name": "b", "image": "y:1"})
    patched = strategic_patched(PODS, target, pod({"name": "a", "image": "x:2"}))
    assert patched == pod({"name": "a", "image": "x:2", "tty": True}, {"name": "b", "image": "y:1"})


def test_a_new_container_comes_first_as_the_documentation_shows() -> None:
    patched = strategic_patched(PODS, pod({"name": "nginx"}), pod({"name": "redis"}))
    assert names(patched) == ["redis", "nginx"]


def test_a_variable_a_port_and_a_mount_are_found_by_their_own_keys() -> None:
    target = pod(
        {
            "name": "a",
            "env": [{"name": "A", "value": "1"}],
            "ports": [{"containerPort": 80, "name": "http"}],
            "volumeMounts": [{"mountPath": "/d", "name": "v"}],
        }
    )
    patch = pod(
        {
            "name": "a",
            "env": [{"name": "A", "value": "2"}],
            "ports": [{"containerPort": 80, "protocol": "UDP"}],
            "volumeMounts": [{"mountPath": "/d", "readOnly": True}],
        }
    )
    assert strategic_patched(PODS, target, patch)["spec"]["containers"] == [
        {
            "name": "a",
            "env": [{"name": "A", "value": "2"}],
            "ports": [{"containerPort": 80, "name": "http", "protocol": "UDP"}],
            "volumeMounts": [{"mountPath": "/d", "name": "v", "readOnly": True}],
        }
    ]


def test_the_ports_of_a_service_are_found_by_port() -> None:
    target = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}}
    patch = {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}
    patched = strategic_patched(SERVICES, target, patch)
    assert patched["spec"]["ports"] == [
        {"port": 80, "name": "a", "targetPort": 8080},
        {"port": 81, "name": "b"},
    ]


def test_ports_that_share_a_number_are_not_lost_by_a_patch_of_something_else() -> None:
    ports = [
        {"containerPort": 53, "protocol": "UDP"},
        {"containerPort": 53, "protocol": "TCP"},
    ]
    target = pod({"name": "dns", "ports": ports})
    patch = pod({"name": "dns", "ports": [{"containerPort": 80}]})
    patched = strategic_patched(PODS, target, patch)
    assert patched["spec"]["containers"][0]["ports"] == [{"containerPort": 80}, *ports]


def test_a_condition_is_found_by_its_type() -> None:
    target = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "x"}]}}
    patch = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    patched = strategic_patched(PODS, target, patch)
    assert patched["status"]["conditions"] == [{"type": "Ready", "status": "True", "reason": "x"}]


def test_a_list_without_a_merge_key_is_replaced() -> None:
    target = pod({"name": "a", "args": ["1", "2"]}, tolerations=[{"key": "a"}])
    patch = pod({"name": "a", "args": ["3"]}, tolerations=[{"key": "b"}])
    assert strategic_patched(PODS, target, patch) == patch


def test_finalizers_are_a_set() -> None:
    target = {"metadata": {"finalizers": ["a", "b"]}}
    added = strategic_patched(PODS, target, {"metadata": {"finalizers": ["b", "c"]}})
    assert sorted(added["metadata"]["finalizers"]) == ["a", "b", "c"]
    removed = strategic_patched(
        PODS, target, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    )
    assert removed["metadata"]["finalizers"] == ["b"]


def test_the_directive_delete_takes_an_item_out() -> None:
    target = pod({"name": "a"}, {"name": "b"})
    patched = strategic_patched(PODS, target, pod({"name": "a", "$patch": "delete"}))
    assert names(patched) == ["b"]


def test_the_directive_replace_replaces_a_list_and_an_object() -> None:
    target = pod({"name": "a"}, {"name": "b"}, securityContext={"runAsUser": 1})
    patched = strategic_patched(
        PODS,
        target,
        pod(
            {"$patch": "replace"},
            {"name": "c"},
            securityContext={"$patch": "replace", "fsGroup": 2},
        ),
    )
    assert names(patched) == ["c"]
    assert patched["spec"]["securityContext"] == {"fsGroup": 2}


def test_retain_keys_drops_what_is_not_named() -> None:
    target = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    patched = strategic_patched(DEPLOYMENTS, target, patch)
    assert patched == {"spec": {"strategy": {"type": "Recreate"}}}


def test_an_unknown_directive_and_a_missing_merge_key_are_errors() -> None:
    with pytest.raises(PatchError, match="Unknown patch type found: grow"):
        strategic_patched(PODS, pod(), {"spec": {"$patch": "grow"}})
    with pytest.raises(PatchError, match="does not contain declared merge key: name"):
        strategic_patched(PODS, pod({"name": "a"}), pod({"image": "x"}))


def test_the_stated_order_wins_and_has_to_be_the_patchs_own() -> None:
    target = pod({"name": "a"}, {"name": "b"})
    order = [{"name": "c"}, {"name": "b"}, {"name": "a"}]
    patch = {"spec": {"$setElementOrder/containers": order, "containers": [{"name": "c"}]}}
    assert names(strategic_patched(PODS, target, patch)) == ["c", "b", "a"]
    wrong = pod({"name": "a"}, {"name": "b"})
    wrong["spec"]["$setElementOrder/containers"] = [{"name": "b"}, {"name": "a"}]
    with pytest.raises(PatchError, match="doesn't match"):
        strategic_patched(PODS, target, wrong)


CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcdef")}, optional={"image": st.sampled_from(["x", "y"])}
    ),
    unique_by=lambda each: each["name"],
    max_size=5,
)


@given(CONTAINERS, CONTAINERS)
def test_a_strategic_patch_twice_is_the_same_as_once(target: Any, patch: Any) -> None:
    once = strategic_patched(PODS, pod(*target), pod(*patch))
    assert strategic_patched(PODS, once, pod(*patch)) == once


@given(CONTAINERS, CONTAINERS)
def test_every_container_of_either_side_is_there_once(target: Any, patch: Any) -> None:
    patched = strategic_patched(PODS, pod(*target), pod(*patch))
    wanted = {each["name"] for each in (*target, *patch)}
    assert sorted(names(patched)) == sorted(wanted)


@given(CONTAINERS, CONTAINERS)
def test_both_sides_keep_their_order(target: Any, patch: Any) -> None:
    merged = names(strategic_patched(PODS, pod(*target), pod(*patch)))
    changed = [each["name"] for each in patch]
    untouched = [each["name"] for each in target if each["name"] not in changed]
    assert [name for name in merged if name in changed] == changed
    assert [name for name in merged if name in untouched] == untouched


@given(CONTAINERS, CONTAINERS)
def test_what_a_patch_does_not_name_is_as_it_was(target: Any, patch: Any) -> None:
    merged = strategic_patched(PODS, pod(*target), pod(*patch))["spec"]["containers"]
    named = {each["name"] for each in patch}
    assert [each for each in merged if each["name"] not in named] == [
        each for each in target if each["name"] not in named
    ]


@given(CONTAINERS, CONTAINERS, st.randoms())
def test_a_whole_order_is_the_order(target: Any, patch: Any, random: Any) -> None:
    order = sorted({each["name"] for each in (*target, *patch)})
    random.shuffle(order)
    patch.sort(key=lambda each: order.index(each["name"]))
    whole = pod(*patch)
    whole["spec"]["$setElementOrder/containers"] = [{"name": name} for name in order]
    assert names(strategic_patched(PODS, pod(*target), whole)) == order


@given(CONTAINERS, st.sets(st.sampled_from("abcdef")))
def test_deleting_by_name_takes_out_those_and_no_others(target: Any, gone: set[str]) -> None:
    patch = pod(*({"name": name, "$patch": "delete"} for name in sorted(gone)))
    merged = names(strategic_patched(PODS, pod(*target), patch))
    assert merged == [each["name"] for each in target if each["name"] not in gone]


@given(OBJECTS, OBJECTS)
def test_without_lists_that_merge_it_is_a_merge_patch(target: Any, patch: Any) -> None:
    target, patch = without_nulls(target), without_nulls(patch)
    assert without_nulls(strategic_patched(PODS, target, patch)) == without_nulls(
        merge_patched(target, patch)
    )
