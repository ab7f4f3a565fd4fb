"""Starts the command line over and over from a process that has imported it already.

A program that starts spends most of its time on imports. Here they are made once: each request
forks a process of its own, which goes on as `python -m tidegate ARGS` would, with the words, the
environment, the folder and the files that it was given, and can be killed as such.

`fork_server.py FD`: requests come by the socket with that number, one in each packet, together
with standard output, standard error and a pipe, to which the process's number and in the end its
exit code are written. It ends when the socket is closed. `tests.forks` is the other side.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import socket
import sys
from pathlib import Path
from typing import Any

import tidegate

LONGEST = 131_072


def import_all() -> None:
    """Import what a command would import when it is about to run, late imports included."""
    for module in pkgutil.walk_packages(tidegate.__path__, "tidegate."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()  # what is there stays, and is shared with every process that is forked


def serve(control: socket.socket) -> list[str]:
    """Fork for each request; return the words of its own in each process that was forked."""
    assert len([*Path("/proc/self/task").iterdir()]) == 1, "only the thread that forks lives on"
    running: dict[int, tuple[int, int]] = {}  # what tells the end: the process, and its pipe
    with selectors.DefaultSelector() as ready:
        ready.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fd in running:
                    ready.unregister(key.fd)
                    tell_the_end(key.fd, *running.pop(key.fd))
                    continue
                said, files, _, _ = socket.recv_fds(control, LONGEST, 3)
                if not said:
                    os._exit(0)
                out, err, pipe = files
                if (pid := os.fork()) == 0:
                    return become(json.loads(said), out, err)
                os.close(out)
                os.close(err)
                os.write(pipe, b"%d\n" % pid)
                watched = os.pidfd_open(pid)
                running[watched] = pid, pipe
                ready.register(watched, selectors.EVENT_READ)


def tell_the_end(watched: int, pid: int, pipe: int) -> None:
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # whoever asked for it may be gone
        os.write(pipe, b"%d\n" % os.waitstatus_to_exitcode(status))
    os.close(pipe)
    os.close(watched)


def become(request: dict[str, Any], out: int, err: int) -> list[str]:
    """Make this process the one that was asked for."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    words: list[str] = request["words"]
    return words


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    import_all()
    words = serve(control)
    control.detach()  # closed with the others
    match words:
        case ["-m", module, *_]:
            sys.argv = words[1:]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *arguments]:
            sys.argv = ["-c", *arguments]
            exec(code, {"__name__": "__main__"})
        case _:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()
