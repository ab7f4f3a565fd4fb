"""What a good file says, with defaults filled in."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tidegate.core.configuration import parse
from tidegate.core.settings import (
    ApiGatewayPathway,
    DirectPathway,
    EnvSecret,
    FileSecret,
    NoAuth,
    PrivateLinkPathway,
    RateLimit,
    SecretsManagerSecret,
    Settings,
    SigV4Auth,
    Source,
    TokenFileAuth,
    WebIdentityAuth,
    source_of,
    sqlite_path,
)

EXAMPLES = Path(__file__).parents[2] / "examples"

SMALLEST = """
slack:
  api_url: http://127.0.0.1:9001/api/
  bot_token: {env: SLACK_BOT_TOKEN}
  signing_secrets: [{env: SLACK_SIGNING_SECRET}]
server: {host: 127.0.0.1, port: 3000}
store: {url: "sqlite:////var/lib/tidegate/tidegate.db"}
pathways:
  cluster: {type: direct, url: "http://127.0.0.1:9002", auth: {type: none}, timeout_seconds: 20}
actions:
  deploy:
    match: {action_id: [k8s_deploy]}
    pathway: cluster
    request: {method: POST, path: /api/v1/deploy}
    params: {namespace: {required: true}, deployment: {required: true}}
    allow: {users: [U0HELDOUT], channels: [C0HELDOUT]}
    repeat: once_per_message
    idempotent: true
"""

EVERYTHING = """
version: 1
slack:
  api_url: https://slack-gov.com/api
  bot_token: {file: bot}
  signing_secrets: [{env: A}, {secretsmanager: "arn:aws:x", key: k}]
  app_token: {secretsmanager: name}
  limits: {posts_per_channel_per_second: 0.5, updates_per_minute: 20}
server:
  host: "::"
  port: 0
  max_body_bytes: 2048
  ack_deadline_seconds: 0.5
  drain_seconds: 3
  tls: {cert: c.pem, key: k.pem}
admin: {host: localhost, port: 65535}
store: {url: "postgresql://db.internal/tidegate", retention_days: 7}
worker: {enabled: false, concurrency: 2, lease_seconds: 2}
pathways:
  near:
    type: direct
    url: https://svc.internal/base
    connect_to: 10.0.0.7:8443
    host: svc.example.com
    ca_file: ca.pem
    client_cert: client.pem
    audience: deployer
    concurrency: 3
    auth: {type: token_file, path: token, audience: aud}
  edge:
    type: api_gateway
    url: https://abc.execute-api.eu-west-1.amazonaws.com/stage
    region: eu-west-1
    service: vpc-lattice-svcs
    assume_role: arn:aws:iam::123456789012:role/path/tidegate
    external_id: acme-42
    api_id: abc123
    private_addresses: true
  link: {type: privatelink, url: "https://svc.internal", connect_to: vpce-1.example.com}
  lattice:
    type: privatelink
    url: https://svc.internal
    auth: {type: sigv4, region: eu-west-1}
    client_cert: tls.crt
    client_key: tls.key
    private_addresses: false
  federated:
    type: direct
    url: https://svc.internal
    auth: {type: web_identity, audience: agent, region: eu-west-1, seconds: 60, algorithm: ES384}
actions:
  scale:
    match: {command: [/scale, /sc*]}
    pathway: near
    request: {path: "/v1/{params.name}/scale"}
    body: {n: "{params.n}", who: ["{actor.user_id}"], note: "see {braces: 1}", deep: {x: null}}
    params:
      name: {from: "text[0]", required: true, pattern: "[a-z]+"}
      n: {type: integer, min: 1, max: 9, default: 2, enum: [2, 4], from: "text[1]"}
      dry: {type: boolean, default: false, from: value.dry_run}
    allow:
      - {users: any, params: {name: [web]}, guests: true}
      - {user_groups: [S1], channels: [C1, G1, D1], external: true}
    rate_limit: 5/minute
    repeat: allow
    button_max_age_days: 1
    start_within_seconds: 1
    deadline_seconds: 2
    confirm: Really?
  modal:
    match: {view: ["*"]}
    pathway: edge
    request: {method: PUT, path: /v1}
    params: {why: {from: state.block.action, secret: true, max_length: 10}, pick: {from: selected}}
    confirm: true
  share: {use: s3_share_link, allow: {users: [W1]}}
