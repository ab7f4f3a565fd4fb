"""`tidegate share`, also called `s3-to-slack`: an object of S3 into a channel, from a shell."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tidegate import __version__
from tidegate.core.text import harmless, harmless_lines
from tidegate.entry.arguments import Parser, add_config

if TYPE_CHECKING:
    from tidegate.core.share import Order, Shared
    from tidegate.entry.share_wiring import SharingParts
    from tidegate.errors import ShareError

EXAMPLE: Final = """\
examples:
  {name} acme-reports q3/revenue.pdf C0OPS "Q3 revenue"
  {name} acme-reports q3/revenue.pdf ops --mode link --expires 24h
  {name} acme-reports charts/ ops "This week" --mode gallery
  {name} acme-reports q3/revenue.pdf ops --dry-run --json

Without a configuration (--config, or TIDEGATE_CONFIG) it reads SLACK_BOT_TOKEN and AWS's own
variables and files, and acts with your own rights. With one, its allow-lists bind.

exit codes: 0 shared · 1 refused, or not for certain · 2 wrong usage or configuration
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    text = "share an object of S3 in a channel"
    parser = subparsers.add_parser(
        "share",
        help=text,
        description=_DESCRIPTION,
        epilog=EXAMPLE.format(name="tidegate share"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_arguments(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `s3-to-slack` and return its exit code."""
    parser = Parser(
        prog="s3-to-slack",
        description=_DESCRIPTION,
        epilog=EXAMPLE.format(name="s3-to-slack"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"s3-to-slack {__version__}")
    _add_arguments(parser)
    args = parser.parse_args(argv)
    from tidegate.entry.cli import carry_out, end_at_once

    end_at_once()
    return carry_out(args)


_DESCRIPTION: Final = "Share an object of S3 in a Slack channel; its bucket stays private."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bucket", metavar="BUCKET", help="a bucket, or its alias")
    parser.add_argument("key", metavar="KEY", help="the whole key; a prefix with --mode gallery")
    parser.add_argument("channel", metavar="CHANNEL", help="a channel's id or name")
    parser.add_argument("title", metavar="TITLE", nargs="?", default="", help="what it is called")
    parser.add_argument(
        "--mode",
        choices=["upload", "link", "image", "gallery"],
        default="upload",
        help="as a file in Slack (the default), a presigned link, an image, or many images",
    )
    parser.add_argument("--expires", metavar="TIME", help="how long a link lives: 30m, 24h, 7d")
    parser.add_argument("--comment", metavar="TEXT", default="", help="what is said beside it")
    parser.add_argument("--thread", metavar="TS", help="under the message with this timestamp")
    parser.add_argument("--alt-text", metavar="TEXT", default="", help="what an image shows")
    parser.add_argument(
        "--by-url",
        action="store_true",
        help="let Slack fetch images by presigned URLs instead of uploading them",
    )
    own = parser.add_argument_group("without a configuration")
    own.add_argument(
        "--unversioned",
        action="store_true",
        help="give a link although the bucket keeps no versions",
    )
    own.add_argument(
        "--external", action="store_true", help="also to a channel shared with outsiders"
    )
    parser.add_argument("--dry-run", action="store_true", help="check all, and only say what it is")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_config(parser, "the configuration whose allow-lists bind; else TIDEGATE_CONFIG, else none")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Share, and say how it went."""
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from tidegate.entry.progress import Bar
    from tidegate.entry.share_wiring import open_sharing
    from tidegate.errors import ShareError

    parts = open_sharing(getattr(args, "config", None))
    bar = Bar(sys.stderr, shown=sys.stderr.isatty() and not args.json)
    try:
        order = await _order(args, parts)
        if args.dry_run:
            shared = await parts.sharing.plan(order)
        else:
            shared = await parts.sharing.share(order, watch=bar.moved)
    except ShareError as error:
        bar.end()
        _say_refused(args, error)
        return 1
    finally:
        await parts.close()
    bar.end()
    _say(args, shared)
    return 1 if any(item.error is not None for item in shared.items) else 0


async def _order(args: argparse.Namespace, parts: "SharingParts") -> "Order":
    from tidegate.core import share

    rules = parts.rules(args.bucket, args.key, unversioned=args.unversioned, external=args.external)
    mode = share.Mode(args.mode)
    many = mode is share.Mode.GALLERY
    return share.Order(
        id=parts.new_id(),
        rules=rules,
        keys=() if many else (args.key,),
        prefix=args.key if many else None,
        channel_id=await parts.sharing.channel(args.channel),
        mode=mode,
        title=args.title,
        alt_text=args.alt_text,
        comment=args.comment,
        thread_ts=args.thread,
        expires_seconds=share.seconds(args.expires) if args.expires is not None else None,
        by_url=args.by_url,
    )


def _say(args: argparse.Namespace, shared: "Shared") -> None:
    import json

    if args.json:
        from tidegate.core.share_report import report

        found = report(shared)
        if args.dry_run:
            found["dry_run"] = True
        print(json.dumps(found))
        return
    for item in shared.items:
        if item.error is not None:
            sys.stderr.write(_told(item.key, item.error))
    good = [item for item in shared.items if item.error is None]
    what = harmless(good[0].key) if len(good) == 1 else f"{len(good)} objects"
    verb = "would be shared" if args.dry_run else "shared"
    print(f"{what}: {verb} in {shared.channel_id} as {shared.order.mode.value}")
    if args.dry_run and shared.blocks:
        print(json.dumps(list(shared.blocks), indent=2))
    for note in shared.notes:
        print(harmless(note))


def _say_refused(args: argparse.Namespace, error: "ShareError") -> None:
    import json

    from tidegate.core.share_report import error_report

    if args.json:
        found = {
            "ok": False,
            "mode": args.mode,
            "bucket": args.bucket,
            "key": args.key,
            "channel": args.channel,
            "error": error_report(error),
        }
        print(json.dumps(found))
    else:
        sys.stderr.write(_told(args.key, error))


def _told(key: str, error: "ShareError") -> str:
    return f"{harmless(key)}: {harmless_lines(error.notice)}\n"
