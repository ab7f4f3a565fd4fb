"""`tidegate agent` as a process: how it starts, what it says, how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.agent.app import stage as stages
from tests.agent.app.stage import Stage
from tests.agent.entry.process import (
    command,
    kubeconfig_of,
    running,
    write_configuration,
)
from tests.agent.entry.signer import Signer
from tests.ports import free_port
from tidegate_agent.entry.format import json_schema
from tidegate_agent.entry.openapi import openapi
from tidegate_agent.entry.settings import EXAMPLE


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with stages.stage() as made:
        yield made


async def test_a_request_is_carried_out_and_the_log_is_lines_of_json(
    stage: Stage, tmp_path: Path
) -> None:
    signer = Signer()
    kubeconfig = kubeconfig_of(stage.cluster, tmp_path, "tidegate-agent")
    token = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"].split(":")[2]
    token = token.partition("@")[0]
    file = write_configuration(tmp_path, signer, kubeconfig)
    async with running(file) as at, aiohttp.ClientSession() as session:
        caller = at.caller(session, signer)
        params = {"namespace": "staging", "deployment": "web", "image": "web:3.0.0"}
        told = await caller.ask("deploy", params, run="run-process")
        assert told.status == 202
        ended = await caller.ended(told.headers["Location"], "run-process")
        assert ended.content["phase"] == "succeeded"
        async with session.get(f"{at.monitoring}/metrics") as response:
            assert 'verb="deploy"' in await response.text()
        assert await at.stop() == 0
        events = [line["event"] for line in at.log()]
        assert events[0] == "started"
        assert events[-2:] == ["stopping", "stopped"]
        log = (tmp_path / "log").read_text()
        assert token not in log
        assert "eyJ" not in log  # as statements begin


async def test_what_is_in_flight_is_finished_before_it_ends(stage: Stage, tmp_path: Path) -> None:
    signer = Signer()
    kubeconfig = kubeconfig_of(stage.cluster, tmp_path, "tidegate-agent")
    file = write_configuration(tmp_path, signer, kubeconfig)
    async with running(file) as at, aiohttp.ClientSession() as session:
        stage.cluster.faults.slow_seconds = 0.3
        caller = at.caller(session, signer)
        asking = asyncio.create_task(caller.ask("status", {"namespace": "staging"}))
        await asyncio.sleep(0.15)
        stopping = asyncio.create_task(at.stop())
        assert (await asking).status == 200
        assert await stopping == 0


async def test_a_cluster_that_is_away_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    signer = Signer()
    async with stages.stage() as gone:
        kubeconfig = kubeconfig_of(gone.cluster, tmp_path, "tidegate-agent")
    file = write_configuration(tmp_path, signer, kubeconfig)
    with pytest.raises(AssertionError, match="not ready"):
        async with running(file, patience=3):
            pass
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"started", "upkeep_failed"} <= {line["event"] for line in lines}


async def test_help_has_examples_and_exit_codes() -> None:
    code, said, _ = await command("--help")
    assert code == 0
    for word in ("tidegate agent --config", "--check", "exit codes"):
        assert word in said


async def test_the_schema_and_the_openapi_document_are_printed() -> None:
    code, said, _ = await command("--schema")
    assert (code, json.loads(said)) == (0, json_schema())
    code, said, _ = await command("--openapi")
    assert (code, json.loads(said)) == (0, openapi())


async def test_wrong_usage_is_2() -> None:
    assert (await command("--colour"))[0] == 2


async def test_a_file_that_is_not_there_is_2_and_named() -> None:
    code, _, complained = await command("--config", "/nonexistent/agent.yaml")
    assert code == 2
    assert "/nonexistent/agent.yaml: cannot be read" in complained
    assert (await command("--check", TIDEGATE_AGENT_CONFIG="/nonexistent/other"))[2].startswith(
        "/nonexistent/other:"
    )


async def test_a_check_lists_every_problem_with_its_line_and_mend(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("lisen: {}\nnamespaces: [A]\n")
    code, said, _ = await command("--check", "--config", str(file))
    assert code == 1
    assert "agent.yaml:1: lisen: there is no such key — mend: did you mean listen?" in said
    assert "agent.yaml:2: namespaces[0]" in said
    code, _, complained = await command("--config", str(file))
    assert (code, complained) == (2, said)
    code, said, _ = await command("--check", "--json", "--config", str(file))
    told = json.loads(said)
    assert (code, told["ok"], told["problems"][0]["line"]) == (1, False, 1)


async def test_files_that_are_not_here_are_a_warning_to_a_check_and_the_end_of_a_start(
    tmp_path: Path,
) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(f"{EXAMPLE}listen: {{tls: {{cert: c, key: k}}}}\n")
    code, said, _ = await command("--check", "--config", str(file))
    assert code == 0
    started, _, complained = await command("--config", str(file))
    assert started == 2
    for words in ("jwks.json cannot be read", "listen.tls", "there is no kubeconfig at"):
        assert words in said
        assert words in complained


async def test_a_check_tells_what_a_good_file_would_do(stage: Stage, tmp_path: Path) -> None:
    kubeconfig = kubeconfig_of(stage.cluster, tmp_path, "tidegate-agent")
    file = write_configuration(tmp_path, Signer(), kubeconfig)
    code, said, complained = await command("--check", "--config", str(file))
    assert (code, complained) == (0, "")
    assert "is fine." in said
    assert "viewer: slack:T1:U2 in staging" in said


async def test_a_port_that_is_taken_is_told(stage: Stage, tmp_path: Path) -> None:
    kubeconfig = kubeconfig_of(stage.cluster, tmp_path, "tidegate-agent")
    port = stage.cluster.port
    changed = {"listen": {"host": "127.0.0.1", "port": port}, "metrics": {"port": free_port()}}
    file = write_configuration(tmp_path, Signer(), kubeconfig, changed)
    code, _, complained = await command("--config", str(file))
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in complained