identity: {signing_key: {env: KEY}, issuer: here}
trust_unlocked_groups: true
s3:
  region: eu-west-1
  endpoint_url: http://[::1]:9000
  buckets:
    a: {name: bucket, scan: {guardduty: true}, modes: [link], types: ["image/*"], channels: [C1]}
    b: {name: other, scan: {clamd: "unix:/x", max_bytes: 5}, expires_seconds: 60, external: true}
  events:
    queue_url: https://sqs.eu-west-1.amazonaws.com/123456789012/arrivals
    dead_letter_url: https://sqs.eu-west-1.amazonaws.com/123456789012/arrivals-dead
    rules:
      - {name: all, bucket: a, channel: C1, mode: link}
      - {name: some, bucket: a, channel: C1, mode: link, suffix: .pdf, title: "{name} ({size})"}
api:
  tokens: [{name: ci, secret: {env: T}, buckets: [a], modes: [upload], rate_limit: 1/hour}]
"""


def good(text: str) -> Settings:
    return parse(text, source="test")


def test_the_smallest_file_gets_every_default() -> None:
    settings = good(SMALLEST)
    assert settings.version == 1
    assert settings.slack.api_url == "http://127.0.0.1:9001/api/"
    assert settings.slack.bot_token == EnvSecret(env="SLACK_BOT_TOKEN")
    assert settings.slack.app_token is None
    assert settings.slack.limits.posts_per_channel_per_second == 1
    assert settings.slack.limits.updates_per_minute == 50
    assert settings.server.max_body_bytes == 1_048_576
    assert settings.server.ack_deadline_seconds == 2
    assert settings.server.drain_seconds == 10
    assert settings.server.tls is None
    assert (settings.admin.host, settings.admin.port) == ("127.0.0.1", 3001)
    assert settings.store.retention_days == 90
    assert settings.worker.enabled
    assert (settings.worker.concurrency, settings.worker.lease_seconds) == (64, 10)
    assert settings.identity.signing_key is None
    assert settings.identity.issuer == "tidegate"
    assert not settings.trust_unlocked_groups
    assert settings.s3 is None
    assert settings.api.tokens == ()


def test_the_smallest_files_pathway_and_action() -> None:
    settings = good(SMALLEST)
    pathway = settings.pathways["cluster"]
    assert isinstance(pathway, DirectPathway)
    assert pathway.auth == NoAuth(type="none")
    assert (pathway.timeout_seconds, pathway.concurrency) == (20, 16)
    assert pathway.audience == "cluster"
    action = settings.actions["deploy"]
    assert action.match is not None
    assert action.match.action_id == ("k8s_deploy",)
    assert action.params["namespace"].from_ == "value.namespace"
    assert action.params["namespace"].max_length == 256
    assert action.allow[0].users == ("U0HELDOUT",)
    assert action.allow[0].channels == ("C0HELDOUT",)
    assert not action.allow[0].guests
    assert action.rate_limit is None
    assert (action.repeat, action.idempotent) == ("once_per_message", True)
    assert (action.button_max_age_days, action.confirm) == (30, False)
    assert (action.start_within_seconds, action.deadline_seconds) == (600, 3600)


def test_a_file_without_server_listens_for_the_load_balancer() -> None:
    settings = good(
        "slack: {bot_token: {env: A}, signing_secrets: [{env: B}]}\nstore: {url: sqlite:///x}"
    )
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 3000)
    assert settings.slack.api_url == "https://slack.com/api/"


def test_secrets_come_in_three_kinds() -> None:
    slack = good(EVERYTHING).slack
    assert slack.bot_token == FileSecret(file="bot")
    assert slack.signing_secrets[1] == SecretsManagerSecret(secretsmanager="arn:aws:x", key="k")
    assert slack.app_token == SecretsManagerSecret(secretsmanager="name")


def test_the_api_url_ends_in_a_slash() -> None:
    assert good(EVERYTHING).slack.api_url == "https://slack-gov.com/api/"


def test_pathways_come_in_three_types() -> None:
    pathways = good(EVERYTHING).pathways
    near, edge, link = pathways["near"], pathways["edge"], pathways["link"]
    assert isinstance(near, DirectPathway)
    assert near.auth == TokenFileAuth(type="token_file", path="token", audience="aud")
    assert (near.connect_to, near.host, near.audience) == (
        "10.0.0.7:8443",
        "svc.example.com",
        "deployer",
    )
    assert isinstance(edge, ApiGatewayPathway)
    assert (edge.region, edge.service, edge.audience) == ("eu-west-1", "vpc-lattice-svcs", "edge")
    assert isinstance(link, PrivateLinkPathway)
    assert link.auth is None
    assert (edge.external_id, edge.api_id) == ("acme-42", "abc123")


def test_pathways_prove_themselves_in_several_ways() -> None:
    pathways = good(EVERYTHING).pathways
    lattice, federated = pathways["lattice"], pathways["federated"]
    assert isinstance(lattice, PrivateLinkPathway)
    assert lattice.auth == SigV4Auth(type="sigv4", region="eu-west-1", service="vpc-lattice-svcs")
    assert (lattice.client_cert, lattice.client_key) == ("tls.crt", "tls.key")
    assert isinstance(federated, DirectPathway)
    assert isinstance(federated.auth, WebIdentityAuth)
    assert (federated.auth.seconds, federated.auth.algorithm) == (60, "ES384")


def test_only_the_pathway_over_the_internet_keeps_to_public_addresses_by_itself() -> None:
    private = {name: one.private_addresses for name, one in good(EVERYTHING).pathways.items()}
    assert private == {
        "near": True,
        "edge": True,  # it says so
        "link": True,
        "lattice": False,  # it says so
        "federated": True,
    }
    edge = SMALLEST.replace("auth: {type: none}", "region: eu-west-1").replace(
        "type: direct", "type: api_gateway"
    )
    assert good(edge).pathways["cluster"].private_addresses is False


def test_actions_say_everything() -> None:
    actions = good(EVERYTHING).actions
    scale = actions["scale"]
    assert scale.rate_limit == RateLimit(count=5, seconds=60)
    assert scale.allow[0].users == ("any",)
    assert scale.allow[0].params == {"name": ("web",)}
    assert scale.allow[1].user_groups == ("S1",)
    assert scale.params["n"].default == 2
    assert scale.params["dry"].default is False
    assert scale.params["dry"].from_ == "value.dry_run"
    assert scale.request is not None
    assert scale.request.method == "POST"
    assert scale.body is not None
    assert scale.body["deep"] == {"x": None}
    assert (scale.confirm, actions["modal"].confirm) == ("Really?", True)
    assert actions["share"].request is None


def test_buckets_and_tokens_are_read() -> None:
    settings = good(EVERYTHING)
    assert settings.s3 is not None
    assert settings.s3.buckets["a"].modes == ("link",)
    assert settings.s3.buckets["a"].expires_seconds == 3600
    assert settings.s3.buckets["b"].scan is not None
    assert settings.s3.buckets["b"].scan.clamd == "unix:/x"
    assert settings.s3.events is not None
    assert [rule.name for rule in settings.s3.events.rules] == ["all", "some"]
    assert (settings.s3.events.region, settings.s3.events.rules[0].prefix) == (None, "")
    token = settings.api.tokens[0]
    assert (token.name, token.rate_limit) == ("ci", RateLimit(count=1, seconds=3600))


@pytest.mark.parametrize("name", ["tidegate.yaml", "full.yaml"])
def test_the_examples_are_right(name: str) -> None:
    assert good((EXAMPLES / name).read_text("utf-8")).actions


def test_a_preset_with_own_keys_keeps_the_rest() -> None:
    staging = good((EXAMPLES / "full.yaml").read_text("utf-8")).actions["deploy-staging"]
    assert staging.match is not None
    assert staging.match.action_id == ("k8s_deploy", "deploy_service")
    assert staging.params["image"].required
    assert staging.params["image"].pattern is not None
    assert staging.params["deployment"].required


def test_settings_cannot_be_changed() -> None:
    settings = good(SMALLEST)
    with pytest.raises(ValidationError):
        settings.server.port = 1


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("value.name", Source(kind="value", name="name")),
        ("selected", Source(kind="selected")),
        ("text[0]", Source(kind="text", index=0)),
        ("text[12]", Source(kind="text", index=12)),
        ("state.b.a", Source(kind="state", block="b", action="a")),
        ("state.b.a.c", Source(kind="state", block="b", action="a.c")),
        ("value.", None),
        ("value.a.b", None),
        ("text[-1]", None),
        ("text[1", None),
        ("state.b", None),
        ("selected.x", None),
        ("", None),
        ("text[\N{ARABIC-INDIC DIGIT ONE}]", None),
    ],
)
def test_a_source_is_read_whole_or_not_at_all(text: str, source: Source | None) -> None:
    assert source_of(text) == source


@pytest.mark.parametrize(
    ("url", "folder", "path"),
    [
        ("sqlite:////var/lib/x.db", "/etc", "/var/lib/x.db"),
        ("sqlite:///x.db", "/etc/tidegate", "/etc/tidegate/x.db"),
        ("sqlite:///a/x.db", "/etc/tidegate/", "/etc/tidegate/a/x.db"),
        ("sqlite:///x.db", "/", "/x.db"),
    ],
)
def test_a_relative_store_starts_at_the_folder_of_the_file(
    url: str, folder: str, path: str
) -> None:
    assert sqlite_path(url, folder) == path
