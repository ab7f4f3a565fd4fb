"""Opens the pathways of a configuration, each with what it proves itself by."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegate.adapters.pathways.direct import Direct
from tidegate.adapters.pathways.execute_api import CredentialsSource, ExecuteApi
from tidegate.adapters.pathways.tokens import TokenFile, Tokens
from tidegate.adapters.pathways.transport import Place
from tidegate.adapters.pathways.web_identity import Wanted, WebIdentity
from tidegate.app.worker import Pathway
from tidegate.core.edge_answer import Edge
from tidegate.core.pathway_settings import EXECUTE_API, VPC_LATTICE
from tidegate.core.settings import (
    ApiGatewayPathway,
    NoAuth,
    SigV4Auth,
    TokenFileAuth,
    WebIdentityAuth,
)
from tidegate.core.settings import Pathway as PathwaySettings
from tidegate.ports import Clock, Journal

#: Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_BODY_BYTES: Final = 10 * 1024 * 1024
MAX_HEAD_BYTES: Final = 10_240  # request line and header values together

Near = Callable[[str], Path]
_EDGES: Final[Mapping[str, Edge]] = {EXECUTE_API: "api_gateway", VPC_LATTICE: "lattice"}
_HOSTS: Final[tuple[tuple[re.Pattern[str], Edge], ...]] = (
    (re.compile(r"//[^/]*\.execute-api\.[^/]*\.amazonaws\.com"), "api_gateway"),
    (re.compile(r"//[^/]*\.vpc-lattice-svcs\.[^/]*\.on\.aws"), "lattice"),
)


class CredentialsPool:
    """AWS credentials by the role that they are of: pathways of one role share them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._sources: dict[tuple[str | None, str | None], CredentialsSource] = {}

    def source(self, role: str | None, external_id: str | None, region: str) -> CredentialsSource:
        """Return what reads the credentials of *role*, or of the gateway itself for None.

        Args:
            role: ARN of the role to assume.
            external_id: What its trust policy asks for, or None.
            region: Whose STS is asked, where it is the first to be asked for the role.
        """
        key = (role, external_id)
        if key not in self._sources:
            # Only a gateway that signs needs the credential chain.
            from tidegate.adapters.credentials import AssumedRole, ChainCredentials

            assumed = None
            if role is not None:
                assumed = AssumedRole(arn=role, region=region, external_id=external_id)
            self._sources[key] = ChainCredentials(journal=self._journal, role=assumed)
        return self._sources[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signing:
    region: str
    service: str
    role: str | None
    external_id: str | None
    api_id: str | None = None


def open_pathways(
    pathways: Mapping[str, PathwaySettings], *, near: Near, clock: Clock, journal: Journal
) -> Mapping[str, Pathway]:
    """Return the pathways by name; nothing is connected yet.

    Args:
        pathways: As the configuration has them.
        near: Makes a path of the configuration an absolute one.
        clock: Tells the time of signatures.
        journal: Where it is noted what fails.
    """
    pool = CredentialsPool(journal)
    return {
        name: open_pathway(name, pathway, near=near, clock=clock, journal=journal, pool=pool)
        for name, pathway in pathways.items()
    }


def open_pathway(
    name: str,
    pathway: PathwaySettings,
    *,
    near: Near,
    clock: Clock,
    journal: Journal,
    pool: CredentialsPool,
) -> Pathway:
    """Return one pathway, with the credentials of *pool*."""
    place = place_of(pathway, near=near)
    signing = _signing(pathway)
    upstream: Direct | ExecuteApi
    if signing is not None:
        upstream = ExecuteApi(
            place,
            region=signing.region,
            service=signing.service,
            credentials=pool.source(signing.role, signing.external_id, signing.region),
            clock=clock,
            api_id=signing.api_id,
            journal=journal,
        )
        auth = "sigv4"
    else:
        tokens = _tokens(pathway, near=near, clock=clock, journal=journal, pool=pool)
        upstream = Direct(place, tokens=tokens, journal=journal)
        auth = "none" if tokens is None else _auth(pathway)
    return Pathway(
        name=name,
        upstream=upstream,
        audience=pathway.audience,
        base_path=place.base_path,
        stage=signing is not None and signing.service == EXECUTE_API,
        concurrency=pathway.concurrency,
        auth=auth,
    )


def place_of(pathway: PathwaySettings, *, near: Near) -> Place:
    """Return where a pathway leads."""

    def file(name: str | None) -> str | None:
        return str(near(name)) if name else None

    signing = _signing(pathway)
    limited = signing is not None and signing.service == EXECUTE_API
    return Place(
        url=pathway.url,
        timeout_seconds=pathway.timeout_seconds,
        concurrency=pathway.concurrency,
        connect_to=pathway.connect_to,
        host=pathway.host,
        ca_file=file(pathway.ca_file),
        client_cert=file(pathway.client_cert),
        client_key=file(pathway.client_key),
        private=pathway.private_addresses,
        edge=_edge(pathway, signing),
        max_body_bytes=MAX_BODY_BYTES if limited else None,
        max_head_bytes=MAX_HEAD_BYTES if limited else None,
    )


def _edge(pathway: PathwaySettings, signing: _Signing | None) -> Edge:
    """Return what stands before the service: by what is signed for, else by the name."""
    if signing is not None and signing.service in _EDGES:
        return _EDGES[signing.service]
    url = pathway.url if pathway.host is None else f"//{pathway.host}"
    return next((edge for pattern, edge in _HOSTS if pattern.search(url)), "")


def _signing(pathway: PathwaySettings) -> _Signing | None:
    if isinstance(pathway, ApiGatewayPathway):
        return _Signing(
            region=pathway.region,
            service=pathway.service,
            role=pathway.assume_role,
            external_id=pathway.external_id,
            api_id=pathway.api_id,
        )
    if isinstance(pathway.auth, SigV4Auth):
        return _Signing(
            region=pathway.auth.region,
            service=pathway.auth.service,
            role=pathway.auth.assume_role,
            external_id=pathway.auth.external_id,
        )
    return None


def _auth(pathway: PathwaySettings) -> str:
    return (
        "none"
        if isinstance(pathway, ApiGatewayPathway) or pathway.auth is None
        else pathway.auth.type
    )


def _tokens(
    pathway: PathwaySettings,
    *,
    near: Near,
    clock: Clock,
    journal: Journal,
    pool: CredentialsPool,
) -> Tokens | None:
    if isinstance(pathway, ApiGatewayPathway):
        return None
    match pathway.auth:
        case TokenFileAuth(path=path, audience=audience):
            return TokenFile(near(path), audience=audience)
        case WebIdentityAuth() as auth:
            return web_identity(auth, clock=clock, journal=journal, pool=pool)
        case NoAuth() | SigV4Auth() | None:
            return None


def web_identity(
    auth: WebIdentityAuth, *, clock: Clock, journal: Journal, pool: CredentialsPool
) -> WebIdentity:
    """Return where the tokens of the account's own STS come from, as *auth* wants them."""
    return WebIdentity(
        Wanted(
            audience=auth.audience,
            region=auth.region,
            seconds=auth.seconds,
            algorithm=auth.algorithm,
            endpoint_url=auth.endpoint_url,
        ),
        credentials=pool.source(auth.assume_role, auth.external_id, auth.region),
        clock=clock,
        journal=journal,
    )
