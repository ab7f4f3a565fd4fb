"""`tidegate send`: a message, or files at hand, into a channel, from a shell."""

import argparse
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tidegate.core.text import harmless, harmless_lines
from tidegate.entry.arguments import add_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidegate.adapters.local import Local
    from tidegate.core.share import Shared
    from tidegate.entry.share_wiring import SharingParts
    from tidegate.errors import ShareError

EXAMPLE: Final = """\
examples:
  tidegate send ops "*web* 2.4.1 is out"
  tidegate send C0OPS --blocks report.json --dry-run
  tidegate send ops "All tests passed." --thread 1762531200.000100
  tidegate send C0OPS "*web* 2.4.1: done" --update 1762531200.000100
  tidegate send ops "Only you see this." --ephemeral U0ADA
  tidegate send ops "Tonight's numbers" --file revenue.pdf --file details.csv
  make test 2>&1 | tidegate send ops --file - --name test.log

TEXT stands right after CHANNEL, and is read as Slack's markup: *bold*, <https://…|link>, <@U0ADA>.
Without a configuration (--config, or TIDEGATE_CONFIG) it reads SLACK_BOT_TOKEN (or
SLACK_BOT_USER_OAUTH_TOKEN) and SLACK_API_URL.

Files: their content is looked at. A program, or what is not what its name says, is refused
without --any-type. Slack must be told a file's length before its bytes; what is piped in is
therefore kept in memory, up to 64 MiB, unless --length says how long it is.

exit codes: 0 sent · 1 refused, or not for certain · 2 wrong usage or configuration
"""
STANDARD_INPUT: Final = "-"
STDIN: Final = 0
MAX_HELD: Final = 67_108_864


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    parser = subparsers.add_parser(
        "send",
        help="send a message or files to a channel",
        usage="tidegate send CHANNEL [TEXT] [--blocks FILE] [--file PATH …] [options]",
        description="Send a message, or files at hand, to a Slack channel.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("channel", metavar="CHANNEL", help="a channel's id or name")
    parser.add_argument(
        "text", metavar="TEXT", nargs="?", default="", help="what it says; - reads standard input"
    )
    parser.add_argument(
        "--blocks",
        metavar="FILE",
        help='Block Kit as JSON: a list, or {"blocks": […], "text": …}; - reads standard input',
    )
    place = parser.add_argument_group("where it appears")
    place.add_argument(
        "--thread", metavar="TS", type=_timestamp, help="under the message with this timestamp"
    )
    place.add_argument(
        "--update", metavar="TS", type=_timestamp, help="in place of this message of the app's own"
    )
    place.add_argument("--ephemeral", metavar="USER", help="seen by the person with this id only")
    files = parser.add_argument_group("files")
    files.add_argument(
        "--file",
        metavar="PATH",
        action="append",
        default=[],
        help="a file, or - for standard input; give it again for more files in one message",
    )
    files.add_argument("--name", metavar="NAME", default="", help="what the file is called")
    files.add_argument("--title", metavar="TITLE", default="", help="what stands above the file")
    files.add_argument(
        "--comment", metavar="TEXT", default="", help="said beside the files, word for word"
    )
    files.add_argument("--length", metavar="N", type=_length, help="bytes that are piped in")
    files.add_argument(
        "--any-type",
        action="store_true",
        help="also programs, and what is not what its name says",
    )
    parser.add_argument("--dry-run", action="store_true", help="check all, and only say what it is")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_config(
        parser, "a configuration whose token is used; else TIDEGATE_CONFIG, else the environment's"
    )
    parser.set_defaults(run=run, fail=parser.error)


def _timestamp(text: str) -> str:
    from tidegate.core.message import is_timestamp

    if not is_timestamp(text):
        raise argparse.ArgumentTypeError(f"{text} is no timestamp such as 1762531200.000100")
    return text


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:15]) > 0):
        raise argparse.ArgumentTypeError(f"{text} is no number of bytes")
    return int(text[:15])


def run(args: argparse.Namespace) -> int:
    """Send, and say how it went."""
    import asyncio

    why = _contradiction(args)
    if why is not None:
        args.fail(why)
    return asyncio.run(_run(args))


