"""What can be wrong with a pathway, from its name to the agent behind it."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

from tests.entry.doctor.faults.fault import (
    Config,
    During,
    Fault,
    at_edge,
    changed,
    direct,
    pathway,
    well,
)
from tests.far_ends.live import REGION, Live, black_hole, key_files
from tests.ports import free_port
from tests.service import Service, says
from tidegate_dev.authority import Authority
from tidegate_dev.edge import EdgeConfig, Permission, Route, edge_app
from tidegate_dev.listener import Listener

ALL = (Permission(method="*", path="*"),)


def another_edge(path: str = "", **keys: Any) -> During:
    """Another API in front of the same agent."""

    @asynccontextmanager
    async def during(live: Live, config: Config) -> AsyncIterator[None]:
        ours = live.edge.config
        edge = edge_app(
            EdgeConfig(integration_url=ours.integration_url, keys=ours.keys, region=REGION, **keys)
        )
        async with Listener(edge) as front:
            config["pathways"]["cluster"]["url"] = front.url + path
            yield
        await edge.aclose()

    return during


@asynccontextmanager
async def not_signed(live: Live, config: Config) -> AsyncIterator[None]:
    direct(config, live.edge_url)
    yield


def service(status: int, **headers: str) -> During:
    """Something else than the agent answers."""

    @asynccontextmanager
    async def during(_: Live, config: Config) -> AsyncIterator[None]:
        other = Service(answer=says(status, {"hello": "world"}, **headers))
        await other.start()
        direct(config, other.url)
        yield
        await other.stop()

    return during


@asynccontextmanager
async def silent(_: Live, config: Config) -> AsyncIterator[None]:
    async with black_hole() as place:
        direct(config, f"http://{place}", timeout_seconds=0.3)
        yield


@asynccontextmanager
async def other_key(live: Live, config: Config) -> AsyncIterator[None]:
    folder = live.folder / f"key-{live.made}"
    folder.mkdir()
    key_files(folder)
    config["identity"]["signing_key"]["file"] = str(folder / "identity.pem")
    yield


@asynccontextmanager
async def other_key_directly(live: Live, config: Config) -> AsyncIterator[None]:
    direct(config, live.edge.config.integration_url)
    async with other_key(live, config):
        yield


@asynccontextmanager
async def no_key(live: Live, config: Config) -> AsyncIterator[None]:
    file = live.folder / "no-key.pem"
    file.write_text("this is no key at all")
    config["identity"]["signing_key"]["file"] = str(file)
    yield


def token(**claims: Any) -> During:
    """A pathway that shows a token from a file."""

    @asynccontextmanager
    async def during(live: Live, config: Config) -> AsyncIterator[None]:
        file = live.folder / f"token-{live.made}"
        if claims:
            body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
            file.write_text(f"e30.{body}.signature")
        direct(config, live.edge.config.integration_url)
        auth = {"type": "token_file", "path": str(file), "audience": "tidegate-agent"}
        config["pathways"]["cluster"]["auth"] = auth
        yield

    return during


@dataclass
class Secured:
    """An HTTPS listener and what a client needs to know of it."""

    live: Live
    authority: Authority = field(default_factory=Authority)

    def ca_file(self) -> str:
        file = self.live.folder / f"ca-{self.live.made}.pem"
        file.write_bytes(self.authority.pem)
        return str(file)


async def hello(scope: Scope, _: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def tls(
    *names: str, trusted: bool = True, ended: bool = False, mutual: bool = False, ca: bytes = b""
) -> During:
    """The service shows a certificate."""

    @asynccontextmanager
    async def during(live: Live, config: Config) -> AsyncIterator[None]:
        far = Secured(live)
        pair = far.authority.issue(*names, ended=ended)
        context = pair.server_context(client_ca=far.authority.pem if mutual else None)
        async with Listener(hello, tls=context) as front:
            direct(config, front.url)
            if trusted:
                config["pathways"]["cluster"]["ca_file"] = far.ca_file()
            if ca:
                file = live.folder / f"bad-ca-{live.made}.pem"
                file.write_bytes(ca)
                config["pathways"]["cluster"]["ca_file"] = str(file)
            yield

    return during


@asynccontextmanager
async def plain_http(live: Live, config: Config) -> AsyncIterator[None]:
    async with Listener(hello) as front:
        direct(config, front.url.replace("http:", "https:"))
        yield


PATHWAYS = [
    *(
        Fault(name=f"at the edge: {name}", codes={code}, during=at_edge(name))
        for name, code in {
            "clock_skew": "pathway.clock_skew",
            "bad_signature": "pathway.bad_signature",
            "unknown_key": "pathway.unknown_credentials",
            "expired_token": "pathway.expired_credentials",
            "wrong_region": "pathway.wrong_region",
            "not_permitted": "pathway.not_permitted",
            "explicit_deny": "pathway.denied",
            "unknown_route": "pathway.no_route",
            "vpc_link_inactive": "pathway.link_down",
            "vpc_link_failed": "pathway.integration_failed",
            "integration_down": "pathway.link_down",
            "throttle": "pathway.throttled",
        }.items()
    ),
    Fault(
        name="signed for another service",
        codes={"pathway.wrong_service"},
        during=pathway(service="lambda"),
    ),
    Fault(
        name="the route has no authorizer: it is open to the world",
        codes={"pathway.open_to_the_world"},
        during=another_edge(routes=(Route(key="$default", auth="NONE"),)),
    ),
    Fault(
        name="the url lacks the stage",
        codes={"pathway.no_route"},
        during=another_edge(stage="prod", overwrite_path=True),
    ),
    Fault(
        name="the url has the stage twice",
        codes={"agent.path_not_stripped"},
        during=another_edge("/prod/prod", stage="prod", overwrite_path=True, permissions=ALL),
    ),
    Fault(
        name="the stage goes on to the service",
        codes={"agent.path_not_stripped"},
        during=another_edge("/prod", stage="prod", permissions=ALL),
    ),
    Fault(
        name="a REST API has no such stage",
        codes={"pathway.edge_forbidden"},
        during=another_edge("/staging", kind="rest", stage="prod", overwrite_path=True),
    ),
    Fault(
        name="an HTTP API says no more than Forbidden",
        codes={"pathway.edge_forbidden"},
        during=another_edge(terse=True, permissions=()),
    ),
    Fault(
        name="the url has two slashes",
        codes={"pathway.doubled_slash", "pathway.no_route"},
        during=another_edge("/prod//", stage="test", overwrite_path=True),
    ),
    Fault(
        name="a direct pathway leads to an API Gateway",
        codes={"pathway.refused"},
        during=not_signed,
    ),
    Fault(
        name="the agent holds another key",
        codes={"agent.other_key"},
        during=other_key,
    ),
    Fault(
        name="no token goes along, and the key is another",
        codes={"agent.other_key_or_no_token"},
        during=other_key_directly,
    ),
    Fault(
        name="the agent goes by another audience",
        codes={"agent.other_audience"},
        during=pathway(audience="somebody-else"),
    ),
    Fault(
        name="the agent believes another issuer",
        codes={"agent.other_issuer"},
        during=changed(lambda config: config["identity"].update(issuer="acme")),
    ),
    Fault(
        name="our clock is ahead by as much as statements bear",
        codes={"agent.other_clock"},
        during=well(),
        ahead=20.0,
    ),
    Fault(
        name="our clock is ahead by ten minutes",
        codes={"clock.skewed", "pathway.clock_skew"},
        during=well(),
        ahead=600.0,
    ),
    Fault(name="the key cannot be used", codes={"identity.key_unusable"}, during=no_key),
    Fault(
        name="the service leads elsewhere",
        codes={"pathway.leads_elsewhere"},
        during=service(302, Location="/elsewhere"),
    ),
    Fault(
        name="the service fails",
        codes={"pathway.service_fails"},
        during=service(500),
    ),
    Fault(
        name="the service does not let us in",
        codes={"pathway.refused"},
        during=service(401),
    ),
    Fault(name="the service is silent", codes={"pathway.timeout"}, during=silent),
    Fault(
        name="the name does not exist",
        codes={"dns.unknown_name"},
        during=changed(lambda config: direct(config, "https://tidegate-agent.invalid")),
    ),
    Fault(
        name="nothing listens there",
        codes={"tcp.refused"},
        during=changed(lambda config: direct(config, f"http://127.0.0.1:{free_port()}")),
    ),
    Fault(
        name="the certificate's authority is not trusted",
        codes={"tls.untrusted"},
        during=tls("127.0.0.1", trusted=False),
    ),
    Fault(
        name="the certificate has expired",
        codes={"tls.expired"},
        during=tls("127.0.0.1", ended=True),
    ),
    Fault(
        name="the certificate is another's",
        codes={"tls.other_name"},
        during=tls("agent.internal"),
    ),
    Fault(
        name="the service wants a certificate of ours",
        codes={"tls.client_certificate_wanted"},
        during=tls("127.0.0.1", mutual=True),
    ),
    Fault(
        name="the authority's file holds none",
        codes={"tls.ca_file_unusable"},
        during=tls("127.0.0.1", ca=b"no certificate"),
    ),
    Fault(name="the port speaks no TLS", codes={"tls.not_spoken"}, during=plain_http),
    Fault(name="the token's file is not there", codes={"token.missing"}, during=token()),
    Fault(
        name="the token has expired",
        codes={"token.expired"},
        during=token(aud="tidegate-agent", exp=1_000_000_000),
    ),
    Fault(
        name="the token is made for another",
        codes={"token.other_audience"},
        during=token(aud=["somebody-else"], exp=4_000_000_000),
    ),
]
