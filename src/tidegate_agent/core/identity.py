"""Decide whether a `Tidegate-Identity` statement holds for a request.

A compact JWS (RFC 7515), EdDSA over Ed25519 (RFC 8037) and nothing else, good for one request
within a minute. Each reason to refuse has a short name, for the log alone: the answer names none.

The memory of used statements is this process's own. A statement that is replayed to another
replica within its minute says the same of the same body and run, and so gets the stored answer.
"""

import base64
import binascii
import hashlib
import heapq
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tidegate_agent.errors import ConfigError, IdentityError, UnavailableError

MAX_LIFE_SECONDS: Final = 60
LEEWAY_SECONDS: Final = 5  # between two clocks
MAX_STATEMENT_CHARS: Final = 8192
MAX_REMEMBERED: Final = 100_000

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
#: What may go on into headers, labels and file names without a second thought.
_SUBJECT: Final = re.compile(r"[A-Za-z0-9_.:@/-]{1,200}")
_GROUP: Final = re.compile(r"[A-Za-z0-9_.:@/-]{1,100}")
_RUN: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_JTI: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_ACTION: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MAX_GROUPS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Who asked, and for which run.

    Attributes:
        subject: `slack:<team>:<user>`.
        groups: The groups that Tidegate vouches for.
        run: The run, which is the idempotency key.
        action: The action's name in Tidegate's configuration.
        token: The signed statement itself, where there is one. It is no part of what is said.
    """

    subject: str
    groups: tuple[str, ...]
    run: str
    action: str
    token: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a statement has to say to be meant for this very request.

    Attributes:
        issuer: Who made it.
        audience: The name that this agent goes by.
        path: As in the request line, without a query.
        key: The `Idempotency-Key` header.
        now: Seconds since the Unix epoch.
    """

    issuer: str
    audience: str
    method: str
    path: str
    body: bytes
    key: str
    now: float


class Keys:
    """The public keys that statements may be signed with, by their ids: a static JWKS.

    Args:
        jwks: The key set as JSON has it; two keys while one follows another.

    Raises:
        ConfigError: It holds no usable key, or one that is not what it says.
    """

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        listed = jwks.get("keys")
        if not isinstance(listed, list):
            raise ConfigError(["the key set has no list `keys`"])
        self._keys: dict[str, Ed25519PublicKey] = {}
        for place, entry in enumerate(listed):
            kid, key = _public_key(entry, place)
            if kid in self._keys:
                raise ConfigError([f"keys[{place}]: an earlier key has the same `kid`"])
            self._keys[kid] = key
        if not self._keys:
            raise ConfigError(["the key set is empty"])

    def find(self, kid: object) -> Ed25519PublicKey:
        """Return the key of that id. Raises `IdentityError`."""
        if not isinstance(kid, str):
            raise IdentityError("no_kid")
        if kid not in self._keys:
            raise IdentityError("unknown_key")
        return self._keys[kid]


@dataclass(slots=True)
class Memory:
    """Which statements have been used, each remembered until it has expired.

    When it is full of statements that still hold, new ones are put off rather than old ones
    forgotten: forgetting one would let it be used again.
    """

    most: int = MAX_REMEMBERED
    _known: set[str] = field(default_factory=set)
    _ends: list[tuple[float, str]] = field(default_factory=list)

    def use(self, jti: str, *, expires: float, now: float) -> None:
        """Remember a statement as used.

        Raises:
            IdentityError: It has been used before.
            UnavailableError: The memory is full for now.
        """
        while self._ends and self._ends[0][0] < now - LEEWAY_SECONDS:
            self._known.discard(heapq.heappop(self._ends)[1])
        if jti in self._known:
            raise IdentityError("replayed")
        if len(self._known) >= self.most:
            raise UnavailableError("Too many requests at once.", retry_after=5.0)
        self._known.add(jti)
        heapq.heappush(self._ends, (expires, jti))

    def __len__(self) -> int:
        """Return how many statements are remembered."""
        return len(self._known)


