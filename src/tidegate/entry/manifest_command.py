"""`tidegate manifest`: the Slack app a configuration needs, and what an installed one lacks."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import yaml

from tidegate.adapters.slack_api import SlackClient
from tidegate.adapters.slack_api.granted import granted_scopes
from tidegate.core import manifest_difference as difference
from tidegate.core.document import MAX_CHARACTERS, read
from tidegate.core.manifest_difference import Difference, Kind
from tidegate.core.scopes import Need, app_scopes, needed_scopes
from tidegate.core.settings import Settings
from tidegate.core.slack_manifest import (
    DEFAULT_NAME,
    Manifest,
    Wishes,
    manifest,
    public_url,
    uses_socket_mode,
)
from tidegate.core.text import harmless, harmless_lines
from tidegate.core.web_address import AddressError
from tidegate.entry import wiring
from tidegate.entry.arguments import add_config
from tidegate.errors import ConfigError, Problem, SecretError, SlackError

EXAMPLE: Final = """\
examples:
  tidegate manifest --url https://tidegate.example.com > slack-manifest.json
  tidegate manifest                                   # with Socket Mode there is no address
  tidegate manifest --explain                         # which rights, and what each is for
  tidegate manifest --url https://tidegate.example.com --installed exported.json
  tidegate manifest --installed live                  # what the bot token may do, asked of Slack

Make the app with it: api.slack.com/apps, Create New App, From a manifest. Mend one: its page App
Manifest, from which --installed's file is copied too; then install it again.

exit codes: 0 done, and nothing is missing · 1 the installed app lacks something · 2 wrong usage
or configuration
"""
#: Stands for «ask Slack» in place of a file.
LIVE: Final = "live"
_MARKS: Final = {Kind.MISSING: "+", Kind.DIFFERENT: "~", Kind.SPARE: "-"}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    parser = subparsers.add_parser(
        "manifest",
        help="print the Slack app's manifest, or what an installed app lacks",
        description="Print the manifest of the Slack app that a configuration needs, "
        "with the rights that it uses and no others, or what an installed app has otherwise.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser)
    parser.add_argument("--url", metavar="https://…", help="the gateway's public address")
    parser.add_argument("--name", default=DEFAULT_NAME, help="what the app is called (Tidegate)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON (as it is without --yaml)")
    form.add_argument("--yaml", action="store_true", help="print YAML")
    parser.add_argument(
        "--installed",
        metavar="FILE",
        help="an installed app's manifest to compare with, or `live`: ask Slack for its rights",
    )
    parser.add_argument(
        "--explain", action="store_true", help="say what each right is for, and print no manifest"
    )
    parser.add_argument(
        "--required-only", action="store_true", help="without rights that Tidegate can do without"
    )
    parser.add_argument(
        "--send-files", action="store_true", help="with the rights for files of `tidegate send`"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was asked for, and return the exit code."""
    configuration = wiring.load(getattr(args, "config", None))
    settings = configuration.settings
    wishes = _wishes(args, settings)
    if args.installed is not None:
        return _compare(args, configuration, wishes)
    if args.explain:
        _print(_explained(args, settings))
        return 0
    if wishes.url is None and not uses_socket_mode(settings):
        raise _wrong(
            "--url",
            "Slack has to know where to call, and no configuration says it",
            "give the gateway's public address, such as --url https://tidegate.example.com "
            "(or use Socket Mode: slack.app_token)",
        )
    made = manifest(settings, wishes)
    _print(as_yaml(made) if args.yaml else as_json(made))
    for note in made.notes:
        sys.stderr.write(f"note: {harmless(note)}\n")
    return 0


def as_json(made: Manifest) -> str:
    """Return a manifest as Slack takes it."""
    return json.dumps(made.document, indent=2, ensure_ascii=False)


