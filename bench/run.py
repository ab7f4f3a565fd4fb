"""Measure, and print a Markdown table; the same figures go to bench/results.json.

Every figure stands beside a peer in the same run, in turns, because machines differ and one
machine differs from minute to minute: the ratio is what can be compared.

    python bench/run.py                  # about eight minutes
    python bench/run.py --rounds 3       # quicker, rougher
    python bench/run.py --only sharing   # one part; the file then holds that part
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import database
import load
import pathways
import sharing
import uvicorn
import uvloop
from processes import HERE, free_port, reachable, server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.core.sigv4 import Credentials, Signer

REGION = "eu-west-1"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDBENCH", "AWS_SECRET_ACCESS_KEY": "bench-secret"}
ENVIRONMENT = {
    **KEYS,
    "SLACK_BOT_TOKEN": "xoxb-bench",
    "SLACK_SIGNING_SECRET": load.SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class FarEnds:
    """Slack and a service, as fast as they can be, with the moment of each final message."""

    def __init__(self) -> None:
        self.finals: asyncio.Queue[float] = asyncio.Queue()
        self.port = free_port()
        routes = [
            Route("/api/{method}", self._api, methods=["GET", "POST"]),
            Route("/api/v1/deploy", self._deploy, methods=["POST"]),
        ]
        # The service's path comes first: /api/{method} has one segment only.
        self._server = _Quiet(
            uvicorn.Config(
                Starlette(routes=routes), port=self.port, log_config=None, access_log=False
            )
        )

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["FarEnds"]:
        """Serve while the block runs."""
        task = asyncio.create_task(self._server.serve())
        await reachable(self.port)
        try:
            yield self
        finally:
            self._server.should_exit = True
            await task

    async def _api(self, request: Request) -> Response:
        match request.path_params["method"]:
            case "auth.test":
                found: dict[str, Any] = {"team_id": load.TEAM, "bot_id": load.BOT, "user_id": "U0"}
            case "users.info":
                found = {"user": {"id": load.USER, "team_id": load.TEAM}}
            case "conversations.info":
                found = {"channel": {"id": load.CHANNEL}}
            case "chat.update":
                text = (await request.json()).get("text", "")
                if "done" in text:
                    self.finals.put_nowait(time.perf_counter())
                found = {}
            case _:
                found = {}
        return JSONResponse({"ok": True, **found})

    async def _deploy(self, request: Request) -> Response:
        await request.body()
        return JSONResponse({"message": "rolled out"})


class _Quiet(uvicorn.Server):
    """Leaves signals to the script."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def settings(far: FarEnds, port: int, folder: Path, *, worker: bool) -> dict[str, Any]:
    """Return the gateway's configuration: one action, over a signed pathway."""
    return {
        "slack": {
            "api_url": f"http://127.0.0.1:{far.port}/api/",
            "bot_token": {"env": "SLACK_BOT_TOKEN"},
            "signing_secrets": [{"env": "SLACK_SIGNING_SECRET"}],
            "limits": {"updates_per_minute": 100_000},
        },
        "server": {"host": "127.0.0.1", "port": port},
        "admin": {"port": free_port()},
        "store": {"url": f"sqlite:///{folder}/tidegate.db"},
        "worker": {"enabled": worker},
        "pathways": {
            "cluster": {
                "type": "api_gateway",
                "url": f"http://127.0.0.1:{far.port}",
                "region": REGION,
            }
        },
        "actions": {
            "deploy": {
                "match": {"action_id": ["k8s_deploy"]},
                "pathway": "cluster",
                "request": {"method": "POST", "path": "/api/v1/deploy"},
                "params": {"namespace": {"required": True}, "deployment": {"required": True}},
                "allow": {"users": ["any"]},
                "idempotent": True,
            }
        },
    }


def gateway(config: dict[str, Any], folder: Path) -> list[str]:
    """Return the command that serves a configuration."""
    file = folder / f"{config['server']['port']}.json"
    file.write_text(json.dumps(config))  # JSON is YAML
    return [sys.executable, "-m", "tidegate", "serve", "--config", str(file)]


BOLT = "slack_bolt AsyncApp, stores nothing"


async def acks(rounds: int, seconds: float, connections: int) -> list[dict[str, Any]]:
    """Acknowledgements per second: the durable gateway beside a framework that stores nothing.

    One contest for each way to run it: a worker goes on with what it has taken long after a
    burst, and would slow whoever comes next.
    """
    rows: list[dict[str, Any]] = []
    for worker in (False, True):
        title = f"tidegate serve, durable{', worker in the same process' if worker else ''}"
        rows += await _contest(title, rounds, seconds, connections, worker=worker)
    return rows


