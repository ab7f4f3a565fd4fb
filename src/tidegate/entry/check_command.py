"""`tidegate check`: every problem of a configuration file at once, or what the file would do."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tidegate.core import document, plan
from tidegate.core.advice import advise, impossible, references
from tidegate.core.configuration import parse_document
from tidegate.core.document import MAX_CHARACTERS, Complaint, Document
from tidegate.core.fields import ENV_NAME
from tidegate.core.schema import json_schema
from tidegate.core.settings import (
    Action,
    AllowRule,
    ApiGatewayPathway,
    Pathway,
    Settings,
)
from tidegate.core.text import harmless, harmless_lines
from tidegate.entry.arguments import add_config
from tidegate.entry.wiring import environment
from tidegate.errors import ConfigError, Problem

EXAMPLE: Final = """\
example:
  tidegate check --config /etc/tidegate/tidegate.yaml
  tidegate check --schema > tidegate.schema.json    # for your editor
  tidegate check --live --config /etc/tidegate/tidegate.yaml    # where the gateway runs

--live looks at everything the file names, from where it is run: names, connections, certificates,
credentials, pathways, Slack, buckets, queue, scanner, store. It changes nothing, and asks a service
only what became of a run that cannot exist. Its --json has one more key, "live":
  {"version": 1, "ok", "seconds", "counts": {STATE: N}, "checks": [{"path": [...], "title", "state",
   "said", "milliseconds", "findings": [{"code", "grave", "what", "why", "mend"}]}]}
where STATE is ok, warning, wrong, untold (cannot be told from here) or skipped (not tried), and
"live" is null for a file with problems: nothing is looked at then.

