"""The command `tidegate agent`."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tidegate_agent.entry.document import Problem
from tidegate_agent.entry.format import json_schema
from tidegate_agent.entry.openapi import openapi
from tidegate_agent.entry.settings import Settings, SettingsError

EPILOG: Final = """\
examples:
  tidegate agent --config /etc/tidegate/agent.yaml
  tidegate agent --config agent.yaml --check      # before you start it
  tidegate agent --schema > agent.schema.json     # for your editor
  tidegate agent --openapi > agent.openapi.json   # for whoever calls it

In a pod it speaks to the cluster as the pod's service account; elsewhere it takes KUBECONFIG or
~/.kube/config. Stops on SIGTERM or SIGINT: finishes what is in flight and exits with 0.

exit codes: 0 done · 1 --check found problems · 2 wrong usage or a configuration that cannot be used
"""


def main(argv: list[str]) -> int:
    """Run the agent, or check its configuration; return the exit code."""
    # Until the event loop listens for it: an agent that has taken nothing yet ends well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    if options.schema:
        sys.stdout.write(f"{json.dumps(json_schema(), indent=2)}\n")
        return 0
    if options.openapi:
        sys.stdout.write(f"{json.dumps(openapi(), indent=2)}\n")
        return 0
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    # Imported late, so that --help and --schema are instant.
    from tidegate_agent.entry import wiring
    from tidegate_agent.entry.service import run

    file = wiring.file_of(options.config, wiring.environment())
    try:
        configuration = wiring.load(file, wiring.environment())
        if not options.check:
            asyncio.run(run(partial(wiring.assemble, configuration)))
            return 0
    except OSError as error:
        sys.stderr.write(f"{file}: cannot be read: {error.strerror}. Name one with --config.\n")
        return 2
    except SettingsError as error:
        if options.check:
            return _report(Report(file=file, problems=error.problems), as_json=options.json)
        sys.stderr.writelines(f"{_line(file, problem)}\n" for problem in error.problems)
        return 2
    # What is not on this machine says nothing of the file, which is checked where it is reviewed.
    missing = tuple(wiring.problems(configuration))
    found = Report(file=file, warnings=missing, settings=configuration.settings)
    return _report(found, as_json=options.json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found."""

    file: Path
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    settings: Settings | None = None


def _report(found: Report, *, as_json: bool) -> int:
    """Return the exit code, once it is told what was found."""
    if as_json:
        told = {
            "ok": not found.problems,
            "file": str(found.file),
            "problems": [asdict(problem) for problem in found.problems],
            "warnings": [asdict(problem) for problem in found.warnings],
        }
        sys.stdout.write(f"{json.dumps(told, indent=2)}\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(found))
    return 1 if found.problems else 0


def _lines(found: Report) -> Iterator[str]:
    yield from (_line(found.file, problem) for problem in found.problems)
    yield from (_line(found.file, problem, "warning: ") for problem in found.warnings)
    if found.settings is not None:
        yield f"{found.file} is fine.\n"
        yield from _told(found.settings)


def _line(file: Path, problem: Problem, kind: str = "") -> str:
    place = f"{file}" if problem.line is None else f"{file}:{problem.line}"
    key = f"{problem.key}: " if problem.key else ""
    return f"{place}: {kind}{key}{problem.what} — mend: {problem.mend}"


def _told(settings: Settings) -> Iterator[str]:
    """Yield what the file would do, in sentences."""
    listen, rules = settings.listen, settings.rules
    tls = "plain HTTP" if listen.tls is None else "TLS"
    if listen.tls is not None and listen.tls.client_ca is not None:
        tls += ", clients show a certificate"
    yield f"Listens on {listen.host}:{listen.port} ({tls})."
    yield f"Takes statements of {rules.issuer} addressed to {rules.audience}."
    if settings.callers is not None:
        accounts = sorted(
            user.removeprefix("system:serviceaccount:") for user in settings.callers.users
        )
        yield f"Callers show a token of {', '.join(accounts)}."
    acts = "as group tidegate:ROLE" if rules.impersonate else "as itself, after an access review"
    yield f"Acts in the cluster {acts}; keeps records in {rules.home}."
    yield "\nRoles"
    for role in rules.roles.roles:
        people = ", ".join(sorted(role.groups | role.people))
        yield f"  {role.name}: {people} in {', '.join(role.namespaces)}"
    if not rules.roles.roles:
        yield "  none: nobody may do anything"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate agent",
        description="Carry out inside a Kubernetes cluster what people ask for in Slack.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration; else TIDEGATE_AGENT_CONFIG, else ./agent.yaml",
    )
    parser.add_argument(
        "--check", action="store_true", help="list every problem, or tell what the file would do"
    )
    parser.add_argument("--json", action="store_true", help="with --check, print one JSON object")
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of the file and stop"
    )
    parser.add_argument(
        "--openapi", action="store_true", help="print the OpenAPI document of its answers and stop"
    )
    return parser