def as_yaml(made: Manifest) -> str:
    """Return a manifest as Slack takes it, too."""
    text: str = yaml.safe_dump(
        dict(made.document), sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text.rstrip("\n")


def _wishes(args: argparse.Namespace, settings: Settings) -> Wishes:
    url: str | None = None
    if args.url is not None:
        try:
            url = public_url(args.url)
        except AddressError as error:
            raise _wrong("--url", error.what, error.mend) from None
    if url is not None and uses_socket_mode(settings):
        raise _wrong(
            "--url",
            "with Socket Mode (slack.app_token) Slack calls nowhere",
            "leave it out, or leave slack.app_token out",
        )
    return Wishes(
        url=url,
        name=args.name,
        required_only=args.required_only,
        send_files=args.send_files,
    )


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _wrong(key: str, what: str, mend: str) -> ConfigError:
    return ConfigError((Problem(line=None, column=None, key=key, what=what, mend=mend),))


# --- rights, explained ----------------------------------------------------------------------


def _explained(args: argparse.Namespace, settings: Settings) -> str:
    needs = needed_scopes(settings, send_files=args.send_files)
    kept = [need for need in needs if need.required or not args.required_only]
    if args.json:
        tokens = {"bot": kept, "app": list(app_scopes(settings))}
        told = {token: [asdict(need) for need in found] for token, found in tokens.items()}
        return json.dumps(told, indent=2, ensure_ascii=False)
    lines = ["The bot token needs:"]
    for need in kept:
        lines += _need(need)
    if app_scopes(settings):
        lines += ["", "The app-level token needs:"]
    for need in app_scopes(settings):
        lines += _need(need)
    return "\n".join(lines)


def _need(need: Need) -> Iterator[str]:
    yield f"  {need.scope}{'' if need.required else '  (can be done without)'}"
    if need.methods:
        yield f"      for {', '.join(need.methods)}"
    for reason in need.reasons:
        yield f"      {reason}"


# --- an installed app -----------------------------------------------------------------------


def _compare(args: argparse.Namespace, configuration: wiring.Configuration, wishes: Wishes) -> int:
    notes: tuple[str, ...] = ()
    if args.installed == LIVE:
        try:
            granted = asyncio.run(_granted(configuration))
        except SlackError as error:
            mend = "look at slack.bot_token, slack.api_url and the way to Slack"
            why = f"Slack did not tell what the token may do ({error.code})"
            sys.stderr.write(f"tidegate: {harmless(why)}: {mend}.\n")
            return 1
        found = difference.of_scopes(configuration.settings, granted, wishes)
        notes = ("Slack tells a bot only its rights; compare an exported manifest for the rest.",)
    else:
        found = difference.of_manifest(
            configuration.settings, _installed(Path(args.installed)), wishes
        )
        if wishes.url is None and not uses_socket_mode(configuration.settings):
            notes = ("Addresses were not compared: give the gateway's with --url.",)
    failed = difference.fails(found)
    if args.json:
        _print(_told_as_json(found, notes, ok=not failed))
    else:
        _print(harmless_lines(_told(found, notes)))
    return 1 if failed else 0


async def _granted(configuration: wiring.Configuration) -> frozenset[str]:
    slack = configuration.settings.slack
    try:
        token = configuration.secrets.read(slack.bot_token)
    except SecretError as error:
        raise _wrong("slack.bot_token", str(error), "put the secret there") from None
    client = SlackClient(api_url=slack.api_url, token=token)
    try:
        granted = await granted_scopes(client)
    finally:
        await client.close()
    if granted is None:
        raise _wrong("--installed", "Slack did not say what the token may do", "name a file")
    return granted


def _installed(file: Path) -> Mapping[str, Any]:
    """Return the manifest in a file: as the app's page or `apps.manifest.export` gives it."""
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_CHARACTERS + 1).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        mend = "name the file that the app's page App Manifest gives"
        raise _wrong("--installed", f"{file}: cannot be read: {why}", mend) from None
    document = _read(text)
    inner = document.get("manifest")
    found = inner if isinstance(inner, Mapping) else document
    if "display_information" not in found:
        what = f"{file}: this is not the manifest of a Slack app"
        raise _wrong("--installed", what, "copy it from the app's page App Manifest")
    return found


def _read(text: str) -> Mapping[str, Any]:
    if len(text) <= MAX_CHARACTERS:
        try:  # its own reader first: YAML takes most of JSON, and not all
            document = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return document if isinstance(document, Mapping) else {}
    found = read(text)
    if found.problems:
        problem = found.problems[0]
        line = f"line {problem.line}: " if problem.line is not None else ""
        raise _wrong("--installed", f"{line}{problem.what}", problem.mend)
    return found.value


def _told_as_json(found: Sequence[Difference], notes: Sequence[str], *, ok: bool) -> str:
    told = {"ok": ok, "differences": [asdict(each) for each in found], "notes": list(notes)}
    return json.dumps(told, indent=2)  # escaped: what others wrote may hold what terminals obey


def _told(found: Sequence[Difference], notes: Sequence[str]) -> str:
    lines: list[str] = []
    for kind in Kind:
        for each in found:
            if each.kind is kind:
                lines += map(harmless, _line(each))  # a line end in a name begins no line
    counts = [f"{sum(1 for each in found if each.kind is kind)} {kind}" for kind in Kind]
    lines += [*([""] if lines else []), ", ".join(counts)]
    if difference.fails(found):
        lines.append(
            "Mend it: paste what `tidegate manifest` prints into the app's page App Manifest, "
            "save, and install the app again."
        )
    elif not found:
        lines.append("The installed app is what this configuration needs.")
    return "\n".join([*lines, *notes])


def _line(each: Difference) -> Iterator[str]:
    optional = each.kind is Kind.MISSING and not each.required
    kind = "missing, can be done without" if optional else each.kind.value
    what = _shown(each.wanted if each.kind is Kind.MISSING else each.found)
    if each.kind is Kind.DIFFERENT:
        what += f", and it should be {_shown(each.wanted)}"
    yield f"{_MARKS[each.kind]} {each.key}: {what} ({kind})"
    yield f"    {each.why}"


def _shown(value: str | bool | None) -> str:
    return value if isinstance(value, str) else json.dumps(value)
