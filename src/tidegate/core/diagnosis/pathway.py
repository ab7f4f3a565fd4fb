"""A pathway: what its settings contradict, and what the answer to a harmless request means."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tidegate.core import edge_answer
from tidegate.core.diagnosis.finding import Finding, Seen, Words, finding, shown
from tidegate.core.edge_answer import EdgeAnswer
from tidegate.core.remedy import remedy

MAX_BODY: Final = 65_536
#: What an API Gateway says of what is behind it: the request was let through to there.
_BEHIND: Final = frozenset(
    {"", "link_down", "no_target", "integration_timeout", "integration_failed"}
)
_API: Final = r"[a-z0-9.-]+\.execute-api\.[a-z0-9-]+\.(vpce\.)?amazonaws\.com(\.cn)?"
_LATTICE: Final = r"[a-z0-9.-]+\.vpc-lattice-svcs\.[a-z0-9-]+\.on\.aws"
_HOSTS: Final = (
    (re.compile(_API), "execute-api"),
    (re.compile(_LATTICE), "vpc-lattice-svcs"),
)


class Kind(StrEnum):
    """Which way a pathway takes."""

    DIRECT = "direct"
    API_GATEWAY = "api_gateway"
    PRIVATELINK = "privatelink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What a configuration says of a pathway, as far as it can contradict itself.

    Attributes:
        kind: Its type.
        url: Its base address.
        timeout_seconds: How long it waits.
        signed: For which service and region requests are signed; None if they are not.
        paths: What its actions append to the url.
        host: The Host header instead of the url's own, or None.
    """

    kind: Kind
    url: str
    timeout_seconds: float
    signed: tuple[str, str] | None = None
    paths: tuple[str, ...] = ()
    host: str | None = None

    @property
    def gated(self) -> bool:
        """Whether there is a gate that has to turn unsigned requests away."""
        return self.signed is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        fault: What the gate in front of the service meant, if it answered itself.
        body: Its beginning.
    """

    status: int
    fault: str = ""
    body: bytes = b""

    @property
    def content(self) -> Mapping[str, Any]:
        """The JSON object in it; empty if it holds none."""
        try:
            found = msgspec.json.decode(self.body[:MAX_BODY])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def message(self) -> str:
        """What it says, cut."""
        said = self.content.get("message", self.content.get("Message"))
        text = said if isinstance(said, str) else self.body[:500].decode("utf-8", "replace")
        return text[:500]


WORDS: Final[Mapping[str, Words]] = {
    "pathway.other_service": Words(
        what="requests are signed for {service}, but the url is of {there}",
        why="a signature holds for one service; another one answers 403",
        mend="write service: {there}",
    ),
    "pathway.doubled_path": Words(
        what="the url ends in {path}, and so do the paths of its actions begin",
        why="both are put together, so that {path}{path}/… is asked for, which nobody answers",
        mend="leave {path} out of the url",
    ),
    "pathway.doubled_slash": Words(
        what="there are two slashes in a row in the url's path",
        why="what is signed has one, and API Gateway looks for a route with two",
        mend="write one",
    ),
    "pathway.timeout": Words(
        what="no answer came within {seconds} s",
        why="the connection stands, and nothing comes back: the service hangs, or a proxy does",
        mend="look at the service's own log, then at what stands in front of it",
    ),
    "pathway.no_answer": Words(
        what="the connection broke off before an answer came",
        why="what is in front of the service closed it: a load balancer with no healthy target, "
        "or another protocol on that port",
        mend="look at the target group's health and protocol",
    ),
    "pathway.not_sent": Words(
        what="the request could not be sent ({reason})",
        why="something on this side kept it from going out",
        mend="{remedy}",
    ),
    "pathway.open_to_the_world": Words(
        what="it lets a request pass that is not signed",
        why="the route has no authorizer: an HTTP API is public, so anyone on the internet reaches "
        "the service",
        mend="set AuthorizationType: AWS_IAM on every route, $default included, and deploy",
    ),
    "pathway.open_to_the_network": Words(
        what="it lets a request pass that is not signed",
        why="the service's auth type is NONE, so that whatever is in its network reaches it",
        mend="set AuthType: AWS_IAM, with an auth policy that names the gateway's role",
    ),
    "pathway.unsigned": Words(
        what="the far end asks for a signature",
        why="an API Gateway or VPC Lattice is there, and this pathway does not sign; or a proxy "
        "between takes the signature away",
        mend="use type: api_gateway, or auth: {{type: sigv4}}",
    ),
    "pathway.no_route": Words(
        what="API Gateway has no such route or stage",
        why="the url lacks its stage, names another one or names it twice, or the API has no "
        "route for the path",
        mend="write the stage into the url once (not if it is $default), and add the routes",
    ),
    "pathway.edge_forbidden": Words(
        what="API Gateway turns the request away without a word about the signature (Forbidden)",
        why="there is no such stage or base path mapping, a private API was asked under another "
        "host, execute-api:Invoke is missing, or a web ACL stands in the way",
        mend="check the stage in the url; for a private API host or api_id; then the role and WAF",
    ),
    "pathway.edge_refused": Words(
        what="the gate in front of the service refuses the request ({status})",
        why="it does not take its form, whoever sends it",
        mend="look for the request in the gate's access log",
    ),
    "pathway.bad_signature": Words(
        what="the far end finds the signature wrong",
        why="what arrives is not what was signed: a wrong secret key, or a proxy or host that "
        "changes the request",
        mend="check the keys; write into host what the far end is really asked as",
    ),
    "pathway.wrong_region": Words(
        what="the far end does not take a signature for {region}",
        why="it is in another region",
        mend="write region as it stands in the API's own address",
    ),
    "pathway.wrong_service": Words(
        what="the far end does not take a signature for {service}",
        why="API Gateway takes execute-api, VPC Lattice vpc-lattice-svcs",
        mend="write service accordingly",
    ),
    "pathway.clock_skew": Words(
        what="the far end finds the signature too old, or from the future",
        why="the gateway's clock is wrong by more than five minutes",
        mend="have it set by NTP (chrony)",
    ),
    "pathway.unknown_credentials": Words(
        what="AWS does not know the credentials",
        why="they were deleted, are another partition's, or lack their session token",
        mend="take new ones: key id, secret key and session token belong together",
    ),
    "pathway.expired_credentials": Words(
        what="the AWS credentials have expired",
        why="keys in the environment or a file are not renewed",
        mend="use a role that renews itself",
    ),
    "pathway.not_permitted": Words(
        what="{who} may not invoke {resource}",
        why="no policy of the role allows it",
        mend="allow execute-api:Invoke (VPC Lattice: vpc-lattice-svcs:Invoke) on the API's stage: "
        "POST to the actions' paths, and GET to …/operations/* below them",
    ),
    "pathway.denied": Words(
        what="a policy denies {who} to invoke {resource}",
        why="there is an explicit deny: the API's resource policy (aws:SourceVpce), an endpoint's, "
        "an auth policy, or an organisation's",
        mend="have it allow the gateway's role, and the endpoint that it goes through",
    ),
    "pathway.token_refused": Words(
        what="the load balancer refuses the bearer token",
        why="its jwt-validation expects another issuer, audience or key",
        mend="compare issuer, audience and JWKS URL of the listener's rule with auth; RS256 alone",
    ),
    "pathway.throttled": Words(
        what="API Gateway answers that it is asked too often (429)",
        why="the rate of the stage, route or usage plan is used up, or set to nothing",
        mend="raise ThrottlingRateLimit and ThrottlingBurstLimit, or lower concurrency",
    ),
    "pathway.too_large": Words(
        what="the request is too large ({status})",
        why="API Gateway takes 10 MB",
        mend="let the action send a reference and no content",
    ),
    "pathway.head_too_large": Words(
        what="the request's head is too large ({status})",
        why="10,240 bytes are for all headers together, a session token included",
        mend="use a role with a shorter session policy and fewer session tags",
    ),
    "pathway.link_down": Words(
        what="API Gateway does not reach what is behind it ({status})",
        why="the VPC link is not AVAILABLE (60 days without traffic make it INACTIVE), or the "
        "integration names no listener",
        mend="look at the VPC link's status and security group; the integration URI is a "
        "listener's ARN",
    ),
    "pathway.no_target": Words(
        what="the load balancer has no healthy target ({status})",
        why="its pods are not ready, or fail its health check",
        mend="look at the target group, and at the health check's path and port",
    ),
    "pathway.integration_timeout": Words(
        what="what is behind the gate did not answer in time ({status})",
        why="the service hangs, or its security group does not let the VPC link in",
        mend="allow the VPC link's security group at the load balancer; look at the service's log",
    ),
    "pathway.integration_failed": Words(
        what="the gate failed at what is behind it ({status})",
        why="the integration is set up wrongly: its URI, its TLS name, or its mapping",
        mend="switch on access logs with integrationErrorMessage, which says which",
    ),
    "pathway.leads_elsewhere": Words(
        what="the answer leads elsewhere ({status})",
        why="a redirect is never followed: credentials would go along",
        mend="write the address it leads to into the url, with https://",
    ),
    "pathway.refused": Words(
        what="the service refuses us ({status})",
        why="it wants a proof that this pathway does not send, or not this one",
        mend="set auth as the service asks for it, or let it take the signed statement",
    ),
    "pathway.question_refused": Words(
        what="the service refuses to say what became of a run ({status})",
        why="it was reached; whether it takes what actions send, nobody can tell without doing it",
        mend="nothing, if it refuses whoever it does not know; else set auth as it asks for it",
        grave=False,
    ),
    "pathway.question_failed": Words(
        what="the service fails when it is asked what became of a run ({status})",
        why="it was reached, and broke down at GET …/operations/ID, which answers 404 at best",
        mend="look at the service's own log",
        grave=False,
    ),
    "pathway.service_fails": Words(
        what="the service fails ({status})",
        why="it was reached, and broke down at a harmless question",
        mend="look at the service's own log",
    ),
}


def settings(way: Way) -> Seen:
    """Judge what a pathway's settings say about each other."""
    parts = urlsplit(way.url)
    proof = "" if way.signed is None else f", signed for {way.signed[0]} in {way.signed[1]}"
    said = f"{way.kind.value} to {parts.scheme}://{parts.netloc}{parts.path}{proof}"
    return Seen(said=said, findings=tuple(_contradictions(way)))


