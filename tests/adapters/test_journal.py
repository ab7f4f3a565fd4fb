import asyncio
import io
import json
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typing_extensions import override

from tidegate.adapters.journal import LINGER_SECONDS, EventJournal


def noted(event: str, **fields: Any) -> tuple[EventJournal, dict[str, Any]]:
    stream = io.StringIO()
    journal = EventJournal(stream)
    journal.note(event, **fields)
    line, end = stream.getvalue().split("\n")
    assert end == ""
    found: dict[str, Any] = json.loads(line)
    return journal, found


def samples(journal: EventJournal) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(journal.metrics().decode())
        for sample in family.samples
    }


def labelled(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_an_event_is_one_line_of_json_with_time_and_level() -> None:
    _, line = noted("told", run="01HZ", ms=1.5, method="chat.update")
    at = datetime.fromisoformat(line.pop("at"))
    assert at.tzinfo is not None
    assert line == {
        "event": "told",
        "level": "info",
        "run": "01HZ",
        "ms": 1.5,
        "method": "chat.update",
    }


def test_what_is_not_known_is_left_out() -> None:
    _, line = noted("outcome", run="01HZ", status=None, reason="", ms=0, state="queued")
    assert "status" not in line
    assert "reason" not in line
    assert line["ms"] == 0


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_a_line_says_how_bad_it_is(level: str) -> None:
    _, line = noted("store_failed", level=level)
    assert line["level"] == level


@pytest.mark.parametrize("text", ["a\nb", '{"event":"forged"}', "\u2028", "\x1b[31m", "é⚓"])
def test_no_value_can_forge_a_line(text: str) -> None:
    _, line = noted("outcome", reason=text)
    assert line["reason"] == text
    assert line["event"] == "outcome"


def test_a_person_at_a_terminal_gets_plain_lines() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:  # type: ignore[explicit-override]
            return True

    stream = Terminal()
    EventJournal(stream).note("told", run="01HZ")
    assert "told" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_lines_go_to_stderr_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    EventJournal().note("started")
    assert sys.stderr is not None
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "started"


def test_answers_are_counted_and_timed() -> None:
    journal, _ = noted(
        "answered", kind="command", outcome="recorded", status=200, total_ms=12.5, verify_ms=0.1
    )
    found = samples(journal)
    labels = {"kind": "command", "outcome": "recorded", "status": "200"}
    assert found[labelled("tidegate_requests_total", **labels)] == 1
    assert found[labelled("tidegate_ack_seconds_count")] == 1
    assert found[labelled("tidegate_ack_seconds_sum")] == pytest.approx(0.0125)


def test_outcomes_are_counted_and_timed() -> None:
    journal, _ = noted(
        "outcome", run="01HZ", action="deploy", pathway="cluster", state="succeeded", ms=1500
    )
    journal.note("outcome", action="deploy", pathway="cluster", state="queued", reason="busy")
    found = samples(journal)
    where = {"action": "deploy", "pathway": "cluster"}
    done = labelled("tidegate_outcomes_total", **where, state="succeeded", reason="")
    again = labelled("tidegate_outcomes_total", **where, state="queued", reason="busy")
    assert (found[done], found[again]) == (1, 1)
    assert found[labelled("tidegate_run_seconds_sum", state="succeeded")] == pytest.approx(1.5)


def test_everything_is_counted_by_its_name_and_nothing_by_its_run() -> None:
    journal, _ = noted("sending", run="01HZ")
    journal.note("sending", run="01HY")
    journal.note("store_failed", level="error", reason="StoreError")
    found = samples(journal)
    assert found[labelled("tidegate_events_total", event="sending", level="info")] == 2
    assert found[labelled("tidegate_events_total", event="store_failed", level="error")] == 1
    assert b"01HZ" not in journal.metrics()


def test_two_journals_count_apart() -> None:
    one, _ = noted("told")
    two, _ = noted("told")
    assert samples(one)[labelled("tidegate_events_total", event="told", level="info")] == 1
    assert samples(two)[labelled("tidegate_events_total", event="told", level="info")] == 1


class _Counted(io.RawIOBase):
    """Keeps each write apart."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Any) -> int:
        lines = bytes(data).decode().splitlines()
        self.writes.append([json.loads(line)["event"] for line in lines])
        return len(data)


async def test_lines_of_a_few_milliseconds_are_written_in_one_go() -> None:
    counted = _Counted()
    journal = EventJournal(io.TextIOWrapper(io.BufferedWriter(counted)))
    for event in ("answered", "sending", "outcome"):
        journal.note(event)
        await asyncio.sleep(0)
    assert counted.writes == []
    await asyncio.sleep(4 * LINGER_SECONDS)
    assert counted.writes == [["answered", "sending", "outcome"]]


async def test_what_is_more_than_news_is_written_at_once_and_in_its_place() -> None:
    counted = _Counted()
    journal = EventJournal(io.TextIOWrapper(io.BufferedWriter(counted)))
    journal.note("sending")
    journal.note("store_failed", level="error")
    assert counted.writes == [["sending", "store_failed"]]


def test_the_last_lines_are_written_though_the_loop_ends_before_their_time() -> None:
    program = (
        "import asyncio\n"
        "from tidegate.adapters.journal import LINGER_SECONDS, EventJournal\n"
        "async def main():\n"
        "    EventJournal().note('stopped')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stderr)["event"] == "stopped"
