import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.values import an_interaction
from tidegate.core.model import Interaction, Kind
from tidegate.core.params import Param, ParamType, check, extract
from tidegate.errors import ParamsError

NAMESPACE = Param(name="namespace", source="value.namespace", required=True)
REPLICAS = Param(name="replicas", source="value.replicas", type="integer", min=0, max=10)


def taken(*params: Param) -> dict[str, Param]:
    return {param.name: param for param in params}


def button(value: object) -> Interaction:
    return an_interaction(value=value if isinstance(value, str) else json.dumps(value))


def command(text: str) -> Interaction:
    return an_interaction(kind=Kind.COMMAND, trigger="/scale", text=text, value="")


# --- where params are found -----------------------------------------------------------------


def test_a_button_carries_its_params_as_json() -> None:
    found = extract(taken(NAMESPACE, REPLICAS), button({"namespace": "staging", "replicas": 3}))
    assert found == {"namespace": "staging", "replicas": 3}


def test_a_command_names_its_params() -> None:
    found = extract(taken(NAMESPACE, REPLICAS), command("namespace=staging  replicas=3"))
    assert found == {"namespace": "staging", "replicas": 3}


def test_a_value_in_a_command_may_hold_an_equals_sign() -> None:
    assert extract(taken(NAMESPACE), command("namespace=a=b")) == {"namespace": "a=b"}


def test_words_of_a_command_are_found_by_their_position() -> None:
    params = taken(Param(name="app", source="text[0]"), Param(name="tag", source="text[1]"))
    assert extract(params, command("web 2.4.1")) == {"app": "web", "tag": "2.4.1"}
    assert extract(params, command("web")) == {"app": "web"}


def test_words_and_names_go_together() -> None:
    params = taken(Param(name="app", source="text[0]"), NAMESPACE)
    assert extract(params, command("namespace=staging web")) == {
        "app": "web",
        "namespace": "staging",
    }


def test_without_named_params_an_equals_sign_is_only_a_word() -> None:
    params = taken(Param(name="label", source="text[0]"))
    assert extract(params, command("app=web")) == {"label": "app=web"}


def test_what_was_picked_is_found() -> None:
    params = taken(Param(name="tag", source="selected"))
    assert extract(params, an_interaction(value="v2", selected="v2")) == {"tag": "v2"}


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ({"type": "plain_text_input", "value": "x"}, "x"),
        ({"type": "static_select", "selected_option": {"value": "x"}}, "x"),
        ({"type": "static_select", "selected_option": None}, None),
        ({"type": "checkboxes", "selected_options": [{"value": "a"}, {"value": "b"}]}, "a,b"),
        ({"type": "checkboxes", "selected_options": []}, None),
        ({"type": "users_select", "selected_user": "U1"}, "U1"),
        ({"type": "conversations_select", "selected_conversation": "C1"}, "C1"),
        ({"type": "channels_select", "selected_channel": "C1"}, "C1"),
        ({"type": "datepicker", "selected_date": "2026-01-02"}, "2026-01-02"),
        ({"type": "timepicker", "selected_time": "12:30"}, "12:30"),
        ({"type": "datetimepicker", "selected_date_time": 1700000000}, "1700000000"),
        ({"type": "multi_users_select", "selected_users": ["U1", "U2"]}, "U1,U2"),
        ({"type": "multi_conversations_select", "selected_conversations": ["C1"]}, "C1"),
        ({"type": "multi_channels_select", "selected_channels": ["C1", "C2"]}, "C1,C2"),
        ({"type": "multi_users_select", "selected_users": []}, None),
        ("not an element", None),
        ({}, None),
    ],
)
def test_what_was_filled_in_is_found_whatever_the_element(element: Any, value: str | None) -> None:
    params = taken(Param(name="x", source="state.block.action.with.dots"))
    found = an_interaction(state={"block": {"action.with.dots": element}})
    assert extract(params, found) == ({} if value is None else {"x": value})


def test_an_element_that_is_not_there_is_not_given() -> None:
    params = taken(Param(name="x", source="state.block.action"))
    assert extract(params, an_interaction(state={})) == {}
    assert extract(params, an_interaction(state={"block": {}})) == {}


# --- what is not given ----------------------------------------------------------------------


@pytest.mark.parametrize("value", [{}, {"namespace": None}, {"namespace": ""}, ""])
def test_a_required_param_must_be_given(value: object) -> None:
    with pytest.raises(ParamsError) as refused:
        extract(taken(NAMESPACE), button(value))
    assert refused.value.field == "namespace"
    assert refused.value.notice == "`namespace` is missing."


def test_a_default_stands_in() -> None:
    params = taken(Param(name="replicas", source="value.replicas", type="integer", default=0))
    assert extract(params, button({})) == {"replicas": 0}
    assert extract(params, button({"replicas": 4})) == {"replicas": 4}


def test_what_is_optional_and_not_given_is_left_out() -> None:
    assert extract(taken(REPLICAS), button({})) == {}


# --- what nobody takes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "found",
    [
        button({"namespace": "staging", "force": True}),
        button({"namespace": "staging", "Namespace": "production"}),
        command("namespace=staging force=yes"),
        command("namespace=staging please"),
        button("namespace=staging"),
        button("[1]"),
        button('"staging"'),
        button('{"namespace": "staging"'),
        button("[" * 100_000),
        button('{"namespace": ' + "[" * 100_000),
        button('{"namespace":"\\ud800"}'),
    ],
)
def test_what_no_param_takes_is_refused(found: Interaction) -> None:
    with pytest.raises(ParamsError):
        extract(taken(NAMESPACE), found)


