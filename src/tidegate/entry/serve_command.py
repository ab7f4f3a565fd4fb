"""`tidegate serve`: the public listener, and the worker unless the configuration says no."""

import argparse
from collections.abc import Callable
from typing import Final

from tidegate.entry import gateway, wiring
from tidegate.entry.arguments import add_config

EXAMPLE: Final = """\
example:
  tidegate {name} --config /etc/tidegate/tidegate.yaml

Stops on SIGTERM or SIGINT: finishes what is in flight, hands the rest back, exits with 0.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    text = "take clicks from Slack and carry them out"
    add_long_running(subparsers, "serve", text, run)


def add_long_running(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add a command that runs until it is told to stop."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=EXAMPLE.format(name=name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    configuration = wiring.load(args.config)
    work = configuration.settings.worker.enabled
    return gateway.run(configuration, listen=True, work=work)
