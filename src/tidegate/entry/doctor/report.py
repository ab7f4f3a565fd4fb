"""A look at a live set-up for who asked for it: how far it is, and what came of it."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from tidegate.adapters.secrets import SecretReader
from tidegate.core.diagnosis.finding import Diagnosis, as_json, as_lines
from tidegate.core.diagnosis.finding import Path as Place
from tidegate.core.settings import Settings
from tidegate.core.text import harmless
from tidegate.entry.doctor.bench import Hidden
from tidegate.entry.doctor.wiring import diagnose
from tidegate.entry.wiring import Configuration

WIDTH: Final = 78  # of the line that says how far it is
_WORDS: Final = frozenset({"said", "title", "what", "why", "mend"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found, and what is not shown of it."""

    diagnosis: Diagnosis
    hidden: Hidden

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, without what must not be shown."""
        found: dict[str, Any] = _masked(as_json(self.diagnosis), self.hidden)
        return found

    def lines(self) -> list[str]:
        """Return it as lines for people, without what must not be shown."""
        return [self.hidden.masked(line) for line in as_lines(self.diagnosis)]


class Ticker:
    """One line that says how far it is, where somebody looks on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty()

    def ended(self, done: int, total: int, path: Place) -> None:
        """Say that one more look has ended."""
        if self._shown:
            text = f"{done} of {total}  {harmless('/'.join(path))}"[:WIDTH]
            self._stream.write(f"\r{text:<{WIDTH}}")
            self._stream.flush()

    def gone(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write(f"\r{' ' * WIDTH}\r")
            self._stream.flush()


def look(settings: Settings, file: Path, *, environ: Mapping[str, str]) -> Found:
    """Return what a look at all that a configuration names found.

    Args:
        settings: What the file says.
        file: Where it is: relative paths begin beside it.
        environ: This process's environment.
    """
    whole = file.absolute()
    configuration = Configuration(
        file=whole, settings=settings, secrets=SecretReader(environ, whole.parent)
    )
    hidden, ticker = Hidden(), Ticker(sys.stderr)
    try:
        found = asyncio.run(
            diagnose(configuration, environ=environ, hidden=hidden, progress=ticker.ended)
        )
    finally:
        ticker.gone()
    return Found(diagnosis=found, hidden=hidden)


def _masked(value: Any, hidden: Hidden) -> Any:
    """Return plain values with their words masked; what programs go by stays as it is."""
    match value:
        case dict():
            return {
                key: hidden.masked(inner)
                if key in _WORDS and isinstance(inner, str)
                else _masked(inner, hidden)
                for key, inner in value.items()
            }
        case list():
            return [_masked(inner, hidden) for inner in value]
        case _:
            return value
