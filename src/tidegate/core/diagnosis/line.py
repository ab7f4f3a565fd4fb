"""The line to a far end: its name, the connection, the certificate, and its clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import Final

from tidegate.core.diagnosis.finding import Finding, Seen, Words, duration, finding, listed

#: Certificates of months are renewed a month ahead; those that live for days, at a third of that.
#: Less than this is left only where that was missed.
SOON_SECONDS: Final = 14 * 86_400.0
SOON_SHARE: Final = 0.25  # of a whole life
#: AWS and Slack both take five minutes; the agent's statements bear with five seconds.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
MAX_SKEW_SECONDS: Final = 300.0
NOTICED_SKEW_SECONDS: Final = 60.0


class Trouble(StrEnum):
    """Why there is no line."""

    NO_NAME = "dns.unknown_name"
    NO_RESOLVER = "dns.no_answer"
    REFUSED = "tcp.refused"
    SILENT = "tcp.no_answer"
    NO_ROUTE = "tcp.no_route"
    UNTRUSTED = "tls.untrusted"
    EXPIRED = "tls.expired"
    NOT_YET = "tls.not_yet_valid"
    OTHER_NAME = "tls.other_name"
    NO_TLS = "tls.not_spoken"
    OLD_TLS = "tls.too_old"
    SILENT_TLS = "tls.no_answer"
    HUNG_UP = "tls.broken_off"
    WANTS_CERTIFICATE = "tls.client_certificate_wanted"
    OUR_CERTIFICATE = "tls.client_certificate_unusable"
    OUR_AUTHORITY = "tls.ca_file_unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where a line leads.

    Attributes:
        host: The name or address to connect to.
        port: Its port.
        tls: Whether TLS is spoken.
        name: The name that the certificate has to hold.
        ca_file: The private authority to trust, or None for the public ones.
        client_cert: What we prove ourselves with, or None.
        client_key: Its key, where that is in a file of its own.
    """

    host: str
    port: int
    tls: bool
    name: str
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a far end showed of itself.

    Attributes:
        life: From when to when it holds, in seconds since the Unix epoch.
        issuer: Who vouches for it.
        version: The version of TLS that was agreed on.
        own_life: The same of the certificate that we showed, if we did.
    """

    life: tuple[float, float]
    issuer: str
    version: str
    own_life: tuple[float, float] | None = None


WORDS: Final[Mapping[str, Words]] = {
    "dns.unknown_name": Words(
        what="there is no host {host}",
        why="the resolver of the gateway's place does not know the name: a slip in it, a private "
        "zone that is not associated with this VPC, or an endpoint without private DNS",
        mend="look it up where the gateway runs (getent hosts {host}); then correct the url, "
        "associate the zone, or write connect_to",
    ),
    "dns.no_answer": Words(
        what="no resolver answered for {host}",
        why="nothing can be looked up from the gateway's place",
        mend="let the gateway reach its resolver (UDP and TCP 53 of the VPC's, or the cluster's)",
    ),
    "dns.public_address": Words(
        what="{host} is {addresses}, which is not private",
        why="an endpoint in the VPC has a private address: this name leads past it, over the "
        "internet",
        mend="switch on the endpoint's private DNS, or write connect_to with the endpoint's name",
    ),
    "tcp.refused": Words(
        what="nothing listens on {host}:{port}",
        why="the connection was refused, so the host is there and the port is not open",
        mend="start the service or correct the port; a load balancer needs a listener on it",
    ),
    "tcp.no_answer": Words(
        what="{host}:{port} does not answer",
        why="packets vanish on the way: mostly a security group, a network policy or a missing "
        "route, which let nothing back",
        mend="allow TCP {port} from the gateway's security group to the far end's, and outwards "
        "from the gateway",
    ),
    "tcp.no_route": Words(
        what="there is no way to {host}:{port}",
        why="the gateway's place has no route there",
        mend="add a route (NAT, peering, an endpoint), or run the gateway where the far end is",
    ),
    "tls.untrusted": Words(
        what="the certificate of {name} is vouched for by nobody we trust",
        why="it is self-signed, of a private authority, or its chain is not sent whole",
        mend="name the private authority in ca_file, or have the far end send its whole chain",
    ),
    "tls.expired": Words(
        what="the certificate of {name} has expired",
        why="it was not renewed, or not taken up by what listens",
        mend="renew it and have the listener load it",
    ),
    "tls.not_yet_valid": Words(
        what="the certificate of {name} is not valid yet",
        why="it begins in the future: its maker's clock, or the gateway's own, is wrong",
        mend="set the clocks by NTP, or have it made again",
    ),
    "tls.other_name": Words(
        what="the certificate is not for {name}",
        why="what listens there goes by another name, or the url is not the name it is known by",
        mend="write the name that stands in the certificate into host (or url), and where it is "
        "reached into connect_to",
    ),
    "tls.not_spoken": Words(
        what="{host}:{port} does not speak TLS",
        why="something else listens there, or its listener is set to plain HTTP",
        mend="give the listener a certificate, or correct the port",
    ),
    "tls.too_old": Words(
        what="{host}:{port} speaks no TLS of version 1.2 or later",
        why="older versions can be broken, and are not spoken here",
        mend="set the listener's security policy to TLS 1.2 or later",
    ),
    "tls.no_answer": Words(
        what="{host}:{port} takes connections, and does not answer the TLS handshake",
        why="what takes them has nothing behind it: an endpoint whose owner has not accepted it, "
        "or a network load balancer without a healthy target",
        mend="have the endpoint accepted; look at the target group's health",
    ),
    "tls.broken_off": Words(
        what="{host}:{port} broke off the TLS handshake",
        why="it knows no such name (SNI), wants a certificate that is not shown, or goes down",
        mend="look at the far end's log; check host and client_cert",
    ),
    "tls.client_certificate_wanted": Words(
        what="{host}:{port} does not take us without a certificate it trusts",
        why="it asks for mutual TLS; client_cert is missing, or of an authority it does not know",
        mend="name a certificate and key in client_cert, issued by the authority it trusts",
    ),
    "tls.client_certificate_unusable": Words(
        what="client_cert cannot be used",
        why="the file cannot be read here, or does not hold a certificate and its key in PEM",
        mend="put both into one PEM file that the gateway may read",
    ),
    "tls.ca_file_unusable": Words(
        what="ca_file cannot be used",
        why="the file cannot be read here, or holds no certificate in PEM",
        mend="put the private authority's certificate there, in PEM",
    ),
    "tls.expires_soon": Words(
        what="the certificate of {name} expires in {left}",
        why="nothing gets through once it has",
        mend="renew it now, and find out why that did not happen by itself",
        grave=False,
    ),
    "tls.client_certificate_expires": Words(
        what="our own certificate (client_cert) {left}",
        why="the far end lets nobody in with one that has expired",
        mend="renew it, and have that done by itself",
    ),
    "clock.skewed": Words(
        what="the gateway's clock is {skew} {direction} the far end's",
        why="signatures hold for five minutes, and statements of who clicked for one",
        mend="set the gateway's clock by NTP (chrony; on ECS and EKS the host's)",
    ),
    "clock.drifting": Words(
        what="the gateway's clock is {skew} {direction} the far end's",
        why="signatures still hold, but statements of who clicked may not: they live for a minute",
        mend="set the gateway's clock by NTP before it gets worse",
        grave=False,
    ),
}


def trouble(line: Line, found: Trouble) -> Finding:
    """Return what it means that there is no line."""
    return finding(WORDS, found.value, host=line.host, port=line.port, name=line.name)


def addresses(line: Line, found: tuple[str, ...], *, inside: bool) -> Seen:
    """Judge what a name leads to.

    Args:
        line: Whose name it is.
        found: The addresses it has.
        inside: It has to be in the VPC.
    """
    public = [each for each in found if ip_address(each.partition("%")[0]).is_global]
    findings: tuple[Finding, ...] = ()
    if inside and public:
        findings = (finding(WORDS, "dns.public_address", host=line.host, addresses=listed(public)),)
    return Seen(said=listed(found, most=4), findings=findings)


def certificate(line: Line, shown: Certificate, *, now: float) -> Seen:
    """Judge a certificate that was accepted."""
    left = shown.life[1] - now
    findings = []
    if _ends_soon(shown.life, now):
        findings.append(finding(WORDS, "tls.expires_soon", name=line.name, left=duration(left)))
    own = shown.own_life
    if own is not None and _ends_soon(own, now):
        gone = "has expired" if own[1] <= now else f"expires in {duration(own[1] - now)}"
        findings.append(finding(WORDS, "tls.client_certificate_expires", left=gone))
    said = f"{shown.version}, for {line.name} by {shown.issuer}, {duration(left)} left"
    return Seen(said=said, findings=tuple(findings))


def _ends_soon(life: tuple[float, float], now: float) -> bool:
    begins, ends = life
    return ends - now < min(SOON_SECONDS, SOON_SHARE * (ends - begins))


def skew(date: str | None, *, now: float) -> float | None:
    """Return by how many seconds our clock is ahead of a far end's `Date`; None if it has none.

    The header tells whole seconds, so half a second either way is none.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.date
    """
    if date is None or len(date) > 64:
        return None
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return now - (theirs + 0.5)


def clock(ahead: float | None) -> Seen:
    """Judge how far our clock is ahead of a far end's."""
    if ahead is None:
        return Seen(untold="the far end does not tell the time")
    direction = "ahead of" if ahead > 0 else "behind"
    code = None
    if abs(ahead) >= MAX_SKEW_SECONDS:
        code = "clock.skewed"
    elif abs(ahead) >= NOTICED_SKEW_SECONDS:
        code = "clock.drifting"
    if code is None:
        return Seen(said=f"within {max(1.0, abs(ahead)):.0f} s of the far end's")
    return Seen(findings=(finding(WORDS, code, skew=duration(ahead), direction=direction),))
