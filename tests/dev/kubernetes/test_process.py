"""The cluster as a process of its own."""

import asyncio
import json
import stat
import sys
from pathlib import Path

import aiohttp

from tests.ports import free_port
from tidegate_dev.listener import bind


async def started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tidegate_dev.kubernetes",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_lets_in_who_reads_its_kubeconfig_and_takes_that_along_when_it_ends(
    tmp_path: Path,
) -> None:
    path, port = tmp_path / "kubeconfig", free_port()
    options = ("--port", str(port), "--no-kubelets", "--empty", "--faster", "10")
    process = await started("--kubeconfig", str(path), *options)
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert line.decode().startswith(f"Kubernetes: http://127.0.0.1:{port} ")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        server = json.loads(path.read_text())["clusters"][0]["cluster"]["server"]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{server}/api/v1/nodes") as answer:
                assert (answer.status, (await answer.json())["items"]) == (200, [])
            async with session.get(f"{server}/api/v1/namespaces/staging") as answer:
                assert answer.status == 404
            async with session.get(f"http://127.0.0.1:{port}/api/v1/nodes") as answer:
                assert answer.status == 401
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert not path.exists()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_what_cannot_be_used_is_told_with_what_to_do(tmp_path: Path) -> None:
    with bind() as taken:
        port = str(taken.getsockname()[1])
        process = await started("--kubeconfig", str(tmp_path / "kubeconfig"), "--port", port)
        _, said = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, b"name another with --port" in said) == (2, True)
    process = await started("--kubeconfig", str(tmp_path / "none" / "kubeconfig"))
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, b"kubeconfig: cannot be written" in said) == (2, True)