def test_a_param_given_twice_is_refused() -> None:
    with pytest.raises(ParamsError):
        extract(taken(NAMESPACE), command("namespace=staging namespace=production"))


def test_more_words_than_are_taken_are_refused() -> None:
    params = taken(Param(name="app", source="text[0]"))
    with pytest.raises(ParamsError):
        extract(params, command("web now"))


def test_a_command_that_takes_nothing_takes_no_words() -> None:
    assert extract({}, command("")) == {}
    with pytest.raises(ParamsError):
        extract({}, command("web"))


# --- rules ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("string", "web", "web"),
        ("string", 7, "7"),
        ("integer", 7, 7),
        ("integer", "7", 7),
        ("integer", " -7 ", -7),
        ("boolean", True, True),
        ("boolean", "Yes", True),
        ("boolean", "1", True),
        ("boolean", "off", False),
        ("boolean", " false ", False),
    ],
)
def test_a_value_becomes_the_type_of_its_param(kind: ParamType, raw: object, value: object) -> None:
    made = check(Param(name="x", source="value.x", type=kind), raw)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("string", True),
        ("string", {}),
        ("string", ["web"]),
        ("integer", True),
        ("integer", "7.0"),
        ("integer", 7.0),
        ("integer", "seven"),
        ("integer", "\u0667"),
        ("integer", "1" * 30),
        ("integer", 10**30),
        ("integer", -(10**18)),
        ("integer", "1_000"),
        ("boolean", 1),
        ("boolean", "maybe"),
        ("boolean", ""),
    ],
)
def test_a_value_of_another_type_is_refused(kind: ParamType, raw: object) -> None:
    with pytest.raises(ParamsError) as refused:
        check(Param(name="x", source="value.x", type=kind), raw)
    assert refused.value.field == "x"


def test_only_listed_values_are_taken() -> None:
    listed = Param(name="x", source="value.x", enum=("staging", "production"))
    assert check(listed, "staging") == "staging"
    with pytest.raises(ParamsError, match="invalid") as refused:
        check(listed, "secret-value")
    assert refused.value.notice == "`x` must be one of: staging, production."


def test_numbers_keep_inside_their_bounds() -> None:
    for inside in (0, "10"):
        check(REPLICAS, inside)
    for outside, word in ((-1, "at least 0"), (11, "at most 10")):
        with pytest.raises(ParamsError) as refused:
            check(REPLICAS, outside)
        assert word in refused.value.notice


def test_text_keeps_inside_its_length() -> None:
    short = Param(name="x", source="value.x", max_length=3)
    assert check(short, "abc") == "abc"
    with pytest.raises(ParamsError):
        check(short, "abcd")


@pytest.mark.parametrize("value", ["web\n", "xweb", "webx", "web\nweb", "WEB"])
def test_a_pattern_must_match_the_whole_value(value: str) -> None:
    formed = Param(name="x", source="value.x", pattern="web|api")
    assert check(formed, "api") == "api"
    with pytest.raises(ParamsError):
        check(formed, value)


# --- whatever is given ----------------------------------------------------------------------

SOURCES = st.sampled_from(
    ["value.a", "value.b", "selected", "text[0]", "text[1]", "state.b.a", "state.c.a.d"]
)
PARAMS = st.builds(
    Param,
    name=st.sampled_from(["a", "b"]),
    source=SOURCES,
    type=st.sampled_from(["string", "integer", "boolean"]),
    required=st.booleans(),
    default=st.none(),
    min=st.none() | st.integers(-5, 5),
    max=st.none() | st.integers(-5, 5),
    max_length=st.integers(0, 10),
    pattern=st.none() | st.sampled_from(["[a-z]+", "x|y", ""]),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "value", "selected_option"]), inner)
    ),
    max_leaves=6,
)
VALUES = st.text(max_size=30) | JSON.map(json.dumps)
STATES = st.dictionaries(
    st.sampled_from(["b", "c"]), st.dictionaries(st.sampled_from(["a", "a.d"]), JSON)
)


@given(
    st.lists(PARAMS, max_size=3),
    st.sampled_from([Kind.BLOCK_ACTIONS, Kind.COMMAND, Kind.VIEW_SUBMISSION]),
    VALUES,
    VALUES,
    STATES,
)
def test_any_input_gives_values_inside_the_rules_or_is_refused(
    listed: list[Param], kind: Kind, value: str, text: str, state: dict[str, Any]
) -> None:
    params = taken(*listed)
    found = an_interaction(kind=kind, value=value, selected=value, text=text, state=state)
    try:
        values = extract(params, found)
    except ParamsError:
        return
    assert set(values) <= set(params)
    for name, made in values.items():
        param = params[name]
        assert type(made) is {"string": str, "integer": int, "boolean": bool}[param.type]
        if isinstance(made, str):
            assert len(made) <= param.max_length
        elif isinstance(made, int) and not isinstance(made, bool):
            assert abs(made) < 10**18
            assert param.min is None or made >= param.min
            assert param.max is None or made <= param.max
    assert all(param.name in values for param in params.values() if param.required)


@given(st.text(min_size=9, max_size=40, alphabet=st.characters(categories=["L", "N", "S"])))
def test_a_refusal_names_the_param_and_never_its_value(secret: str) -> None:
    for param in (
        Param(name="x", source="value.x", max_length=8),
        Param(name="x", source="value.x", pattern="no"),
        Param(name="x", source="value.x", enum=("no",)),
        Param(name="x", source="value.x", type="boolean"),
    ):
        with pytest.raises(ParamsError) as refused:
            extract(taken(param), button({"x": secret}))
        assert secret not in refused.value.notice + str(refused.value)