def _contradictions(way: Way) -> Iterator[Finding]:
    parts = urlsplit(way.url)
    host = (way.host or parts.netloc).partition(":")[0].lower()
    for shape, there in _HOSTS:
        if way.signed is not None and shape.fullmatch(host) and way.signed[0] != there:
            yield finding(WORDS, "pathway.other_service", service=way.signed[0], there=there)
    base = parts.path.rstrip("/")
    if "//" in parts.path:
        yield finding(WORDS, "pathway.doubled_slash")
    if base and way.paths and all(each.startswith(f"{base}/") for each in way.paths):
        yield finding(WORDS, "pathway.doubled_path", path=base)


def answered(way: Way, answer: Answer, *, agent: bool) -> Finding | None:
    """Return what is wrong on the way to the service, by its answer; None if it was reached.

    Args:
        way: The pathway.
        answer: What came back.
        agent: The agent's paths were asked for; any other service may answer as it likes.
    """
    status = answer.status
    if answer.fault:
        return _gate(way, answer)
    if 300 <= status < 400:
        return finding(WORDS, "pathway.leads_elsewhere", status=status)
    if status in (401, 403):
        code = "pathway.refused" if agent else "pathway.question_refused"
        return finding(WORDS, code, status=status)
    if status >= 500:
        code = "pathway.service_fails" if agent else "pathway.question_failed"
        return finding(WORDS, code, status=status)
    return None