def _contradiction(args: argparse.Namespace) -> str | None:
    """Return what the options ask for that cannot be, or None."""
    given = [args.text, args.blocks, *args.file]
    alone = len(args.file) == 1
    wrong = (
        (given.count(STANDARD_INPUT) > 1, "standard input can be read for one thing only"),
        (args.update and args.thread, "--update leaves a message where it is: leave --thread out"),
        (args.update and args.ephemeral, "what only one person sees cannot be updated"),
        (args.file and args.blocks, "files come without --blocks: send the blocks by themselves"),
        (args.file and args.update, "--update does not take files"),
        (args.file and args.ephemeral, "files are seen by the whole channel, not by one person"),
        (args.file and args.text and args.comment, "give either TEXT or --comment"),
        (args.comment and not args.file, "--comment is said beside files: give TEXT instead"),
        (args.title and not alone, "--title is for one --file"),
        (args.name and not alone, "--name is for one --file"),
        (args.any_type and not args.file, "--any-type is for --file"),
        (
            args.length is not None and STANDARD_INPUT not in args.file,
            "--length is for --file -: the length of a file at a path is known",
        ),
    )
    return next((why for is_so, why in wrong if is_so), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is said at the end."""

    channel_id: str
    ts: str | None = None
    text: str = ""
    blocks: "Sequence[Mapping[str, Any]]" = ()
    files: list[dict[str, Any]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


async def _run(args: argparse.Namespace) -> int:
    from tidegate.entry.share_wiring import open_sharing
    from tidegate.errors import ShareError

    parts = open_sharing(getattr(args, "config", None))
    try:
        told = await (_files(args, parts) if args.file else _message(args, parts))
    except ShareError as error:
        _say_refused(args, error)
        return 1
    finally:
        await parts.close()
    _say(args, told)
    return 1 if any("error" in file for file in told.files) else 0


async def _message(args: argparse.Namespace, parts: "SharingParts") -> _Told:
    from tidegate.core.message import Message, parse_blocks

    text = await _text(args)
    blocks: Sequence[Mapping[str, Any]] = ()
    if args.blocks is not None:
        blocks, beside = parse_blocks(await _blocks(args.blocks))
        text = text or beside
    message = Message(
        id=parts.new_id(),
        channel_id=await parts.sharing.channel(args.channel),
        text=text,
        blocks=tuple(blocks),
        thread_ts=args.thread,
        update_ts=args.update,
        only_for=args.ephemeral,
    )
    sent = await (parts.sending.plan(message) if args.dry_run else parts.sending.send(message))
    return _Told(
        channel_id=sent.channel_id,
        ts=sent.ts,
        text=sent.message.text,
        blocks=sent.message.blocks,
        notes=sent.notes,
    )


async def _files(args: argparse.Namespace, parts: "SharingParts") -> _Told:
    from tidegate.adapters.local import Local
    from tidegate.core.share import Mode, Order
    from tidegate.entry.progress import Bar
    from tidegate.entry.share_wiring import own_files

    local = Local()
    text = await _text(args)
    channel_id = await parts.sharing.channel(args.channel)
    order = Order(
        id=parts.new_id(),
        rules=own_files(any_type=args.any_type),
        keys=tuple([await _added(local, path, args) for path in args.file]),
        channel_id=channel_id,
        mode=Mode.UPLOAD,
        title=args.title,
        comment=args.comment,
        text=text,
        thread_ts=args.thread,
    )
    sharing = parts.sharing_of(local)
    bar = Bar(sys.stderr, shown=sys.stderr.isatty() and not args.json)
    notes: tuple[str, ...] = ()
    try:
        if args.dry_run:
            shared = await sharing.plan(order)
            notes = await parts.sending.look_for(channel_id)
        else:
            shared = await sharing.share(order, watch=bar.moved)
    finally:
        bar.end()
    return _Told(
        channel_id=channel_id,
        ts=next(iter(shared.ts), None),
        text=text or args.comment,
        files=_as_json(shared),
        notes=(*shared.notes, *notes),
    )


def _as_json(shared: "Shared") -> list[dict[str, Any]]:
    from tidegate.core.share import file_name

    found = []
    for item in shared.items:
        file: dict[str, Any] = {"name": file_name(item.key)}
        if item.file_id is not None:
            file["file_id"] = item.file_id
        if item.error is not None:
            file["error"] = {"code": item.error.code, "message": item.error.notice}
        found.append(file)
    return found


# --- what is read --------------------------------------------------------------------------


async def _added(local: "Local", path: str, args: argparse.Namespace) -> str:
    """Return the key of a file that was named."""
    from pathlib import Path

    from tidegate.adapters.local import gathered, incoming, known_length
    from tidegate.app.transfer import said
    from tidegate.core.share import human_size, refusal

    if path != STANDARD_INPUT:
        return local.add_path(Path(path), args.name)
    name = args.name or "stdin"
    with said():
        length = args.length or known_length(STDIN)
        if length is not None:
            return local.add_stream(incoming(STDIN), length, name)
        content = await gathered(incoming(STDIN), MAX_HELD)
    if content is None:
        raise refusal("length_needed", most=human_size(MAX_HELD))
    return local.add_bytes(content, name)


async def _text(args: argparse.Namespace) -> str:
    from tidegate.core.message import MAX_TEXT, refusal

    if args.text != STANDARD_INPUT:
        return str(args.text)
    content = await _typed_in(4 * MAX_TEXT)
    try:
        return content.decode("utf-8-sig").rstrip("\n")
    except UnicodeDecodeError:
        raise refusal("not_utf8", what="standard input") from None


async def _blocks(name: str) -> bytes:
    from pathlib import Path

    from tidegate.adapters.local import beside
    from tidegate.core.message import MAX_JSON_BYTES, refusal

    if name == STANDARD_INPUT:
        return await _typed_in(MAX_JSON_BYTES)

    def read() -> bytes:
        with Path(name).open("rb") as stream:
            return stream.read(MAX_JSON_BYTES + 1)

    try:
        return await beside(read)  # it may be a pipe, into which nobody writes
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such file"
        raise refusal("blocks_not_read", name=harmless(name), why=why) from None


async def _typed_in(most: int) -> bytes:
    from tidegate.adapters.local import gathered, incoming
    from tidegate.app.transfer import said
    from tidegate.core.message import refusal

    with said():
        content = await gathered(incoming(STDIN), most)
    if content is None:
        raise refusal("too_much", most=most)
    return bytes(content)


# --- what is said --------------------------------------------------------------------------


def _say(args: argparse.Namespace, told: _Told) -> None:
    import json

    if args.json:
        found: dict[str, Any] = {"ok": True, "channel": told.channel_id, "ts": told.ts}
        found |= {"text": told.text, "blocks": list(told.blocks), "files": told.files}
        found |= {"notes": list(told.notes), "dry_run": args.dry_run}
        print(json.dumps({name: value for name, value in found.items() if value}))
        return
    for file in told.files:
        if "error" in file:
            sys.stderr.write(f"{harmless(file['name'])}: {_advised(args, file['error'])}\n")
    good = [file["name"] for file in told.files if "error" not in file]
    what = ", ".join(good) or ("the message" if args.update is None else f"message {args.update}")
    verb = "sent" if args.update is None else "updated"
    at = f" ({told.ts})" if told.ts is not None else ""
    print(f"{harmless(what)}: {'would be ' if args.dry_run else ''}{verb} in {told.channel_id}{at}")
    if args.dry_run:
        print(harmless_lines(told.text))
        if told.blocks:
            print(json.dumps(list(told.blocks), indent=2))
    for note in told.notes:
        print(harmless(note))


def _say_refused(args: argparse.Namespace, error: "ShareError") -> None:
    import json

    said = {"code": error.code, "message": error.notice}
    if args.json:
        print(json.dumps({"ok": False, "channel": args.channel, "error": said}))
    else:
        named = f"{harmless(args.file[0])}: " if len(args.file) == 1 else ""
        sys.stderr.write(f"{named}{_advised(args, said)}\n")


def _advised(args: argparse.Namespace, error: "Mapping[str, str]") -> str:
    overridden = error["code"] in ("executable", "type_mismatch") and not args.any_type
    notice = harmless_lines(error["message"])
    return notice + (" --any-type sends it all the same." if overridden else "")
