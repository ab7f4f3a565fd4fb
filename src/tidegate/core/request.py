"""Build the request that a private service receives, and the statement of who asked."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from tidegate.core.model import Run
from tidegate.core.routes import Route
from tidegate.errors import ParamsError

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+(?:\.[A-Za-z0-9_-]+)?)\}")
_LOCATION: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{1,2000}")
_SEPARATOR: Final = re.compile(r"[/\\]")
_IGNORED: Final = "".join(map(chr, range(33)))  # what a lenient server may strip from a name
_PATH_SAFE: Final = "/{}%:@!$&'()*+,;=~"  # what a configured path may hold as it is
MAX_IDENTITY_SECONDS: Final = 60


def body(route: Route, run: Run) -> bytes:
    """Return the JSON body of a run's request; the same bytes at every attempt."""
    if route.body is None:
        content: Any = {
            "run_id": run.id,
            "action": run.action,
            "action_id": run.action_id,
            "user_id": run.user_id,
            "user_name": run.user_name,
            "team_id": run.team_id,
            "channel_id": run.channel_id,
            "params": dict(run.params),
        }
    else:
        content = _fill(route.body, _values(run))
    return msgspec.json.encode(content)


def path(route: Route, run: Run) -> str:
    """Return the request's path, params as encoded segments."""
    values = _values(run)

    def segment(match: re.Match[str]) -> str:
        value = values.get(match[1])
        text = "" if value is None else _plain(value)
        whole = quote(text, safe="")
        # `refuse_steps` lets none through; what came by another way is at least no plain step.
        return whole if set(text) - {"."} else whole.replace(".", "%2E")

    return _PLACEHOLDER.sub(segment, quote(route.path, safe=_PATH_SAFE))


def refuse_steps(route: Route, run: Run) -> None:
    """Refuse what would be no segment of the path, or a step in it.

    No encoding keeps `..` a name, and some servers decode `%2F`, or cut a segment at `;`,
    before they resolve steps.

    Source: https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2

    Raises:
        ParamsError: A value that stands in the path is empty, or `.` or `..` between slashes.
    """
    values = _values(run)
    for match in _PLACEHOLDER.finditer(route.path):
        name, value = match[1], values.get(match[1])
        field = name.removeprefix("params.") if name.startswith("params.") else None
        if value is None or value == "":
            raise ParamsError(f"`{field or name}` is missing.", field=field)
        if _has_step(_plain(value)):
            raise ParamsError(f"`{field or name}` cannot hold a step such as `..`.", field=field)


def check_path(route: Route, run: Run) -> str:
    """Return the path that tells what became of a run that left no location."""
    return f"{path(route, run).rstrip('/')}/operations/{run.id}"


def claims(
    run: Run,
    *,
    issuer: str,
    audience: str,
    groups: frozenset[str],
    method: str,
    path: str,
    body: bytes,
    now: float,
    nonce: str,
) -> dict[str, Any]:
    """Return the claims of `Tidegate-Identity`: who clicked, bound to this very request."""
    issued = int(now)
    return {
        "iss": issuer,
        "aud": audience,
        "sub": f"slack:{run.team_id}:{run.user_id}",
        "groups": sorted(groups),
        "run": run.id,
        "action": run.action,
        "jti": nonce,
        "iat": issued,
        "exp": issued + MAX_IDENTITY_SECONDS,
        "method": method,
        "path": path,
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }


def safe_location(value: str | None, *, base_path: str) -> str | None:
    """Return where long work is followed, relative to the pathway, or None.

    Only a path is taken, and it stays under the pathway's base: another host, a step
    up, an encoded slash or a query are refused.

    Args:
        value: The `Location` header.
        base_path: The path of the pathway's url, without a slash at its end.
    """
    if value is None or not _LOCATION.fullmatch(value) or value.startswith("//"):
        return None
    decoded = unquote(value)
    if "\\" in decoded or "//" in decoded or decoded.count("/") != value.count("/"):
        return None
    if unquote(decoded) != decoded or _has_step(decoded):
        return None
    if base_path and value.startswith(base_path + "/"):
        return value[len(base_path) :]
    return value


def _has_step(text: str) -> bool:
    parts = _SEPARATOR.split(text)
    return any(part.partition(";")[0].strip(_IGNORED) in {".", ".."} for part in parts)


def _values(run: Run) -> dict[str, Any]:
    values: dict[str, Any] = {f"params.{name}": value for name, value in run.params.items()}
    values |= {
        "actor.user_id": run.user_id,
        "actor.user_name": run.user_name,
        "actor.team_id": run.user_team_id or run.team_id,
        "run_id": run.id,
        "action": run.action,
        "action_id": run.action_id,
        "team_id": run.team_id,
        "channel_id": run.channel_id,
        "message_ts": run.message_ts,
    }
    return values


def _fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Replace a string that is exactly one placeholder by the whole JSON value."""
    if isinstance(template, str):
        exact = _PLACEHOLDER.fullmatch(template)
        known = exact and (exact[1] in values or exact[1].startswith("params."))
        return values.get(exact[1]) if exact and known else template
    if isinstance(template, Mapping):
        return {key: _fill(value, values) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [_fill(value, values) for value in template]
    return template


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
