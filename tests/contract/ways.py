"""Every way to a private service, each opened from its configuration over a real far end."""

import contextlib
import io
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.service import Service, done
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.journal import EventJournal
from tidegate.adapters.pathways import resolver
from tidegate.app.worker import Pathway
from tidegate.core.configuration import parse
from tidegate.entry.pathway_wiring import open_pathways
from tidegate_dev.authority import Authority
from tidegate_dev.edge import CustomDomain, Edge, EdgeConfig, InterfaceEndpoint, edge_app
from tidegate_dev.lattice import Lattice, LatticeConfig
from tidegate_dev.listener import Listener
from tidegate_dev.privatelink import PrivateLink
from tidegate_dev.sigv4_check import IssuedKeys
from tidegate_dev.sts import Role, StsConfig, StsFarEnd

REGION = "eu-west-1"
API_ID = "a1b2c3d4e5"
API = f"{API_ID}.execute-api.{REGION}.amazonaws.com"
LATTICE = f"agent-0abc.7d67968.vpc-lattice-svcs.{REGION}.on.aws"
ROLE = "arn:aws:iam::210987654321:role/callers"
KEYS = IssuedKeys(
    access_key="ASIGATEWAY",
    secret_key="gateway+secret",
    session_token="gateway//token==",
    principal="arn:aws:sts::123456789012:assumed-role/gateway/task",
)
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": KEYS.access_key,
    "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
    "AWS_SESSION_TOKEN": str(KEYS.session_token),
    "AWS_EC2_METADATA_DISABLED": "true",
}
CLOUD_IS_WRONG = {
    "bad_signature": "bad_signature",
    "clock_skew": "clock_skew",
    "wrong_region": "wrong_scope",
    "unknown_key": "unknown_credentials",
    "expired_token": "expired_credentials",
    "not_permitted": "not_permitted",
    "explicit_deny": "not_permitted",
    "throttle": "throttled",
    "unknown_route": "no_route",
    "integration_timeout": "integration_timeout",
    "vpc_link_failed": "integration_failed",
    "backend_tls": "integration_failed",
}
#: The faults of an HTTP API, and the word that each becomes.
OF_HTTP = CLOUD_IS_WRONG | {
    "unsigned": "edge_forbidden",
    "wrong_stage": "no_route",
    "endpoint_disabled": "no_route",
    "vpc_link_pending": "link_down",
    "vpc_link_inactive": "link_down",
    "integration_down": "link_down",
}
#: … of a REST API: it has one answer for no route and no signature, and 500 for its link.
OF_REST = CLOUD_IS_WRONG | {
    "unsigned": "no_route",
    "wrong_stage": "edge_forbidden",
    "endpoint_disabled": "edge_forbidden",
    "vpc_link_pending": "integration_failed",
    "vpc_link_inactive": "integration_failed",
    "integration_down": "integration_failed",
}
OF_LATTICE = {
    "not_permitted": "not_permitted",
    "explicit_deny": "not_permitted",
    "clock_skew": "clock_skew",
}
OF_LINK = {
    "wrong_name": "tls_name",
    "expired_certificate": "tls_expired",
    "foreign_authority": "tls",
    "cut": "connect",
}


@dataclass(slots=True, kw_only=True)
class Stand:
    """What a way is made of, while a test runs."""

    folder: Path
    service: Service
    stack: contextlib.AsyncExitStack
    patch: pytest.MonkeyPatch
    authority: Authority = field(default_factory=Authority)
    keys: dict[str, IssuedKeys] = field(default_factory=lambda: {KEYS.access_key: KEYS})

    def ca_file(self) -> str:
        (self.folder / "ca.pem").write_bytes(self.authority.pem)
        return "ca.pem"  # relative: it begins where the configuration is

    def inside_the_vpc(self, ports: Mapping[str, int]) -> None:
        """Let names lead to what listens on loopback, which passes for private addresses."""
        self.patch.setattr(resolver, "ThreadedResolver", lambda: _Names(ports))
        self.patch.setattr(resolver, "may_be_connected", lambda _address, *, private: private)


