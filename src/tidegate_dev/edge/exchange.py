"""What is remembered of a request: enough to see what became of it, and none of its secrets."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from tidegate_dev.edge.answers import Answer, Headers
from tidegate_dev.sigv4_check import ReceivedRequest

MAX_SHOWN_ANSWER_BYTES: Final = 64 * 1024

_MASKED: Final = frozenset({"x-amz-security-token", "tidegate-identity", "cookie"})
_SIGNATURE: Final = re.compile(r"Signature=[0-9A-Za-z]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what became of it, fit to be shown: no signature, token or statement.

    Attributes:
        at: When it came in, ISO 8601.
        verdict: `accepted`, or the name of what stopped it.
        message: What the caller was told when it was stopped.
        run_id: The run that the request belongs to, from its `Idempotency-Key`.
        forwarded: Whether the private service was asked.
        answer: What the private service answered, if that is a JSON object and not too long.
    """

    request_id: str
    at: str
    method: str
    path: str
    headers: Headers
    canonical_request: str
    string_to_sign: str
    verdict: str
    message: str
    status: int
    ms: float
    run_id: str
    forwarded: bool
    answer: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the exchange as JSON has it."""
        return asdict(self)


def exchange_of(
    request: ReceivedRequest, answer: Answer, *, request_id: str, at: str, ms: float
) -> Exchange:
    """Return what may be shown of a request and its answer."""
    query = f"?{text(request.raw_query)}" if request.raw_query else ""
    return Exchange(
        request_id=request_id,
        at=at,
        method=request.method,
        path=(text(request.raw_path) + query)[:2000],
        headers=[_masked(text(name), text(value)) for name, value in request.headers][:100],
        canonical_request=_masked_canonical(answer.check.canonical_request),
        string_to_sign=answer.check.string_to_sign,
        verdict=answer.verdict,
        message=answer.message,
        status=answer.status,
        ms=round(ms, 2),
        run_id=first(request.values(b"idempotency-key"))[:200],
        forwarded=answer.forwarded,
        answer=_object(answer.body) if answer.forwarded else None,
    )


def first(values: Iterable[bytes]) -> str:
    """Return the first of a header's values, or nothing."""
    return next(map(text, values), "")


def text(raw: bytes) -> str:
    """Return bytes off the wire as text; what is none is replaced."""
    return raw.decode("utf-8", "replace")


def _masked(name: str, value: str) -> tuple[str, str]:
    if name == "authorization":
        if value.startswith("AWS4-"):
            return name, _SIGNATURE.sub("Signature=(hidden)", value)[:2000]
        return name, f"({len(value)} characters)"
    if name in _MASKED:
        return name, f"({len(value)} characters)"
    return name, value[:2000]


def _masked_canonical(canonical: str) -> str:
    lines = []
    for line in canonical.split("\n"):
        name, colon, value = line.partition(":")
        lines.append(":".join(_masked(name, value)) if colon and name in _MASKED else line)
    return "\n".join(lines)


def _object(body: bytes) -> dict[str, Any] | None:
    """Return a body that is a JSON object, or None."""
    try:
        value = json.loads(body) if len(body) <= MAX_SHOWN_ANSWER_BYTES else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
