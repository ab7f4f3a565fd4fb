"""How far what is on its way has come, drawn for who waits at a terminal."""

from typing import Final, TextIO

CELLS: Final = 30
MIB: Final = 1_048_576


class Bar:
    """A progress bar over all objects that are on their way."""

    def __init__(self, stream: TextIO, *, shown: bool) -> None:
        self._stream = stream
        self._shown = shown
        self._moved: dict[str, tuple[int, int]] = {}
        self._drawn = ""

    def moved(self, key: str, done: int, total: int) -> None:
        """Draw how far it has come, if that looks different from before."""
        self._moved[key] = (done, total)
        if not self._shown:
            return
        done = sum(one for one, _ in self._moved.values())
        total = sum(all_ for _, all_ in self._moved.values())
        filled = CELLS * done // max(1, total)
        text = f"[{'#' * filled}{' ' * (CELLS - filled)}] {done / MIB:.1f} of {total / MIB:.1f} MiB"
        if text != self._drawn:
            self._drawn = text
            self._stream.write(f"\r{text}")
            self._stream.flush()

    def end(self) -> None:
        """Take the bar away."""
        if self._drawn:
            self._stream.write(f"\r{' ' * len(self._drawn)}\r")
            self._stream.flush()
            self._drawn = ""