@dataclass(slots=True, kw_only=True)
class Far:
    """The far end of a way: how the configuration names it, and how to break it.

    Attributes:
        configuration: Of the pathway that leads there.
        connections: How many have been made to it so far.
        set_fault: Breaks it, or mends it again.
        exchanges: What an edge remembers of requests.
    """

    configuration: dict[str, Any]
    connections: Callable[[], int]
    set_fault: Callable[[str, bool], None] = lambda _name, _on: None
    exchanges: Callable[[], list[Any]] = list


@dataclass(slots=True, kw_only=True)
class Way:
    """A way that is open.

    Attributes:
        name: Which one: a key of `ALL`.
        folder: Where its files are.
        pathway: As the gateway opens it.
        service: What it leads to.
        far: What stands in between.
        log: What was noted.
    """

    name: str
    folder: Path
    pathway: Pathway
    service: Service
    far: Far
    log: io.StringIO

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def forget(self) -> None:
        """Begin anew, over the same far end."""
        self.service.seen.clear()
        self.service.effects.clear()
        self.service.answer = done
        self.log.seek(0)
        self.log.truncate()

    @contextlib.asynccontextmanager
    async def changed(
        self, change: Callable[[dict[str, Any]], object] = dict
    ) -> AsyncIterator[Pathway]:
        """Open another pathway to the same far end, as a configuration that differs has it."""
        configuration = dict(self.far.configuration)
        change(configuration)
        pathway = open_way(configuration, self.folder, self.log)[0]
        try:
            yield pathway
        finally:
            await pathway.upstream.close()


@dataclass(slots=True)
class Peers:
    """Notes who connects to an application: one pair of address and port for a connection."""

    app: ASGIApp | None = None
    clients: set[tuple[str, int]] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.clients.add(tuple(scope["client"]))
        assert self.app is not None
        await self.app(scope, receive, send)


