"""What happens to objects, told as it happens, and taken up again where it broke off.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate_agent.adapters.kubernetes.addresses import address
from tidegate_agent.adapters.kubernetes.exchange import Ask, Exchange
from tidegate_agent.adapters.kubernetes.statuses import error_of
from tidegate_agent.core.kinds import Kind
from tidegate_agent.errors import BusyError, UnreachableError
from tidegate_agent.ports import Watched

MAX_LINE_BYTES: Final = 4_194_304  # an object is at most 1.5 MiB in etcd
STREAM_SECONDS: Final = 300
#: A bookmark comes about once a minute, so that longer silence is a connection that died.
SILENCE_SECONDS: Final = 150.0
MAX_FAILURES: Final = 6  # in a row, which is some ten seconds
_FIRST_WAIT_SECONDS: Final = 0.2


@dataclass(slots=True, kw_only=True)
class Watch:
    """One watch.

    Attributes:
        version: The last resourceVersion that is known; where it goes on from.
    """

    exchange: Exchange
    sleep: Callable[[float], Awaitable[None]]
    kind: Kind
    namespace: str | None
    fields: str
    labels: str
    version: str
    headers: Sequence[tuple[str, str]]
    _failures: int = field(default=0, init=False)

    async def events(self) -> AsyncGenerator[Watched, None]:
        """Yield what happens, for ever.

        Raises:
            KubernetesError: `ExpiredError` when the version is too old; `UnreachableError` and
                `BusyError` when several tries in a row got nothing.
        """
        while True:
            try:
                async with aclosing(self._once()) as events:
                    async for event in events:
                        self._failures = 0
                        yield event
                wait = _FIRST_WAIT_SECONDS  # the server ends each stream sooner or later
            except UnreachableError:
                wait = self._after_failure(_FIRST_WAIT_SECONDS * 2.0**self._failures)
                if self._failures >= MAX_FAILURES:
                    raise
            except BusyError as error:
                wait = self._after_failure(error.retry_after)
                if self._failures >= MAX_FAILURES:
                    raise
            await self.sleep(wait)

    def _after_failure(self, wait: float) -> float:
        self._failures += 1
        return wait

    async def _once(self) -> AsyncGenerator[Watched, None]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self.version,
            "timeoutSeconds": str(STREAM_SECONDS),
            "fieldSelector": self.fields,
            "labelSelector": self.labels,
        }
        ask = Ask(
            method="GET",
            path=address(self.kind, self.namespace, query=query),
            headers=self.headers,
            streams=True,
            seconds=SILENCE_SECONDS,
        )
        async with aclosing(self.exchange.lines(ask, longest=MAX_LINE_BYTES)) as lines:
            async for line in lines:
                if line.strip():
                    event = _understood(line)
                    self.version = _version(event.object) or self.version
                    yield event


def _understood(line: bytes) -> Watched:
    """Return what a line tells.

    Raises:
        KubernetesError: It tells of an error, `ExpiredError` among them.
        UnreachableError: It tells nothing that can be understood.
    """
    try:
        told: Any = json.loads(line)
        kind, obj = told["type"], told["object"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreachableError("a watch tells what cannot be understood") from error
    if not isinstance(obj, dict):
        raise UnreachableError("a watch tells of no object")
    if kind == "ERROR":
        code = obj.get("code")
        raise error_of(code if isinstance(code, int) else 500, json.dumps(obj).encode())
    return Watched(type=str(kind), object=obj)


def _version(obj: Mapping[str, Any]) -> str:
    metadata = obj.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    return version if isinstance(version, str) else ""
