"""The gateway as a real process between real listeners, for tests of whole journeys."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.forks import Fork, fork
from tests.ports import free_port
from tests.service import Service, done
from tidegate_dev.slack.far_end import SlackFarEnd

BLOCKS: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Deploy web?*"}},
    {
        "type": "actions",
        "block_id": "b1",
        "elements": [
            {
                "type": "button",
                "action_id": "k8s_deploy",
                "text": {"type": "plain_text", "text": "Deploy"},
                "value": json.dumps({"namespace": "staging", "deployment": "web"}),
            },
            {
                "type": "button",
                "action_id": "other",
                "text": {"type": "plain_text", "text": "Other"},
                "value": "{}",
            },
        ],
    },
]


def buttons(*presses: tuple[str, str], text: str = "*Deploy?*") -> list[dict[str, Any]]:
    """A message's blocks: one button for each (action id, deployment)."""
    elements = [
        {
            "type": "button",
            "action_id": action_id,
            "text": {"type": "plain_text", "text": f"Press {number}"},
            "value": json.dumps({"namespace": "staging", "deployment": deployment}),
        }
        for number, (action_id, deployment) in enumerate(presses, 1)
    ]
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return [section, {"type": "actions", "block_id": "b1", "elements": elements}]


def configuration(
    slack: SlackFarEnd, service_url: str, folder: Path, **overrides: Any
) -> dict[str, Any]:
    """The smallest configuration that works, with an action's keys overridden."""
    action: dict[str, Any] = {
        "match": {"action_id": ["k8s_deploy"]},
        "pathway": "cluster",
        "request": {"method": "POST", "path": "/api/v1/deploy"},
        "params": {"namespace": {"required": True}, "deployment": {"required": True}},
        "allow": {"users": ["U0ADA", "U0GRACE", "U0GUEST"]},
        "idempotent": True,
    }
    action |= overrides
    return {
        "slack": {
            "api_url": slack.api_url,
            "bot_token": {"env": "SLACK_BOT_TOKEN"},
            "signing_secrets": [{"env": "SLACK_SIGNING_SECRET"}],
            "limits": {"posts_per_channel_per_second": 50, "updates_per_minute": 5000},
        },
        "server": {"host": "127.0.0.1", "port": free_port(), "drain_seconds": 5},
        "admin": {"port": free_port()},
        "store": {"url": f"sqlite:///{folder}/tidegate.db"},
        "pathways": {
            "cluster": {
                "type": "direct",
                "url": service_url,
                "auth": {"type": "none"},
                "timeout_seconds": 5,
            }
        },
        "actions": {"deploy": action},
    }


@dataclass
class GatewayProcess:
    """`tidegate serve`, started, watched and ended."""

    config: dict[str, Any]
    folder: Path
    environment: Mapping[str, str]
    module: tuple[str, ...] = ("-m", "tidegate", "serve")
    process: asyncio.subprocess.Process | Fork | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    _reader: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.config['server']['port']}"

    @property
    def file(self) -> Path:
        return self.folder / "tidegate.yaml"

    async def start(self, *, ready: bool = True) -> None:
        self.file.write_text(yaml.safe_dump(self.config))
        environment = {**os.environ, **self.environment}
        words = (*self.module, "--config", str(self.file))
        self.process = await fork(*words, environment=environment, stdout=False)
        self._reader = asyncio.ensure_future(self._read(self.process))
        if ready:
            await self.ready()

    async def _read(self, process: Fork) -> None:
        assert process.stderr is not None
        while line := await process.stderr.readline():
            text = line.decode().rstrip()
            self.raw.append(text)
            with contextlib.suppress(ValueError):
                self.lines.append(json.loads(text))

    async def ready(self, *, seconds: float = 40.0) -> None:
        """Return once it answers that it is ready."""
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as http:
            while True:
                assert self.process is not None
                if self.process.returncode is not None:
                    await asyncio.sleep(0.1)
                    raise AssertionError("\n".join(self.raw[-30:]))
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(f"{self.url}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    async def hold(self) -> None:
        """Let it stand still, between two of its transactions: others can use the store."""
        assert self.process is not None
        path = self.config["store"]["url"].removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as store:
            while True:
                self.process.send_signal(signal.SIGSTOP)
                await asyncio.to_thread(_wait_until_still, self.process.pid)
                try:
                    store.execute("BEGIN IMMEDIATE")
                    store.execute("ROLLBACK")
                except sqlite3.OperationalError:  # it holds the lock: a little later, then
                    self.go_on()
                    await asyncio.sleep(0.01)
                else:
                    return

    def go_on(self) -> None:
        """Let it run again after `hold`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self.end(signal.SIGKILL)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), 30)
        if self._reader is not None:
            await self._reader
        return code

    async def exited(self, *, seconds: float = 20.0) -> int:
        """Return its exit code once it has ended by itself."""
        assert self.process is not None
        code = await asyncio.wait_for(self.process.wait(), seconds)
        if self._reader is not None:
            await self._reader
        return code

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == name]

    async def command(self, *args: str) -> tuple[int, str, str]:
        """Run `tidegate ARGS` on the same configuration."""
        words = ("-m", "tidegate", *args, "--config", str(self.file))
        process = await fork(*words, environment={**os.environ, **self.environment})
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()


def _wait_until_still(pid: int) -> None:
    """Return once every thread has stopped: a signal takes a moment to arrive."""

    def stopped() -> bool:
        stats = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/stat")]
        return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)

    while not stopped():
        time.sleep(0.001)


@dataclass
class Stand:
    """Slack, the gateway and a service."""

    slack: SlackFarEnd
    service: Service
    gateway: GatewayProcess

    def message(self, channel: str = "C0OPS", blocks: list[dict[str, Any]] | None = None) -> str:
        return self.slack.post_as_bot(channel, "Deploy web?", blocks or BLOCKS)

    async def click(self, ts: str, **options: Any) -> Any:
        options.setdefault("channel", "C0OPS")
        options.setdefault("action_id", "k8s_deploy")
        return await self.slack.click(ts=ts, **options)

    async def told(
        self, ts: str, text: str, *, channel: str = "C0OPS", seconds: float = 15.0
    ) -> str:
        """Return a message's whole content once it says *text*."""

        def content() -> str:
            message = self.slack.message(channel, ts)
            return json.dumps([message.text, message.blocks], ensure_ascii=False)

        try:
            await self.slack.wait_for(lambda: text in content(), seconds=seconds)
        except TimeoutError:
            raise AssertionError(f"never said {text!r}: {content()}") from None
        return content()


Change = Callable[[dict[str, Any]], None]


@contextlib.asynccontextmanager
async def stand(
    folder: Path,
    *,
    change: Change | None = None,
    answer: Any = done,
    start: bool = True,
    **action: Any,
) -> AsyncIterator[Stand]:
    """Slack, service and gateway, while the block runs."""
    service = Service(answer=answer)
    await service.start()
    async with SlackFarEnd() as slack:
        slack.limits.enabled = False
        config = configuration(slack, service.url, folder, **action)
        if change is not None:
            change(config)
        environment = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
        }
        gateway = GatewayProcess(config, folder, environment)
        slack.gateway_url = gateway.url
        try:
            if start:
                await gateway.start()
            yield Stand(slack, service, gateway)
        finally:
            if gateway.process is not None and gateway.process.returncode is None:
                await gateway.end()
            await service.stop()
