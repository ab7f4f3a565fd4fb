"""What the API server refuses, as our errors.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tidegate_agent.errors import (
    AlreadyExistsError,
    AmbiguousError,
    BusyError,
    Cause,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    KubernetesError,
    NotFoundError,
    UnauthorizedError,
)

MAX_WAIT_SECONDS: Final = 60.0
_DEFAULT_WAIT_SECONDS: Final = 1.0
_MAX_CAUSES: Final = 20
# The words of `ForbiddenMessage` in k8s.io/apiserver/pkg/endpoints/handlers/responsewriters.
_MISSING_RIGHT: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)"'
    r' in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)'
)


def error_of(
    code: int, body: bytes, *, retry_after: str | None = None, changes: bool = False
) -> KubernetesError:
    """Return the error that an answer stands for.

    Args:
        code: The HTTP status, 300 or more.
        body: A Status object, or whatever came instead of one.
        retry_after: The header of that name.
        changes: Whether the request may have changed something.
    """
    status = _object(body)
    message = str(status.get("message") or f"the API server answered {code}")
    reason = _text(status.get("reason"))
    match code:
        case 401:
            return UnauthorizedError(message, code=code, reason=reason)
        case 403:
            return _forbidden(message, reason)
        case 404:
            return NotFoundError(message, code=code, reason=reason)
        case 409 if reason == "AlreadyExists":
            return AlreadyExistsError(message, code=code, reason=reason)
        case 409:
            return ConflictError(message, code=code, reason=reason)
        case 410:
            return ExpiredError(message, code=code, reason=reason)
        case 400 | 422:
            causes = _causes(status)
            return InvalidError(message, causes=causes, code=code, reason=reason)
        case 408 | 429 | 503:
            return BusyError(message, retry_after=_wait(retry_after, status), code=code)
        case _ if code >= 500 and changes:
            return AmbiguousError(message, code=code, reason=reason)
        case _:
            return KubernetesError(message, code=code, reason=reason)


def _forbidden(message: str, reason: str) -> ForbiddenError:
    found = _MISSING_RIGHT.search(message)
    if found is None:  # an admission policy says no in words of its own
        return ForbiddenError(message, reason=reason or "Forbidden")
    plural, slash, subresource = found["resource"].partition("/")
    qualified = f"{plural}.{found['group']}" if found["group"] else plural
    return ForbiddenError(
        message,
        user=found["user"],
        verb=found["verb"],
        resource=f"{qualified}{slash}{subresource}",
        namespace=found["namespace"] or "",
        reason=reason or "Forbidden",
    )


def _causes(status: Mapping[str, Any]) -> list[Cause]:
    listed = _mapping(status.get("details")).get("causes")
    causes = [_mapping(each) for each in listed] if isinstance(listed, list) else []
    return [
        Cause(
            field=_text(each.get("field")),
            reason=_text(each.get("reason")),
            message=_text(each.get("message")),
        )
        for each in causes[:_MAX_CAUSES]
    ]


def _wait(header: str | None, status: Mapping[str, Any]) -> float:
    """Return the seconds to wait: what the header says, else the Status object."""
    said = _mapping(status.get("details")).get("retryAfterSeconds")
    if header is not None and header.isascii() and header.isdecimal():
        seconds = float(header[:9])
    elif isinstance(said, int) and not isinstance(said, bool) and said > 0:
        seconds = float(said)
    else:
        seconds = _DEFAULT_WAIT_SECONDS
    return min(seconds, MAX_WAIT_SECONDS)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value[:300] if isinstance(value, str) else ""
