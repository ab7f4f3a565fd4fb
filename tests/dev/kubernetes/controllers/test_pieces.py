"""Names, budgets, faults, timings, nodes and autoscalers."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dev.kubernetes.controllers.stage import NAMESPACE, Object, Stage
from tidegate_dev.kubernetes.controllers import Fate, Faults, Timings
from tidegate_dev.kubernetes.controllers.budget import Budget, rolling_budget, scaled
from tidegate_dev.kubernetes.controllers.clock import moment, stamp
from tidegate_dev.kubernetes.controllers.conditions import condition, set_condition
from tidegate_dev.kubernetes.controllers.container_status import image_id
from tidegate_dev.kubernetes.controllers.faults import version
from tidegate_dev.kubernetes.controllers.names import fingerprint, generated
from tidegate_dev.kubernetes.controllers.pods import is_available
from tidegate_dev.kubernetes.resources import HORIZONTAL_POD_AUTOSCALERS, NODES


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=5))
def test_a_fingerprint_is_short_and_fit_for_a_name(value: object) -> None:
    assert re.fullmatch("[bcdfghjklmnpqrstvwxz2456789]{1,10}", fingerprint(value))


def test_a_fingerprint_does_not_depend_on_the_order_of_fields() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1}, 1)


def test_a_generated_name_is_never_longer_than_a_name_may_be() -> None:
    assert len(generated("a" * 80, Random(1))) == 63
    assert re.fullmatch("web-[a-z2-9]{5}", generated("web-", Random(1)))


@pytest.mark.parametrize(
    ("value", "total", "up", "result"),
    [
        ("25%", 3, True, 1),
        ("25%", 3, False, 0),
        ("25%", 10, True, 3),
        ("25%", 10, False, 2),
        ("100%", 7, False, 7),
        (2, 10, True, 2),
        ("2", 10, False, 2),
    ],
)
def test_percentages_are_rounded_up_for_surge_and_down_for_unavailability(
    value: int | str, total: int, up: bool, result: int
) -> None:
    assert scaled(value, total, up=up) == result


def test_a_budget_of_nothing_is_one_unavailable() -> None:
    rolling = {"maxSurge": 0, "maxUnavailable": "10%"}
    spec = {"replicas": 3, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}
    assert rolling_budget(spec) == Budget(surge=0, unavailable=1)
    assert rolling_budget({"replicas": 4}) == Budget(surge=1, unavailable=1)
    recreate = {"replicas": 4, "strategy": {"type": "Recreate"}}
    assert rolling_budget(recreate) == Budget(surge=0, unavailable=0)


@pytest.mark.parametrize(
    ("image", "fate"),
    [
        ("web:2.4.0", Fate.WELL),
        ("web:does-not-exist", Fate.NO_IMAGE),
        ("registry.example.com/web:2.4.0-missing", Fate.NO_IMAGE),
        ("web:crash", Fate.CRASHES),
        ("web:2.4.0-slow", Fate.SLOW),
        ("crash/missing:1.0", Fate.WELL),
        ("registry.example.com:5000/crash", Fate.WELL),
    ],
)
def test_the_tag_alone_tells_an_images_fate(image: str, fate: Fate) -> None:
    assert Faults().fate(image) is fate


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("web", "latest"),
        ("registry.example.com:5000/web", "latest"),
        ("registry.example.com:5000/web:2.4.0", "2.4.0"),
        ("web@sha256:abc", "sha256:abc"),
    ],
)
def test_an_images_version_is_what_follows_its_name(image: str, said: str) -> None:
    assert version(image) == said


def test_an_image_id_is_a_digest_and_stays_the_same() -> None:
    digest = "a" * 64
    assert image_id(f"x.io/web@sha256:{digest}") == f"x.io/web@sha256:{digest}"
    found = image_id("x.io:5000/web:1")
    assert re.fullmatch(r"x\.io:5000/web@sha256:[0-9a-f]{64}", found)
    assert found == image_id("x.io:5000/web:1") != image_id("x.io:5000/web:2")


def test_timings_can_be_made_faster_as_a_whole() -> None:
    assert Timings(pull=1.0).faster(10).pull == pytest.approx(0.1)
    assert Timings().faster(10).event_life == Timings().event_life


def test_waits_double_up_to_their_limit() -> None:
    timings = Timings(back_off=10, back_off_limit=300)
    assert [timings.wait(failures) for failures in (1, 2, 3, 6, 999)] == [10, 20, 40, 300, 300]


def test_a_condition_that_stays_keeps_its_time_and_one_that_changes_takes_the_new() -> None:
    def said(state: str, reason: str, at: int) -> dict[str, str]:
        return {"type": "Ready", "status": state, "reason": reason, "lastTransitionTime": stamp(at)}

    status: Object = {}
    set_condition(status, said("True", "A", 10))
    set_condition(status, said("True", "A", 20))
    assert (condition(status, "Ready") or {})["lastTransitionTime"] == stamp(10)
    set_condition(status, said("True", "B", 30))
    found = condition(status, "Ready") or {}
    assert (found["reason"], found["lastTransitionTime"]) == ("B", stamp(10))
    set_condition(status, said("False", "B", 40))
    assert (condition(status, "Ready") or {})["lastTransitionTime"] == stamp(40)


def test_a_condition_that_does_not_say_since_when_it_holds_has_not_held_for_any_time() -> None:
    written: Object = {"conditions": [{"type": "Ready", "status": "True"}]}
    pod: Object = {"status": written}
    assert is_available(pod, 0, 1_000.0)
    assert not is_available(pod, 5, 1_000.0)
    set_condition(written, {"type": "Ready", "status": "True", "reason": "B"} | _at(30))
    assert (condition(written, "Ready") or {})["lastTransitionTime"] == stamp(30)
    assert not is_available(pod, 5, 34.0)
    assert is_available(pod, 5, 35.0)


def _at(seconds: float) -> dict[str, str]:
    return {"lastTransitionTime": stamp(seconds)}


def test_a_stamp_can_be_read_back() -> None:
    assert moment(stamp(1_795_000_000)) == 1_795_000_000


def test_there_are_three_nodes_that_are_ready() -> None:
    stage = Stage()
    nodes = stage.all(NODES)
    assert [node["metadata"]["name"] for node in nodes] == ["node-1", "node-2", "node-3"]
    for node in nodes:
        states = {entry["type"]: entry["status"] for entry in node["status"]["conditions"]}
        assert states["Ready"] == "True"


def autoscaler(target: str) -> Object:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return {
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"minReplicas": 2, "maxReplicas": 9, "scaleTargetRef": reference},
    }


def test_an_autoscaler_tells_how_large_its_target_is_and_changes_nothing() -> None:
    stage = Stage()
    stage.store.create(HORIZONTAL_POD_AUTOSCALERS, autoscaler("web"))
    stage.deploy()
    stage.wait(5)
    stage.scale(1)
    stage.wait(5)
    status = stage.get(HORIZONTAL_POD_AUTOSCALERS, "web")["status"]
    assert (status["currentReplicas"], status["desiredReplicas"]) == (1, 1)
    assert (condition(status, "AbleToScale") or {})["status"] == "True"


def test_an_autoscaler_without_its_target_says_so() -> None:
    stage = Stage()
    stage.store.create(HORIZONTAL_POD_AUTOSCALERS, autoscaler("nobody"))
    stage.wait(1)
    status = stage.get(HORIZONTAL_POD_AUTOSCALERS, "web")["status"]
    assert (condition(status, "AbleToScale") or {})["reason"] == "FailedGetScale"
