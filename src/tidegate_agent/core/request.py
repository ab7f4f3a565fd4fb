"""A body becomes an order: every param typed and bounded, or refused with what and where.

What a person can type arrives as text, so whole numbers and yes/no are taken as text as well.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate_agent.core.kinds import DAEMON_SET, WORKLOADS, Kind
from tidegate_agent.errors import InputError

MAX_BODY_BYTES: Final = 256 * 1024
MAX_IMAGE_CHARS: Final = 512
MAX_REPLICAS: Final = 10_000
MAX_REVISION: Final = 2**53
MAX_LINES: Final = 5_000
MAX_SINCE_SECONDS: Final = 30 * 86_400
DEFAULT_LINES: Final = 50

#: What a request to Tidegate's services says beside `params`; who asked is in the statement only.
ENVELOPE: Final = frozenset(
    {
        "run_id",
        "action",
        "action_id",
        "user_id",
        "user_name",
        "team_id",
        "channel_id",
        "message_ts",
        "params",
    }
)

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_DIGITS: Final = re.compile(r"[0-9]{1,16}")
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The workload that an order is about."""

    namespace: str
    kind: Kind
    name: str

    @property
    def words(self) -> str:
        """Return it as people are told: `web in staging`."""
        return f"{self.name} in {self.namespace}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What every order that changes something says.

    Attributes:
        dry_run: Only tell what would change.
        force: Do it although GitOps or an autoscaler owns what it changes.
    """

    target: Target
    dry_run: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy(Change):
    """Give a container another image; None is the only one that there is."""

    image: str
    container: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale(Change):
    """Have so many pods."""

    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart(Change):
    """Replace every pod by a new one like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Change):
    """Go back to a revision; 0 is the one before the present one."""

    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Tell how a workload is, or all of a namespace."""

    namespace: str
    target: Target | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """Show the last lines that a workload's containers wrote.

    Attributes:
        container: None is the only one that there is.
        pod: None is the one whose lines help most.
        tail: How many lines.
        since_seconds: Nothing older than so many seconds.
        previous: What the container wrote before it was last started again.
    """

    target: Target
    container: str | None = None
    pod: str | None = None
    tail: int = DEFAULT_LINES
    since_seconds: int | None = None
    previous: bool = False


ChangeOrder = Deploy | Scale | Restart | Rollback
Order = ChangeOrder | Status | Logs

_PLACE: Final = frozenset({"namespace", *WORKLOADS})
_CHANGE: Final = _PLACE | {"dry_run", "force"}
#: The params that each verb takes.
PARAMS: Final[Mapping[str, frozenset[str]]] = {
    "deploy": _CHANGE | {"image", "container"},
    "scale": _CHANGE | {"replicas"},
    "restart": _CHANGE,
    "rollback": _CHANGE | {"revision"},
    "status": _PLACE,
    "logs": _PLACE | {"container", "pod", "tail", "since", "previous"},
}
CHANGES: Final = ("deploy", "scale", "restart", "rollback")


def params(body: bytes, *, key: str | None = None) -> Mapping[str, Any]:
    """Return the params in a body: its member `params`, or the body itself where it has none.

    Args:
        body: As it came.
        key: The Idempotency-Key, which `run_id` must be where the body has one.

    Raises:
        InputError: It is not a JSON object, says something twice, or has members unknown here.
    """
    content = _object(body)
    if "params" not in content:
        return content
    inner = content["params"]
    if not isinstance(inner, dict):
        raise InputError("`params` is not a JSON object.", field="params")
    unknown = sorted(content.keys() - ENVELOPE)
    if unknown:
        raise InputError(f"There is no `{_shown(unknown[0])}` beside `params`.", field=unknown[0])
    if key is not None and content.get("run_id", key) != key:
        raise InputError("`run_id` is not the Idempotency-Key.", field="run_id")
    return inner


def order(verb: str, given: Mapping[str, Any], *, namespace: str | None = None) -> Order:
    """Return what is asked for.

    Args:
        verb: One of `PARAMS`.
        given: The params.
        namespace: Where, if they do not say.

    Raises:
        InputError: A param is missing, unknown, of another type or out of bounds.
    """
    known = PARAMS[verb]
    given = {name: value for name, value in given.items() if value is not None}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise InputError(
            f"There is no param `{_shown(unknown[0])}`; {verb} takes {', '.join(sorted(known))}.",
            field=unknown[0],
        )
    place = _namespace(given, namespace)
    target = _target(given, place)
    match verb:
        case "status":
            return Status(namespace=place, target=target)
        case "logs":
            return _logs(given, _required(target))
        case _:
            return _change(verb, given, _required(target))


def canonical(asked: ChangeOrder) -> dict[str, Any]:
    """Return an order as JSON has it: `order` makes it again, whatever the default namespace is."""
    said: dict[str, Any] = {
        "namespace": asked.target.namespace,
        asked.target.kind.kind.lower(): asked.target.name,
        "dry_run": asked.dry_run,
        "force": asked.force,
    }
    match asked:
        case Deploy():
            said |= {"image": asked.image, "container": asked.container}
        case Scale():
            said |= {"replicas": asked.replicas}
        case Rollback():
            said |= {"revision": asked.revision}
        case Restart():
            pass
    return {name: value for name, value in said.items() if value is not None}


def verb_of(asked: ChangeOrder) -> str:
    """Return the verb that asks for it."""
    return type(asked).__name__.lower()


def digest(asked: ChangeOrder, subject: str) -> str:
    """Return what two requests have in common by which one person asks for the same (hex)."""
    said = [verb_of(asked), canonical(asked), subject]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _change(verb: str, given: Mapping[str, Any], target: Target) -> ChangeOrder:
    dry_run, force = _flag(given, "dry_run"), _flag(given, "force")
    match verb:
        case "deploy":
            return Deploy(
                target=target,
                dry_run=dry_run,
                force=force,
                image=_image(given),
                container=_name(given, "container", _LABEL),
            )
        case "scale":
            if target.kind is DAEMON_SET:
                raise InputError(
                    "A daemon set has one pod on each node: it cannot be scaled.", field="daemonset"
                )
            replicas = _whole(given, "replicas", 0, MAX_REPLICAS)
            if replicas is None:
                raise InputError("Say how many `replicas`.", field="replicas")
            return Scale(target=target, dry_run=dry_run, force=force, replicas=replicas)
        case "restart":
            return Restart(target=target, dry_run=dry_run, force=force)
        case _:
            revision = _whole(given, "revision", 0, MAX_REVISION) or 0
            return Rollback(target=target, dry_run=dry_run, force=force, revision=revision)


def _logs(given: Mapping[str, Any], target: Target) -> Logs:
    return Logs(
        target=target,
        container=_name(given, "container", _LABEL),
        pod=_name(given, "pod", _SUBDOMAIN),
        tail=_whole(given, "tail", 1, MAX_LINES) or DEFAULT_LINES,
        since_seconds=_since(given),
        previous=_flag(given, "previous"),
    )


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise InputError(f"A request may hold {MAX_BODY_BYTES // 1024} KiB.", status=413)
    try:
        content = json.loads(body, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InputError("The body is not a JSON object.") from None
    if not isinstance(content, dict):
        raise InputError("The body is not a JSON object.")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InputError("The body says the same member twice.")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("not JSON")


def _namespace(given: Mapping[str, Any], default: str | None) -> str:
    namespace = _name(given, "namespace", _LABEL) or default
    if namespace is None:
        raise InputError("Say in which `namespace`.", field="namespace")
    return namespace


def _target(given: Mapping[str, Any], namespace: str) -> Target | None:
    named = [name for name in WORKLOADS if name in given]
    if len(named) > 1:
        raise InputError(f"Say `{named[0]}` or `{named[1]}`, not both.", field=named[1])
    if not named:
        return None
    name = _name(given, named[0], _SUBDOMAIN)
    return Target(namespace=namespace, kind=WORKLOADS[named[0]], name=str(name))


def _required(target: Target | None) -> Target:
    if target is None:
        raise InputError("Say which `deployment`.", field="deployment")
    return target


def _name(given: Mapping[str, Any], field: str, shape: re.Pattern[str]) -> str | None:
    value = given.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise InputError(
            f"`{field}` is not a name as Kubernetes has them: lower-case letters, digits and "
            "hyphens.",
            field=field,
        )
    return value


def _image(given: Mapping[str, Any]) -> str:
    value = given.get("image")
    if value is None:
        raise InputError("Say which `image` to deploy, such as web:2.4.1.", field="image")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_IMAGE_CHARS:
        raise InputError(
            f"`image` is not a text of 1 to {MAX_IMAGE_CHARS} characters.", field="image"
        )
    return value


def _whole(given: Mapping[str, Any], field: str, least: int, most: int) -> int | None:
    value = given.get(field)
    if value is None:
        return None
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"`{field}` is not a whole number from {least} to {most}.", field=field)
    return value


def _flag(given: Mapping[str, Any], field: str) -> bool:
    value = given.get(field, False)
    if isinstance(value, str) and value in {"true", "false"}:
        return value == "true"
    if not isinstance(value, bool):
        raise InputError(f"`{field}` is neither true nor false.", field=field)
    return value


def _since(given: Mapping[str, Any]) -> int | None:
    value = given.get("since")
    if value is None:
        return None
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= MAX_SINCE_SECONDS:
        raise InputError("`since` is not a time such as 90s, 15m, 2h or 1d.", field="since")
    return seconds


def _shown(name: str) -> str:
    """Return a name from outside as it may stand in a sentence."""
    plain = "".join(sign if sign.isalnum() or sign in "-_." else "?" for sign in name)
    return plain if len(plain) <= 40 else plain[:39] + "…"