def verify(token: str, expected: Expected, *, keys: Keys, memory: Memory) -> Statement:
    """Return the statement, now used up, if it holds for this very request.

    Raises:
        IdentityError: It does not; `reason` says why.
        UnavailableError: It may hold, but cannot be remembered as used.
    """
    announced = announce(token, expected, keys=keys)
    return arrive(announced, expected.body, memory=memory, now=expected.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A statement that holds for a request, as far as its head tells: the body is to come."""

    who: Statement
    jti: str
    expires: float
    body_sha256: str


def announce(token: str, expected: Expected, *, keys: Keys) -> Announced:
    """Return the statement if it holds for a request whose body is not looked at.

    Raises:
        IdentityError: It does not; `reason` says why.
    """
    claims = _signed(token, keys)
    expires = _check_times(claims, expected.now)
    _check_head(claims, expected)
    return Announced(
        who=_statement(claims, token, expected.key),
        jti=_word(claims, "jti", _JTI),
        expires=expires,
        body_sha256=_word(claims, "body_sha256", _DIGEST, "wrong_body"),
    )


def arrive(announced: Announced, body: bytes, *, memory: Memory, now: float) -> Statement:
    """Return the statement, now used up, if it was made for that body.

    Raises:
        IdentityError: It was not, or it has been used before.
        UnavailableError: It may hold, but cannot be remembered as used.
    """
    if not _same(announced.body_sha256, hashlib.sha256(body).hexdigest()):
        raise IdentityError("wrong_body")
    memory.use(announced.jti, expires=announced.expires, now=now)
    return announced.who


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A statement that held once: who asked, and until when the request was good."""

    who: Statement
    expires: float


def recall(token: str, expected: Expected, *, keys: Keys) -> Recalled:
    """Return what a kept statement says, if it was made for that request: at whatever time.

    Raises:
        IdentityError: It was not; `reason` says why.
    """
    claims = _signed(token, keys)
    expires = _seconds(claims.get("exp"))
    if expires is None:
        raise IdentityError("no_times")
    _check_binding(claims, expected)
    return Recalled(who=_statement(claims, token, expected.key), expires=expires)


def _signed(token: str, keys: Keys) -> Mapping[str, Any]:
    """Return the claims of a token that one of our keys has signed."""
    if not token:
        raise IdentityError("missing")
    if len(token) > MAX_STATEMENT_CHARS:
        raise IdentityError("too_long")
    parts = token.split(".")
    if len(parts) != 3 or not all(_BASE64URL.fullmatch(part) for part in parts):
        raise IdentityError("malformed")
    header = _json(parts[0])
    if header.get("alg") != "EdDSA":
        raise IdentityError("wrong_alg")
    if "crit" in header:  # extensions to understand, and none is (RFC 7515, 4.1.11)
        raise IdentityError("crit")
    key = keys.find(header.get("kid"))
    try:
        key.verify(_bytes(parts[2]), f"{parts[0]}.{parts[1]}".encode("ascii"))
    except InvalidSignature:
        raise IdentityError("bad_signature") from None
    return _json(parts[1])


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """Return when the statement ends."""
    issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    if issued is None or expires is None:
        raise IdentityError("no_times")
    if not 0 < expires - issued <= MAX_LIFE_SECONDS:
        raise IdentityError("lives_too_long" if expires > issued else "ends_before_it_begins")
    if issued > now + LEEWAY_SECONDS:
        raise IdentityError("from_the_future")
    if expires < now - LEEWAY_SECONDS:
        raise IdentityError("expired")
    return expires


def _check_binding(claims: Mapping[str, Any], expected: Expected) -> None:
    _check_head(claims, expected)
    said = _word(claims, "body_sha256", _DIGEST, "wrong_body")
    if not _same(said, hashlib.sha256(expected.body).hexdigest()):
        raise IdentityError("wrong_body")


def _check_head(claims: Mapping[str, Any], expected: Expected) -> None:
    for claim, value, reason in (
        ("iss", expected.issuer, "wrong_issuer"),
        ("aud", expected.audience, "wrong_audience"),
        ("method", expected.method, "wrong_method"),
        ("path", expected.path, "wrong_path"),
    ):
        said = claims.get(claim)
        if not isinstance(said, str) or not _same(said, value):
            raise IdentityError(reason)


def _statement(claims: Mapping[str, Any], token: str, key: str) -> Statement:
    """Return what a statement says of somebody. Raises `IdentityError` if for another run."""
    groups = claims.get("groups", [])
    if not isinstance(groups, list) or len(groups) > _MAX_GROUPS:
        raise IdentityError("bad_groups")
    if not all(isinstance(group, str) and _GROUP.fullmatch(group) for group in groups):
        raise IdentityError("bad_groups")
    run = _word(claims, "run", _RUN)
    if not hmac.compare_digest(run.encode(), key.encode()):
        raise IdentityError("wrong_run")
    return Statement(
        subject=_word(claims, "sub", _SUBJECT),
        groups=tuple(groups),
        run=run,
        action=_word(claims, "action", _ACTION),
        token=token,
    )


def _word(
    claims: Mapping[str, Any], name: str, shape: re.Pattern[str], reason: str | None = None
) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise IdentityError(reason or f"bad_{name}")
    return value


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return float(value)


def _json(part: str) -> Mapping[str, Any]:
    try:
        value = json.loads(_bytes(part), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise IdentityError("malformed") from None
    if not isinstance(value, dict):
        raise IdentityError("malformed")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise IdentityError("malformed")
    return found


def _bytes(part: str) -> bytes:
    """Return what base64url without padding stands for, in its one canonical spelling."""
    if not _BASE64URL.fullmatch(part):
        raise IdentityError("malformed")
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise IdentityError("malformed") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part.encode("ascii"):
        raise IdentityError("malformed")
    return raw


def _public_key(entry: object, place: int) -> tuple[str, Ed25519PublicKey]:
    """Return a key of a JWKS and its id.

    Source: https://www.rfc-editor.org/rfc/rfc8037#section-2
    """
    where = f"keys[{place}]"
    if not isinstance(entry, Mapping):
        raise ConfigError([f"{where} is not a key"])
    if (entry.get("kty"), entry.get("crv")) != ("OKP", "Ed25519"):
        raise ConfigError([f"{where} is not an Ed25519 key (kty OKP, crv Ed25519)"])
    if "d" in entry:
        raise ConfigError([f"{where} holds a private key: only the public part belongs here"])
    if entry.get("use", "sig") != "sig" or entry.get("alg", "EdDSA") != "EdDSA":
        raise ConfigError([f"{where} is not for EdDSA signatures"])
    kid, x = entry.get("kid"), entry.get("x")
    if not isinstance(kid, str) or not kid or not isinstance(x, str):
        raise ConfigError([f"{where} lacks `kid` or `x`"])
    try:
        return kid, Ed25519PublicKey.from_public_bytes(_bytes(x))
    except (ValueError, IdentityError):
        raise ConfigError([f"{where}: `x` is not 32 bytes in base64url"]) from None
