"""`tidegate worker`: carry out what others have taken, with no public listener."""

import argparse

from tidegate.entry import gateway, wiring
from tidegate.entry.serve_command import add_long_running


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    text = "only carry out what others have taken, from the same store"
    add_long_running(subparsers, "worker", text, run)


def run(args: argparse.Namespace) -> int:
    """Work until told to stop."""
    return gateway.run(wiring.load(args.config), listen=False, work=True)