class _Names(AbstractResolver):
    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    async def resolve(  # type: ignore[explicit-override]
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self._ports:
            raise OSError(f"no such name: {host}")
        found = ResolveResult(
            hostname=host,
            host="127.0.0.1",
            port=self._ports[host],
            family=family,
            proto=0,
            flags=socket.AI_NUMERICHOST,
        )
        return [found]

    async def close(self) -> None:  # type: ignore[explicit-override]
        return


# --- API Gateway ----------------------------------------------------------------------------


async def _edge(stand: Stand, **options: Any) -> tuple[Edge, Peers, Listener]:
    fields: dict[str, Any] = {
        "integration_url": stand.service.url,
        "keys": stand.keys,
        "api_id": API_ID,
        "strict_host": True,
        "overwrite_path": True,
    }
    edge = edge_app(EdgeConfig(**(fields | options)))
    names = [API, *edge.hosts]
    peers = Peers(edge)
    tls = stand.authority.issue(*dict.fromkeys(names)).server_context()
    listener = await stand.stack.enter_async_context(Listener(peers, tls=tls))
    stand.stack.push_async_callback(edge.aclose)
    return edge, peers, listener


async def _api(stand: Stand, url: str, edge_options: dict[str, Any], **keys: Any) -> Far:
    edge, peers, listener = await _edge(stand, **edge_options)
    return Far(
        configuration={
            "type": "api_gateway",
            "url": url,
            "region": REGION,
            "ca_file": stand.ca_file(),
            "connect_to": f"127.0.0.1:{listener.port}",
            **keys,
        },
        connections=lambda: len(peers.clients),
        set_fault=edge.set_fault,
        exchanges=lambda: list(edge.exchanges),
    )


async def http_api(stand: Stand) -> Far:
    return await _api(stand, f"https://{API}", {})


async def http_api_stage(stand: Stand) -> Far:
    return await _api(stand, f"https://{API}/prod/", {"stage": "prod"})


async def custom_domain(stand: Stand) -> Far:
    domains = (CustomDomain(name="ops.acme.io", base_path="agent"),)
    options = {"domains": domains, "default_endpoint": False, "stage": "prod"}
    return await _api(stand, "https://ops.acme.io/agent", options)


async def rest_regional(stand: Stand) -> Far:
    return await _api(stand, f"https://{API}/prod", {"kind": "rest"})


async def rest_assumed_role(stand: Stand) -> Far:
    role = Role(arn=ROLE, trusted=[KEYS.principal], external_id="acme-42")
    config = StsConfig(keys=stand.keys, roles=[role], region=REGION)
    sts = await stand.stack.enter_async_context(StsFarEnd(config))
    stand.patch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
    options = {"kind": "rest", "account": "210987654321"}
    keys = {"assume_role": ROLE, "external_id": "acme-42"}
    return await _api(stand, f"https://{API}/prod", options, **keys)


async def _private_api(stand: Stand, **keys: Any) -> Far:
    endpoint = InterfaceEndpoint(private_dns=keys.pop("private_dns", False))
    domains = keys.pop("domains", ())
    options = {"kind": "private_rest", "endpoint": endpoint, "domains": domains}
    edge, peers, listener = await _edge(stand, **options)
    stand.inside_the_vpc(dict.fromkeys(edge.hosts, listener.port))
    configuration = {
        "type": "api_gateway",
        "url": f"https://{API}/prod",
        "region": REGION,
        "ca_file": stand.ca_file(),
        "private_addresses": True,
    }
    return Far(
        configuration=configuration | keys,
        connections=lambda: len(peers.clients),
        set_fault=edge.set_fault,
        exchanges=lambda: list(edge.exchanges),
    )


ENDPOINT = InterfaceEndpoint().host(REGION)


async def private_rest_by_private_dns(stand: Stand) -> Far:
    return await _private_api(stand, private_dns=True)


async def private_rest_by_host(stand: Stand) -> Far:
    return await _private_api(stand, url=f"https://{ENDPOINT}/prod", host=API)


async def private_rest_by_connect_to(stand: Stand) -> Far:
    return await _private_api(stand, connect_to=ENDPOINT)


async def private_rest_by_api_id(stand: Stand) -> Far:
    return await _private_api(stand, url=f"https://{ENDPOINT}/prod", api_id=API_ID)


async def private_rest_by_custom_domain(stand: Stand) -> Far:
    """A private custom domain, which the endpoint is asked for by its own name."""
    domain = CustomDomain(name="ops.acme.internal", base_path="agent")
    url = "https://ops.acme.internal/agent"
    return await _private_api(stand, domains=(domain,), url=url, connect_to=ENDPOINT)


# --- direct ---------------------------------------------------------------------------------


async def _fronted(stand: Stand, *names: str, client_ca: bytes | None = None) -> tuple[Peers, int]:
    """The service itself, behind its own TLS."""
    peers = Peers(stand.service.app())
    tls = stand.authority.issue(*names).server_context(client_ca=client_ca)
    listener = await stand.stack.enter_async_context(Listener(peers, tls=tls))
    return peers, listener.port


async def direct_none(stand: Stand) -> Far:
    name = "agent.tools.svc.cluster.local"
    peers, port = await _fronted(stand, name)
    stand.inside_the_vpc({name: port})
    configuration = {
        "type": "direct",
        "url": f"https://{name}/base",
        "ca_file": stand.ca_file(),
        "auth": {"type": "none"},
    }
    return Far(configuration=configuration, connections=lambda: len(peers.clients))


async def direct_token_file(stand: Stand) -> Far:
    far = await direct_none(stand)
    (stand.folder / "token").write_text("projected-token\n")
    far.configuration["auth"] = {"type": "token_file", "path": "token"}
    return far


async def direct_web_identity(stand: Stand) -> Far:
    far = await direct_none(stand)
    sts = await stand.stack.enter_async_context(StsFarEnd(StsConfig(keys=stand.keys)))
    far.configuration["auth"] = {
        "type": "web_identity",
        "audience": "tidegate-agent",
        "region": REGION,
        "endpoint_url": sts.url,
    }
    return far


async def direct_mtls(stand: Stand) -> Far:
    """Mutual TLS, an authority of one's own, and a name that a service registry knows."""
    people, name = Authority("people"), "agent.acme.local"
    peers, port = await _fronted(stand, name, client_ca=people.pem)
    stand.inside_the_vpc({name: port})
    certificate, key = people.issue("gateway").write(stand.folder, "gateway")
    configuration = {
        "type": "direct",
        "url": f"https://{name}",
        "ca_file": stand.ca_file(),
        "client_cert": certificate.name,
        "client_key": key.name,
        "auth": {"type": "none"},
    }
    return Far(configuration=configuration, connections=lambda: len(peers.clients))


# --- PrivateLink and VPC Lattice ------------------------------------------------------------


async def privatelink(stand: Stand) -> Far:
    """The endpoint is connected to by its own name, the service asked for by its."""
    link = await stand.stack.enter_async_context(
        PrivateLink(stand.service.url, name="agent.acme.internal", authority=stand.authority)
    )
    stand.inside_the_vpc({link.endpoint_name: link.port})
    configuration = {
        "type": "privatelink",
        "url": f"https://{link.endpoint_name}",
        "host": "agent.acme.internal",
        "ca_file": stand.ca_file(),
    }
    return Far(
        configuration=configuration,
        connections=lambda: len(link.asked_for),  # one handshake each
        set_fault=link.set_fault,
    )


async def lattice(stand: Stand) -> Far:
    config = LatticeConfig(target_url=stand.service.url, keys=stand.keys, domain=LATTICE)
    service = Lattice(config)
    peers = Peers(service)
    tls = stand.authority.issue(LATTICE).server_context()
    listener = await stand.stack.enter_async_context(Listener(peers, tls=tls))
    stand.stack.push_async_callback(service.aclose)
    stand.inside_the_vpc({LATTICE: listener.port})
    configuration = {
        "type": "privatelink",
        "url": f"https://{LATTICE}",
        "ca_file": stand.ca_file(),
        "auth": {"type": "sigv4", "region": REGION},
    }
    return Far(
        configuration=configuration,
        connections=lambda: len(peers.clients),
        set_fault=service.set_fault,
        exchanges=lambda: list(service.exchanges),
    )


SIGNED = (
    http_api,
    http_api_stage,
    custom_domain,
    rest_regional,
    rest_assumed_role,
    private_rest_by_private_dns,
    private_rest_by_host,
    private_rest_by_connect_to,
    private_rest_by_api_id,
    private_rest_by_custom_domain,
    lattice,
)
UNSIGNED = (direct_none, direct_token_file, direct_web_identity, direct_mtls, privatelink)
ALL = {way.__name__: way for way in (*SIGNED, *UNSIGNED)}
FAULTS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("http_api", "http_api_stage"), OF_HTTP),
    "custom_domain": {k: v for k, v in OF_HTTP.items() if k != "endpoint_disabled"},
    **{name: OF_REST for name in ALL if "rest" in name},
    "private_rest_by_custom_domain": {k: v for k, v in OF_REST.items() if k != "endpoint_disabled"},
    "lattice": OF_LATTICE,
    "privatelink": OF_LINK,
}


