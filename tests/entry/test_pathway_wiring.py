"""How a configuration's pathways are opened: what they share, and what each is held to."""

import io
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tidegate.adapters.clock import SystemClock
from tidegate.adapters.journal import EventJournal
from tidegate.adapters.pathways.direct import Direct
from tidegate.adapters.pathways.execute_api import ExecuteApi
from tidegate.app.worker import Pathway
from tidegate.core.configuration import parse
from tidegate.core.settings import Pathway as PathwaySettings
from tidegate.entry.pathway_wiring import CredentialsPool, open_pathways, place_of

ROLE = "arn:aws:iam::123456789012:role/callers"
API = "https://abc123.execute-api.eu-west-1.amazonaws.com"
EDGE: dict[str, Any] = {"type": "api_gateway", "url": f"{API}/prod/", "region": "eu-west-1"}
LINK: dict[str, Any] = {"type": "privatelink", "url": "https://svc.internal/base"}
DIRECT: dict[str, Any] = {
    "type": "direct",
    "url": "https://svc.internal/base",
    "auth": {"type": "none"},
}
WEB = {"type": "web_identity", "audience": "agent", "region": "eu-west-1"}


def settings(**pathways: dict[str, Any]) -> dict[str, PathwaySettings]:
    document = {
        "slack": {"bot_token": {"env": "A"}, "signing_secrets": [{"env": "B"}]},
        "store": {"url": "sqlite:///x"},
        "pathways": pathways,
    }
    return dict(parse(json.dumps(document), source="test").pathways)


async def opened(folder: Path, **pathways: dict[str, Any]) -> dict[str, Pathway]:
    return dict(
        open_pathways(
            settings(**pathways),
            near=partial(Path.joinpath, folder),
            clock=SystemClock(),
            journal=EventJournal(io.StringIO()),
        )
    )


@pytest.mark.parametrize(
    ("keys", "auth", "stage", "upstream"),
    [
        (EDGE, "sigv4", True, ExecuteApi),
        (EDGE | {"service": "lambda"}, "sigv4", False, ExecuteApi),
        (LINK, "none", False, Direct),
        (LINK | {"auth": {"type": "sigv4", "region": "eu-west-1"}}, "sigv4", False, ExecuteApi),
        (LINK | {"auth": WEB}, "web_identity", False, Direct),
        (DIRECT, "none", False, Direct),
        (DIRECT | {"auth": {"type": "token_file", "path": "t"}}, "token_file", False, Direct),
    ],
)
async def test_a_pathway_proves_itself_as_it_is_configured(
    keys: dict[str, Any], auth: str, stage: bool, upstream: type, tmp_path: Path
) -> None:
    way = (await opened(tmp_path, way=keys))["way"]
    assert (way.auth, way.stage, type(way.upstream)) == (auth, stage, upstream)
    assert (way.name, way.audience) == ("way", "way")
    await way.upstream.close()


def test_pathways_of_one_role_share_its_credentials() -> None:
    pool = CredentialsPool(EventJournal(io.StringIO()))
    own = pool.source(None, None, "eu-west-1")
    assert pool.source(None, None, "us-east-1") is own
    role = pool.source(ROLE, None, "eu-west-1")
    assert role is not own
    assert pool.source(ROLE, None, "us-east-1") is role
    assert pool.source(ROLE, "acme-42", "eu-west-1") is not role


def place(keys: dict[str, Any]) -> Any:
    return place_of(settings(way=keys)["way"], near=partial(Path.joinpath, Path("/etc/tidegate")))


def test_files_begin_where_the_configuration_is() -> None:
    found = place(DIRECT | {"ca_file": "ca.pem", "client_cert": "/tls.crt", "client_key": "k"})
    assert found.ca_file == "/etc/tidegate/ca.pem"
    assert (found.client_cert, found.client_key) == ("/tls.crt", "/etc/tidegate/k")


def test_only_what_api_gateway_takes_is_held_to_its_limits() -> None:
    assert (place(EDGE).max_body_bytes, place(EDGE).max_head_bytes) == (10 * 1024 * 1024, 10_240)
    for keys in (DIRECT, LINK, LINK | {"auth": {"type": "sigv4", "region": "eu-west-1"}}):
        assert (place(keys).max_body_bytes, place(keys).max_head_bytes) == (None, None)


@pytest.mark.parametrize(
    ("keys", "edge"),
    [
        (EDGE, "api_gateway"),
        (EDGE | {"url": "https://ops.acme.io"}, "api_gateway"),
        (LINK | {"auth": {"type": "sigv4", "region": "eu-west-1"}}, "lattice"),
        (LINK | {"url": API}, "api_gateway"),
        (LINK | {"host": "abc123.execute-api.eu-west-1.amazonaws.com"}, "api_gateway"),
        (LINK | {"url": "https://a-0b.7d.vpc-lattice-svcs.eu-west-1.on.aws"}, "lattice"),
        (DIRECT, ""),
        (DIRECT | {"url": "https://svc.internal/x.execute-api.y.amazonaws.com"}, ""),
    ],
)
def test_what_stands_before_the_service_is_known_by_what_is_signed_or_by_the_name(
    keys: dict[str, Any], edge: str
) -> None:
    assert place(keys).edge == edge


def test_a_gateway_that_signs_nothing_does_not_load_the_credential_chain() -> None:
    code = (
        "import sys, tidegate.entry.pathway_wiring; "
        "sys.exit(any(name in sys.modules for name in ('botocore', 'boto3', 'awscrt')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
