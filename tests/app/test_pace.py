from hypothesis import given
from hypothesis import strategies as st

from tidegate.app.pace import MAX_CHANNELS, Pace


def a_pace(posts: float = 1.0, updates: float = 10) -> Pace:
    return Pace(posts_per_channel_per_second=posts, updates_per_minute=updates)


def test_updates_go_out_up_to_the_limit_of_a_minute() -> None:
    pace = a_pace()
    assert [pace.update_wait(float(n), urgent=True) for n in range(10)] == [0.0] * 10
    assert pace.update_wait(10.0, urgent=True) == 50.0
    assert pace.update_wait(60.0, urgent=True) == 0.0
    assert pace.update_wait(60.0, urgent=True) == 1.0


def test_progress_leaves_room_for_final_states() -> None:
    pace = a_pace()
    assert [pace.update_wait(0.0, urgent=False) for _ in range(5)] == [0.0] * 5
    assert pace.update_wait(0.0, urgent=False) == 60.0
    assert pace.update_wait(0.0, urgent=True) == 0.0


def test_the_smallest_limit_still_lets_something_out() -> None:
    pace = a_pace(updates=1)
    assert pace.update_wait(0.0, urgent=False) == 0.0
    assert pace.update_wait(0.0, urgent=True) == 60.0


def test_posts_to_one_channel_keep_their_distance() -> None:
    pace = a_pace(posts=2.0)
    assert pace.post_wait(0.0, "C1") == 0.0
    assert pace.post_wait(0.1, "C1") == 0.4
    assert pace.post_wait(0.1, "C2") == 0.0
    assert pace.post_wait(0.5, "C1") == 0.0


def test_what_slack_asked_to_hold_is_held() -> None:
    pace = a_pace()
    pace.hold("update", 30.0)
    pace.hold("update", 20.0)
    assert pace.update_wait(10.0, urgent=True) == 20.0
    assert pace.update_wait(30.0, urgent=True) == 0.0
    assert pace.post_wait(10.0, "C1") == 0.0
    pace.hold("post", 15.0)
    assert pace.post_wait(12.0, "C2") == 3.0
    assert pace.post_wait(15.0, "C2") == 0.0


def test_a_wait_is_not_counted_as_sent() -> None:
    pace = a_pace(updates=1)
    pace.update_wait(0.0, urgent=True)
    for _ in range(100):
        assert pace.update_wait(1.0, urgent=True) > 0
    assert pace.update_wait(60.0, urgent=True) == 0.0


def test_channels_of_long_ago_are_forgotten() -> None:
    pace = a_pace()
    for n in range(MAX_CHANNELS + 100):
        pace.post_wait(n * 2.0, f"C{n}")
    assert len(pace._next_post) <= MAX_CHANNELS


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=60), st.integers(1, 8))
def test_no_minute_sees_more_updates_than_allowed(
    steps: list[tuple[float, bool]], limit: int
) -> None:
    pace = a_pace(updates=limit)
    now, out = 0.0, []
    for gap, urgent in steps:
        now += gap
        wait = pace.update_wait(now, urgent=urgent)
        assert 0.0 <= wait <= 60.000_001  # as near as floats come
        if wait == 0.0:
            out.append(now)
    for end in out:
        assert sum(1 for at in out if end - 60.0 < at <= end) <= limit


@given(st.lists(st.floats(0, 2), max_size=40))
def test_waiting_as_told_is_enough(gaps: list[float]) -> None:
    pace = a_pace(updates=3)
    now = 0.0
    for gap in gaps:
        now += gap
        while (wait := pace.update_wait(now, urgent=False)) > 0:
            now += wait
            assert now < 1e5
