"""Decide who signed a request to S3, from its head alone; the body is held to it as it comes.

S3 signs the path as it is on the wire: not normalised, not encoded a second time.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from tidegate_dev.objects.access import AccessKey
from tidegate_dev.objects.errors import S3Error

MAX_SKEW: Final = timedelta(minutes=15)
MAX_EXPIRES_SECONDS: Final = 604_800
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
STREAMING_TRAILER: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

_SCHEME: Final = b"AWS4-HMAC-SHA256"
_STAMP: Final = re.compile(rb"[0-9]{8}T[0-9]{6}Z")
_SHA256: Final = re.compile(rb"[0-9a-f]{64}")
_EXPIRES: Final = re.compile(rb"-?[0-9]{1,18}")
_QUERY_PARTS: Final = (
    b"X-Amz-Algorithm",
    b"X-Amz-Credential",
    b"X-Amz-Signature",
    b"X-Amz-Date",
    b"X-Amz-SignedHeaders",
    b"X-Amz-Expires",
)
_TOKEN_PART: Final = b"X-Amz-Security-Token"
_IN_QUERY: Final = "AuthorizationQueryParametersError"
_IN_HEADER: Final = "AuthorizationHeaderMalformed"
_OLD_SCHEME: Final = (
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
)

Pairs = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request without its body, as it came off the wire; header names in lower case."""

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Pairs

    def values(self, name: bytes) -> list[bytes]:
        """Return every value sent under *name*, in order."""
        return [value for sent, value in self.headers if sent == name]

    def query(self) -> list[tuple[bytes, bytes]]:
        """Return names and values of the query, decoded; `+` is a space."""
        pairs = []
        for pair in self.raw_query.split(b"&"):
            if pair:
                name, _, value = pair.replace(b"+", b" ").partition(b"=")
                pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
        return pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Who signed the request, and what for.

    Attributes:
        payload: What was signed for the body: a SHA-256 in hex, or one of S3's words for none.
        presigned: Whether the signature was in the query.
    """

    key: AccessKey
    payload: str
    presigned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    presigned: bool
    scope: tuple[bytes, bytes, bytes, bytes]  # date, region, service, terminator
    access_key: bytes
    names: list[bytes]
    signature: bytes
    stamp: bytes
    tokens: list[bytes]
    expires: bytes = b""

    @property
    def malformed(self) -> str:
        return _IN_QUERY if self.presigned else _IN_HEADER


def verified(
    head: Head, *, keys: Mapping[str, AccessKey], region: str, now: datetime
) -> Signed | None:
    """Return who signed the request, or None if nobody says so.

    Raises:
        S3Error: It was not signed as it should have been.
    """
    claim = _claim(head)
    if claim is None:
        return None
    _check_scope(claim, region)
    signed_at = _signed_at(claim)
    if claim.presigned:
        _check_expiry(claim, signed_at, now)
    else:
        _check_skew(claim, signed_at, now)
    key = keys.get(claim.access_key.decode("ascii", "replace"))
    # AWS does not know a temporary key that comes without its token.
    if key is None or (key.session_token is not None and not claim.tokens):
        raise S3Error("InvalidAccessKeyId", details=[("AWSAccessKeyId", _text(claim.access_key))])
    _check_names(head, claim)
    payload = _payload(head, claim)
    _check_signature(head, claim, key, payload)
    _check_token(claim, key, now)
    return Signed(key=key, payload=payload.decode(), presigned=claim.presigned)


def _claim(head: Head) -> _Claim | None:
    query, headers = head.query(), head.values(b"authorization")
    names = {name for name, _ in query}
    in_query = not names.isdisjoint((b"X-Amz-Algorithm", b"X-Amz-Signature", b"X-Amz-Credential"))
    if b"Signature" in names and b"AWSAccessKeyId" in names:
        raise S3Error("InvalidRequest", _OLD_SCHEME)
    if (headers and in_query) or len(headers) > 1:
        raise S3Error(
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
            "query string parameter or the Authorization header should be specified",
        )
    if headers:
        return _header_claim(head, headers[0])
    return _query_claim(query) if in_query else None


def _header_claim(head: Head, authorization: bytes) -> _Claim:
    scheme, _, rest = authorization.partition(b" ")
    if scheme != _SCHEME:
        raise S3Error("InvalidRequest", _OLD_SCHEME)
    found: dict[bytes, bytes] = {}
    for item in rest.split(b","):
        name, _, value = item.strip(b" ").partition(b"=")
        if name in found:
            raise S3Error(_IN_HEADER)
        found[name] = value
    for part in ("Credential", "SignedHeaders", "Signature"):
        if not found.get(part.encode()):
            raise S3Error(
                _IN_HEADER,
                f"The authorization header is malformed; the authorization header requires the "
                f"{part} parameter.",
            )
    stamps = head.values(b"x-amz-date")
    if len(stamps) != 1 or not _STAMP.fullmatch(stamps[0]):
        raise S3Error(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    access_key, scope = _credential(found[b"Credential"], _IN_HEADER)
    return _Claim(
        presigned=False,
        scope=scope,
        access_key=access_key,
        names=found[b"SignedHeaders"].split(b";"),
        signature=found[b"Signature"],
        stamp=stamps[0],
        tokens=head.values(b"x-amz-security-token"),
    )


def _query_claim(query: Pairs) -> _Claim:
    found: dict[bytes, bytes] = {}
    for name, value in query:
        if name in (*_QUERY_PARTS, _TOKEN_PART):
            if name in found:
                raise S3Error(_IN_QUERY)
            found[name] = value
    if not all(found.get(part) for part in _QUERY_PARTS):
        raise S3Error(_IN_QUERY)
    if found[b"X-Amz-Algorithm"] != _SCHEME:
        raise S3Error(_IN_QUERY, 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    if not _STAMP.fullmatch(found[b"X-Amz-Date"]):
        raise S3Error(
            _IN_QUERY,
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
        )
    access_key, scope = _credential(found[b"X-Amz-Credential"], _IN_QUERY)
    return _Claim(
        presigned=True,
        scope=scope,
        access_key=access_key,
        names=found[b"X-Amz-SignedHeaders"].split(b";"),
        signature=found[b"X-Amz-Signature"],
        stamp=found[b"X-Amz-Date"],
        tokens=[found[_TOKEN_PART]] if _TOKEN_PART in found else [],
        expires=found[b"X-Amz-Expires"],
    )


def _credential(credential: bytes, code: str) -> tuple[bytes, tuple[bytes, bytes, bytes, bytes]]:
    parts = credential.split(b"/")
    if len(parts) != 5 or parts[4] != b"aws4_request":
        raise S3Error(
            code,
            "The Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        )
    access_key, date, region, service, terminator = parts
    return access_key, (date, region, service, terminator)


def _check_scope(claim: _Claim, region: str) -> None:
    date, named, service, _ = claim.scope
    if claim.presigned:
        place = "Error parsing the X-Amz-Credential parameter"
    else:
        place = "The authorization header is malformed"
    if date != claim.stamp[:8]:
        raise S3Error(
            claim.malformed,
            f'{place}; Invalid credential date "{_text(date)}". This date is not the same as '
            f'X-Amz-Date: "{_text(claim.stamp[:8])}".',
        )
    if named != region.encode():
        raise S3Error(
            claim.malformed,
            f"{place}; the region '{_text(named)}' is wrong; expecting '{region}'",
            details=[("Region", region)],
            headers=[("x-amz-bucket-region", region)],
        )
    if service != b"s3":
        raise S3Error(
            claim.malformed,
            f'{place}; incorrect service "{_text(service)}". This endpoint belongs to "s3".',
        )


def _signed_at(claim: _Claim) -> datetime:
    try:
        return datetime.strptime(claim.stamp.decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise S3Error(
            claim.malformed if claim.presigned else "AccessDenied",
            "AWS authentication requires a valid Date or x-amz-date header",
        ) from None


def _check_skew(claim: _Claim, signed_at: datetime, now: datetime) -> None:
    if abs(now - signed_at) > MAX_SKEW:
        raise S3Error(
            "RequestTimeTooSkewed",
            details=[
                ("RequestTime", _text(claim.stamp)),
                ("ServerTime", _iso(now)),
                ("MaxAllowedSkewMilliseconds", str(int(MAX_SKEW.total_seconds() * 1000))),
            ],
        )


def _check_expiry(claim: _Claim, signed_at: datetime, now: datetime) -> None:
    if not _EXPIRES.fullmatch(claim.expires):
        raise S3Error(_IN_QUERY, "X-Amz-Expires should be a number")
    seconds = int(claim.expires)
    if seconds < 1:
        raise S3Error(_IN_QUERY, "X-Amz-Expires must be non-negative")
    if seconds > MAX_EXPIRES_SECONDS:
        raise S3Error(
            _IN_QUERY,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given "
            "X-Amz-Expires must be less than 604800 seconds",
        )
    if signed_at > now + MAX_SKEW:
        raise S3Error("AccessDenied", "Request is not yet valid")
    if now > signed_at + timedelta(seconds=seconds):
        raise S3Error(
            "AccessDenied",
            "Request has expired",
            details=[
                ("X-Amz-Expires", str(seconds)),
                ("Expires", _iso(signed_at + timedelta(seconds=seconds))),
                ("ServerTime", _iso(now)),
            ],
        )


def _check_names(head: Head, claim: _Claim) -> None:
    must = {b"host"} | {name for name, _ in head.headers if name.startswith(b"x-amz-")}
    if missing := sorted(must - set(claim.names)):
        raise S3Error(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            details=[("HeadersNotSigned", ", ".join(map(_text, missing)))],
        )


def _payload(head: Head, claim: _Claim) -> bytes:
    sent = head.values(b"x-amz-content-sha256")
    if not sent and claim.presigned:
        return UNSIGNED_PAYLOAD.encode()
    if not sent:
        raise S3Error(
            "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
        )
    value = sent[0]
    if len(sent) > 1 or not (
        _SHA256.fullmatch(value) or value in (UNSIGNED_PAYLOAD.encode(), STREAMING_TRAILER.encode())
    ):
        if value.startswith(b"STREAMING-"):
            raise S3Error("NotImplemented", details=[("Header", "x-amz-content-sha256")])
        raise S3Error(
            "InvalidArgument",
            f"x-amz-content-sha256 must be {UNSIGNED_PAYLOAD}, {STREAMING_TRAILER}, or a valid "
            "sha256 value.",
            details=[
                ("ArgumentName", "x-amz-content-sha256"),
                ("ArgumentValue", _text(value)),
            ],
        )
    return value


def _check_signature(head: Head, claim: _Claim, key: AccessKey, payload: bytes) -> None:
    canonical = _canonical(head, claim, payload)
    digest = hashlib.sha256(canonical).hexdigest().encode()
    to_sign = b"\n".join((_SCHEME, claim.stamp, b"/".join(claim.scope), digest))
    running = b"AWS4" + key.secret_key.encode()
    for part in (*claim.scope, to_sign):
        running = hmac.new(running, part, hashlib.sha256).digest()
    if not hmac.compare_digest(running.hex().encode(), claim.signature):
        raise S3Error(
            "SignatureDoesNotMatch",
            details=[
                ("AWSAccessKeyId", _text(claim.access_key)),
                ("StringToSign", _text(to_sign)),
                ("SignatureProvided", _text(claim.signature)),
                ("StringToSignBytes", to_sign.hex(" ")),
                ("CanonicalRequest", _text(canonical)),
                ("CanonicalRequestBytes", canonical.hex(" ")),
            ],
        )


def _canonical(head: Head, claim: _Claim, payload: bytes) -> bytes:
    lines = []
    for name in claim.names:
        values = [b" ".join(value.split()) for value in head.values(name)]
        lines.append(name + b":" + b",".join(values) + b"\n")
    without = (b"X-Amz-Signature",) if claim.presigned else ()
    return b"\n".join(
        (
            head.method.encode(),
            head.raw_path,
            _canonical_query(pair for pair in head.query() if pair[0] not in without),
            b"".join(lines),
            b";".join(claim.names),
            payload,
        )
    )


def _canonical_query(query: Iterable[tuple[bytes, bytes]]) -> bytes:
    pairs = sorted((_encode(name), _encode(value)) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def _check_token(claim: _Claim, key: AccessKey, now: datetime) -> None:
    issued = [] if key.session_token is None else [key.session_token.encode()]
    if len(claim.tokens) != len(issued) or not all(map(hmac.compare_digest, claim.tokens, issued)):
        raise S3Error("InvalidToken")
    if key.expires_at is not None and now.timestamp() >= key.expires_at:
        raise S3Error("ExpiredToken")


def _encode(data: bytes) -> str:
    return quote_from_bytes(data, safe="-_.~")


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
