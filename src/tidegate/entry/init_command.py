"""`tidegate init`: the files of a new set-up, from a few answers."""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tidegate.adapters import folder
from tidegate.core.blueprint import Answers, Blueprint, Home, Pathway, draw
from tidegate.core.blueprint.answers import complaint, flag
from tidegate.core.slack_manifest import public_url
from tidegate.core.text import harmless, harmless_lines
from tidegate.core.web_address import AddressError
from tidegate.errors import ConfigError, Problem

EXAMPLE: Final = """\
examples:
  tidegate init                                  # asks, on a terminal
  tidegate init --pathway direct --socket-mode   # gateway and agent in one cluster
  tidegate init --pathway api_gateway --region eu-west-1 --cluster prod \\
      --url https://tidegate.example.com --namespace staging --user-group S0123ABCD --out setup
  tidegate init --pathway direct --gateway ecs --region eu-west-1 --bucket acme-reports \\
      --url https://tidegate.example.com --dry-run --json
  tidegate init --pathway privatelink --region eu-west-1 --socket-mode --vpc vpc-0123abcd \\
      --parameter ServerName=agent.example.com --parameter load-balancer.VpcId=vpc-4567cdef

pathways: api_gateway: through API Gateway and a VPC link · direct: straight, from the same
network · privatelink: through an endpoint, from another network. docs/configuration.md

Nothing is done in Slack, AWS or the cluster: NEXT.md says what to do, in order.

exit codes: 0 written · 1 not written: a file is there already, or the folder cannot be written ·
2 wrong usage
"""
MAX_ANSWER: Final = 2000


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    parser = subparsers.add_parser(
        "init",
        help="write the files of a new set-up: configuration, Slack app, stacks, Helm values",
        description="Write the files of a new set-up that belong together: tidegate.yaml, the "
        "Slack app's manifest, parameters of the CloudFormation templates, Helm values, and "
        "NEXT.md with the commands to run.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_argument_group("where")
    where.add_argument("--pathway", choices=[each.value for each in Pathway])
    where.add_argument(
        "--gateway",
        choices=[each.value for each in Home],
        help="where the gateway runs: on ECS, or in the cluster (as it is with direct)",
    )
    where.add_argument("--region", metavar="REGION", help="the AWS region")
    where.add_argument("--cluster", metavar="NAME", help="the EKS cluster's name")
    where.add_argument(
        "--namespace", metavar="NAME", action="append", help="whose workloads may be acted on"
    )
    where.add_argument("--bucket", metavar="NAME", help="a bucket to share from, which is made")
    where.add_argument("--vpc", metavar="ID", help="the VPC that the gateway runs in")
    where.add_argument("--subnet", metavar="ID", action="append", help="a private subnet of it")
    where.add_argument(
        "--parameter",
        metavar="[TEMPLATE.]NAME=VALUE",
        action="append",
        help="what a template leaves open, as NEXT.md lists it",
    )
    where.add_argument("--registry", metavar="HOST/PATH", help="where the two images are")
    where.add_argument("--name", default="tidegate", help="what names begin with (tidegate)")
    slack = parser.add_argument_group("Slack")
    slack.add_argument("--url", metavar="https://…", help="the gateway's public address")
    slack.add_argument(
        "--socket-mode", action="store_true", help="no public address: the gateway connects"
    )
    slack.add_argument("--user", metavar="ID", action="append", help="a member who may use it")
    slack.add_argument("--team", metavar="ID", help="the workspace, where a --user is named")
    slack.add_argument(
        "--user-group", metavar="ID", action="append", help="a user group that may use it"
    )
    slack.add_argument("--channel", metavar="ID", action="append", help="only in this channel")
    parser.add_argument("--out", metavar="DIR", default=".", help="the folder (this one)")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.add_argument(
        "--dry-run", action="store_true", help="write nothing; say what it would be"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files, say what to do with them, and return the exit code."""
    if _missing(args):
        if args.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError(tuple(_missing(args)))
        _ask(args)
    drawn = draw(_answers(args))
    files = {file.name: file.text for file in drawn.files}
    target = Path(args.out)
    try:
        taken = folder.taken(target, files)
        if not args.dry_run:
            folder.write(target, files, force=args.force)
    except folder.TakenError as error:
        return _refused(args, error.names)
    except OSError as error:
        return _failed(args, f"{error.filename or target}: {error.strerror}")
    if args.json:
        _print(json.dumps(_as_json(args, drawn, taken), indent=2))
    else:
        _print(harmless_lines(_as_text(args, drawn, taken)))
    return 0


# --- answers --------------------------------------------------------------------------------


def _missing(args: argparse.Namespace) -> list[Problem]:
    """Return what has to be said and was not."""
    found: list[Problem] = []
    if args.pathway is None:
        found.append(_problem("pathway", "write --pathway api_gateway, direct or privatelink"))
    if args.url is None and not args.socket_mode:
        mend = "write --url https://… with the gateway's public address, or --socket-mode"
        found.append(_problem("url", mend))
    on_aws = _home(args) is Home.ECS or args.bucket is not None
    if args.pathway is not None and on_aws and args.region is None:
        found.append(_problem("region", "write --region eu-west-1, or yours"))
    return found


def _problem(answer: str, mend: str) -> Problem:
    return Problem(line=None, column=None, key=flag(answer), what="it is missing", mend=mend)


def _home(args: argparse.Namespace) -> Home:
    if args.gateway is not None:
        return Home(args.gateway)
    return Home.CLUSTER if args.pathway == Pathway.DIRECT else Home.ECS


def _answers(args: argparse.Namespace) -> Answers:
    url: str | None = args.url
    if url is not None:
        try:
            url = public_url(url)
        except AddressError as error:
            problem = Problem(line=None, column=None, key="--url", what=error.what, mend=error.mend)
            raise ConfigError((problem,)) from None
    given: dict[str, Any] = {"registry": args.registry} if args.registry is not None else {}
    return Answers(
        pathway=Pathway(args.pathway),
        home=_home(args),
        name=args.name,
        region=args.region,
        cluster=args.cluster,
        namespaces=_listed(args.namespace) or ("default",),
        bucket=args.bucket,
        url=url,
        socket_mode=args.socket_mode,
        users=_listed(args.user),
        user_groups=_listed(args.user_group),
        team=args.team,
        channels=_listed(args.channel),
        vpc=args.vpc,
        subnets=_listed(args.subnet),
        parameters=_pairs(args.parameter),
        **given,
    )


def _pairs(given: list[str] | None) -> tuple[tuple[str, str], ...]:
    split = [text.partition("=") for text in given or ()]
    return tuple({name: value for name, _, value in split}.items())


def _listed(given: list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(given or ()))


# --- asking ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Something to ask, unless a flag said it.

    Attributes:
        argument: The attribute of the arguments that it becomes.
        answer: Which answer it is, which knows what it may be.
        text: What is asked.
        default: What an empty line means; None where something has to be said.
        choices: The only answers there are, where there are but a few.
        many: Several are given, with spaces between them.
    """

    argument: str
    answer: str
    text: str
    default: str | None = ""
    choices: tuple[str, ...] = ()
    many: bool = False


def _ask(args: argparse.Namespace) -> None:
    """Ask on the terminal for what no flag said."""
    _print(
        "A few questions; Enter takes what stands in brackets. Ctrl-C ends it, with nothing done."
    )
    _one(
        args,
        _Question(
            argument="pathway",
            answer="pathway",
            text=_PATHWAYS,
            default="direct",
            choices=tuple(each.value for each in Pathway),
        ),
    )
    if args.pathway == Pathway.DIRECT:
        _one(
            args,
            _Question(
                argument="gateway",
                answer="home",
                text=_HOMES,
                default="cluster",
                choices=tuple(each.value for each in Home),
            ),
        )
    for question in _QUESTIONS:
        if question.argument == "url" and args.socket_mode:
            continue
        if question.argument == "team" and not args.user:
            continue
        if question.argument == "region" and _home(args) is Home.CLUSTER and not args.bucket:
            continue
        _one(args, question)
    args.socket_mode = args.socket_mode or not args.url
    args.url = args.url or None


_PATHWAYS: Final = """\
How does a click reach the cluster?
  api_gateway  through API Gateway and a VPC link: the gateway may run anywhere in AWS
  direct       straight: the gateway runs in the cluster, or on ECS in its network
  privatelink  through an endpoint: the gateway runs in another network
Pathway"""
_HOMES: Final = "Where does the gateway run: cluster or ecs"
_QUESTIONS: Final = (
    _Question(argument="bucket", answer="bucket", text="A bucket to share files from, if any"),
    _Question(argument="region", answer="region", text="AWS region", default=None),
    _Question(argument="cluster", answer="cluster", text="The EKS cluster's name, if it is one"),
    _Question(
        argument="namespace",
        answer="namespaces",
        text="Namespaces whose workloads may be acted on",
        default="default",
        many=True,
    ),
    _Question(
        argument="url",
        answer="url",
        text="The gateway's public https:// address (none: Socket Mode)",
    ),
    _Question(
        argument="user_group",
        answer="user_groups",
        text="Slack user groups that may use it, by id (S…), if any",
        many=True,
    ),
    _Question(
        argument="user",
        answer="users",
        text="Slack members who may use it, by id (U…), if any",
        many=True,
    ),
    _Question(argument="team", answer="team", text="The Slack workspace's id (T…)", default=None),
    _Question(
        argument="channel",
        answer="channels",
        text="Only in these channels, by id (C…); none: in all",
        many=True,
    ),
)


def _one(args: argparse.Namespace, question: _Question) -> None:
    """Ask until the answer can be one."""
    if getattr(args, question.argument):
        return
    while True:
        said = _read(question) or question.default
        if said is None:
            _print(f"  It has to be known; {complaint(question.answer, '') or 'write it'}.")
            continue
        texts = said.split() if question.many else [said] if said else []
        wrong = [mend for text in texts if (mend := _wrong(question, text)) is not None]
        if not wrong:
            found = texts if question.many else next(iter(texts), None)
            setattr(args, question.argument, found or None)
            return
        _print(harmless(f"  That is not one: {wrong[0]}."))


def _wrong(question: _Question, text: str) -> str | None:
    if question.choices:
        return None if text in question.choices else f"write {' or '.join(question.choices)}"
    return complaint(question.answer, text)


def _read(question: _Question) -> str:
    default = f" [{question.default}]" if question.default else ""
    try:
        return input(f"{question.text}{default}: ")[:MAX_ANSWER].strip()
    except EOFError:
        what = "the answers ended before all was said"
        mend = f"answer, or write {flag(question.answer)}"
        problem = Problem(line=None, column=None, key=flag(question.answer), what=what, mend=mend)
        raise ConfigError((problem,)) from None


# --- telling --------------------------------------------------------------------------------


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _refused(args: argparse.Namespace, names: tuple[str, ...]) -> int:
    what = f"there already, and not the same: {', '.join(names)}"
    mend = "name another folder with --out, or replace them with --force"
    return _failed(args, f"{what}. Nothing was written; {mend}")


def _failed(args: argparse.Namespace, what: str) -> int:
    if args.json:
        _print(json.dumps({"ok": False, "folder": args.out, "error": what}))
    sys.stderr.write(f"tidegate: {harmless(what)}.\n")
    return 1


def _as_json(
    args: argparse.Namespace, drawn: Blueprint, taken: tuple[str, ...]
) -> Mapping[str, Any]:
    files = [
        {
            "name": file.name,
            "replaces": file.name in taken,
            **({"text": file.text} if args.dry_run else {}),
        }
        for file in drawn.files
    ]
    return {
        "ok": True,
        "dry_run": args.dry_run,
        "folder": args.out,
        "files": files,
        "notes": list(drawn.notes),
        "steps": list(drawn.steps),
    }


def _as_text(args: argparse.Namespace, drawn: Blueprint, taken: tuple[str, ...]) -> str:
    verb = "Would write" if args.dry_run else "Written"
    lines = [f"{verb} in {args.out}:"]
    for file in drawn.files:
        there = " (replaces what is there)" if file.name in taken else ""
        if file.name in taken and args.dry_run and not args.force:
            there = " (something else is there: it would take --force)"
        lines.append(f"  {file.name}{there}")
    lines += [f"Note: {note}" for note in drawn.notes]
    lines += ["", "Next, as NEXT.md says with every command:"]
    lines += [f"  {number}. {step}" for number, step in enumerate(drawn.steps, start=1)]
    return "\n".join(lines)
