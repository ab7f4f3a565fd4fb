"""What API Gateway says when it does not let a request through, word for word.

HTTP APIs and REST APIs say the same thing in different words; a client has to know both. REST
APIs send back what they would have signed, session token and all: it must not be logged.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

import json
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tidegate_dev.sigv4_check import Verdict

Headers = list[tuple[str, str]]

NO_MATCH: Final = "The request signature we calculated does not match"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back to the caller, and why."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=list)
    verdict: str = "accepted"
    message: str = ""
    check: Verdict = field(default_factory=Verdict)
    forwarded: bool = False


class RefusedError(Exception):
    """The request goes no further.

    Attributes:
        verdict: What stopped it: a name of `WORDS`, or AWS's own for a failed authorisation.
        told: What the caller is told, where that is not the same for everybody.
        check: What the check of the signature found.
        forwarded: Whether the private service was asked.
    """

    def __init__(
        self,
        verdict: str,
        told: str = "",
        *,
        check: Verdict | None = None,
        forwarded: bool = False,
    ) -> None:
        super().__init__(verdict)
        self.verdict = verdict
        self.told = told
        self.check = check or Verdict()
        self.forwarded = forwarded


class Words(NamedTuple):
    """One kind of API's way to say it: status, message, and the error's type if it names one."""

    status: int
    message: str
    error_type: str = ""


_FORBIDDEN: Final = Words(403, "Forbidden", "ForbiddenException")
_NO_LINK: Final = Words(503, "Service Unavailable")
_BROKEN: Final = Words(500, "Internal Server Error")
_BROKEN_REST: Final = Words(500, "Internal server error", "InternalServerErrorException")
_TOO_LARGE_REST: Final = "HTTP content length exceeded 10485760 bytes."

#: By what stopped the request: how HTTP APIs say it, and how REST APIs do.
WORDS: Final[dict[str, tuple[Words, Words]]] = {
    "RequestTooLarge": (Words(413, "Request Entity Too Large"), Words(413, _TOO_LARGE_REST)),
    "HeadersTooLarge": (
        Words(431, "Request header fields too large"),
        Words(431, "Request header fields too large"),
    ),
    "TooManyRequests": (
        Words(429, "Too Many Requests"),
        Words(429, "Too Many Requests", "TooManyRequestsException"),
    ),
    "MissingAuthenticationToken": (
        Words(403, "Forbidden"),
        Words(403, "Missing Authentication Token", "MissingAuthenticationTokenException"),
    ),
    "UnknownHost": (_FORBIDDEN, _FORBIDDEN),
    "EndpointDisabled": (Words(404, "Not Found"), _FORBIDDEN),
    "UnknownStage": (Words(404, "Not Found"), _FORBIDDEN),
    "UnknownRoute": (
        Words(404, "Not Found"),
        Words(403, "Missing Authentication Token", "MissingAuthenticationTokenException"),
    ),
    "VpcLinkPending": (_NO_LINK, _BROKEN_REST),
    "VpcLinkInactive": (_NO_LINK, _BROKEN_REST),
    "VpcLinkFailed": (_BROKEN, _BROKEN_REST),
    "BackendNotTrusted": (_BROKEN, _BROKEN_REST),
    "IntegrationFailure": (_NO_LINK, _BROKEN_REST),
    "IntegrationBroken": (_BROKEN, _BROKEN_REST),
    "IntegrationTooLarge": (_BROKEN, _BROKEN_REST),
    "IntegrationTimeout": (
        Words(504, "Endpoint request timed out"),
        Words(504, "Endpoint request timed out", "InternalServerErrorException"),
    ),
}


def refusal(refused: RefusedError, *, rest: bool, terse: bool) -> Answer:
    """Return the answer of a REST API, or of an HTTP API, to a request that it refuses.

    Args:
        refused: What stopped the request.
        rest: Whether it is a REST API that speaks.
        terse: An HTTP API says no more than `Forbidden`, whatever IAM found.
    """
    if refused.verdict in WORDS:
        words = WORDS[refused.verdict][rest]
    elif terse and not rest:
        words = Words(403, "Forbidden")
    else:
        words = Words(403, refused.told, refused.verdict)
    said = words.message
    if rest and said.startswith(NO_MATCH):
        said += _would_have_signed(refused.check)
    # IAM's own denials come with a capital; everything else does not.
    name = "Message" if rest and refused.verdict == "AccessDeniedException" else "message"
    body, kind = json.dumps({name: said}, separators=(",", ":")), "application/json"
    if said == _TOO_LARGE_REST:
        body, kind = said, "text/plain"
    headers = [("content-type", kind)]
    if words.error_type:
        headers.append(("x-amzn-errortype", words.error_type))
    return Answer(
        status=words.status,
        body=body.encode(),
        headers=headers,
        verdict=refused.verdict,
        message=refused.told or words.message,
        check=refused.check,
        forwarded=refused.forwarded,
    )


def request_id(*, rest: bool) -> tuple[str, Headers]:
    """Return a new request's id, and the headers that tell it."""
    if not rest:
        made = secrets.token_urlsafe(11) + "="
        return made, [("apigw-requestid", made)]
    made = str(uuid.uuid4())
    return made, [("x-amzn-requestid", made), ("x-amz-apigw-id", secrets.token_urlsafe(11) + "=")]


def _would_have_signed(check: Verdict) -> str:
    return (
        f"\n\nThe Canonical String for this request should have been\n'{check.canonical_request}'"
        f"\n\nThe String-to-Sign should have been\n'{check.string_to_sign}'\n"
    )
