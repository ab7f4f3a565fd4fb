"""Whether it was the edge in front of a service that answered, and what it meant.

API Gateway, VPC Lattice and load balancers answer themselves where they do not let a request
through. Their words are for operators: they hold ARNs, account ids and, where a signature is
wrong, the whole canonical request with its session token. So they become one word of ours here,
and go no further.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html,
https://docs.aws.amazon.com/apigateway/latest/api/CommonErrors.html and
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

Edge = Literal["", "api_gateway", "lattice"]

MAX_WORDS: Final = 4096  # of an edge's answer that are looked at
#: A private integration that cannot be had is told at once. Where that takes longer, the private
#: service was perhaps asked already: an HTTP API says 503, too, when its own time is up.
PROMPT_SECONDS: Final = 1.0

_LOAD_BALANCER: Final = "awselb/"
_TYPE: Final = re.compile(r"[A-Za-z]{1,60}")
_LEADING_TYPE: Final = re.compile(r"\s*([A-Z][A-Za-z]{1,50}Exception)\b")
_BY_TYPE: Final = {
    "AccessDeniedException": "not_permitted",
    "ExpiredTokenException": "expired_credentials",
    "ExpiredToken": "expired_credentials",
    "UnrecognizedClientException": "unknown_credentials",
    "InvalidClientTokenId": "unknown_credentials",
    "IncompleteSignatureException": "bad_signature",
    "InvalidSignatureException": "bad_signature",
    "SignatureDoesNotMatch": "bad_signature",
    "RequestExpired": "clock_skew",
    "RequestTimeTooSkewed": "clock_skew",
    "MissingAuthenticationTokenException": "no_token",
    "MissingAuthenticationToken": "no_token",
    "ForbiddenException": "edge_forbidden",
    "TooManyRequestsException": "throttled",
    "LimitExceededException": "throttled",
    "ThrottlingException": "throttled",
    "RequestTooLargeException": "too_large",
    "RequestEntityTooLargeException": "too_large",
    "ResourceNotFoundException": "no_route",
    "NotFoundException": "no_route",
}
#: The whole `message` of an API Gateway, where no header names a type.
_BY_MESSAGE: Final = {
    (403, "Missing Authentication Token"): "no_token",
    (403, "Forbidden"): "edge_forbidden",
    (404, "Not Found"): "no_route",
    (413, "Request Entity Too Large"): "too_large",
    (413, "Request Too Long"): "too_large",
    (429, "Too Many Requests"): "throttled",
    (429, "Limit Exceeded"): "throttled",
    (431, "Request header fields too large"): "head_too_large",
    (500, "Internal Server Error"): "integration_failed",
    (500, "Internal server error"): "integration_failed",
    (503, "Service Unavailable"): "link_down",
    (504, "Endpoint request timed out"): "integration_timeout",
    (504, "Network error communicating with endpoint"): "integration_failed",
}
#: What comes under one type, or under none, told apart by the words that go with it.
_BY_WORDS: Final = tuple(
    (re.compile(words, re.IGNORECASE), meaning)
    for words, meaning in (
        (r"Signature (expired|not yet current)", "clock_skew"),
        (r"Credential should be scoped", "wrong_scope"),
        (r"security token included in the request is expired", "expired_credentials"),
        (r"security token included in the request is invalid", "unknown_credentials"),
        (r"not authorized to perform: (execute-api|vpc-lattice-svcs):Invoke", "not_permitted"),
        (r"signature we calculated does not match", "bad_signature"),
        (r"Authorization header requires|not a valid key=value pair", "bad_signature"),
    )
)
_ANONYMOUS: Final = re.compile(r"User: anonymous is not authorized", re.IGNORECASE)
#: What an edge says to a request without a signature.
_FOR_UNSIGNED: Final = frozenset({"no_token", "edge_forbidden", "not_permitted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeAnswer:
    """An answer, as far as it tells who gave it.

    Attributes:
        status: HTTP status.
        error_type: The header `x-amzn-errortype`, or an empty text.
        server: The header `server`, or an empty text.
        body: The body.
        seconds: From the request's last byte to the answer.
        retry_after: Whether it says when to come again, which no edge does.
    """

    status: int
    error_type: str = ""
    server: str = ""
    body: bytes = b""
    seconds: float = 0.0
    retry_after: bool = False


def fault(answer: EdgeAnswer, *, edge: Edge, signed: bool) -> str:
    """Return what the edge meant, in one word of ours; empty if the service itself answered.

    Args:
        answer: What came back.
        edge: What is known to stand before the service: only then are words believed that no
            header vouches for.
        signed: Whether the request was signed.
    """
    if answer.status < 400 or answer.retry_after:
        return ""
    words = answer.body[:MAX_WORDS].decode("utf-8", "replace")
    kind = _kind(answer.error_type, words if edge == "lattice" else "")
    found = _meaning(answer, words, kind) if edge or kind else ""
    if found in _FOR_UNSIGNED and not signed and (found != "not_permitted" or _anonymous(words)):
        return "unsigned"
    if found == "no_token":
        # Where a REST API has no such stage, path or method, it says so to signed requests, too.
        return "no_route"
    if found == "link_down" and answer.seconds >= PROMPT_SECONDS:
        return "integration_timeout"
    return found or _of_load_balancer(answer)


def _meaning(answer: EdgeAnswer, words: str, kind: str) -> str:
    if kind or answer.status == 403:  # a service that is asked says many things
        for pattern, meaning in _BY_WORDS:
            if pattern.search(words):
                return meaning
    if kind:
        rest = "edge_refused" if answer.status < 500 else "integration_failed"
        return _BY_TYPE.get(kind) or _BY_MESSAGE.get((answer.status, _message(answer.body)), rest)
    return _BY_MESSAGE.get((answer.status, _message(answer.body)), "")


def _anonymous(words: str) -> bool:
    return _ANONYMOUS.search(words) is not None


def _of_load_balancer(answer: EdgeAnswer) -> str:
    """Return what a load balancer means by its own answer; it marks them with its name."""
    if not answer.server.lower().startswith(_LOAD_BALANCER):
        return ""
    words = {401: "token_refused", 503: "no_target", 504: "integration_timeout"}
    return words.get(answer.status, "")


def _kind(error_type: str, words: str) -> str:
    """Return the name of an error: a header holds it before `:`, Lattice begins with it."""
    named = _TYPE.match(error_type.strip().rpartition("#")[2])
    if named:
        return named[0]
    leading = _LEADING_TYPE.match(words)
    return leading[1] if leading else ""


def _message(body: bytes) -> str:
    """Return the words of a JSON answer: `message`, or IAM's own `Message`."""
    try:
        found: Any = msgspec.json.decode(body[: 2 * MAX_WORDS])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    value = found.get("message", found.get("Message"))
    return value.strip() if isinstance(value, str) else ""
