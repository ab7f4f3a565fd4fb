"""The workspace, looked at by the line that it prints."""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.ports import free_ports
from tidegate_dev.workspace import DevWorkspace

SMALL_GATEWAY = (sys.executable, str(Path(__file__).parent / "small_gateway.py"))
PORTS = 9


async def test_the_line_that_looks_at_all_of_it_finds_all_of_it_well() -> None:
    workspace = DevWorkspace(
        port=free_ports(PORTS),
        user="U0ADA",
        faults=(),
        # Another account's keys, and another region: none of it gets in.
        environment={**os.environ, "AWS_PROFILE": "prod", "AWS_REGION": "us-west-2"},
        gateway_command=SMALL_GATEWAY,
    )
    try:
        await workspace.start()
        looking = await asyncio.create_subprocess_shell(
            f"{workspace.check_line} --json",
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "AWS_PROFILE": "prod", "AWS_REGION": "us-west-2"},
        )
        said, _ = await looking.communicate()
    finally:
        await workspace.stop()
    found = json.loads(said)
    wrong = [check for check in found["live"]["checks"] if check["state"] != "ok"]
    assert wrong == []
    assert looking.returncode == 0
    names = {"/".join(check["path"]) for check in found["live"]["checks"]}
    assert {"pathways/cluster/agent", "s3/reports/link", "slack/scopes", "store/tables"} <= names
    assert found["ok"]
