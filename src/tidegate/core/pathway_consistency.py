"""What one key of a pathway says about another, where each alone may be right.

Like `tidegate.core.consistency`, whose part it is: works on plain values, and is total.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from tidegate.core.document import Complaint, Path, shown
from tidegate.core.pathway_settings import EXECUTE_API, VPC_LATTICE
from tidegate.core.web_address import host_of, is_loopback

#: A REST API gives up after 29 s, an HTTP API after 30 s, and nothing can raise the latter. Who
#: waits longer learns nothing; who waits less hears from the service itself, or knows that not.
#: Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
API_GATEWAY_SECONDS: Final = 29

_API_HOST: Final = re.compile(
    r"(?P<api>[a-z0-9]+)(?:-vpce-[a-z0-9-]+)?\.execute-api\.(?P<region>[a-z0-9-]+)\.amazonaws\.com"
    r"(?:\.cn)?"
)
_ENDPOINT_HOST: Final = re.compile(
    r"vpce-[a-z0-9-]+\.execute-api\.(?P<region>[a-z0-9-]+)\.vpce\.amazonaws\.com(?:\.cn)?"
)
_LATTICE_HOST: Final = re.compile(
    r"[a-z0-9-]+\.[a-z0-9]+\.vpc-lattice-svcs\.(?P<region>[^.]+)\.on\.aws"
)


def pathway_check(path: Path, pathway: Mapping[str, Any]) -> Iterator[Complaint]:
    """Yield what does not fit together in the values of a pathway, which stands at *path*."""
    yield from _plain_elsewhere(path, pathway)
    if pathway.get("client_key") is not None and pathway.get("client_cert") is None:
        yield Complaint(
            path=(*path, "client_key"),
            what="there is a key, but no certificate to show with it",
            mend="add client_cert: PATH, or leave the key out",
        )
    where, signing = _signing(path, pathway)
    if signing.get("external_id") is not None and signing.get("assume_role") is None:
        yield Complaint(
            path=(*where, "external_id"),
            what="an external id is asked for by a role to assume, and none is named",
            mend="add assume_role: ARN, or leave it out",
        )
    service = _service(pathway, signing)
    if service is not None:
        yield from _regions(where, pathway, signing)
    if service == EXECUTE_API:
        yield from _seconds(path, pathway)
        yield from _private_api(path, pathway)


def _signing(path: Path, pathway: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
    """Return where it is said who signs, and what."""
    if pathway.get("type") == "api_gateway":
        return path, pathway
    auth = pathway.get("auth")
    return (*path, "auth"), auth if isinstance(auth, Mapping) else {}


def _service(pathway: Mapping[str, Any], signing: Mapping[str, Any]) -> str | None:
    """Return the service that requests are signed for, or None if they are not signed."""
    if pathway.get("type") == "api_gateway":
        found = signing.get("service", EXECUTE_API)
    elif signing.get("type") == "sigv4":
        found = signing.get("service", VPC_LATTICE)
    else:
        return None
    return found if isinstance(found, str) else None


def _plain_elsewhere(path: Path, pathway: Mapping[str, Any]) -> Iterator[Complaint]:
    url, connect_to = pathway.get("url"), pathway.get("connect_to")
    if isinstance(url, str) and isinstance(connect_to, str) and url.startswith("http://"):
        host = host_of(connect_to)
        if host is not None and not is_loopback(host):
            yield Complaint(
                path=(*path, "connect_to"),
                what="plain http only on loopback, and this is another machine",
                mend="use https:// in url",
            )


def _seconds(path: Path, pathway: Mapping[str, Any]) -> Iterator[Complaint]:
    seconds = pathway.get("timeout_seconds")
    whole = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if whole and isinstance(seconds, int | float) and seconds >= API_GATEWAY_SECONDS:
        yield Complaint(
            path=(*path, "timeout_seconds"),
            what=f"API Gateway itself gives up after {API_GATEWAY_SECONDS} s (30 s at HTTP APIs)",
            mend=f"write less than {API_GATEWAY_SECONDS}; long work answers 202 and is followed",
        )


def _hosts(pathway: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the names that a pathway speaks of, each with its key."""
    url = pathway.get("url")
    if isinstance(url, str):
        try:
            yield "url", (urlsplit(url).hostname or "").lower()
        except ValueError:
            return  # said already
    for key in ("connect_to", "host"):
        value = pathway.get(key)
        if isinstance(value, str):
            yield key, (host_of(value) or "").lower()


def _regions(
    where: Path, pathway: Mapping[str, Any], signing: Mapping[str, Any]
) -> Iterator[Complaint]:
    """Yield where a name of AWS's own tells another region than signatures would."""
    region = signing.get("region")
    if not isinstance(region, str):
        return
    for key, host in _hosts(pathway):
        for shape in (_API_HOST, _ENDPOINT_HOST, _LATTICE_HOST):
            match = shape.fullmatch(host)
            if match is not None and match["region"] != region:
                yield Complaint(
                    path=(*where, "region"),
                    what=f"{key} is in {match['region']}, and {shown(region)} would be signed for",
                    mend=f"write region: {match['region']}, or another {key}",
                )
                return


def _private_api(path: Path, pathway: Mapping[str, Any]) -> Iterator[Complaint]:
    """Yield what keeps a private REST API from being reached through its endpoint."""
    hosts = dict(_hosts(pathway))
    reached = "connect_to" if "connect_to" in hosts else "url"
    if not _ENDPOINT_HOST.fullmatch(hosts.get(reached, "")):
        return
    if pathway.get("private_addresses", pathway.get("type") != "api_gateway") is False:
        yield Complaint(
            path=(*path, reached),
            what="an interface endpoint has private addresses only",
            mend="add private_addresses: true",
        )
    sent = hosts.get("host", hosts.get("url", ""))
    named = _API_HOST.fullmatch(sent)
    if _ENDPOINT_HOST.fullmatch(sent) and pathway.get("api_id") is None:
        yield Complaint(
            path=(*path, reached),
            what="the endpoint serves every private API, and nothing says which is meant",
            mend="add host: ID.execute-api.REGION.amazonaws.com (or, to api_gateway, api_id: ID)",
        )
    elif named is not None and pathway.get("api_id") not in (None, named["api"]):
        yield Complaint(
            path=(*path, "api_id"),
            what=f"this is not the API that is named by {'host' if 'host' in hosts else 'url'}",
            mend="keep one of the two",
        )
