"""`tidegate COMMAND` for tests: in a process of its own, or quicker in this one."""

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass

from tidegate.entry import cli


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def python(*words: str) -> Said:
    """Run a program of its own."""
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=30, check=False
    )
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)


def tidegate(*words: str) -> Said:
    """Run the command line in this process, which is much quicker."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code: object = cli.main(words)
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    return Said(code=code, out=out.getvalue(), err=err.getvalue())