@contextlib.asynccontextmanager
async def opened(name: str, folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    """Open a way as the gateway does: from the text of a configuration.

    Args:
        name: Of the way.
        folder: Where its files are.
        patch: Sets the scene: environment and names.
    """
    for key, value in ENVIRONMENT.items():
        patch.setenv(key, value)
    patch.setenv("HOME", str(folder))
    service = Service()
    await service.start()
    log = io.StringIO()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(service.stop)
        stand = Stand(folder=folder, service=service, stack=stack, patch=patch)
        far = await ALL[name](stand)
        far.configuration["timeout_seconds"] = 5
        pathway = open_way(far.configuration, folder, log)[0]
        stack.push_async_callback(pathway.upstream.close)
        yield Way(name=name, folder=folder, pathway=pathway, service=service, far=far, log=log)


def open_way(
    configuration: dict[str, Any], folder: Path, log: io.StringIO | None = None
) -> tuple[Pathway, io.StringIO]:
    """Return a pathway as a configuration has it, and what it notes.

    Args:
        configuration: Of the pathway.
        folder: Where the configuration's file would be.
        log: Where it notes; a log of its own if not given.
    """
    document = {
        "slack": {"bot_token": {"env": "A"}, "signing_secrets": [{"env": "B"}]},
        "store": {"url": "sqlite:///x"},
        "pathways": {"way": configuration},
    }
    settings = parse(json.dumps(document), source="test")  # JSON is YAML
    noted = log if log is not None else io.StringIO()
    pathways = open_pathways(
        settings.pathways,
        near=partial(Path.joinpath, folder),
        clock=SystemClock(),
        journal=EventJournal(noted),
    )
    return pathways["way"], noted
