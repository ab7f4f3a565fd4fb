"""The real gateway, rigged: it kills itself before or after a named step.

`TIDEGATE_TEST_KILL` holds `PORT.METHOD before|after NUMBER`, for example
`store.advance after 2`: SIGKILL when the second such call has returned. Nothing else differs
from `tidegate serve`.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import uvloop

from tidegate.entry import wiring
from tidegate.entry.gateway import Gateway, until_signalled
from tidegate.entry.wiring import Parts
from tidegate.ports import Slack, Store, Upstream

VARIABLE = "TIDEGATE_TEST_KILL"

#: Calls that often come back with nothing: only those that found something are counted.
_COUNTED_BY_RESULT = frozenset({"store.lease", "store.lease_views"})


@dataclass(slots=True)
class Fuse:
    """Where the process is to die, and how often it has come by."""

    where: str
    position: str
    number: int
    passed: int = 0

    @classmethod
    def of(cls, text: str) -> "Fuse":
        where, position, number = text.split()
        return cls(where, position, int(number))

    def reached(self) -> bool:
        self.passed += 1
        return self.passed == self.number


class Rigged:
    """Stands before a part and passes every call on, but for the one that kills."""

    def __init__(self, part: object, name: str, fuse: Fuse) -> None:
        self._part = part
        self._name = name
        self._fuse = fuse

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._part, method)
        if f"{self._name}.{method}" != self._fuse.where:
            return found
        return _rigged(found, self._fuse)


def _rigged(found: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    by_result = fuse.where in _COUNTED_BY_RESULT

    async def call(*args: Any, **options: Any) -> Any:
        now = not by_result and fuse.reached()
        if now and fuse.position == "before":
            die()
        result = await found(*args, **options)
        if by_result and result:
            now = fuse.reached()
        if now:
            die()
        return result

    return call


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def rig(parts: Parts, fuse: Fuse) -> None:
    """Put the fuse between the journeys and the parts."""
    parts.store = cast(Store, Rigged(parts.store, "store", fuse))
    parts.slack = cast(Slack, Rigged(parts.slack, "slack", fuse))
    parts.pathways = {
        name: replace(pathway, upstream=cast(Upstream, Rigged(pathway.upstream, "upstream", fuse)))
        for name, pathway in parts.pathways.items()
    }


async def run(config: str) -> int:
    configuration = wiring.load(config)
    parts = await wiring.open_parts(configuration)
    rig(parts, Fuse.of(os.environ[VARIABLE]))
    return await until_signalled(Gateway(configuration, parts, listen=True, work=True))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    config: str = parser.parse_args().config
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(config))


if __name__ == "__main__":
    raise SystemExit(main())
