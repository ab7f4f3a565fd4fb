"""Processes that a benchmark starts: servers on loopback, and commands whose cost is told."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LONGEST_SECONDS = 300.0


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def reachable(port: int) -> None:
    """Return once something listens on the port."""
    for _ in range(400):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError(f"nothing listens on port {port}")


@contextlib.asynccontextmanager
async def server(command: list[str], port: int, environment: dict[str, str]) -> AsyncIterator[int]:
    """A server that answers while the block runs."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await reachable(port)
        yield port
    finally:
        process.terminate()
        async with asyncio.timeout(20):
            await process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a command took.

    Attributes:
        seconds: From its start to its end.
        cpu_seconds: Of all its processes, the system's share included.
        peak_bytes: The largest resident set that one of its processes ever had.
        said: What it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    said: str


async def timed(command: list[str], environment: dict[str, str]) -> Run:
    """Run a command to its good end, and tell what it took."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "timed.py"), *command),
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LONGEST_SECONDS):
        found, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return Run(**json.loads(found))
