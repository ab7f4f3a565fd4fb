"""A process that was forked is one like any other: its words, environment, streams and end."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.entry.commands import Said, python
from tests.forks import fork

SAY = "import os, sys; print(sys.argv[1:], dict(os.environ), os.getcwd()); sys.exit(sys.argv[2])"


async def test_it_has_its_own_words_environment_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOT_GIVEN", "x")
    started = await fork("-c", SAY, "a b", "no good", environment={"GIVEN": "é"})
    out, err = await started.communicate()
    assert out.decode() == f"{['a b', 'no good']} { ({'GIVEN': 'é'}) } {tmp_path}\n"
    assert (err, started.returncode) == (b"no good\n", 1)


async def test_it_is_another_process_each_time_and_dies_alone() -> None:
    wait = "import time; print(flush=True); time.sleep(60)"
    one, other = [await fork("-c", wait, environment={}) for _ in range(2)]
    assert len({one.pid, other.pid, os.getpid()}) == 3
    for started, number in ((one, signal.SIGKILL), (other, signal.SIGTERM)):
        assert started.stdout is not None
        await started.stdout.readline()
        assert started.returncode is None
        started.send_signal(number)
        assert await asyncio.wait_for(started.wait(), 10) == -number


async def test_it_says_and_ends_as_a_program_that_starts_from_nothing() -> None:
    for words in (["check", "--schema"], ["runs", "--no-such-option"], ["check", "--config", "no"]):
        command = ("-m", "tidegate", *words)
        said = python(*command)
        started = await fork(*command, environment=os.environ)
        out, err = await started.communicate()
        assert Said(code=started.returncode or 0, out=out.decode(), err=err.decode()) == said
