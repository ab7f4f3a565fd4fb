"""`tidegate identity`: the keys by which services verify who clicked."""

import argparse
import json
from typing import Final

from tidegate.entry import wiring
from tidegate.entry.arguments import add_config

EXAMPLE: Final = """\
example:
  tidegate identity jwks --config tidegate.yaml > jwks.json    # give this file to the service
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    parser = subparsers.add_parser(
        "identity",
        help="print the keys services verify us by",
        description="Print the public keys by which services verify Tidegate-Identity.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["jwks"], help="the keys as a JWKS")
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the JWKS."""
    print(json.dumps(wiring.signer(wiring.load(args.config)).jwks(), indent=2))
    return 0
