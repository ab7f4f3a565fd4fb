"""Addresses on the web, and which of them a gateway may be sent to.

Pure, and apart from the fields of a configuration: whoever only shares an object needs no
configuration, and what reads one takes a tenth of a second to load.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

SLACK_HOSTS: Final = ("slack.com", "slack-gov.com")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Where VPC Lattice is reached: link-local and unique local, and no metadata service.
#: Source: https://docs.aws.amazon.com/vpc-lattice/latest/ug/security-groups.html
_LATTICE: Final = (
    ipaddress.ip_network("169.254.171.0/24"),
    ipaddress.ip_network("fd00:ec2:80::/64"),
)
#: Metadata, time and name services of an EC2 instance over IPv6.
#: Source: https://docs.aws.amazon.com/whitepapers/latest/ipv6-on-aws/supporting-amazon-vpc-services.html
_INSTANCE_SERVICES: Final = ipaddress.ip_network("fd00:ec2::/64")
#: IPv4 inside IPv6, in the last 32 bits: translated by the network (NAT64, SIIT), or of old.
#: Sources: https://www.rfc-editor.org/rfc/rfc6052, https://www.rfc-editor.org/rfc/rfc7915,
#: https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5
_EMBEDDING: Final = tuple(
    ipaddress.IPv6Network(each) for each in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")
)
#: What is somebody's own, though not every Python says so.
#: Sources: https://www.rfc-editor.org/rfc/rfc8215, https://www.rfc-editor.org/rfc/rfc3879,
#: https://www.rfc-editor.org/rfc/rfc6890
_LOCAL: Final = (
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("fec0::/10"),
    ipaddress.ip_network("192.0.0.0/24"),
)


class AddressError(ValueError):
    """An address cannot be used.

    Attributes:
        what: What is wrong with it.
        mend: What to write instead.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


def is_loopback(host: str) -> bool:
    """Return whether *host* can only be this machine: `localhost` or a loopback address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def may_be_connected(address: str, *, private: bool) -> bool:
    """Return whether a name may lead to *address*.

    Never to this machine, to the services of an instance such as its metadata, or to many at
    once: a name that leads there is a slip, or somebody's attempt.

    Args:
        address: As a resolver gives it; what is no address may not.
        private: Whether it may lead to what the public internet cannot reach.
    """
    try:
        found = _innermost(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if any(found in network for network in _LATTICE):
        return private
    never = (
        found.is_loopback,
        found.is_link_local,
        found.is_multicast,
        found.is_unspecified,
        found in _INSTANCE_SERVICES,
        found == ipaddress.IPv4Address("255.255.255.255"),
    )
    public = found.is_global and not any(found in network for network in _LOCAL)
    return not any(never) and (private or public)


def _innermost(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address) or int(address) < 2:  # :: and ::1
        return address
    if any(address in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def host_of(authority: str) -> str | None:
    """Return the host of `HOST`, `HOST:PORT` or `[V6]:PORT`; None when it has no such shape."""
    shape = re.fullmatch(
        r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,252}))(?::([0-9]{1,5}))?",
        authority,
    )
    if shape is None or int(shape[3] or 1) not in range(1, 65536):
        return None
    host = shape[1]
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return None
    return host.strip("[]")


def split(url: str) -> SplitResult:
    """Return the parts of an http(s) *url* that has a host and carries no credentials.

    Raises:
        AddressError: It is none, or not one to send anything to.
    """
    mend = "write an address such as https://service.example.com/base"
    try:
        parts = urlsplit(url)
        host = host_of(parts.netloc)
    except ValueError:
        raise AddressError("this is not a web address", mend) from None
    if re.search(r"[^\x21-\x7e]|\\", url):
        raise AddressError("a web address holds ASCII characters only, and no spaces", mend)
    if not url.startswith(("http://", "https://")):
        raise AddressError("the address must start with https:// (or http:// on loopback)", mend)
    if "@" in parts.netloc:
        raise AddressError(
            "the address carries a user name or password",
            "leave it out; how the gateway proves itself is said by other keys",
        )
    if host is None:
        raise AddressError("the address has no valid host and port", mend)
    if "?" in url or "#" in url:
        raise AddressError("the address carries a query or a fragment", "end it after the path")
    if any(step in {".", ".."} for step in parts.path.split("/")):
        raise AddressError("the address's path holds . or .. steps", "write the path out")
    if parts.scheme == "http" and not is_loopback(host):
        raise AddressError(
            "plain http only on loopback: anyone between could read and change the request",
            "use https:// (http:// is for 127.0.0.1, [::1] and localhost)",
        )
    return parts


def slack_api_url(url: str) -> str:
    """Return the address of Slack's Web API, with a slash at its end. Raises `AddressError`."""
    parts = split(url)
    host = (host_of(parts.netloc) or "").lower()
    if not is_loopback(host) and (host not in SLACK_HOSTS or ":" in parts.netloc):
        raise AddressError(
            "the bot token would be sent to a host that is not Slack's",
            "use https://slack.com/api/ or https://slack-gov.com/api/ "
            "(any other host only on loopback)",
        )
    return url if url.endswith("/") else f"{url}/"
