"""`tidegate audit`: who did what, and what came of it."""

import argparse
import asyncio
import json
from datetime import UTC, datetime
from typing import Final

from tidegate.core.model import AuditEntry, RunId
from tidegate.core.text import harmless
from tidegate.entry import wiring
from tidegate.entry.admin import entry_as_json
from tidegate.entry.arguments import add_config

EXAMPLE: Final = """\
examples:
  tidegate audit --limit 20
  tidegate audit --run 01JD8S3Q9X2V4W6Y8Z0A1B2C3D --json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    parser = subparsers.add_parser(
        "audit",
        help="list who did what, and what came of it",
        description="List the audit log: every transition of every run, and every refusal.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser)
    parser.add_argument("--run", dest="run_id", metavar="RUN", help="of one run, oldest first")
    parser.add_argument("--before", type=int, metavar="SEQ", help="older than this entry")
    parser.add_argument("--limit", type=int, default=100, metavar="N")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print entries of the audit log."""
    configuration = wiring.load(args.config)

    async def read() -> list[AuditEntry]:
        store = await wiring.open_store(configuration, existing=True)
        try:
            found = await store.audit(
                run_id=RunId(args.run_id) if args.run_id else None,
                before=args.before,
                limit=max(1, min(args.limit, 1000)),
            )
        finally:
            await store.close()
        return list(found)

    entries = asyncio.run(read())
    if args.json:
        print(json.dumps({"audit": [entry_as_json(entry) for entry in entries]}, indent=2))
        return 0
    if not entries:
        print("Nothing has happened yet.")
    for entry in entries:
        at = datetime.fromtimestamp(entry.at, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        reason = f"  ({entry.reason})" if entry.reason else ""
        line = (
            f"{entry.seq:>7}  {at}  {entry.run_id or '-':<26}  {entry.event:<24} "
            f"{entry.action or '-':<20} {entry.actor}{reason}"
        )
        print(harmless(line))
    return 0
