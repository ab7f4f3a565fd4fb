"""A credential plugin is run once for each life of its token, within bounds."""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidegate_agent.adapters.kubernetes import CredentialsError, exec_plugin, from_kubeconfig
from tidegate_agent.adapters.kubernetes.exec_plugin import ExecProof, Plugin

V1 = "client.authentication.k8s.io/v1"


def _plugin(folder: Path, program: str) -> Plugin:
    file = folder / "plugin.py"
    file.write_text(f"import json, os, sys, time\n{program}\n")
    return Plugin(
        command=sys.executable, arguments=[str(file)], environ={"MARK": "here"}, version=V1
    )


def _says(status: Any, *, kind: str = "ExecCredential", version: str = V1) -> str:
    return json.dumps({"kind": kind, "apiVersion": version, "status": status})


def _counted(folder: Path, said: str) -> str:
    """Return a program that says *said* and notes each run."""
    log = folder / "runs"
    return f"open({str(log)!r}, 'a').write('x')\nprint({said!r})"


def _runs(folder: Path) -> int:
    return len((folder / "runs").read_text())


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_many_requests_at_once_wait_for_one_run(tmp_path: Path) -> None:
    proof = ExecProof(_plugin(tmp_path, _counted(tmp_path, _says({"token": "t"}))))
    headers = await asyncio.gather(*(proof.header() for _ in range(5)))
    assert set(headers) == {"Bearer t"}
    assert _runs(tmp_path) == 1


async def test_it_is_run_anew_shortly_before_its_token_expires(tmp_path: Path) -> None:
    now = time.time()
    said = _says({"token": "t", "expirationTimestamp": _at(now + 600)})
    clock = [now]
    proof = ExecProof(_plugin(tmp_path, _counted(tmp_path, said)), now=lambda: clock[0])
    await proof.header()
    clock[0] = now + 560
    await proof.header()
    assert _runs(tmp_path) == 1
    clock[0] = now + 575
    await proof.header()
    assert _runs(tmp_path) == 2


async def test_it_is_run_anew_when_its_token_is_refused(tmp_path: Path) -> None:
    proof = ExecProof(_plugin(tmp_path, _counted(tmp_path, _says({"token": "t"}))))
    await proof.header()
    assert proof.refused()
    await proof.header()
    assert _runs(tmp_path) == 2


async def test_many_requests_at_once_share_a_failure_and_so_do_those_of_the_next_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = ExecProof(_plugin(tmp_path, f"{_counted(tmp_path, 'x')}\nsys.exit(3)"))
    for _ in range(2):
        failed = await asyncio.gather(*(proof.header() for _ in range(5)), return_exceptions=True)
        assert [str(each)[-11:] for each in failed] == ["exit code 3"] * 5
    assert _runs(tmp_path) == 1
    monkeypatch.setattr(exec_plugin, "FAILED_SECONDS", 0.0)
    with pytest.raises(CredentialsError):
        await proof.header()
    assert _runs(tmp_path) == 2


async def test_who_gives_up_waiting_leaves_the_run_to_the_others(tmp_path: Path) -> None:
    program = f"time.sleep(0.5)\n{_counted(tmp_path, _says({'token': 't'}))}"
    proof = ExecProof(_plugin(tmp_path, program))
    waiting = asyncio.create_task(proof.header())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await proof.header()
    assert await waiting == "Bearer t"
    assert _runs(tmp_path) == 1


async def test_it_is_told_what_is_wanted(tmp_path: Path) -> None:
    program = (
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "assert info['spec'] == {'interactive': False}\n"
        "assert os.environ['MARK'] == 'here' and 'HOME' not in os.environ\n"
        "token = info['apiVersion'].rpartition('/')[2]\n"
        f"print(json.dumps({{'kind': 'ExecCredential', 'apiVersion': '{V1}',"
        " 'status': {'token': token}}))"
    )
    assert await ExecProof(_plugin(tmp_path, program)).header() == "Bearer v1"


@pytest.mark.parametrize(
    ("program", "what"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("print('hello')", "does not say an ExecCredential"),
        (f"print({_says({'token': 't'}, kind='Other')!r})", "does not speak"),
        (f"print({_says({'token': 't'}, version='v2')!r})", "does not speak"),
        (f"print({_says({'clientCertificateData': 'x'})!r})", "gives no token"),
        (f"print({_says({'token': 't', 'expirationTimestamp': 'soon'})!r})", "does not say"),
        (f"print({_says([])!r})", "does not say"),
        (f"print({_says({'token': 'a b'})!r})", "no token can hold"),
        ("print('x' * 300_000)", "says too much"),
        ("time.sleep(30)", "did not end"),
    ],
)
async def test_what_goes_wrong_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, what: str
) -> None:
    monkeypatch.setattr(exec_plugin, "RUN_SECONDS", 2.0)
    with pytest.raises(CredentialsError, match=what):
        await ExecProof(_plugin(tmp_path, program)).header()


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    user = {"exec": {"command": "./none", "apiVersion": V1, "args": ["a"]}}
    config = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "config").write_text(json.dumps(config))
    with pytest.raises(CredentialsError, match="cannot be run"):
        await from_kubeconfig([tmp_path / "config"], {}).proof.header()
