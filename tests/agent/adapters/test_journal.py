"""One line for each thing that happens, and no words of a library's."""

import io
import json
import logging

from tidegate_agent.adapters.journal import LibraryLog, LineJournal


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json() -> None:
    stream, counted = io.StringIO(), list[str]()
    journal = LineJournal(stream, now=lambda: 1764342000.1234, counted=counted.append)
    journal.note("made", level="warning", run="r\n1", before={"image": "a"}, none=None, n=1)
    assert _lines(stream) == [
        {
            "at": "2025-11-28T15:00:00.123Z",
            "level": "warning",
            "event": "made",
            "run": "r\n1",
            "before": {"image": "a"},
            "n": 1,
        }
    ]
    assert stream.getvalue().count("\n") == 1
    assert counted == ["made"]


def test_a_field_is_cut_and_whatever_it_is_can_be_written() -> None:
    stream = io.StringIO()
    LineJournal(stream).note("x", long="a" * 5000, odd=object(), many=("\ud800", {1}))
    line = _lines(stream)[0]
    assert len(str(line["long"])) == 1001
    assert line["many"] == ["\ud800", [1]]


def test_what_a_library_logs_is_noted_without_its_words() -> None:
    stream = io.StringIO()
    logger = logging.getLogger("some.library")
    handler = LibraryLog(LineJournal(stream))
    logger.addHandler(handler)
    try:
        try:
            raise ValueError("secret")
        except ValueError:
            logger.exception("header %s", "Bearer secret")
    finally:
        logger.removeHandler(handler)
    assert "secret" not in stream.getvalue()
    line = _lines(stream)[0]
    assert (line["logger"], line["error"], line["level"]) == ("some.library", "ValueError", "error")
