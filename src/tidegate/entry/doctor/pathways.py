"""Builds the look at each pathway, with the upstream that the worker has."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tidegate.adapters.pathways.direct import Direct
from tidegate.adapters.pathways.tokens import TokenFile, Tokens
from tidegate.adapters.pathways.transport import Place
from tidegate.app.doctor.keys import KeysVisit, TokenVisit
from tidegate.app.doctor.line import LineVisit
from tidegate.app.doctor.pathway import PathwayVisit
from tidegate.app.doctor.walk import Step
from tidegate.core.diagnosis.finding import Path
from tidegate.core.diagnosis.line import Line
from tidegate.core.diagnosis.pathway import Kind, Way
from tidegate.core.settings import (
    ApiGatewayPathway,
    Pathway,
    PrivateLinkPathway,
    SigV4Auth,
    TokenFileAuth,
    WebIdentityAuth,
)
from tidegate.entry.doctor.bench import Bench, WatchedKeys
from tidegate.entry.doctor.store import signer
from tidegate.entry.pathway_wiring import CredentialsPool, open_pathway, place_of, web_identity
from tidegate.errors import SecretError

MOST_SECONDS: Final = 8.0  # an answer to a harmless question takes no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    service: str
    region: str
    role: str | None
    external_id: str | None


def pathway_steps(bench: Bench) -> list[Step]:
    """Return the looks at all pathways."""
    pool = CredentialsPool(bench.journal)
    steps: list[Step] = []
    for name, pathway in bench.settings.pathways.items():
        quick = min(pathway.timeout_seconds, MOST_SECONDS)
        steps += _steps(bench, name, pathway.model_copy(update={"timeout_seconds": quick}), pool)
    return steps


def _steps(bench: Bench, name: str, pathway: Pathway, pool: CredentialsPool) -> list[Step]:
    place = place_of(pathway, near=bench.configuration.near)
    opened = open_pathway(
        name,
        pathway,
        near=bench.configuration.near,
        clock=bench.clock,
        journal=bench.journal,
        pool=pool,
    )
    bench.closing.append(opened.upstream.close)
    way = _way(bench, name, pathway)
    unsigned = Direct(place, journal=bench.journal) if way.gated else None
    if unsigned is not None:
        bench.closing.append(unsigned.close)
    names = [(other, each.audience) for other, each in bench.settings.pathways.items()]
    try:
        signs = signer(bench)
    except SecretError:
        signs = None  # told where the key is looked at
    visit = PathwayVisit(
        name=name,
        way=way,
        line=_line(bench, name, pathway, place),
        upstream=opened.upstream,
        unsigned=unsigned,
        seconds=pathway.timeout_seconds,
        signer=signs,
        clock=bench.clock,
        issuer=bench.settings.identity.issuer,
        audience=opened.audience,
        base_path=opened.base_path,
        stage=opened.stage,
        proof=_proof(bench, name, pathway, pool),
        audiences=[name, *(text for pair in names for text in pair)],
    )
    return [*visit.steps()]


def _way(bench: Bench, name: str, pathway: Pathway) -> Way:
    signed = _signed(pathway)
    paths = {
        action.request.path
        for action in bench.settings.actions.values()
        if action.pathway == name and action.request is not None
    }
    return Way(
        kind=Kind(pathway.type),
        url=pathway.url,
        timeout_seconds=bench.settings.pathways[name].timeout_seconds,
        signed=None if signed is None else (signed.service, signed.region),
        paths=tuple(sorted(paths)),
        host=pathway.host,
    )


def _signed(pathway: Pathway) -> _Signed | None:
    proof = pathway if isinstance(pathway, ApiGatewayPathway) else pathway.auth
    if not isinstance(proof, ApiGatewayPathway | SigV4Auth):
        return None
    return _Signed(
        service=proof.service,
        region=proof.region,
        role=proof.assume_role,
        external_id=proof.external_id,
    )


def _line(bench: Bench, name: str, pathway: Pathway, place: Place) -> LineVisit:
    parts = urlsplit(place.wire_address("/"))
    host = parts.hostname or ""
    line = Line(
        host=host,
        port=parts.port or (443 if parts.scheme == "https" else 80),
        tls=parts.scheme == "https",
        name=place.tls_name or host,
        ca_file=place.ca_file,
        client_cert=place.client_cert,
        client_key=place.client_key,
    )
    return LineVisit(
        path=("pathways", name),
        line=line,
        lines=bench.lines,
        clock=bench.clock,
        inside=isinstance(pathway, PrivateLinkPathway),
    )


def _proof(bench: Bench, name: str, pathway: Pathway, pool: CredentialsPool) -> Step | None:
    """Return the look at what a pathway proves itself with, if it does."""
    path: Path = ("pathways", name, "credentials")
    signed = _signed(pathway)
    if signed is not None:
        keys = WatchedKeys(
            pool.source(signed.role, signed.external_id, signed.region), bench.hidden
        )
        return KeysVisit(
            path=path,
            keys=keys,
            role=signed.role,
            callers=bench.callers(signed.region, pathway.url),
            renewed=bench.renews(signed.role),
        ).step()
    if isinstance(pathway, ApiGatewayPathway):
        return None
    match pathway.auth:
        case TokenFileAuth(path=file, audience=audience):
            tokens: Tokens = TokenFile(bench.configuration.near(file))
            read = _reading(bench, tokens)
            issued = False
        case WebIdentityAuth(audience=audience) as auth:
            issuing = web_identity(auth, clock=bench.clock, journal=bench.journal, pool=pool)
            bench.closing.append(issuing.close)
            read, issued = _reading(bench, issuing), True
        case _:
            return None
    return TokenVisit(
        path=path, read=read, issued=issued, audience=audience, clock=bench.clock
    ).step()


def _reading(bench: Bench, tokens: Tokens) -> Callable[[], Awaitable[str]]:
    async def read() -> str:
        text = await tokens.current()
        bench.hidden.add(text)
        return text

    return read
