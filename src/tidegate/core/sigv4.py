"""Sign a request to AWS with Signature Version 4: the exact bytes, the exact URL.

Pure: a clock reading and credentials go in, headers come out. What is signed here has to be sent
unchanged, so a transport must not encode, normalise or reorder the URL again; `wire_url` builds
one that needs none of that.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

ALGORITHM: Final = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
MAX_PRESIGNED_SECONDS: Final = 604_800
MAX_CACHED_KEYS: Final = 64  # a few regions and services, over a midnight and a rotation

# Proxies and tracing add or change these on the way, so AWS's own SDKs leave them out as well.
_NEVER_SIGNED: Final = frozenset(
    {
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)
_SET_BY_SIGNER: Final = frozenset({"x-amz-content-sha256", "x-amz-date", "x-amz-security-token"})
_SKIPPED: Final = _NEVER_SIGNED | _SET_BY_SIGNER

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._~\-\[\]:]+)"
    r"(?P<path>/[!\"$->@-~]*)?(?:\?(?P<query>[!\"$-~]*))?"
)
_DEFAULT_PORT: Final = {"http": ":80", "https": ":443"}
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BLANKS: Final = re.compile(r"[ \t]+")
_UNRESERVED: Final = "-_.~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One consistent set of AWS keys, as read at one moment.

    Attributes:
        access_key: The access key id; it names the principal and is no secret.
        secret_key: The secret access key.
        token: The session token that belongs to temporary keys, or None.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Signer:
    """Signs requests, and keeps the keys derived for a day, region and service.

    A derived key is kept under the digest of the secret it came from, so that a rotated secret
    finds a key of its own. One signer serves one event loop.
    """

    def __init__(self) -> None:
        self._keys: dict[tuple[bytes, str, str, str], bytes] = {}

    def sign(
        self,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        credentials: Credentials,
        region: str,
        service: str,
        now: datetime,
        unsigned_payload: bool = False,
    ) -> dict[str, str]:
        """Return the headers that make the request acceptable to AWS.

        They replace headers of the same name. Everything in *headers* is signed, apart from what
        proxies and tracing may change; what the transport adds later is not.

        Args:
            method: The HTTP method.
            url: The URL exactly as it goes out, percent-encoded, without a fragment.
            headers: What will be sent. A `Host` here wins over the URL's.
            body: The body exactly as it goes out.
            credentials: The keys to sign with.
            region: The region in the scope, such as `eu-west-1`.
            service: The service in the scope, such as `execute-api`.
            now: The time of the signature, with its time zone.
            unsigned_payload: Leave the body out, as VPC Lattice demands.

        Raises:
            ValueError: The URL, a header, the region or the time cannot be sent as it stands.
        """
        stamp = _timestamp(now)
        if not region or not service:
            raise ValueError("a signature needs a region and a service")
        host, path, query = _canonical_url(url, service == "s3")
        digest = UNSIGNED_PAYLOAD if unsigned_payload else hashlib.sha256(body).hexdigest()
        added = {"X-Amz-Date": stamp, "X-Amz-Content-Sha256": digest}
        if credentials.token:
            added["X-Amz-Security-Token"] = credentials.token

        signed = _signed_headers(headers, host, added)
        names = ";".join(name for name, _ in signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed)
        canonical = "\n".join((method.upper(), path, query, lines, names, digest))

        scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
        to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = self._key(credentials.secret_key, stamp[:8], region, service)
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        added["Authorization"] = (
            f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return added

    def presign(
        self,
        *,
        url: str,
        query: Iterable[tuple[str, str]],
        seconds: int,
        credentials: Credentials,
        region: str,
        now: datetime,
    ) -> str:
        """Return a URL by which anyone may GET from S3 until *seconds* after *now*.

        It is the URL that AWS's own SDKs make, byte for byte.

        Args:
            url: The object's URL, percent-encoded once, with neither query nor fragment.
            query: Decoded names and values that S3 is to act on, such as `versionId`, in the order
                in which they are to stand.
            seconds: How long it holds, from 1 to `MAX_PRESIGNED_SECONDS`.
            credentials: The keys to sign with. The URL does not outlive them.
            region: The bucket's region.
            now: The time of the signature, with its time zone.

        Raises:
            ValueError: The URL, the region or the time cannot be used as it stands.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        stamp = _timestamp(now)
        if not 1 <= seconds <= MAX_PRESIGNED_SECONDS:
            raise ValueError("a presigned URL holds for 1 second to 7 days")
        match = _URL.fullmatch(url)
        if match is None or match["query"] is not None or not region:
            raise ValueError("presigning needs an encoded http(s) URL without query, and a region")
        scope = f"{stamp[:8]}/{region}/s3/aws4_request"
        asked = [f"{_encode(name)}={_encode(value)}" for name, value in query]
        ours = [
            f"X-Amz-Algorithm={ALGORITHM}",
            f"X-Amz-Credential={_encode(f'{credentials.access_key}/{scope}')}",
            f"X-Amz-Date={stamp}",
            f"X-Amz-Expires={seconds}",
            "X-Amz-SignedHeaders=host",
        ]
        if credentials.token:
            ours.append(f"X-Amz-Security-Token={_encode(credentials.token)}")
        host = match["host"].lower().removesuffix(_DEFAULT_PORT[match["scheme"]])
        # By name, then by value: `=` sorts after what a name may hold, so pairs are taken apart.
        ordered = "&".join(sorted((*asked, *ours), key=_pair))
        canonical = (
            f"GET\n{match['path'] or '/'}\n{ordered}\nhost:{host}\n\nhost\n{UNSIGNED_PAYLOAD}"
        )
        to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = self._key(credentials.secret_key, stamp[:8], region, "s3")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        return f"{url}?{'&'.join((*asked, *ours))}&X-Amz-Signature={signature}"

    def _key(self, secret: str, date: str, region: str, service: str) -> bytes:
        place = (hashlib.sha256(secret.encode()).digest(), date, region, service)
        key = self._keys.get(place)
        if key is None:
            key = b"AWS4" + secret.encode()
            for step in (date, region, service, "aws4_request"):
                key = hmac.digest(key, step.encode(), "sha256")
            if len(self._keys) >= MAX_CACHED_KEYS:
                del self._keys[next(iter(self._keys))]
            self._keys[place] = key
        return key