_DENIAL: Final = re.compile(
    r"User: (?P<who>\S{1,300}) is not authorized to perform: \S{1,80} on resource: "
    r"(?P<resource>\S{1,300})"
)


def _gate(way: Way, answer: Answer) -> Finding:
    """Return what a gate meant; two of its words stand for two things each."""
    service, region = way.signed or ("", "")
    fault, seen = answer.fault, {"service": service, "region": region}
    if fault == "wrong_scope":
        fault = "wrong_service" if "service" in answer.message else "wrong_region"
    elif fault == "not_permitted":
        match = _DENIAL.search(answer.message)
        seen["who"] = match["who"] if match else "the gateway"
        seen["resource"] = match["resource"] if match else "the API"
        if "explicit deny" in answer.message.lower():
            fault = "denied"
    code = f"pathway.{fault}"
    if code not in WORDS:
        code = "pathway.edge_refused"
    return finding(WORDS, code, status=answer.status, **seen)


def unsigned(way: Way, answer: Answer) -> Seen:
    """Judge what a gate answered to a request without a signature.

    It is closed if it says so itself. What it says about what is behind it, and what the service
    says, came after it had opened.
    """
    said = EdgeAnswer(status=answer.status, body=answer.body)
    fault = answer.fault or edge_answer.fault(said, edge="api_gateway", signed=False)
    if fault in _BEHIND:
        where = "world" if way.kind is Kind.API_GATEWAY else "network"
        return Seen(findings=(finding(WORDS, f"pathway.open_to_the_{where}"),))
    return Seen(said=f"an unsigned request is turned away ({answer.status})")


def unanswered(reason: str, *, seconds: float) -> Finding:
    """Return what it means that a request was sent in vain, or could not be sent.

    Args:
        reason: As the pathway gives it.
        seconds: How long an answer was waited for.
    """
    code = f"pathway.{reason}" if reason in ("timeout", "no_answer") else "pathway.not_sent"
    mend = remedy(reason) or "run the check again; if it stays so, look at the line above"
    return finding(WORDS, code, reason=shown(reason), seconds=f"{seconds:g}", remedy=mend)
