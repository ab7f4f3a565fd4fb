"""Keys of a pathway that are each right and do not fit together, with their mends."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.configuration import parse
from tidegate.core.document import key_text
from tidegate.core.pathway_consistency import pathway_check
from tidegate.errors import ConfigError

API = "https://abc123.execute-api.eu-west-1.amazonaws.com/prod"
ENDPOINT = "vpce-0a1b2c3d-4e5f.execute-api.eu-west-1.vpce.amazonaws.com"
LATTICE = "https://deployer-0abc.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"
ROLE = "arn:aws:iam::123456789012:role/tidegate"


def edge(**changes: Any) -> dict[str, Any]:
    return {"type": "api_gateway", "url": API, "region": "eu-west-1", **changes}


def link(**auth: Any) -> dict[str, Any]:
    return {
        "type": "privatelink",
        "url": LATTICE,
        "auth": {"type": "sigv4", "region": "eu-west-1", **auth},
    }


def direct(**changes: Any) -> dict[str, Any]:
    return {"type": "direct", "url": "https://h.internal", "auth": {"type": "none"}, **changes}


def found(pathway: dict[str, Any]) -> dict[str, str]:
    return {
        key_text(one.path): f"{one.what}; {one.mend}"
        for one in pathway_check(("pathways", "p"), pathway)
    }


FINE = [
    edge(),
    edge(timeout_seconds=28.9, assume_role=ROLE, external_id="acme-42"),
    edge(url="https://api.acme.io/ops"),
    edge(private_addresses=True),
    edge(connect_to=ENDPOINT, private_addresses=True),
    edge(connect_to=f"{ENDPOINT}:443", private_addresses=True),
    edge(url=f"https://{ENDPOINT}/prod", api_id="abc123", private_addresses=True),
    edge(
        url=f"https://{ENDPOINT}/prod",
        host="abc123.execute-api.eu-west-1.amazonaws.com",
        private_addresses=True,
    ),
    edge(url="https://ops.acme.internal/v1", connect_to=ENDPOINT, private_addresses=True),
    edge(url="https://abc123-vpce-0a1b.execute-api.eu-west-1.amazonaws.com/p"),
    edge(service="lambda", timeout_seconds=300),
    link(),
    link(assume_role=ROLE, external_id="acme-42"),
    direct(timeout_seconds=600),
    direct(client_cert="tls.crt", client_key="tls.key"),
    direct(auth={"type": "web_identity", "audience": "a", "region": "eu-west-1"}),
]


@pytest.mark.parametrize("pathway", FINE)
def test_what_fits_together_is_not_complained_of(pathway: dict[str, Any]) -> None:
    assert found(pathway) == {}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (edge(timeout_seconds=29), "timeout_seconds", "gives up after 29 s"),
    (edge(timeout_seconds=300.5), "timeout_seconds", "write less than 29"),
    (
        link(service="execute-api") | {"url": API, "timeout_seconds": 30},
        "timeout_seconds",
        "gives up",
    ),
    (edge(region="us-east-1"), "region", "url is in eu-west-1"),
    (edge(connect_to=ENDPOINT.replace("eu", "us"), private_addresses=True), "region", "connect_to"),
    (edge(host="x1.execute-api.us-east-1.amazonaws.com"), "region", "host is in us-east-1"),
    (link(region="us-east-1"), "auth.region", "url is in eu-west-1"),
    (edge(external_id="acme-42"), "external_id", "add assume_role"),
    (link(external_id="acme-42"), "auth.external_id", "add assume_role"),
    (
        direct(
            auth={"type": "web_identity", "audience": "a", "region": "r", "external_id": "acme"}
        ),
        "auth.external_id",
        "add assume_role",
    ),
    (direct(client_key="tls.key"), "client_key", "add client_cert"),
    (edge(connect_to=ENDPOINT), "connect_to", "private_addresses: true"),
    (edge(url=f"https://{ENDPOINT}/prod", api_id="abc123"), "url", "private_addresses: true"),
    (edge(url=f"https://{ENDPOINT}/prod", private_addresses=True), "url", "which is meant"),
    (edge(connect_to=ENDPOINT, private_addresses=True, api_id="other1"), "api_id", "named by url"),
    (direct(url="http://127.0.0.1:1", connect_to="10.0.0.1:1"), "connect_to", "loopback"),
]


@pytest.mark.parametrize(("pathway", "key", "says"), WRONG)
def test_what_does_not_fit_is_named_with_its_mend(
    pathway: dict[str, Any], key: str, says: str
) -> None:
    complaints = found(pathway)
    assert list(complaints) == [f"pathways.p.{key}"]
    assert says in complaints[f"pathways.p.{key}"]


def test_a_file_with_such_a_pathway_is_not_taken() -> None:
    text = f"""
slack: {{bot_token: {{env: A}}, signing_secrets: [{{env: B}}]}}
store: {{url: "sqlite:///x"}}
pathways:
  edge: {{type: api_gateway, url: "{API}", region: eu-west-1, timeout_seconds: 30}}
"""
    with pytest.raises(ConfigError) as refused:
        parse(text, source="test")
    [problem] = refused.value.problems
    assert (problem.key, problem.line) == ("pathways.edge.timeout_seconds", 5)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text(max_size=10)
    | st.sampled_from(
        ["api_gateway", "sigv4", "https://[", API, ENDPOINT, f"https://{ENDPOINT}", "eu-west-1"]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
KEYS = ["type", "url", "auth", "region", "service", "timeout_seconds", "connect_to", "host"]
MORE = ["private_addresses", "api_id", "external_id", "assume_role", "client_key"]


@given(st.dictionaries(st.sampled_from(KEYS + MORE), values))
def test_values_of_any_shape_are_looked_through(pathway: dict[str, Any]) -> None:
    for one in pathway_check(("pathways", "p"), pathway):
        assert one.what
        assert one.mend
