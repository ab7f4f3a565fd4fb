"""Credentials from a program that a kubeconfig names, as cloud vendors hand them out.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins

The program is run once for each life of a token, with bounds on its time and on what it may say;
many requests at once wait for one run of it, and share its failure for some seconds.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from typing_extensions import override

from tidegate_agent.adapters.kubernetes.proof import CredentialsError, Proof, bearer

VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
RUN_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 262_144
FAILED_SECONDS: Final = 5.0  # for so long a failure is not tried again
EARLY_SECONDS: Final = 30.0  # before it expires, a token is fetched anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """What a kubeconfig says of the program.

    Attributes:
        environ: The whole environment that it runs in.
        version: The version of the API that it speaks, one of `VERSIONS`.
    """

    command: str
    arguments: Sequence[str]
    environ: Mapping[str, str]
    version: str


class ExecProof(Proof):
    """The token that a program says."""

    def __init__(self, plugin: Plugin, now: Callable[[], float] = time.time) -> None:
        self._plugin = plugin
        self._now = now
        self._running: asyncio.Task[None] | None = None
        self._header: str | None = None
        self._expires: float | None = None
        self._failure: tuple[float, str] | None = None  # when, on the clock of the loop; and why

    @override
    async def header(self) -> str | None:
        if self._header is None or self._is_over():
            await self._fetched()
        if self._failure is not None:
            raise CredentialsError(self._failure[1])
        return self._header

    async def _fetched(self) -> None:
        """The program has run for this request or another, or has failed just now."""
        if self._running is None:
            now = asyncio.get_running_loop().time()
            if self._failure is not None and now - self._failure[0] < FAILED_SECONDS:
                return
            self._running = asyncio.create_task(self._fetch())
        # Who waits may give up; the run is for those as well who wait on.
        await asyncio.shield(self._running)

    async def _fetch(self) -> None:
        try:
            self._header, self._expires = _understood(await _run(self._plugin), self._plugin)
            self._failure = None
        except CredentialsError as error:
            self._failure = asyncio.get_running_loop().time(), str(error)
        finally:
            self._running = None

    @override
    def refused(self) -> bool:
        self._header = None
        return True

    def _is_over(self) -> bool:
        return self._expires is not None and self._now() > self._expires - EARLY_SECONDS


async def _run(plugin: Plugin) -> bytes:
    """Return what the program says."""
    wish = {
        "apiVersion": plugin.version,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }
    try:
        process = await asyncio.create_subprocess_exec(
            plugin.command,
            *plugin.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # it may hold what is not for a log
            env={**plugin.environ, "KUBERNETES_EXEC_INFO": json.dumps(wish)},
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it cannot be called so"
        raise CredentialsError(f"the plugin {plugin.command} cannot be run: {why}") from error
    try:
        async with asyncio.timeout(RUN_SECONDS):
            said = await _said(process, plugin)
            code = await process.wait()
    except TimeoutError as error:
        raise CredentialsError(
            f"the plugin {plugin.command} did not end within {RUN_SECONDS:.0f} s"
        ) from error
    finally:
        await _end(process)
    if code != 0:
        raise CredentialsError(f"the plugin {plugin.command} failed with exit code {code}")
    return said


async def _said(process: asyncio.subprocess.Process, plugin: Plugin) -> bytes:
    stream = process.stdout
    content = bytearray()
    while stream is not None and (chunk := await stream.read(65_536)):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise CredentialsError(f"the plugin {plugin.command} says too much")
    return bytes(content)


async def _end(process: asyncio.subprocess.Process) -> None:
    """The program is gone, whatever it was doing."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _understood(said: bytes, plugin: Plugin) -> tuple[str, float | None]:
    """Return the header, and when it expires in seconds since the Unix epoch; None for never."""
    try:
        answer: Any = json.loads(said)
        status = answer["status"]
        kind, version = answer["kind"], answer["apiVersion"]
        token = status.get("token")
        until = status.get("expirationTimestamp")
        expires = None if until is None else datetime.fromisoformat(until).timestamp()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CredentialsError(
            f"the plugin {plugin.command} does not say an ExecCredential"
        ) from None
    if kind != "ExecCredential" or version != plugin.version:
        raise CredentialsError(f"the plugin {plugin.command} does not speak {plugin.version}")
    if not isinstance(token, str):
        raise CredentialsError(
            f"the plugin {plugin.command} gives no token; its client certificates are not taken"
        )
    return bearer(token), expires
