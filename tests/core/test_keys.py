import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.values import an_interaction
from tidegate.core import keys
from tidegate.core.model import Actor, Interaction, Kind

BODY = b"payload=%7B%7D"
OTHER = Actor(user_id="U0GRACE", team_id="T0TEAM")


def test_the_same_press_delivered_again_has_the_same_delivery_key() -> None:
    again = an_interaction(trigger_id="another", response_url="https://hooks.slack.com/x")
    assert keys.delivery_key(an_interaction(), BODY) == keys.delivery_key(again, b"other bytes")


def test_whatever_makes_a_press_another_one_changes_its_delivery_key() -> None:
    others: list[dict[str, object]] = [
        {"team_id": "T0OTHER"},
        {"actor": OTHER},
        {"channel_id": "C0OTHER"},
        {"container_id": "1700000000.000999"},
        {"block_id": "b2"},
        {"trigger": "k8s_scale"},
        {"action_ts": "1700000001.000201"},
    ]
    found = {keys.delivery_key(an_interaction(**change), BODY) for change in others}
    assert len(found | {keys.delivery_key(an_interaction(), BODY)}) == len(others) + 1


def test_what_stands_in_one_part_never_passes_for_another() -> None:
    one = an_interaction(block_id='b","x', trigger="y")
    two = an_interaction(block_id="b", trigger='x","y')
    assert keys.delivery_key(one, BODY) != keys.delivery_key(two, BODY)
    assert keys.effect_key(one) != keys.effect_key(two)


def test_an_organisation_stands_in_where_there_is_no_workspace() -> None:
    one = an_interaction(team_id=None, enterprise_id="E1")
    two = an_interaction(team_id=None, enterprise_id="E2")
    assert keys.delivery_key(one, BODY) != keys.delivery_key(two, BODY)


def test_a_modal_is_known_by_its_view_and_hash() -> None:
    def view(**changes: object) -> str:
        fields = {"kind": Kind.VIEW_SUBMISSION, "container_id": "V1", "view_hash": "h1"}
        return keys.delivery_key(an_interaction(**(fields | changes)), BODY)

    assert view() == view(trigger_id="another")
    assert len({view(), view(container_id="V2"), view(view_hash="h2")}) == 3
    assert view() != view(kind=Kind.VIEW_CLOSED)


def test_an_event_is_known_by_its_id() -> None:
    def event(**changes: object) -> str:
        fields = {"kind": Kind.EVENT, "event_id": "Ev1", "trigger_id": ""}
        return keys.delivery_key(an_interaction(**(fields | changes)), BODY)

    assert event() == event(trigger="app_mention")
    assert event() != event(event_id="Ev2")


def test_others_are_known_by_their_trigger_id() -> None:
    def command(trigger_id: str) -> str:
        found = an_interaction(kind=Kind.COMMAND, action_ts="", trigger_id=trigger_id)
        return keys.delivery_key(found, BODY)

    assert command("1.2") == command("1.2")
    assert command("1.2") != command("1.3")


def test_what_has_no_id_at_all_is_known_by_its_bytes() -> None:
    bare = an_interaction(action_ts="", trigger_id="")
    assert keys.delivery_key(bare, BODY) == f"body:{hashlib.sha256(BODY).hexdigest()}"
    assert keys.delivery_key(bare, BODY) == keys.body_key(BODY)
    assert keys.delivery_key(bare, BODY) != keys.delivery_key(bare, BODY + b" ")


def test_the_same_button_pressed_by_another_person_later_is_the_same_intent() -> None:
    again = an_interaction(actor=OTHER, action_ts="1700000099.000000", trigger_id="another")
    assert keys.effect_key(an_interaction()) == keys.effect_key(again)


def test_another_place_or_value_is_another_intent() -> None:
    others: list[dict[str, object]] = [
        {"team_id": "T0OTHER"},
        {"channel_id": "C0OTHER"},
        {"container_id": "1700000000.000999"},
        {"block_id": "b2"},
        {"trigger": "k8s_scale"},
        {"value": '{"namespace":"production"}'},
    ]
    found = {keys.effect_key(an_interaction(**change)) for change in others}
    assert len(found | {keys.effect_key(an_interaction())}) == len(others) + 1


def test_where_there_is_no_message_there_is_no_effect_key() -> None:
    assert keys.effect_key(an_interaction(container_id="")) is None
    for kind in (Kind.COMMAND, Kind.SHORTCUT, Kind.VIEW_SUBMISSION):
        assert keys.effect_key(an_interaction(kind=kind)) is None
    assert keys.effect_key(an_interaction(kind=Kind.MESSAGE_ACTION)) is not None


def test_delivery_and_effect_keys_never_meet() -> None:
    found: Interaction = an_interaction()
    assert keys.delivery_key(found, BODY).split(":")[0] != str(keys.effect_key(found)).split(":")[0]


SECRET = b"button secret"


def test_our_own_button_is_known_again() -> None:
    value = keys.sealed_value(SECRET, team_id="T1", channel_id="C1", run_id="01HZ")
    assert keys.unseal(SECRET, value, team_id="T1", channel_id="C1") == "01HZ"


@given(st.text(max_size=60))
def test_nothing_made_up_passes_for_our_own_button(value: str) -> None:
    assert keys.unseal(SECRET, value, team_id="T1", channel_id="C1") is None


@given(st.data())
def test_a_button_moved_or_changed_is_not_ours(data: st.DataObject) -> None:
    value = keys.sealed_value(SECRET, team_id="T1", channel_id="C1", run_id="01HZ")
    assert keys.unseal(SECRET, value, team_id="T2", channel_id="C1") is None
    assert keys.unseal(SECRET, value, team_id="T1", channel_id="C2") is None
    assert keys.unseal(SECRET, value, team_id="T1", channel_id=None) is None
    assert keys.unseal(b"another", value, team_id="T1", channel_id="C1") is None
    at = data.draw(st.integers(0, len(value) - 1))
    changed = value[:at] + data.draw(st.characters()) + value[at + 1 :]
    if changed != value:
        assert keys.unseal(SECRET, changed, team_id="T1", channel_id="C1") is None


@pytest.mark.parametrize("value", ["\ud800", "01HZ.\udc00", "01\ud800Z.0123"])
def test_half_a_character_is_not_ours(value: str) -> None:
    assert keys.unseal(SECRET, value, team_id="T1", channel_id="C1") is None


def test_a_direct_message_without_a_channel_has_a_seal_of_its_own() -> None:
    value = keys.sealed_value(SECRET, team_id="T1", channel_id=None, run_id="01HZ")
    assert keys.unseal(SECRET, value, team_id="T1", channel_id=None) == "01HZ"
    assert keys.unseal(SECRET, value, team_id="T1", channel_id="") is None


@given(st.text(), st.text())
def test_values_differ_exactly_when_their_digests_do(one: str, two: str) -> None:
    assert (keys.value_digest(one) == keys.value_digest(two)) == (one == two)
