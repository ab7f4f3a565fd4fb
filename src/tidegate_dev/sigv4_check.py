"""Decide, as the receiving end, whether a request was signed with keys that were issued.

Written from the specification and from where a server stands: raw bytes came in, and all that
can be done is to compute again what an honest client must have computed.

Shares no code with any signer. What VPC Lattice and STS want otherwise is said by `Rules`.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

MAX_SKEW: Final = timedelta(minutes=5)

UNSIGNED_PAYLOAD: Final = b"UNSIGNED-PAYLOAD"

_CONTENT_HASH: Final = b"x-amz-content-sha256"
_SCHEME: Final = b"AWS4-HMAC-SHA256"
_STAMP: Final = re.compile(rb"[0-9]{8}T[0-9]{6}Z")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_KEPT: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_OCTETS: Final = [bytes([o]) if o in _KEPT else b"%%%02X" % o for o in range(256)]

_INVALID: Final = "InvalidSignatureException"
_INCOMPLETE: Final = "IncompleteSignatureException"
_UNRECOGNIZED: Final = "UnrecognizedClientException"
_EXPIRED: Final = "ExpiredTokenException"
_BAD_TOKEN: Final = "The security token included in the request is invalid."  # noqa: S105 - AWS's words
_NO_MATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKeys:
    """Keys that this end has given out, and to whom.

    Attributes:
        access_key: The access key id.
        secret_key: The secret access key.
        session_token: The token of temporary keys; None for keys that have none.
        principal: The ARN of whom they were given to.
        expires_at: When they end, in seconds since the epoch; None for never.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    principal: str = "arn:aws:sts::123456789012:assumed-role/tidegate-gateway/dev"
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """A request as it came off the wire; header names in lower case."""

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """Return every value sent under *name*, in order."""
        return [value for sent, value in self.headers if sent == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the check found.

    Attributes:
        keys: The keys that signed it; None unless it is accepted.
        error_type: AWS's name for the failure; empty for a request that was not signed at all.
        message: AWS's words for the failure.
        canonical_request: What was hashed, once it came to that. Holds header values.
        string_to_sign: What was signed, once it came to that.
    """

    keys: IssuedKeys | None = None
    error_type: str = ""
    message: str = ""
    canonical_request: str = ""
    string_to_sign: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the request is from who it says it is from."""
        return self.keys is not None


class _RejectedError(Exception):
    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a service wants of a signature.

    Attributes:
        region: The region that the scope must name.
        service: The service that the scope must name.
        max_skew: How far the clocks may be apart; 5 minutes at most services, 15 at some.
        unsigned_payload: The body must be left out of the signature, and that be said.
    """

    region: str
    service: str
    max_skew: timedelta = MAX_SKEW
    unsigned_payload: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    access_key: bytes
    date: bytes
    region: bytes
    service: bytes
    signed: list[bytes]
    signature: bytes


def check(
    request: ReceivedRequest,
    *,
    issued: Mapping[str, IssuedKeys],
    region: str,
    service: str,
    now: datetime,
) -> Verdict:
    """Return whether *request* was signed for this region and service, lately, by issued keys."""
    return check_by(Rules(region=region, service=service), request, issued=issued, now=now)


def check_by(
    rules: Rules, request: ReceivedRequest, *, issued: Mapping[str, IssuedKeys], now: datetime
) -> Verdict:
    """Return whether *request* was signed as *rules* have it, lately, by issued keys."""
    authorizations = request.values(b"authorization")
    if not authorizations:
        return Verdict(message="The request is not signed.")
    canonical = to_sign = b""
    try:
        claim = _claim(authorizations)
        keys = _keys(issued, claim)
        _check_scope(claim, rules)
        stamp = _check_time(request, claim, now, rules.max_skew)
        _check_signed_names(request, claim)
        _check_unsigned(request, rules)
        canonical = _canonical(request, claim, rules)
        to_sign = b"\n".join((_SCHEME, stamp, _scope(claim), _hex_digest(canonical)))
        _check_signature(keys, claim, to_sign)
        _check_token(request, keys)
        _check_expiry(keys, now)
        _check_content_hash(request, rules)
    except _RejectedError as rejected:
        return Verdict(
            error_type=rejected.error_type,
            message=str(rejected),
            canonical_request=canonical.decode("utf-8", "replace"),
            string_to_sign=to_sign.decode("utf-8", "replace"),
        )
    return Verdict(
        keys=keys,
        canonical_request=canonical.decode("utf-8", "replace"),
        string_to_sign=to_sign.decode("utf-8", "replace"),
    )


def normal_path(raw_path: bytes) -> bytes:
    """Return the path without dot segments and doubled slashes, still encoded as it was sent."""
    kept: list[bytes] = []
    for segment in raw_path.split(b"/"):
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment and segment != b".":
            kept.append(segment)
    joined = b"/" + b"/".join(kept)
    return joined + b"/" if kept and raw_path.endswith(b"/") else joined


def _claim(authorizations: Sequence[bytes]) -> _Claim:
    scheme, _, rest = authorizations[0].partition(b" ")
    if len(authorizations) != 1 or scheme != _SCHEME:
        raise _RejectedError(
            _INCOMPLETE, "Authorization header requires the algorithm 'AWS4-HMAC-SHA256'."
        )
    found: dict[bytes, bytes] = {}
    for item in rest.split(b","):
        name, equals, value = item.strip(b" ").partition(b"=")
        if not equals or name in found:
            raise _RejectedError(_INCOMPLETE, "Authorization header is not well formed.")
        found[name] = value
    for name in (b"Credential", b"Signature", b"SignedHeaders"):
        if not found.get(name):
            raise _RejectedError(
                _INCOMPLETE, f"Authorization header requires '{name.decode()}' parameter."
            )
    scope = found[b"Credential"].split(b"/")
    if len(scope) != 5 or scope[4] != b"aws4_request":
        raise _RejectedError(
            _INCOMPLETE,
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            "keyid/date/region/service/term.",
        )
    return _Claim(
        access_key=scope[0],
        date=scope[1],
        region=scope[2],
        service=scope[3],
        signed=found[b"SignedHeaders"].split(b";"),
        signature=found[b"Signature"],
    )


def _keys(issued: Mapping[str, IssuedKeys], claim: _Claim) -> IssuedKeys:
    keys = issued.get(claim.access_key.decode("ascii", "replace"))
    if keys is None:
        raise _RejectedError(_UNRECOGNIZED, _BAD_TOKEN)
    return keys


def _check_scope(claim: _Claim, rules: Rules) -> None:
    if claim.region != rules.region.encode():
        raise _RejectedError(
            _INVALID,
            f"Credential should be scoped to a valid region. This one is '{rules.region}'.",
        )
    if claim.service != rules.service.encode():
        raise _RejectedError(
            _INVALID, f"Credential should be scoped to correct service: '{rules.service}'."
        )


def _check_time(request: ReceivedRequest, claim: _Claim, now: datetime, skew: timedelta) -> bytes:
    stamps = request.values(b"x-amz-date")
    if len(stamps) != 1 or not _STAMP.fullmatch(stamps[0]):
        raise _RejectedError(
            _INCOMPLETE, "Authorization header requires existence of a valid 'X-Amz-Date' header."
        )
    stamp = stamps[0]
    if claim.date != stamp[:8]:
        raise _RejectedError(
            _INVALID,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
            "from HTTP.",
        )
    try:
        signed_at = datetime.strptime(stamp.decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _RejectedError(_INCOMPLETE, "Date in 'X-Amz-Date' is not a date.") from None
    said, here = stamp.decode(), f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    minutes = int(skew.total_seconds() // 60)
    if signed_at < now - skew:
        edge = f"{now.astimezone(UTC) - skew:%Y%m%dT%H%M%SZ}"
        raise _RejectedError(
            _INVALID,
            f"Signature expired: {said} is now earlier than {edge} ({here} - {minutes} min.)",
        )
    if signed_at > now + skew:
        edge = f"{now.astimezone(UTC) + skew:%Y%m%dT%H%M%SZ}"
        raise _RejectedError(
            _INVALID,
            f"Signature not yet current: {said} is still later than {edge} "
            f"({here} + {minutes} min.)",
        )
    return stamp


def _check_signed_names(request: ReceivedRequest, claim: _Claim) -> None:
    names = claim.signed
    if names != sorted(set(names)) or any(name != name.lower() for name in names):
        raise _RejectedError(_INCOMPLETE, "SignedHeaders must be sorted, in lower case, each once.")
    if len(request.values(b"host")) > 1:
        raise _RejectedError(_INVALID, "The request names more than one 'Host'.")
    sent = {name for name, _ in request.headers}
    must = {b"host"} | {name for name in sent if name.startswith(b"x-amz-")}
    if missing := sorted(must - set(names)):
        raise _RejectedError(
            _INVALID,
            f"'{missing[0].decode('ascii', 'replace')}' must be a 'SignedHeader' in the "
            "Authorization header.",
        )
    if absent := sorted(set(names) - sent):
        name = absent[0].decode("ascii", "replace")[:64]
        raise _RejectedError(_INVALID, f"The signed header '{name}' is not in the request.")


def _canonical(request: ReceivedRequest, claim: _Claim, rules: Rules) -> bytes:
    lines = []
    for name in claim.signed:
        values = [b" ".join(value.split()) for value in request.values(name)]
        lines.append(name + b":" + b",".join(values) + b"\n")
    return b"\n".join(
        (
            request.method.encode(),
            _encode(normal_path(request.raw_path), b"/"),
            _canonical_query(request.raw_query),
            b"".join(lines),
            b";".join(claim.signed),
            UNSIGNED_PAYLOAD if rules.unsigned_payload else _hex_digest(request.body),
        )
    )


def _canonical_query(raw_query: bytes) -> bytes:
    pairs = []
    for pair in raw_query.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            pairs.append((_encode(_decode(name)), _encode(_decode(value))))
    pairs.sort()
    return b"&".join(name + b"=" + value for name, value in pairs)


def _check_signature(keys: IssuedKeys, claim: _Claim, to_sign: bytes) -> None:
    key = ("AWS4" + keys.secret_key).encode()
    for part in (claim.date, claim.region, claim.service, b"aws4_request", to_sign):
        key = hmac.new(key, part, hashlib.sha256).digest()
    if not hmac.compare_digest(key.hex().encode(), claim.signature):
        raise _RejectedError(_INVALID, _NO_MATCH)


def _check_token(request: ReceivedRequest, keys: IssuedKeys) -> None:
    sent = request.values(b"x-amz-security-token")
    issued = [] if keys.session_token is None else [keys.session_token.encode()]
    if len(sent) != len(issued) or not all(map(hmac.compare_digest, sent, issued)):
        raise _RejectedError(_UNRECOGNIZED, _BAD_TOKEN)


def _check_expiry(keys: IssuedKeys, now: datetime) -> None:
    if keys.expires_at is not None and now.timestamp() >= keys.expires_at:
        raise _RejectedError(_EXPIRED, "The security token included in the request is expired")


def _check_unsigned(request: ReceivedRequest, rules: Rules) -> None:
    if rules.unsigned_payload and request.values(_CONTENT_HASH) != [UNSIGNED_PAYLOAD]:
        raise _RejectedError(
            _INVALID, "The 'x-amz-content-sha256' header must be 'UNSIGNED-PAYLOAD'."
        )


def _check_content_hash(request: ReceivedRequest, rules: Rules) -> None:
    right = UNSIGNED_PAYLOAD if rules.unsigned_payload else _hex_digest(request.body)
    if not all(hmac.compare_digest(sent, right) for sent in request.values(_CONTENT_HASH)):
        raise _RejectedError(
            _INVALID, "The provided 'x-amz-content-sha256' header does not match what was computed."
        )


def _scope(claim: _Claim) -> bytes:
    return b"/".join((claim.date, claim.region, claim.service, b"aws4_request"))


def _hex_digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _encode(data: bytes, also: bytes = b"") -> bytes:
    return b"".join(bytes([octet]) if octet in also else _OCTETS[octet] for octet in data)


def _decode(data: bytes) -> bytes:
    return _ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), data)
