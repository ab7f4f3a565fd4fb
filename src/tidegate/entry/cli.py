"""The command line. It imports late, so that `--help` is there at once."""

import argparse
import atexit
import gc
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tidegate import __version__
from tidegate.entry.arguments import Parser

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Each command's module has `add_parser(subparsers)`; its parser sets `run`.
COMMANDS: Final = {
    "serve": ("tidegate.entry.serve_command", "take clicks from Slack and carry them out"),
    "worker": ("tidegate.entry.worker_command", "only carry out what others have taken"),
    "check": (
        "tidegate.entry.check_command",
        "list every problem of a configuration file, or tell what it would do",
    ),
    "runs": ("tidegate.entry.runs_command", "list, show, resolve and retry runs"),
    "audit": ("tidegate.entry.audit_command", "list who did what, and what came of it"),
    "send": ("tidegate.entry.send_command", "send a message or files to a channel"),
    "share": ("tidegate.entry.share_command", "share an object of S3 in a channel"),
    "identity": ("tidegate.entry.identity_command", "print the keys services verify us by"),
    "init": (
        "tidegate.entry.init_command",
        "write the files of a new set-up: configuration, Slack app, stacks, Helm values",
    ),
    "manifest": (
        "tidegate.entry.manifest_command",
        "print the Slack app's manifest, or what an installed app lacks",
    ),
}
#: Commands of other packages, found by entry point, and the extra that brings them.
GROUP: Final = "tidegate.commands"
EXTRAS: Final = {
    "dev": ("dev", "show all of it in a browser, with no account anywhere"),
    "agent": ("agent", "carry out in a Kubernetes cluster what people asked for"),
}

LONG_RUNNING: Final = frozenset({"serve", "worker"})

EPILOG: Final = """\
examples:
  tidegate dev                                # see it work on this machine
  tidegate init                               # the files of a set-up of your own
  tidegate check --config tidegate.yaml       # before you start it
  tidegate serve --config tidegate.yaml

Each command has --help of its own.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 wrong usage or configuration."""
    end_at_once()
    given = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in given if word in COMMANDS), None)
    if given and given[0] in EXTRAS:
        return _foreign(given[0], given[1:])
    if name in LONG_RUNNING:
        # Until the event loop listens for it: a gateway that has taken nothing yet ends well.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    args = _parser(name).parse_args(given)
    if not hasattr(args, "run"):
        _parser(None).print_help()
        return 2
    return carry_out(args)


def end_at_once() -> None:
    """Let this process end without a last search for cycles: that took as long as the imports."""
    atexit.register(gc.freeze)


def carry_out(args: argparse.Namespace) -> int:
    """Run the command that was parsed, and return its exit code."""
    from tidegate.core.text import harmless
    from tidegate.errors import ConfigError, TidegateError

    try:
        code: int = args.run(args)
    except ConfigError as error:
        for problem in error.problems:
            place = f"line {problem.line}: " if problem.line is not None else ""
            what = f"{problem.key}: {problem.what} — mend: {problem.mend}"
            sys.stderr.write(f"{place}{harmless(what)}\n")
        return 2
    except TidegateError as error:
        sys.stderr.write(f"tidegate: {harmless(error)}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has had enough
        return 0
    return code


def _parser(name: str | None) -> argparse.ArgumentParser:
    """Return the parser, with only the named command's own module imported."""
    parser = Parser(
        prog="tidegate",
        description="The gate between a Slack workspace and what a team keeps private.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tidegate {__version__}")
    parser.add_argument("--config", metavar="FILE", help="the configuration file; before or after")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command, (module, text) in COMMANDS.items():
        if command == name:
            importlib.import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(command, help=text)
    for command, (_, text) in EXTRAS.items():
        subparsers.add_parser(command, help=text)
    return parser


def _foreign(name: str, argv: list[str]) -> int:
    """Run a command that another package brings."""
    from importlib.metadata import entry_points  # 25 ms, which no other command should wait for

    found: EntryPoint | None = next(iter(entry_points(group=GROUP, name=name)), None)
    extra = EXTRAS[name][0]
    advice = f"tidegate {name} needs an extra: pip install 'tidegate[{extra}]'\n"
    if found is None:
        sys.stderr.write(advice)
        return 2
    try:
        command = found.load()
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{advice}(there is no {error.name})\n")
        return 2
    code: int = command(argv)
    return code
