"""By which names an API is reached, and what a name and a path lead to.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-private-api-test-invoke-url.html,
http-api-stages.html and rest-api-disable-default-endpoint.html beside it.
"""

import re
from dataclasses import dataclass
from typing import Final

from tidegate_dev.edge.answers import RefusedError
from tidegate_dev.edge.config import EdgeConfig
from tidegate_dev.edge.doors import DEFAULT_STAGE
from tidegate_dev.sigv4_check import ReceivedRequest

_LOOPBACK: Final = re.compile(r"127\.0\.0\.1|localhost|\[::1\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request ends up: the path below the stage, as it was sent."""

    stage: str
    path: str


def own_host(config: EdgeConfig) -> str:
    """Return the name that API Gateway gives the API."""
    return f"{config.api_id}.execute-api.{config.region}.amazonaws.com"


def resolvable(config: EdgeConfig) -> frozenset[str]:
    """Return the names that DNS leads here: for a private API, inside the VPC alone."""
    domains = {domain.name for domain in config.domains}
    if config.kind != "private_rest":
        return frozenset({own_host(config), *domains})
    endpoint = config.endpoint
    alias = f"{config.api_id}-{endpoint.id}.execute-api.{config.region}.amazonaws.com"
    own = {own_host(config)} if endpoint.private_dns else set()
    return frozenset({endpoint.host(config.region), alias, *own, *domains})


def place_of(config: EdgeConfig, request: ReceivedRequest, *, stage: str, disabled: bool) -> Place:
    """Return what the request's host and path lead to in a stage called *stage*.

    Raises:
        RefusedError: They lead to nothing here.
    """
    host = _host(request)
    path = request.raw_path.decode("utf-8", "replace")
    for domain in config.domains:
        if host == domain.name.lower():
            return Place(stage=stage, path=_below(path, domain.base_path, config))
    if not _is_own(config, request, host):
        raise RefusedError("UnknownHost")
    if disabled:
        raise RefusedError("EndpointDisabled")
    if stage == DEFAULT_STAGE:
        return Place(stage=stage, path=path)
    first, slash, rest = path.removeprefix("/").partition("/")
    if first != stage:
        raise RefusedError("UnknownStage")
    return Place(stage=stage, path=slash + rest or "/")


def _host(request: ReceivedRequest) -> str:
    sent = request.values(b"host")
    host = sent[0].decode("latin-1").lower() if len(sent) == 1 else ""
    return re.sub(r":[0-9]+\Z", "", host)


def _is_own(config: EdgeConfig, request: ReceivedRequest, host: str) -> bool:
    """Return whether *host* is the API's, and not one of another API, or of nothing."""
    if config.kind == "private_rest":
        return _is_private(config, request, host)
    # On loopback whatever is called lands here, so a name is only asked for where one wants it.
    return (
        not config.strict_host or host == own_host(config) or _LOOPBACK.fullmatch(host) is not None
    )


def _is_private(config: EdgeConfig, request: ReceivedRequest, host: str) -> bool:
    endpoint = config.endpoint
    if host == endpoint.host(config.region):
        return request.values(b"x-apigw-api-id") == [config.api_id.encode()]
    alias = f"{config.api_id}-{endpoint.id}.execute-api.{config.region}.amazonaws.com"
    return host in (own_host(config), alias)


def _below(path: str, base_path: str, config: EdgeConfig) -> str:
    base = base_path.strip("/")
    if not base:
        return path
    if path != f"/{base}" and not path.startswith(f"/{base}/"):
        # No mapping has this path: the same for either kind as for a host that nobody has.
        raise RefusedError("UnknownStage" if config.kind == "http" else "UnknownHost")
    return path.removeprefix(f"/{base}") or "/"
