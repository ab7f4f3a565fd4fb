"""The real kubectl, by the kubeconfig that the tests themselves go by."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agent.reached import Access
from tests.dev.kubernetes.kubectl import binary


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl as an administrator, in one namespace."""

    access: Access
    namespace: str
    folder: Path

    async def __call__(self, *arguments: str) -> tuple[int, str]:
        """Return its exit code, and what it says on both streams."""
        context = () if self.access.context is None else (f"--context={self.access.context}",)
        process = await asyncio.create_subprocess_exec(
            binary(),
            *context,
            f"--namespace={self.namespace}",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self.access.environ, "KUBECACHEDIR": str(self.folder)},
        )
        out, _ = await asyncio.wait_for(process.communicate(), self.access.seconds)
        return process.returncode or 0, out.decode()

    async def get(self, what: str) -> dict[str, Any]:
        code, out = await self("get", what, "--output=json")
        assert code == 0, out
        found: dict[str, Any] = json.loads(out)
        return found

    async def template(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.get(what))["spec"]["template"]
        return found

    async def revisions(self, what: str) -> list[int]:
        code, out = await self("rollout", "history", what)
        assert code == 0, out
        return [int(line.split()[0]) for line in out.splitlines() if line[:1].isdigit()]
