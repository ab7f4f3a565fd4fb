"""`python -m tidegate ARGS` as a process of its own that need not import anything first.

What it costs to start is a tenth of what it costs from nothing. That it starts from nothing as
well is for tests that call the interpreter themselves.
"""

import asyncio
import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("fork_server.py")
LONGEST_LINE = 1 << 22


class Fork:
    """Such a process: a child of the server's, which tells when and how it ended."""

    def __init__(
        self, pid: int, told: asyncio.StreamReader, streams: dict[str, asyncio.StreamReader]
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout, self.stderr = streams.get("stdout"), streams.get("stderr")
        self._ended = asyncio.ensure_future(self._end(told))

    async def _end(self, told: asyncio.StreamReader) -> int:
        line = await told.readline()
        assert line, "the server of forks is gone"
        self.returncode = int(line)
        await told.read()
        return self.returncode

    async def wait(self) -> int:
        """Return the exit code, negative for a signal, once it has ended."""
        return await asyncio.shield(self._ended)

    async def communicate(self) -> tuple[bytes, bytes]:
        """Return all that it printed and complained, once it has ended."""
        read = (stream.read() if stream else _nothing() for stream in (self.stdout, self.stderr))
        out, err = await asyncio.gather(*read)
        await self.wait()
        return out, err

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


async def _nothing() -> bytes:
    return b""


async def fork(*words: str, environment: Mapping[str, str], stdout: bool = True) -> Fork:
    """Start `python WORDS` (`-m MODULE …`, `-c CODE …` or `FILE …`); standard error is a pipe.

    Standard output is another one, or goes nowhere.
    """
    control = _server()
    reading: dict[str, int] = {}
    writing: list[int] = []
    for name in ("stdout", "stderr", "told"):
        if name == "stdout" and not stdout:
            writing.append(os.open(os.devnull, os.O_WRONLY))
            continue
        reading[name], end = os.pipe()
        writing.append(end)
    request = {"words": words, "environment": dict(environment), "folder": str(Path.cwd())}
    try:
        socket.send_fds(control, [json.dumps(request).encode()], writing)
    finally:
        for end in writing:
            os.close(end)
    streams = {name: await _stream(end) for name, end in reading.items()}
    told = streams.pop("told")
    pid = await told.readline()
    assert pid, "the server of forks is gone"
    return Fork(int(pid), told, streams)


async def _stream(end: int) -> asyncio.StreamReader:
    stream = asyncio.StreamReader(limit=LONGEST_LINE)
    protocol = asyncio.StreamReaderProtocol(stream)
    pipe: Any = os.fdopen(end, "rb", 0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    return stream


@functools.cache
def _server() -> socket.socket:
    """Start the server of this process of tests: it ends when this one does, however that ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, str(SERVER), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
        )

    def end() -> None:
        ours.close()
        server.wait(10)

    atexit.register(end)
    return ours
