"""The step that goes through the API Gateway: what it made of a request, in plain words."""

from collections.abc import Mapping
from typing import Any, Final

from tidegate_dev.journey import Journey, Step

_SHOWN: Final = ("verdict", "message", "status", "ms", "canonical_request", "string_to_sign")
_TURNED_AWAY: Final = {
    "AccessDeniedException": "no policy lets the gateway in",
    "BackendNotTrusted": "the service's certificate bears another name",
    "EndpointDisabled": "the API answers by its own domain only",
    "ExpiredTokenException": "the gateway's AWS session is over",
    "HeadersTooLarge": "the headers are larger than it takes (10,240 bytes)",
    "IncompleteSignatureException": "the signature is not well formed",
    "IntegrationBroken": "the service broke off",
    "IntegrationFailure": "the service cannot be reached",
    "IntegrationTimeout": "the service was asked, and its answer not waited for",
    "IntegrationTooLarge": "the service's answer is larger than it passes on (10 MB)",
    "InvalidSignatureException": "the signature does not match what was sent",
    "MissingAuthenticationToken": "there was no signature",
    "RequestTooLarge": "the body is larger than it takes (10 MB)",
    "TooManyRequests": "it is asked too often",
    "UnknownHost": "no API has that host name",
    "UnknownRoute": "there is no such route",
    "UnknownStage": "there is no such stage",
    "UnrecognizedClientException": "the access key or its token is not known",
    "VpcLinkFailed": "the VPC link could not be made",
    "VpcLinkInactive": "the VPC link was given up after 60 days without a request",
    "VpcLinkPending": "the VPC link is still being made",
}
#: What comes under one name, told apart by how AWS puts it.
_BY_WORDS: Final = (
    ("Signature expired", "the clocks are too far apart"),
    ("Signature not yet current", "the clocks are too far apart"),
    ("Credential should be scoped to a valid region", "it was signed for another region"),
    ("Credential should be scoped to correct service", "it was signed for another service"),
)


def answered(journey: Journey, exchange: Mapping[str, Any]) -> None:
    """The edge took, or turned away, what was sent in the journey's run."""
    sent = journey.steps.get("sent")
    if sent is None or exchange.get("method") == "GET":
        return
    words = _words(exchange)
    if sent.status == "active":
        asked = f"{exchange.get('method')} {exchange.get('path')}"
        sent.value = words or asked
    edge = {name: exchange.get(name) for name in _SHOWN}
    sent.details = {**(sent.details or {}), "edge": {**edge, "why": words}}


def answered_before(journey: Journey, attempt: object) -> None:
    """The edge may have answered an attempt whose line in the log is read only now."""
    asked = [exchange for exchange in journey.exchanges if exchange.get("method") != "GET"]
    if isinstance(attempt, int) and asked and len(asked) >= attempt:
        answered(journey, asked[-1])


def why(sent: Step) -> str:
    """Return why the edge turned away what was sent last; empty when it did not."""
    edge = (sent.details or {}).get("edge")
    return str(edge.get("why") or "") if isinstance(edge, Mapping) else ""


def _words(exchange: Mapping[str, Any]) -> str:
    verdict = exchange.get("verdict")
    if not isinstance(verdict, str) or verdict == "accepted":
        return ""
    message = str(exchange.get("message") or "")
    told = next((words for begin, words in _BY_WORDS if message.startswith(begin)), "")
    end = "given up" if exchange.get("forwarded") else "turned away"
    return f"{end} by the edge: {told or _TURNED_AWAY.get(verdict, verdict)}"
