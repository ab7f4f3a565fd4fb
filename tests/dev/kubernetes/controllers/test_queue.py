"""The queue: each key once, the lower ranks first, and the earliest of several appointments."""

from tests.dev.kubernetes.controllers.stage import ManualClock
from tidegate_dev.kubernetes.controllers.queue import Key, WorkQueue
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, EVENTS, PODS, Resource


class Desk:
    """A queue, and what came out of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.done: list[str] = []
        self.queue = WorkQueue(self.clock, {PODS: 0, DEPLOYMENTS: 1}, self.work)

    def work(self, key: Key) -> None:
        self.done.append(key.name)
        if key.name == "broken":
            raise ValueError(key.name)

    def add(self, resource: Resource, *names: str) -> None:
        for name in names:
            self.queue.add(Key(resource, "staging", name))

    def add_later(self, name: str, delay: float) -> None:
        self.queue.add_later(Key(PODS, "staging", name), delay)

    def wait(self, seconds: float = 0) -> list[str]:
        end = self.clock.now() + seconds
        while self.clock.step(end):
            pass
        return self.done


def test_a_key_that_is_added_often_is_worked_on_once() -> None:
    desk = Desk()
    desk.queue.start()
    desk.add(PODS, "one", "two", "one")
    assert desk.wait() == ["one", "two"]


def test_lower_ranks_go_first_whenever_they_were_added() -> None:
    desk = Desk()
    desk.queue.start()
    desk.add(DEPLOYMENTS, "late")
    desk.add(PODS, "early")
    assert desk.wait() == ["early", "late"]


def test_kinds_without_a_rank_are_left_alone() -> None:
    desk = Desk()
    desk.queue.start()
    desk.add(EVENTS, "event")
    assert desk.wait(60) == []


def test_of_several_appointments_the_earliest_is_kept() -> None:
    desk = Desk()
    desk.queue.start()
    desk.add_later("one", 5)
    desk.add_later("one", 9)
    desk.add_later("two", 9)
    desk.add_later("two", 5)
    assert desk.wait(6) == ["one", "two"]
    assert desk.wait(60) == ["one", "two"]


def test_what_is_added_before_the_start_waits_for_it() -> None:
    desk = Desk()
    desk.add(PODS, "one")
    assert desk.wait(60) == []
    desk.queue.start()
    assert desk.wait() == ["one"]


def test_nothing_is_worked_on_after_the_stop() -> None:
    desk = Desk()
    desk.queue.start()
    desk.add(PODS, "one")
    desk.add_later("two", 5)
    desk.queue.stop()
    assert desk.wait(60) == []


def test_a_turn_that_fails_does_not_keep_the_others_from_theirs() -> None:
    desk = Desk()
    desk.queue.start()
    desk.add(PODS, "broken", "well")
    try:
        desk.wait()
    except ValueError:
        desk.wait()
    assert desk.done == ["broken", "well"]


def test_a_long_queue_is_worked_through_in_turns() -> None:
    desk = Desk()
    desk.queue.start()
    names = [f"pod-{number}" for number in range(1_200)]
    desk.add(PODS, *names)
    desk.clock.step(desk.clock.now())
    assert 0 < len(desk.done) < len(names)
    assert desk.wait() == names
