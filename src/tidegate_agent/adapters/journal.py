"""One line of JSON for each thing that happens: the port `Journal`.

The standard library does it: a logging library more would be a third of the start-up time.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

from typing_extensions import override

from tidegate_agent.ports import Journal

MAX_FIELD_CHARS: Final = 1000
_LEVELS: Final[Mapping[int, str]] = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
}


class LineJournal(Journal):
    """Writes lines to a stream.

    Args:
        stream: Where to; a line is written in one piece.
        now: Seconds since the Unix epoch.
        counted: Called with the name of each event.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        now: Callable[[], float] = time.time,
        counted: Callable[[str], None] | None = None,
    ) -> None:
        self._stream = stream
        self._now = now
        self._counted = counted

    @override
    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        if self._counted is not None:
            self._counted(event)
        line = {
            "at": _iso(self._now()),
            "level": level,
            "event": event,
            **{name: _plain(value) for name, value in fields.items() if value is not None},
        }
        self._stream.write(f"{json.dumps(line, ensure_ascii=True)}\n")
        self._stream.flush()


class LibraryLog(logging.Handler):
    """Notes what libraries log: that they did and where, never their words.

    A library may log what it was given, a header with a token among it.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self._journal.note(
            "library",
            level=_LEVELS.get(record.levelno, "error"),
            logger=record.name,
            place=f"{record.module}:{record.lineno}",
            error=error,
        )


def _iso(seconds: float) -> str:
    whole, part = divmod(round(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{part:03d}Z"


def _plain(value: object) -> Any:
    """Return a value as JSON has it, cut."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    text = str(value)
    return text if len(text) <= MAX_FIELD_CHARS else f"{text[:MAX_FIELD_CHARS]}…"
