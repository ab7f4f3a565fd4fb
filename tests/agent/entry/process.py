"""The agent as a process of its own, as it runs in a pod."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.agent.entry.door import Door
from tests.agent.entry.signer import Signer
from tests.ports import free_port
from tidegate_dev.kubernetes.far_end import KubernetesFarEnd

COMMAND = "import sys; from tidegate_agent.entry.command import main; sys.exit(main(sys.argv[1:]))"


@dataclass(slots=True, kw_only=True)
class Process:
    """A running agent."""

    process: asyncio.subprocess.Process
    folder: Path
    url: str
    monitoring: str
    seconds: float

    def log(self) -> list[dict[str, Any]]:
        """Return the lines that it has logged."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def resident_mib(self) -> float:
        """Return the most memory that it has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def caller(self, session: aiohttp.ClientSession, signer: Signer) -> Door:
        """Return who calls it."""
        return Door(url=self.url, session=session, signer=signer)

    async def stop(self) -> int:
        """Return the exit code, once it has been told to stop."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 20)


def write_configuration(
    folder: Path, signer: Signer, kubeconfig: Path, changed: Mapping[str, Any] | None = None
) -> Path:
    """Return the file, with what it refers to beside it."""
    (folder / "jwks.json").write_text(json.dumps(signer.jwks()))
    content = {
        "listen": {"host": "127.0.0.1", "port": free_port()},
        "metrics": {"port": free_port()},
        "identity": {"audience": "cluster", "jwks": "jwks.json"},
        "namespaces": ["staging", "production"],
        "roles": {
            "deployer": {"groups": ["SDEV"]},
            "viewer": {"namespaces": ["staging"], "people": ["slack:T1:U2"]},
        },
        "registries": ["registry.example.com"],
        "kubernetes": {"kubeconfig": str(kubeconfig)},
    }
    file = folder / "agent.yaml"
    file.write_text(yaml.safe_dump({**content, **(changed or {})}))
    return file


async def command(*arguments: str, **environ: str) -> tuple[int, str, str]:
    """Return the exit code, and what the command said on both streams."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        COMMAND,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ},
    )
    said, complained = await asyncio.wait_for(process.communicate(), 30)
    return int(process.returncode or 0), said.decode(), complained.decode()


@asynccontextmanager
async def running(file: Path, *, patience: float = 15.0) -> AsyncIterator[Process]:
    """The agent runs with that configuration, and takes requests; or has not within *patience*."""
    content = _content(file)
    monitoring = f"http://127.0.0.1:{content['metrics']['port']}"
    begun = time.monotonic()
    with (file.parent / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", COMMAND, "--config", str(file), stderr=log
        )
    try:
        await _ready(monitoring, process, patience)
        yield Process(
            process=process,
            folder=file.parent,
            url=f"http://127.0.0.1:{content['listen']['port']}",
            monitoring=monitoring,
            seconds=time.monotonic() - begun,
        )
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _content(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


async def _ready(monitoring: str, process: asyncio.subprocess.Process, patience: float) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(int(patience * 100)):
            assert process.returncode is None, "the agent has ended"
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{monitoring}/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.01)
    raise AssertionError("the agent is not ready")


def kubeconfig_of(cluster: KubernetesFarEnd, folder: Path, account: str) -> Path:
    """Return a kubeconfig of a service account in the agent's namespace."""
    path = folder / "kubeconfig"
    token = cluster.add_service_account_token("tidegate", account)
    cluster.write_kubeconfig(path, token=token)
    return path
