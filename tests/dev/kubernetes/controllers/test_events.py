"""Events: what is told once, what is counted, and what is forgotten."""

from collections.abc import Callable

from tests.dev.kubernetes.controllers.stage import NAMESPACE, ManualClock, Object, Stage
from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.resources import EVENTS, NODES, PODS
from tidegate_dev.kubernetes.store import Store

POD: Object = {"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {}, "status": {}}


class Desk:
    """A recorder with something to tell about."""

    def __init__(self, most: int = 1_000) -> None:
        self.clock = ManualClock()
        self.store = Store(self.clock.now)
        self.recorder = Recorder(self.store, self.clock, life=3_600, most=most)
        self.pod = self.store.create(PODS, POD)

    def tell(self, message: str, *, about: Object | None = None) -> None:
        self.recorder.record(about or self.pod, "Pulling", message, component="kubelet")

    def events(self) -> list[Object]:
        return self.store.list(EVENTS)[0]

    def wait(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        while self.clock.step(end):
            pass


def test_an_event_says_about_what_by_whom_and_when() -> None:
    desk = Desk()
    desk.tell("Pulling image")
    [event] = desk.events()
    assert event["involvedObject"] == {
        "kind": "Pod",
        "namespace": NAMESPACE,
        "name": "web",
        "uid": desk.pod["metadata"]["uid"],
        "apiVersion": "v1",
        "resourceVersion": "1",
    }
    assert event["source"] == {"component": "kubelet"}
    assert (event["type"], event["reason"], event["count"]) == ("Normal", "Pulling", 1)
    assert event["firstTimestamp"] == event["lastTimestamp"]
    assert event["metadata"]["name"].startswith("web.")


def test_the_same_event_is_counted_and_not_told_again() -> None:
    desk = Desk()
    desk.tell("Pulling image")
    desk.wait(60)
    desk.tell("Pulling image")
    [event] = desk.events()
    assert event["count"] == 2
    assert event["firstTimestamp"] < event["lastTimestamp"]


def test_another_message_is_another_event() -> None:
    desk = Desk()
    desk.tell("Pulling image one")
    desk.tell("Pulling image two")
    assert [event["count"] for event in desk.events()] == [1, 1]


def test_an_event_goes_an_hour_after_it_last_happened() -> None:
    desk = Desk()
    desk.tell("often")
    desk.tell("once")
    desk.wait(3_000)
    desk.tell("often")
    desk.wait(700)
    assert [event["message"] for event in desk.events()] == ["often"]
    desk.wait(3_000)
    assert desk.events() == []
    assert desk.clock.moments == []


def test_there_are_never_more_events_than_allowed_and_the_oldest_go_first() -> None:
    desk = Desk(most=3)
    for number in range(5):
        desk.tell(f"number {number}")
    desk.tell("number 2")
    desk.tell("number 5")
    assert sorted(event["message"] for event in desk.events()) == [
        "number 2",
        "number 4",
        "number 5",
    ]


def test_an_event_deleted_by_hand_is_told_anew() -> None:
    desk = Desk()
    desk.tell("again")
    [event] = desk.events()
    desk.store.delete(EVENTS, NAMESPACE, event["metadata"]["name"])
    desk.tell("again")
    assert [event["count"] for event in desk.events()] == [1]
    desk.wait(4_000)
    assert desk.events() == []


def test_events_about_what_has_no_namespace_are_in_default() -> None:
    desk = Desk()
    node = desk.store.create(NODES, {"metadata": {"name": "node-1"}})
    desk.tell("NodeReady", about=node)
    assert [event["metadata"]["namespace"] for event in desk.events()] == ["default"]


def test_a_crash_loop_does_not_flood_the_events() -> None:
    stage = Stage()
    stage.deploy()
    stage.set_image("crash")
    stage.wait(600)
    messages = stage.messages()
    assert len(messages) == len(set(messages)) or max(map(messages.count, messages)) <= 3
    assert max(count(stage.events("web", "BackOff"))) > 5


def count(events: list[Object]) -> list[int]:
    read: Callable[[Object], int] = lambda event: int(event["count"])  # noqa: E731
    return list(map(read, events))
