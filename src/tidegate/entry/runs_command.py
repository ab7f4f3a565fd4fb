"""`tidegate runs`: list and show runs, settle an unknown one, start one anew."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from msgspec import structs

from tidegate.adapters.clock import SystemClock
from tidegate.core import keys, plan
from tidegate.core.lifecycle import is_final
from tidegate.core.model import AuditEntry, Change, Run, RunId, State, run_id
from tidegate.core.text import harmless
from tidegate.entry import wiring
from tidegate.entry.admin import entry_as_json, run_as_json
from tidegate.entry.arguments import add_config
from tidegate.errors import NoSuchRunError, NotAllowedNowError
from tidegate.ports import RunFilter, Store

EXAMPLE: Final = """\
examples:
  tidegate runs                                  # the newest
  tidegate runs list --state unknown --json
  tidegate runs show 01JD8S3Q9X2V4W6Y8Z0A1B2C3D
  tidegate runs resolve 01JD8S3Q9X2V4W6Y8Z0A1B2C3D succeeded --note "seen in the cluster"
  tidegate runs retry 01JD8S3Q9X2V4W6Y8Z0A1B2C3D --dry-run
"""
_Found = TypeVar("_Found")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    parser = subparsers.add_parser(
        "runs",
        help="list, show, resolve and retry runs",
        description="List and show runs, settle an unknown one, start one anew.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _options(parser)
    parser.set_defaults(
        run=run, job=_list, json=False, state=None, action=None, user=None, limit=50
    )
    jobs = parser.add_subparsers(title="jobs", metavar="JOB")
    listing = jobs.add_parser("list", help="list runs, newest first (the default)")
    listing.add_argument("--state", choices=[state.value for state in State])
    listing.add_argument("--action", metavar="NAME", help="an action's name in the configuration")
    listing.add_argument("--user", metavar="ID", help="a person's id in Slack")
    listing.add_argument("--limit", type=int, default=50, metavar="N")
    _options(listing)
    listing.set_defaults(job=_list)
    showing = jobs.add_parser("show", help="show one run and its audit trail")
    _one(showing)
    showing.set_defaults(job=_show)
    resolving = jobs.add_parser("resolve", help="settle a run whose outcome is unknown")
    _one(resolving)
    resolving.add_argument("outcome", choices=["succeeded", "failed"])
    resolving.add_argument("--note", default="", metavar="TEXT", help="shown in Slack")
    resolving.add_argument("--dry-run", action="store_true", help="only say what would be done")
    resolving.set_defaults(job=_resolve)
    retrying = jobs.add_parser("retry", help="start an ended run anew, as a run of its own")
    _one(retrying)
    retrying.add_argument("--dry-run", action="store_true", help="only say what would be done")
    retrying.set_defaults(job=_retry)


def run(args: argparse.Namespace) -> int:
    """Do the job on the configured store."""
    configuration = wiring.load(args.config)
    hidden = plan.hidden_params(configuration.settings)

    async def do() -> int:
        store = await wiring.open_store(configuration, existing=True)
        try:
            code: int = await args.job(args, store, hidden)
        except NoSuchRunError:
            said = f"There is no run {harmless(args.run_id)}. `tidegate runs` lists them.\n"
            sys.stderr.write(said)
            return 1
        except NotAllowedNowError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        finally:
            await store.close()
        return code

    return asyncio.run(do())


def _options(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_id", metavar="RUN", help="a run's id")
    _options(parser)


async def _list(
    args: argparse.Namespace, store: Store, hidden: Mapping[str, frozenset[str]]
) -> int:
    which = RunFilter(
        state=State(args.state) if args.state else None,
        action=args.action,
        user_id=args.user,
        limit=max(1, min(args.limit, 1000)),
    )
    found = await store.runs(which)
    if args.json:
        _print_json({"runs": [run_as_json(one, hidden) for one in found]})
        return 0
    if not found:
        print("No runs yet." if which.state is None else "No such runs.")
    for one in found:
        place = one.channel_id or "-"
        reason = f"  {one.reason}" if one.reason else ""
        line = (
            f"{one.id}  {_time(one.created_at)}  {one.state.value:<9}  {one.action:<20}  "
            f"{one.user_id:<12} {place:<12}{reason}"
        )
        print(harmless(line))
    return 0


async def _show(
    args: argparse.Namespace, store: Store, hidden: Mapping[str, frozenset[str]]
) -> int:
    one = await _found(args, store)
    entries = await store.audit(run_id=one.id)
    if args.json:
        audit = [entry_as_json(entry) for entry in entries]
        _print_json({"run": run_as_json(one, hidden), "audit": audit})
        return 0
    for key, value in run_as_json(one, hidden).items():
        if value not in (None, "", {}):
            shown = _time(value) if key.endswith(("_at", "_by")) else value
            print(f"{key:<14} {harmless(shown)}")
    print("\naudit")
    for entry in entries:
        print(f"  {harmless(_line(entry))}")
    return 0


async def _resolve(
    args: argparse.Namespace, store: Store, hidden: Mapping[str, frozenset[str]]
) -> int:
    one = await _found(args, store)
    if one.state is not State.UNKNOWN:
        raise NotAllowedNowError(f"The run is {one.state.value}; only an unknown one is settled.")
    if not args.dry_run:
        one = await store.settle(
            one.id,
            Change(
                state=State(args.outcome),
                reason="operator",
                message=args.note[:3000],
                actor=_operator(),
            ),
        )
    return _said(args, one, hidden, f"is {args.outcome} now", f"would become {args.outcome}")


async def _retry(
    args: argparse.Namespace, store: Store, hidden: Mapping[str, frozenset[str]]
) -> int:
    old = await _found(args, store)
    if not is_final(old.state):
        raise NotAllowedNowError(f"The run is {old.state.value}; only an ended one is retried.")
    new = _again(old)
    if not args.dry_run:
        new = await store.retry(old.id, new, actor=_operator())
    return _said(args, new, hidden, "is queued", "would be queued")


def _again(old: Run) -> Run:
    clock = SystemClock()
    now = clock.now()
    new_id = run_id(now, clock.entropy(10))
    return structs.replace(
        old,
        id=new_id,
        state=State.QUEUED,
        parent_id=old.id,
        delivery_key=f"retry:{new_id}",
        # A failure gave the key back; while the retry runs, a press of the button joins it.
        effect_key=keys.effect_key_of(old),
        response_url=None,
        created_at=now,
        updated_at=now,
        start_by=now + (old.start_by - old.created_at),
        deadline_at=now + (old.deadline_at - old.created_at),
        next_at=now,
        started_at=None,
        finished_at=None,
        attempts=0,
        polls=0,
        location=None,
        reason="",
        http_status=None,
        status_text="",
        message="",
        progress=None,
        steps=None,
    )


async def _found(args: argparse.Namespace, store: Store) -> Run:
    one = await store.run(RunId(args.run_id))
    if one is None:
        raise NoSuchRunError(args.run_id)
    return one


def _said(
    args: argparse.Namespace,
    one: Run,
    hidden: Mapping[str, frozenset[str]],
    done: str,
    would: str,
) -> int:
    if args.json:
        _print_json({"dry_run": args.dry_run, "run": run_as_json(one, hidden)})
    else:
        print(f"{one.id} {would if args.dry_run else done}.")
    return 0


def _operator() -> str:
    environ = wiring.environment()
    return f"operator:{environ.get('SUDO_USER') or environ.get('USER') or 'unnamed'}"


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, indent=2))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _line(entry: AuditEntry) -> str:
    reason = f"  ({entry.reason})" if entry.reason else ""
    return f"{_time(entry.at)}  {entry.event:<24} {entry.actor}{reason}"
