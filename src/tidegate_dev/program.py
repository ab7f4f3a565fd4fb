"""A program of ours as a child process: started, watched, killed on demand, started again."""

import asyncio
import contextlib
import json
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp

State = Literal["starting", "up", "down", "restarting"]

MAX_LINE_BYTES: Final = 1024 * 1024
KEPT_LINES: Final = 500
FIRST_START_SECONDS: Final = 20.0
RESTART_SECONDS: Final = 1.0
MOST_QUIET_FAILURES: Final = 3
MOST_BACKOFF_SECONDS: Final = 10.0
STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.05


class ProgramFailedError(Exception):
    """A program did not come up; the text is what it said last.

    Attributes:
        name: What the program is called.
    """

    def __init__(self, name: str, said: str) -> None:
        super().__init__(said)
        self.name = name


class Program:
    """One process at a time; `lines` hands on what it logs.

    Args:
        name: What it is called.
        command: What starts it.
        folder: Where it runs.
        environment: Its whole environment.
        ready_url: Where it answers 200 once it takes requests.
        on_line: Called with each line of JSON that it logs.
        on_change: Called when its state is another.
    """

    def __init__(
        self,
        *,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        ready_url: str,
        on_line: Callable[[dict[str, Any]], None],
        on_change: Callable[[], None],
    ) -> None:
        self.name = name
        self._command = tuple(command)
        self._folder = folder
        self._environment = dict(environment)
        self._ready_url = ready_url
        self._on_line = on_line
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._let = asyncio.Event()  # it may run
        self._let.set()
        self.state: State = "starting"
        self.restarts = 0
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)

    @property
    def pid(self) -> int | None:
        """Return the id of the process that runs now."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def as_json(self) -> dict[str, Any]:
        """Return the program's part of the page's state."""
        return {"state": self.state, "pid": self.pid, "restarts": self.restarts}

    async def start(self) -> None:
        """It is up, and is kept up from now on.

        Raises:
            ProgramFailedError: It ended, or did not become ready.
        """
        try:
            async with asyncio.timeout(FIRST_START_SECONDS):
                is_up = await self._launch()
        except TimeoutError:
            is_up = False
        if not is_up:
            await self._end()
            said = "\n".join(list(self.lines)[-20:]) or "it said nothing"
            raise ProgramFailedError(self.name, said)
        self._task = asyncio.create_task(self._keep_up())

    def kill(self) -> int | None:
        """End it at once (SIGKILL) and return its process id; it is started again."""
        process = self._process
        if process is None or process.returncode is not None:
            return None
        process.send_signal(signal.SIGKILL)
        return process.pid

    def hold(self, on: bool) -> None:
        """End it at once and do not start it again, until it is no longer held."""
        if on:
            self._let.clear()
            self.kill()
        else:
            self._let.set()

    async def stop(self) -> None:
        """No process runs, and none will be started."""
        self._stopping.set()
        self._let.set()
        await self._end()
        while self._task is not None and not self._task.done():
            # Another one may just have been started.
            await self._end()
            await asyncio.wait({self._task}, timeout=_POLL_SECONDS)
        self._became("down")

    async def _launch(self) -> bool:
        """Start a process; False when it ended before it was ready."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            # An interrupt from the terminal is for the workspace, which ends its programs itself.
            start_new_session=True,
        )
        self._process = process
        self._reader = asyncio.create_task(self._read(process))
        ready = asyncio.create_task(self._ready())
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_up = ready.done() and process.returncode is None
            ready.cancel()
            ended.cancel()
        if is_up:
            self._became("up")
        return is_up

    async def _keep_up(self) -> None:
        """Start another process whenever one ends; slower and slower when none comes up."""
        failures = 0
        while self._process is not None:
            await self._process.wait()
            if self._reader is not None:
                await self._reader
            if self._stopping.is_set():
                return
            if self._let.is_set():
                failures = 0 if self.state == "up" else failures + 1
                self._became("restarting" if failures < MOST_QUIET_FAILURES else "down")
                await self._pause(min(RESTART_SECONDS * 2**failures, MOST_BACKOFF_SECONDS))
            if not self._let.is_set():
                self._became("down")
                await self._let.wait()
                failures = 0
            if self._stopping.is_set():
                return
            self.restarts += 1
            await self._launch()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        while True:
            try:
                raw = await process.stderr.readline()
            except ValueError:  # a line beyond the limit: skipped
                continue
            if not raw:
                return
            text = raw.decode("utf-8", "replace").rstrip()
            self.lines.append(text[:4000])
            self._hand_on(text)

    def _hand_on(self, text: str) -> None:
        try:
            line = json.loads(text)
        except ValueError:
            return
        if isinstance(line, dict) and isinstance(line.get("event"), str):
            self._on_line(line)

    async def _ready(self) -> None:
        """Return when it says that it takes requests."""
        limits = aiohttp.ClientTimeout(total=2)
        async with aiohttp.ClientSession(timeout=limits, trust_env=False) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with session.get(self._ready_url) as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_POLL_SECONDS)

    def _became(self, state: State) -> None:
        self.state = state
        self._on_change()
