"""Servers that others wrote, each a process of the test run's own on loopback."""

import collections
import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START_SECONDS = 30.0
END_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A server that has said that it is ready.

    Attributes:
        process: It is ended by this handle, and by no name.
        said: The words of readiness; groups of the pattern hold what it chose itself.
        lines: What it said last.
    """

    process: subprocess.Popen[bytes]
    said: re.Match[str]
    lines: Sequence[str]


@contextlib.contextmanager
def started(
    *command: str | Path, ready: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Started]:
    """Run a server while the block does; it is ready once a line of its output matches *ready*.

    Its environment is only what is given, and its home is *folder*: it finds nobody's credentials.
    """
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)}
        | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines: collections.deque[str] = collections.deque(maxlen=200)
    found: list[re.Match[str]] = []
    decided = threading.Event()

    def listen(output: IO[bytes]) -> None:
        with output:
            for line in output:
                lines.append(line.decode(errors="replace").rstrip())
                if not found and (match := re.search(ready, lines[-1])):
                    found.append(match)
                    decided.set()
        decided.set()  # it has ended

    # It goes on to the end: a full pipe would hold the server up.
    listener = threading.Thread(target=listen, args=(process.stdout,), daemon=True)
    listener.start()
    try:
        decided.wait(START_SECONDS)
        assert found, f"{command[0]} did not start:\n" + "\n".join(lines)
        yield Started(process=process, said=found[0], lines=lines)
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.join()