async def _contest(
    title: str, rounds: int, seconds: float, connections: int, *, worker: bool
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with FarEnds().serving() as far, contextlib.AsyncExitStack() as stack:
            config = settings(far, free_port(), folder, worker=worker)
            peer = free_port()
            bolt = [sys.executable, str(HERE / "bolt_app.py"), str(peer)]
            ports = {
                BOLT: await stack.enter_async_context(server(bolt, peer, ENVIRONMENT)),
                title: await stack.enter_async_context(
                    server(gateway(config, folder), config["server"]["port"], ENVIRONMENT)
                ),
            }
            found: dict[str, list[load.Burst]] = {each: [] for each in ports}
            source = load.requests()
            for turn in range(rounds + 1):
                for each, port in ports.items():
                    made = list(itertools.islice(source, load.enough(seconds)))
                    one = await load.burst(port, made, connections=connections, seconds=seconds)
                    if turn:  # the first round warms up
                        found[each].append(one)
                    if worker and each == title:
                        await drained(config)
                    await asyncio.sleep(0.3)
    return _ack_rows(found, connections)


async def drained(config: dict[str, Any]) -> None:
    """Return once the worker has carried out what it has taken."""
    file = config["store"]["url"].removeprefix("sqlite:///")
    left = "SELECT count(*) FROM runs WHERE state IN ('received', 'queued', 'sending')"
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
        while store.execute(left).fetchone()[0]:  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.1)


def _ack_rows(found: dict[str, list[load.Burst]], connections: int) -> list[dict[str, Any]]:
    peer = statistics.median(one.rate for one in next(iter(found.values())))
    rows = []
    for title, bursts in found.items():
        rates = [one.rate for one in bursts]
        rows.append(
            {
                "what": f"acks/s, {connections} connections: {title}",
                "median": round(statistics.median(rates)),
                "min": round(min(rates)),
                "max": round(max(rates)),
                "ratio": round(statistics.median(rates) / peer, 2),
                "p50_ms": _ms(statistics.median(one.percentile(0.5) for one in bursts)),
                "p99_ms": _ms(statistics.median(one.percentile(0.99) for one in bursts)),
                "refused": sum(one.refused for one in bursts),
            }
        )
    return rows


async def journey(clicks: int) -> list[dict[str, Any]]:
    """From a click to its final message, above one signed call to the same service."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with FarEnds().serving() as far:
            config = settings(far, free_port(), folder, worker=True)
            port = config["server"]["port"]
            async with (
                server(gateway(config, folder), port, ENVIRONMENT),
                aiohttp.ClientSession() as http,
            ):
                direct, whole = [], []
                source = load.requests()
                for number in range(clicks + 20):
                    straight = await _signed_call(http, far.port)
                    through = await _click(far, port, next(source))
                    if number >= 20:
                        direct.append(straight)
                        whole.append(through)
    above = [through - straight for through, straight in zip(whole, direct, strict=True)]
    return [
        {
            "what": "one signed call",
            "p50_ms": _ms(_p(direct, 0.5)),
            "p99_ms": _ms(_p(direct, 0.99)),
        },
        {
            "what": "click → signed call → final Slack message",
            "p50_ms": _ms(_p(whole, 0.5)),
            "p99_ms": _ms(_p(whole, 0.99)),
        },
        {"what": "of which above the call itself", "p50_ms": _ms(_p(above, 0.5))},
    ]


async def _signed_call(http: aiohttp.ClientSession, port: int) -> float:
    url, body = f"http://127.0.0.1:{port}/api/v1/deploy", b'{"params":{}}'
    started = time.perf_counter()
    headers = Signer().sign(
        method="POST",
        url=url,
        headers={"Content-Type": "application/json"},
        body=body,
        credentials=Credentials(
            access_key=KEYS["AWS_ACCESS_KEY_ID"],
            secret_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            token=None,
        ),
        region=REGION,
        service="execute-api",
        now=datetime.now(tz=UTC),
    )
    headers["Content-Type"] = "application/json"
    async with http.post(url, data=body, headers=headers) as response:
        await response.read()
    return time.perf_counter() - started


async def _click(far: FarEnds, port: int, request: bytes) -> float:
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await reader.readline()
    final = await asyncio.wait_for(far.finals.get(), 10)
    writer.close()
    return final - started


def _p(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    columns = ["what", "median", "min", "max", "ratio"]
    more = ["p50_ms", "p99_ms", "refused", "cpu_s", "peak_mib", "pages"]
    columns += [column for column in more if any(column in row for row in rows)]
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(c, "")) for c in columns) + " |" for row in rows]
    return "\n".join(lines)


async def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure everything, or one part, one thing after the other."""
    parts: dict[str, Callable[[], Awaitable[list[dict[str, Any]]]]] = {
        "acks": lambda: acks(args.rounds, args.seconds, args.connections),
        "journey": lambda: journey(args.clicks),
        "pathways": lambda: pathways.pathways(args.rounds),
        "database": lambda: database.database(args.rounds),
        "sharing": lambda: sharing.sharing(args.rounds),
        "starts": lambda: sharing.starts(args.rounds + 4),
    }
    rows = []
    for name, part in parts.items():
        if args.only in (None, name):
            rows += await part()
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    names = ["acks", "journey", "pathways", "database", "sharing", "starts"]
    parser.add_argument("--only", choices=names)
    parser.add_argument(
        "--rounds", type=int, default=7, help="turns of each; fewer of what is long"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a burst")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--clicks", type=int, default=200, help="for the journey")
    args = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure(args))
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}"
    print(f"{machine}\n\n{table(rows)}")
    (HERE / "results.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