def wire_url(base: str, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
    """Return the URL to send and to sign: *base*, then *path*, each character encoded once.

    Args:
        base: Scheme, host and perhaps a path that is encoded already, such as a stage.
        path: The path as people read it; `%`, spaces and any script are fine. Its `/` separate.
        query: Decoded names and values, kept in their order.

    Raises:
        ValueError: *base* is not an http(s) URL without query and fragment.
    """
    match = _URL.fullmatch(base)
    if match is None or match["query"] is not None:
        raise ValueError("the base is not an http(s) URL without query and fragment")
    prefix = (match["path"] or "").rstrip("/")
    # Only the joint loses a doubled slash: one inside the path may mean something to the service.
    below = _encode(path.removeprefix("/"), "/")
    url = f"{match['scheme']}://{match['host'].lower()}{prefix}/{below}"
    pairs = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in query)
    return f"{url}?{pairs}" if pairs else url


def _timestamp(now: datetime) -> str:
    if now.tzinfo is None:
        raise ValueError("the time of a signature needs its time zone")
    utc = now if now.tzinfo is UTC else now.astimezone(UTC)
    return (
        f"{utc.year:04d}{utc.month:02d}{utc.day:02d}T"
        f"{utc.hour:02d}{utc.minute:02d}{utc.second:02d}Z"
    )


@lru_cache(maxsize=256)  # a gateway speaks to few URLs, and each takes longer than the signature
def _canonical_url(url: str, as_it_stands: bool) -> tuple[str, str, str]:
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("the URL is not an encoded http(s) URL, or has a fragment or a user in it")
    scheme, host, path, query = match.groups()
    path = (path or "/") if as_it_stands else _canonical_path(path or "")
    return host.lower().removesuffix(_DEFAULT_PORT[scheme]), path, _canonical_query(query or "")


def _signed_headers(
    headers: Mapping[str, str], host: str, added: Mapping[str, str]
) -> list[tuple[str, str]]:
    chosen: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in _SKIPPED:
            continue
        trimmed = _trim(value)
        chosen[lower] = f"{chosen[lower]},{trimmed}" if lower in chosen else trimmed
    chosen.setdefault("host", host)
    for name, value in added.items():
        chosen[name.lower()] = value
    return sorted(chosen.items())


def _trim(value: str) -> str:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError("a header value with a line break cannot be sent")
    if "  " in value or "\t" in value:
        value = _BLANKS.sub(" ", value)
    return value.strip(" ")


def _canonical_path(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    slash = "/" if kept and path.endswith("/") else ""
    # The path is encoded already; every service but S3 has it encoded once more, so %20 → %2520.
    return quote(f"/{'/'.join(kept)}{slash}", safe=f"/{_UNRESERVED}")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    if _BAD_ESCAPE.search(query):
        raise ValueError("the query has a % that does not begin an escape")
    pairs = []
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((_recode(name), _recode(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _pair(pair: str) -> tuple[str, str]:
    name, _, value = pair.partition("=")
    return name, value


def _recode(text: str) -> str:
    return quote(unquote_to_bytes(text), safe=_UNRESERVED)


def _encode(text: str, also: str = "") -> str:
    return quote(text, safe=_UNRESERVED + also)