exit codes: 0 the file is fine, and nothing looked at is wrong · 1 it has problems, or something
is wrong · 2 it cannot be read
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found."""

    file: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    settings: Settings | None = field(default=None)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    parser = subparsers.add_parser(
        "check",
        help="list every problem of a configuration file, or tell what it would do",
        description="List every problem of a configuration file with its place and mend, "
        "or tell what the file would do.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser, "the file; else TIDEGATE_CONFIG, else ./tidegate.yaml")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--live",
        action="store_true",
        help="look at everything the file names too: is it there, and does it work?",
    )
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of the format and stop"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, environ: Mapping[str, str] | None = None) -> int:
    """Return the exit code after printing what the check found.

    Args:
        args: As parsed by the parser that `add_parser` adds.
        environ: The environment to check secrets in; this process's if not given.
    """
    if args.schema:
        _write(json.dumps(json_schema(), indent=2))
        return 0
    env = environment() if environ is None else environ
    file = getattr(args, "config", None) or env.get("TIDEGATE_CONFIG") or "tidegate.yaml"
    try:
        text = _text(Path(file))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        said = f"{harmless(file)}: cannot be read: {reason}. Name a file with --config FILE.\n"
        sys.stderr.write(said)
        return 2
    report = check(text, file=file, environ=env)
    if getattr(args, "live", False):
        return live(report, Path(file), environ=env, plain=args.json)
    _write(as_json(report) if args.json else harmless_lines(as_text(report)))
    return 1 if report.problems else 0


def live(report: Report, file: Path, *, environ: Mapping[str, str], plain: bool) -> int:
    """Return the exit code after printing what a look at all that a file names found.

    A file with problems is not looked behind. *plain*: as one JSON object.
    """
    if report.settings is None or report.problems:
        told = f"{as_text(report)}\nNothing was looked at: mend the file first."
        whole = json.dumps({**_plain(report), "live": None}, indent=2)
        _write(whole if plain else harmless_lines(told))
        return 1
    # Only a look needs all the adapters.
    from tidegate.entry.doctor.report import look

    found = look(report.settings, file, environ=environ)
    if plain:
        seen = {**_plain(report), "ok": found.diagnosis.ok, "live": found.plain()}
        _write(json.dumps(seen, indent=2))
    else:
        warnings = [_line(report.file, warning, "warning: ") for warning in report.warnings]
        _write(harmless_lines("\n".join([*warnings, *([""] if warnings else []), *found.lines()])))
    return 0 if found.diagnosis.ok else 1


def _text(file: Path) -> str:
    """Return as much of *file* as is needed to know that it is too long."""
    with file.open("rb") as stream:
        content = stream.read(4 * MAX_CHARACTERS + 4)
    whole = len(content) <= 4 * MAX_CHARACTERS  # else it may end inside a character
    return content.decode("utf-8-sig", errors="strict" if whole else "replace")


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


# --- checking ------------------------------------------------------------------------------


def check(text: str, *, file: str, environ: Mapping[str, str]) -> Report:
    """Return what is wrong with *text* as the content of *file*, and with what it refers to."""
    read = document.read(text)
    folder = Path(file).absolute().parent
    problems: list[Problem] = []
    # A secret that is not here is a fact about this machine, not about the file: a file is
    # checked where it is reviewed, too.
    warnings = [*_environment(read, environ), *_secret_files(read, folder)]
    settings: Settings | None = None
    try:
        settings = parse_document(read, source=file)
    except ConfigError as error:
        problems += error.problems
    else:
        problems += map(read.problem, impossible(settings))
        warnings += [*advise(settings), *_files(settings, folder)]
    return Report(
        file=file,
        problems=_in_order(problems),
        warnings=_in_order(map(read.problem, warnings)),
        settings=settings,
    )


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda one: (one.line or 0, one.column or 0)))


def _environment(read: Document, environ: Mapping[str, str]) -> Iterator[Complaint]:
    for path, ref in references(read.value):
        name = ref.get("env")
        if not isinstance(name, str) or not ENV_NAME.fullmatch(name):
            continue  # said already, and it may be the secret itself
        if not environ.get(name, "").strip():
            state = "empty" if name in environ else "not set"
            # Whoever took `env` for the place of the secret itself wrote no capitals.
            which = name if name.isupper() else "named here"
            yield Complaint(
                path=path,
                what=f"the environment variable {which} is {state}",
                mend="set it where the gateway runs (and where you check)",
            )


def _secret_files(read: Document, folder: Path) -> Iterator[Complaint]:
    for path, ref in references(read.value):
        name = ref.get("file")
        if not isinstance(name, str) or not name:
            continue
        file = folder / name
        try:
            mode = file.stat().st_mode
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no such name"
            yield Complaint(
                path=path,
                what=f"the file cannot be read here: {reason}",
                mend="put the secret there before the gateway starts",
            )
            continue
        if mode & 0o004:
            yield Complaint(
                path=path,
                what=f"everyone on this machine may read {file.name}",
                mend="take the right to read from others: chmod o-r",
            )


def _files(settings: Settings, folder: Path) -> Iterator[Complaint]:
    named: list[tuple[document.Path, str | None]] = []
    if settings.server.tls is not None:
        named += [
            (("server", "tls", "cert"), settings.server.tls.cert),
            (("server", "tls", "key"), settings.server.tls.key),
        ]
    for name, pathway in settings.pathways.items():
        auth = None if isinstance(pathway, ApiGatewayPathway) else pathway.auth
        named += [
            (("pathways", name, "ca_file"), pathway.ca_file),
            (("pathways", name, "client_cert"), pathway.client_cert),
            (("pathways", name, "client_key"), pathway.client_key),
            (
                ("pathways", name, "auth", "path"),
                auth.path if auth is not None and auth.type == "token_file" else None,
            ),
        ]
    for path, file in named:
        if file is not None and not (folder / file).exists():
            yield Complaint(
                path=path,
                what=f"there is no file {folder / file} here",
                mend="put it there before the gateway starts",
            )


# --- telling -------------------------------------------------------------------------------


def as_json(report: Report) -> str:
    """Return *report* as one JSON object."""
    return json.dumps(_plain(report), indent=2)


def _plain(report: Report) -> dict[str, Any]:
    settings = report.settings
    return {
        "ok": not report.problems,
        "file": report.file,
        "problems": [asdict(problem) for problem in report.problems],
        "warnings": [asdict(warning) for warning in report.warnings],
        "summary": None if settings is None else _summary(settings),
    }


def as_text(report: Report) -> str:
    """Return *report* as lines for people."""
    lines = [_line(report.file, problem, "") for problem in report.problems]
    lines += [_line(report.file, warning, "warning: ") for warning in report.warnings]
    if report.problems:
        count = len(report.problems)
        lines += ["", f"{count} problem{'s' if count > 1 else ''} in {report.file}"]
    elif report.settings is not None:
        lines += [*([""] if lines else []), f"{report.file} is fine.", ""]
        lines += _told(_summary(report.settings))
    return "\n".join(lines)


def _line(file: str, problem: Problem, kind: str) -> str:
    place = file if problem.line is None else f"{file}:{problem.line}"
    key = f"{problem.key}: " if problem.key else ""
    return f"{place}: {kind}{key}{problem.what} — mend: {problem.mend}"


def _summary(settings: Settings) -> dict[str, Any]:
    """Return what the file would do, in short."""
    return {
        "listens": f"{settings.server.host}:{settings.server.port}",
        "admin": f"{settings.admin.host}:{settings.admin.port}",
        "slack": settings.slack.api_url,
        "store": settings.store.url,
        "pathways": {name: _reach(pathway) for name, pathway in settings.pathways.items()},
        "actions": {name: _route(action) for name, action in settings.actions.items()},
        "events": _events(settings),
    }


def _events(settings: Settings) -> dict[str, Any] | None:
    """Return what is shared by itself, where from and where to."""
    s3 = settings.s3
    if s3 is None or s3.events is None:
        return None
    rules = plan.arrival_rules(settings)
    return {
        "queue": s3.events.queue_url,
        "dead_letters": s3.events.dead_letter_url,
        "rules": {
            rule.name: {
                "keys": f"{rule.bucket}/{max(rule.prefixes, key=len)}*{rule.suffix}",
                "channel": rule.channel_id,
                "mode": rule.mode.value,
            }
            for rule in rules
        },
    }


def _reach(pathway: Pathway) -> dict[str, str]:
    if isinstance(pathway, ApiGatewayPathway):
        proof = f"signed with SigV4 for {pathway.service} in {pathway.region}"
    elif pathway.auth is not None and pathway.auth.type == "sigv4":
        proof = f"signed with SigV4 for {pathway.auth.service} in {pathway.auth.region}"
    elif pathway.auth is not None and pathway.auth.type == "web_identity":
        proof = f"with a token of AWS STS for {pathway.auth.audience}"
    elif pathway.auth is not None and pathway.auth.type == "token_file":
        proof = "with a token from a file"
    else:
        proof = "with no credentials but the signed statement of who clicked"
    return {"type": pathway.type, "url": pathway.url, "proof": proof}


def _route(action: Action) -> dict[str, Any]:
    match = action.match.model_dump(exclude_none=True) if action.match else {}
    request = action.request
    return {
        "match": {kind: list(texts) for kind, texts in match.items()},
        "pathway": action.pathway,
        "request": f"{request.method} {request.path}" if request else None,
        "params": list(action.params),
        "allow": [_admitted(rule) for rule in action.allow],
    }


def _admitted(rule: AllowRule) -> str:
    """Return a rule in words."""
    people = []
    if rule.users:
        anyone = "any" in rule.users
        people.append("every member" if anyone else f"users {', '.join(rule.users)}")
    if rule.user_groups:
        people.append(f"user groups {', '.join(rule.user_groups)}")
    text = " and ".join(people) or "nobody"
    if rule.channels:
        text += f", in {', '.join(rule.channels)}"
    for name, values in rule.params.items():
        text += f", with {name} {' or '.join(json.dumps(value) for value in values)}"
    extra = [word for word, on in (("guests", rule.guests), ("external", rule.external)) if on]
    return f"{text} ({' and '.join(extra)} too)" if extra else text


def _told(summary: Mapping[str, Any]) -> Iterator[str]:
    yield f"Listens on {summary['listens']}, admin on {summary['admin']}."
    yield f"Speaks to {summary['slack']}; keeps runs in {summary['store']}."
    if summary["pathways"]:
        yield "\nPathways"
    for name, pathway in summary["pathways"].items():
        yield f"  {name}: {pathway['type']} to {pathway['url']}, {pathway['proof']}"
    if summary["actions"]:
        yield "\nActions"
    for name, action in summary["actions"].items():
        starts = ", ".join(
            f"{kind} {text}" for kind, texts in action["match"].items() for text in texts
        )
        sends = "a share"
        if action["request"]:
            over = f" over {action['pathway']}" if action["pathway"] else ", inactive: no pathway"
            sends = f"{action['request']}{over}"
        yield f"  {name}: {starts} → {sends}"
        for index, admitted in enumerate(action["allow"] or ["nobody"]):
            yield f"    {'may use it:' if index == 0 else '        or:'} {admitted}"
    if summary["events"]:
        yield from _told_of_events(summary["events"])


def _told_of_events(events: Mapping[str, Any]) -> Iterator[str]:
    yield f"\nShared when it appears, as told by {events['queue']}"
    for name, rule in events["rules"].items():
        yield f"  {name}: {rule['keys']} → {rule['mode']} in {rule['channel']}"
    dead = events["dead_letters"]
    goes = f"goes to {dead}" if dead else "is left to the queue's own redrive policy"
    yield f"  What cannot be followed {goes}."
