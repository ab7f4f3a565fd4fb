"""One thing that is wrong, and how it is made so."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.far_ends.live import Live

Config = dict[str, Any]
During = Callable[[Live, Config], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        name: What it is, for who reads the test's name.
        codes: All that the doctor says of it, and nothing else.
        during: Makes it so, in the far ends and in the configuration.
        environ: What the environment has otherwise; None takes a variable away.
        ahead: How far our clock is ahead, in seconds.
    """

    name: str
    codes: set[str]
    during: During
    environ: dict[str, str | None] = field(default_factory=dict)
    ahead: float = 0.0


def changed(change: Callable[[Config], None]) -> During:
    """A configuration that says something else."""

    @asynccontextmanager
    async def during(_: Live, config: Config) -> AsyncIterator[None]:
        change(config)
        yield

    return during


def at_edge(name: str) -> During:
    """The edge's own fault of a name."""

    @asynccontextmanager
    async def during(live: Live, _: Config) -> AsyncIterator[None]:
        live.edge.set_fault(name, True)
        yield
        live.edge.set_fault(name, False)

    return during


def well() -> During:
    return changed(lambda _: None)


def pathway(**keys: Any) -> During:
    return changed(lambda config: config["pathways"]["cluster"].update(keys))


def bucket(**keys: Any) -> During:
    return changed(lambda config: config["s3"]["buckets"]["reports"].update(keys))


def allow(**keys: Any) -> During:
    return changed(lambda config: config["actions"]["deploy"]["allow"].append(keys))


def direct(config: Config, url: str, **keys: Any) -> None:
    """The pathway is a direct one."""
    config["pathways"]["cluster"] = {
        "type": "direct",
        "url": url,
        "auth": {"type": "none"},
        "timeout_seconds": 5,
        **keys,
    }
