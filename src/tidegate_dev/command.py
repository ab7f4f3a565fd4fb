"""The command `tidegate dev`."""

import argparse
import asyncio
import contextlib
import importlib.util
import logging
import os
import re
import signal
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate_dev.faults import FAULTS
from tidegate_dev.listener import PortInUseError

if TYPE_CHECKING:
    from tidegate_dev.workspace import DevWorkspace

DEFAULT_PORT: Final = 8700
HIGHEST_OFFSET: Final = 8
PEOPLE: Final = {"ada": "U0ADA", "grace": "U0GRACE", "guest": "U0GUEST"}

_CLAMD: Final = re.compile(r"unix:/\S+|[^\s:/]+:[0-9]{1,5}")

_EPILOG: Final = """\
example:
  tidegate dev --user grace --fault service_slow

ports, from PORT on: the page and Slack (+0), the gateway (+1), the API Gateway (+2), S3 (+3), the
Kubernetes API (+4), the agent in the cluster (+5), the gateway's admin listener (+6), the malware
scanner (+7) and what the agent tells of itself (+8).

The workspace lives on this machine only, in memory and in a private folder that is removed when
it ends (Ctrl-C). It needs no Slack app, no AWS account and no cluster, and reads none of theirs.
"""


def main(argv: list[str]) -> int:
    """Run the dev workspace until it is interrupted and return the exit code."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    if importlib.util.find_spec("sse_starlette") is None:
        _complain("the dev workspace needs an extra: pip install 'tidegate[dev]'")
        return 2
    if options.clamd is not None and "scanner_down" in options.fault:
        _complain("scanner_down takes the workspace's own scanner down; leave out --clamd")
        return 2
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    # Imported late: they need the extra.
    from tidegate_dev.bucket import FolderRefusedError
    from tidegate_dev.program import ProgramFailedError
    from tidegate_dev.workspace import DevWorkspace

    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted.set)
    workspace = DevWorkspace(
        port=options.port,
        user=PEOPLE[options.user],
        faults=tuple(options.fault),
        environment=dict(os.environ),
        bucket_folder=options.bucket_folder,
        clamd=options.clamd,
    )
    try:
        starting = asyncio.create_task(workspace.start())
        if not await _first(starting, interrupted):
            return 0
        print(_greeting(workspace), end="", flush=True)
        if not options.no_browser:
            await _open_browser(workspace.url)
        await interrupted.wait()
    except PortInUseError as error:
        _complain(_busy(error.port, options.port))
        return 1
    except FolderRefusedError as error:
        _complain(str(error))
        return 1
    except ProgramFailedError as error:
        _complain(f"{error.name} did not start. The last it said:\n{error}")
        return 1
    finally:
        await workspace.stop()
    return 0


def _greeting(workspace: "DevWorkspace") -> str:
    """Return what a person should know at the start, written in one piece.

    Whoever starts it may read no further than the address.
    """
    return (
        f"Tidegate workspace: {workspace.url}\n"
        f"Drop a file into {workspace.listing.folder} and share it: /share NAME\n"
        f"Or share from a shell: {workspace.gallery_line}\n"
        f"Look into the cluster: {workspace.cluster.kubectl_line}\n"
        f"Have all of it looked at: {workspace.check_line}\n"
        "Stop it with Ctrl-C.\n"
    )


async def _first(starting: "asyncio.Task[None]", interrupted: asyncio.Event) -> bool:
    """Return whether the start was over before somebody interrupted it."""
    waiting = asyncio.create_task(interrupted.wait())
    await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if starting.done():
        await starting
        return True
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    return False


async def _open_browser(url: str) -> None:
    """Open the page, unless the only browser is one that would take the terminal."""
    has_screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if has_screen:
        with contextlib.suppress(webbrowser.Error):
            await asyncio.to_thread(webbrowser.open, url)


def _busy(port: int, first: int) -> str:
    other = first + 100 if first + 100 + HIGHEST_OFFSET <= 65_535 else DEFAULT_PORT
    return (
        f"port {port} is in use by another program. The workspace takes {first} to "
        f"{first + HIGHEST_OFFSET}; choose others with --port, for example --port {other}"
    )


def _complain(words: str) -> None:
    print(f"tidegate dev: {words}", file=sys.stderr, flush=True)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1024 <= int(text) <= 65_535 - HIGHEST_OFFSET):
        raise argparse.ArgumentTypeError(f"a number from 1024 to {65_535 - HIGHEST_OFFSET}")
    return int(text)


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("a folder")
    return Path(text).expanduser().absolute()


def _clamd(text: str) -> str:
    if not _CLAMD.fullmatch(text):
        raise argparse.ArgumentTypeError("unix:/PATH or HOST:PORT")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate dev",
        description="A Slack workspace in the browser, with the real gateway behind its buttons.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="first port (%(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    parser.add_argument(
        "--user", type=str.lower, choices=PEOPLE, default="ada", help="who you are (%(default)s)"
    )
    parser.add_argument(
        "--bucket-folder",
        type=_folder,
        metavar="DIR",
        help="keep the bucket in a folder in DIR, an empty one; else it goes with the workspace",
    )
    parser.add_argument(
        "--clamd",
        type=_clamd,
        metavar="ADDRESS",
        help="scan with this clamd (unix:/PATH or HOST:PORT), not with the workspace's own scanner",
    )
    parser.add_argument(
        "--fault",
        action="extend",
        nargs="+",
        default=[],
        choices=FAULTS,
        metavar="NAME",
        help=f"begin with faults: {', '.join(FAULTS)}",
    )
    return parser
