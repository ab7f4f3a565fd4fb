"""What is wrong with a file: all of it at once, each with its place and mend."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.test_settings import EVERYTHING, SMALLEST
from tests.examples import examples
from tidegate.core.configuration import parse
from tidegate.core.settings import Settings
from tidegate.errors import ConfigError, Problem

BASE: dict[str, Any] = yaml.safe_load(SMALLEST)


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, source="test")
    return caught.value.problems


def changed(path: str, value: Any) -> str:
    """Return the smallest file with one value set (as JSON, which is YAML)."""
    document = json.loads(json.dumps(BASE))
    *steps, last = path.split("/")
    here = document
    for step in steps:
        here = here.setdefault(step, {})
    here[last] = value
    return json.dumps(document)


def only(path: str, value: Any) -> Problem:
    found = problems(changed(path, value))
    assert len(found) == 1, found
    return found[0]


ACTION = "actions/deploy"
LITERAL = "xoxb-1234-literal"

# path, value, key the problem stands at, words of what is wrong, words of the mend
WRONG: list[tuple[str, Any, str, str, str]] = [
    ("version", 2, "version", "must be 1", "1"),
    ("sever", {}, "sever", "no such key", "did you mean server?"),
    (
        "slack/api_url",
        "http://slack.com/api/",
        "slack.api_url",
        "plain http only on loopback",
        "https",
    ),
    (
        "slack/api_url",
        "https://slack.com.evil.org/api/",
        "slack.api_url",
        "not Slack's",
        "slack.com",
    ),
    ("slack/api_url", "https://slack.com:8443/api/", "slack.api_url", "not Slack's", "slack.com"),
    ("slack/api_url", "ftp://127.0.0.1/", "slack.api_url", "must start with", "https"),
    ("slack/signing_secrets", [], "slack.signing_secrets", "too short", "at least 1"),
    ("slack/signing_secrets", {"env": "A"}, "slack.signing_secrets", "a list", "["),
    (
        "slack/limits",
        {"updates_per_minute": 0},
        "slack.limits.updates_per_minute",
        "more than 0",
        "",
    ),
    ("server/port", 65536, "server.port", "at most 65535", ""),
    ("server/port", -1, "server.port", "at least 0", ""),
    ("server/port", "3000", "server.port", "whole number", "without quotes"),
    ("server/port", True, "server.port", "whole number", ""),
    ("server/ack_deadline_seconds", 0, "server.ack_deadline_seconds", "more than 0", ""),
    ("server/ack_deadline_seconds", 4, "server.ack_deadline_seconds", "at most 3", ""),
    ("server/drain_seconds", -1, "server.drain_seconds", "at least 0", ""),
    ("server/tls", {"cert": "c.pem"}, "server.tls.key", "missing", "add key"),
    ("server/tls", {"key": "k.pem"}, "server.tls.cert", "missing", "add cert"),
    ("server/tls", {"cert": "-----BEGIN X", "key": "k"}, "server.tls.cert", "path", "path"),
    ("store/url", "mysql://x/y", "store.url", "store", "sqlite:///"),
    ("store/url", "postgresql://u:p@h/d", "store.url", "password", "leave it out"),
    ("worker/lease_seconds", 0.5, "worker.lease_seconds", "at least 1", ""),
    ("worker/enabled", "yes", "worker.enabled", "true or false", "without quotes"),
    ("pathways/cluster/url", "http://10.0.0.1/", "pathways.cluster.url", "loopback", "https"),
    ("pathways/cluster/url", "http://localhost.evil.org/", "pathways.cluster.url", "loopback", ""),
    ("pathways/cluster/url", "https://u:p@h/", "pathways.cluster.url", "password", "leave it out"),
    ("pathways/cluster/url", "https://h/?a=1", "pathways.cluster.url", "query", ""),
    ("pathways/cluster/url", "https://h/../x", "pathways.cluster.url", "..", ""),
    ("pathways/cluster/url", "https://h:99999/", "pathways.cluster.url", "host and port", ""),
    ("pathways/cluster/url", "https://", "pathways.cluster.url", "host", ""),
    ("pathways/cluster/url", "https://[::1/", "pathways.cluster.url", "web address", ""),
    ("pathways/cluster/timeout_seconds", 0, "pathways.cluster.timeout_seconds", "more than 0", ""),
    ("pathways/cluster/connect_to", "https://x", "pathways.cluster.connect_to", "host:port", ""),
    ("pathways/cluster/connect_to", "10.0.0.1", "pathways.cluster.connect_to", "loopback", "https"),
    ("pathways/cluster/host", "a b", "pathways.cluster.host", "host:port", ""),
    ("pathways/cluster/audience", "ü", "pathways.cluster.audience", "form", ""),
    ("pathways/cluster/auth", "none", "pathways.cluster.auth", "keys with values", ""),
    (
        "pathways/cluster/auth",
        {"type": "basic"},
        "pathways.cluster.auth.type",
        "must be",
        "token_file",
    ),
    ("pathways/cluster/region", "eu-west-1", "pathways.cluster.region", "not belong", "leave"),
    ("pathways/b", {"type": "direct", "url": "https://h"}, "pathways.b.auth", "missing", "none"),
    (
        "pathways/b",
        {"type": "direkt", "url": "https://h"},
        "pathways.b.type",
        "must be",
        "did you mean direct?",
    ),
    ("pathways/b", {"url": "https://h"}, "pathways.b", "type is missing", "api_gateway"),
    (
        "pathways/b",
        {"type": "api_gateway", "url": "https://h"},
        "pathways.b.region",
        "missing",
        "eu-west-1",
    ),
    ("pathways/b c", BASE["pathways"]["cluster"], "pathways.b c", "name", "letters"),
    (
        f"{ACTION}/pathway",
        "clutser",
        "actions.deploy.pathway",
        "no pathway",
        "did you mean cluster?",
    ),
    (f"{ACTION}/pathway", None, "actions.deploy.pathway", "no pathway", "cluster"),
    (f"{ACTION}/request", None, "actions.deploy.request", "sends nothing", "path"),
    (f"{ACTION}/request/method", "post", "actions.deploy.request.method", "POST", "POST"),
    (f"{ACTION}/request/path", "api", "actions.deploy.request.path", "starts with /", "/api"),
    (f"{ACTION}/request/path", "/a?b=c", "actions.deploy.request.path", "?", "body"),
    (f"{ACTION}/request/path", "/a/../b", "actions.deploy.request.path", "..", ""),
    (
        f"{ACTION}/request/path",
        "/{params.namspace}",
        "actions.deploy.request.path",
        "no {params.namspace}",
        "did you mean namespace?",
    ),
    (
        f"{ACTION}/request/path",
        "/{actor.user}",
        "actions.deploy.request.path",
        "no {actor.user}",
        "did you mean",
    ),
    (f"{ACTION}/request/path", "/x-{run_id}", "actions.deploy.request.path", "whole segment", "/{"),
    (
        f"{ACTION}/body",
        {"a": ["{params.x}"]},
        "actions.deploy.body.a[0]",
        "no {params.x}",
        "namespace",
    ),
    (
        f"{ACTION}/body",
        {"a": {"b": "{actor.mail}"}},
        "actions.deploy.body.a.b",
        "no {actor.mail}",
        "actor.team_id",
    ),
    (f"{ACTION}/body", ["a"], "actions.deploy.body", "keys with values", ""),
    (f"{ACTION}/match", None, "actions.deploy.match", "nothing starts", "action_id"),
    (f"{ACTION}/match", {}, "actions.deploy.match", "nothing to match", "action_id"),
    (f"{ACTION}/match", {"action_id": []}, "actions.deploy.match.action_id", "short or empty", ""),
    (
        f"{ACTION}/match",
        {"action_id": [""]},
        "actions.deploy.match.action_id[0]",
        "short or empty",
        "",
    ),
    (f"{ACTION}/match", {"action_id": "x"}, "actions.deploy.match.action_id", "a list", "["),
    (
        f"{ACTION}/match",
        {"action_id": ["a*b"]},
        "actions.deploy.match.action_id[0]",
        "* may only",
        "",
    ),
    (
        f"{ACTION}/match",
        {"action_id": ["**"]},
        "actions.deploy.match.action_id[0]",
        "* may only",
        "",
    ),
    (
        f"{ACTION}/match",
        {"action_id": ["tidegate:x"]},
        "actions.deploy.match.action_id[0]",
        "reserved",
        "",
    ),
    (
        f"{ACTION}/match",
        {"action_id": ["tidegate:*"]},
        "actions.deploy.match.action_id[0]",
        "reserved",
        "",
    ),
    (
        f"{ACTION}/match",
        {"command": ["deploy"]},
        "actions.deploy.match.command[0]",
        "starts with /",
        "/deploy",
    ),
    (
        f"{ACTION}/match",
        {"action_id": ["a"], "view": ["b"]},
        "actions.deploy.match",
        "more than one kind",
        "second action",
    ),
    (
        f"{ACTION}/match",
        {"action_id": ["a", "a"]},
        "actions.deploy.match.action_id[1]",
        "matched already",
        "",
    ),
    (f"{ACTION}/allow", "any", "actions.deploy.allow", "one rule or a list", "users"),
    (
        f"{ACTION}/allow/users",
        ["@ada"],
        "actions.deploy.allow.users[0]",
        "name, not an id",
        "member ID",
    ),
    (f"{ACTION}/allow/users", ["C0OPS"], "actions.deploy.allow.users[0]", "not a user id", "U0123"),
    (f"{ACTION}/allow/users", ["U0-1"], "actions.deploy.allow.users[0]", "not a user id", ""),
    (
        f"{ACTION}/allow/channels",
        ["#ops"],
        "actions.deploy.allow.channels[0]",
        "name, not an id",
        "bottom",
    ),
    (f"{ACTION}/allow/channels", [], "actions.deploy.allow.channels", "short or empty", ""),
    (
        f"{ACTION}/allow/user_groups",
        ["U0X"],
        "actions.deploy.allow.user_groups[0]",
        "user group id",
        "S0",
    ),
    (
        f"{ACTION}/allow/params",
        {"nmespace": ["a"]},
        "actions.deploy.allow.params.nmespace",
        "no param",
        "did you mean namespace?",
    ),
    (
        f"{ACTION}/allow/params",
        {"namespace": [1]},
        "actions.deploy.allow.params.namespace[0]",
        "not text",
        "",
    ),
    (
        f"{ACTION}/allow/params",
        {"namespace": "a"},
        "actions.deploy.allow.params.namespace",
        "a list",
        "[",
    ),
    (f"{ACTION}/rate_limit", "5/day", "actions.deploy.rate_limit", "not a rate", "5/minute"),
    (f"{ACTION}/rate_limit", "0/minute", "actions.deploy.rate_limit", "not a rate", ""),
    (f"{ACTION}/rate_limit", 5, "actions.deploy.rate_limit", "not a rate", ""),
    (f"{ACTION}/repeat", "never", "actions.deploy.repeat", "must be", "allow"),
    (f"{ACTION}/confirm", 1, "actions.deploy.confirm", "true, false or a text", ""),
    (f"{ACTION}/confirm", "", "actions.deploy.confirm", "true, false or a text", ""),
    (f"{ACTION}/deadline_seconds", 0, "actions.deploy.deadline_seconds", "more than 0", ""),
    (f"{ACTION}/use", "k8s_depoy", "actions.deploy.use", "must be", "did you mean k8s_deploy?"),
    (
        f"{ACTION}/params/n",
        {"pattern": "("},
        "actions.deploy.params.n.pattern",
        "regular expression",
        "Python",
    ),
    (
        f"{ACTION}/params/n",
        {"pattern": "(" * 400},
        "actions.deploy.params.n.pattern",
        "regular expression",
        "",
    ),
    (
        f"{ACTION}/params/n",
        {"pattern": "a{99999999999}"},
        "actions.deploy.params.n.pattern",
        "regular expression",
        "",
    ),
    (
        f"{ACTION}/params/n",
        {"pattern": "a" * 501},
        "actions.deploy.params.n.pattern",
        "too long",
        "500",
    ),
    (f"{ACTION}/params/n", {"enum": [1]}, "actions.deploy.params.n.enum[0]", "not text", "type"),
    (
        f"{ACTION}/params/n",
        {"type": "integer", "enum": [1, "2"]},
        "actions.deploy.params.n.enum[1]",
        "not a whole number",
        "",
    ),
    (
        f"{ACTION}/params/n",
        {"type": "integer", "enum": [True]},
        "actions.deploy.params.n.enum[0]",
        "not a whole number",
        "",
    ),
    (f"{ACTION}/params/n", {"default": 1}, "actions.deploy.params.n.default", "not text", ""),
    (
        f"{ACTION}/params/n",
        {"default": "ab", "max_length": 1},
        "actions.deploy.params.n.default",
        "longer",
        "",
    ),
    (
        f"{ACTION}/params/n",
        {"default": "ab", "pattern": "a"},
        "actions.deploy.params.n.default",
        "form",
        "",
    ),
    (
        f"{ACTION}/params/n",
        {"default": "a", "enum": ["b"]},
        "actions.deploy.params.n.default",
        "one of",
        "",
    ),
    (
        f"{ACTION}/params/n",
        {"type": "integer", "default": 3, "max": 2},
        "actions.deploy.params.n.default",
        "at most",
        "",
    ),
    (
        f"{ACTION}/params/n",
        {"type": "integer", "min": 3, "max": 2},
        "actions.deploy.params.n.min",
        "no value fits",
        "",
    ),
    (
        f"{ACTION}/params/n",
        {"min": 3},
        "actions.deploy.params.n.min",
        "means nothing",
        "type: integer",
    ),
    (
        f"{ACTION}/params/n",
        {"type": "integer", "pattern": "a"},
        "actions.deploy.params.n.pattern",
        "means nothing",
        "",
    ),
    (
        f"{ACTION}/params/n",
        {"from": "text[0]"},
        "actions.deploy.params.n.from",
        "slash command",
        "command",
    ),
    (
        f"{ACTION}/params/n",
        {"from": "nowhere"},
        "actions.deploy.params.n.from",
        "place",
        "state.BLOCK.ACTION",
    ),
    (
        f"{ACTION}/params/n",
        {"from_": "selected"},
        "actions.deploy.params.n.from_",
        "no such key",
        "did you mean from?",
    ),
    (
        f"{ACTION}/params/n",
        {"type": "number"},
        "actions.deploy.params.n.type",
        "must be",
        "integer",
    ),
    (f"{ACTION}/params/n", {"default": 1.5}, "actions.deploy.params.n.default", "string", ""),
    (f"{ACTION}/params/n", None, "actions.deploy.params.n", "nothing stands here", ""),
    (f"{ACTION}/params/n.m", {}, "actions.deploy.params.n.m", "name", "params"),
    ("s3/buckets/a", {}, "s3.buckets.a.name", "missing", ""),
    ("s3/buckets/a", {"name": "abc", "scan": {}}, "s3.buckets.a.scan", "one scanner", "clamd"),
    (
        "s3/buckets/a",
        {"name": "abc", "modes": ["email"]},
        "s3.buckets.a.modes[0]",
        "must be",
        "upload",
    ),
    ("s3/endpoint_url", "http://minio.example.com", "s3.endpoint_url", "loopback", ""),
    ("api/tokens", [{"name": "ci"}], "api.tokens[0].secret", "missing", ""),
]

QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/arrivals"
RULE = {"name": "all", "bucket": "a", "channel": "C1", "mode": "link"}
BUCKET = {"name": "acme", "prefix": "q3/", "channels": ["C1"], "modes": ["link"]}
_RULE = "s3.events.rules[0]"

# what is otherwise in the events, what in their one rule, and then as above
WRONG_EVENTS: list[tuple[dict[str, Any], dict[str, Any], str, str, str]] = [
    ({"queue_url": "https://sqs.example.com/"}, {}, "s3.events.queue_url", "queue", "ACCOUNT"),
    ({"queue_url": QUEUE.replace("s:", ":")}, {}, "s3.events.queue_url", "loopback", "https"),
    ({"dead_letter_url": QUEUE}, {}, "s3.events.dead_letter_url", "the queue itself", "another"),
    (
        {"dead_letter_url": QUEUE.replace("eu-west-1", "us-east-1")},
        {},
        "s3.events.dead_letter_url",
        "another host",
        "same region",
    ),
    ({"rules": []}, {}, "s3.events.rules", "too short or empty", "at least 1"),
    ({"rules": [RULE, RULE]}, {}, "s3.events.rules[1].name", "already", "of its own"),
    ({"ruels": []}, {}, "s3.events.ruels", "no such key", "did you mean rules?"),
    ({}, {"bucket": "b"}, f"{_RULE}.bucket", "no bucket with the alias 'b'", "s3.buckets: a"),
    ({}, {"bucket": "acme"}, f"{_RULE}.bucket", "no bucket with the alias", "write one of"),
    ({}, {"channel": "C2"}, f"{_RULE}.channel", "does not allow", "s3.buckets.a.channels"),
    ({}, {"channel": "#ops"}, f"{_RULE}.channel", "is a name, not an id", "channel's id"),
    ({}, {"mode": "upload"}, f"{_RULE}.mode", "does not allow", "s3.buckets.a.modes"),
    ({}, {"mode": "gallery"}, f"{_RULE}.mode", "must be", "upload"),
    ({}, {"prefix": "q2/"}, f"{_RULE}.prefix", "outside the bucket's own prefix", "q3/"),
    ({}, {"title": "{nmae}"}, f"{_RULE}.title", "no {nmae}", "did you mean name?"),
    ({}, {"title": "{actor.user_id}"}, f"{_RULE}.title", "no {actor", "{name}, {key}, {size}"),
    ({}, {"sufix": ".pdf"}, f"{_RULE}.sufix", "no such key", "did you mean suffix?"),
]


def with_events(events: dict[str, Any], rule: dict[str, Any]) -> str:
    whole = {"queue_url": QUEUE, "rules": [RULE | rule]} | events
    return changed("s3", {"buckets": {"a": BUCKET}, "events": whole})


@pytest.mark.parametrize(("events", "rule", "key", "what", "mend"), WRONG_EVENTS)
def test_each_mistake_in_what_is_shared_by_itself_is_told(
    events: dict[str, Any], rule: dict[str, Any], key: str, what: str, mend: str
) -> None:
    problem = next(one for one in problems(with_events(events, rule)) if one.key == key)
    assert what in problem.what
    assert mend in problem.mend


def test_a_rule_within_what_its_bucket_allows_is_right() -> None:
    for rule in ({}, {"prefix": "q3/pdf/"}, {"title": "{name} {key} {size}", "suffix": ".pdf"}):
        found = parse(with_events({}, rule), source="test")
        assert found.s3 is not None
        assert found.s3.events is not None


@pytest.mark.parametrize(("path", "value", "key", "what", "mend"), WRONG)
def test_each_mistake_is_one_problem_with_key_and_mend(
    path: str, value: Any, key: str, what: str, mend: str
) -> None:
    problem = only(path, value)
    assert problem.key == key
    assert what in problem.what
    assert mend in problem.mend
    assert problem.mend
    assert problem.line == 1


def test_the_base_of_these_tests_is_right() -> None:
    assert isinstance(parse(json.dumps(BASE), source="test"), Settings)
    assert isinstance(parse(EVERYTHING, source="test"), Settings)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("slack/bot_token", LITERAL),
        ("slack/bot_token", {"env": LITERAL}),
        ("slack/bot_token", {LITERAL: None}),
        ("slack/bot_token", {"env": "A", LITERAL: None}),
        ("slack/bot_token", {"env": "A", "file": LITERAL}),
        ("slack/bot_token", [LITERAL]),
        ("slack/app_token", LITERAL),
        ("slack/signing_secrets", LITERAL),
        ("slack/signing_secrets", [LITERAL]),
        ("slack/signing_secrets", [{"env": LITERAL}]),
        ("identity/signing_key", LITERAL),
        ("api/tokens", [{"name": "ci", "secret": LITERAL}]),
        ("api/tokens", [{"name": "ci", "secret": {"secretsmanager": "a", LITERAL: 1}}]),
    ],
)
def test_a_literal_secret_is_refused_and_never_repeated(path: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(changed(path, value), source="test")
    assert caught.value.problems
    assert LITERAL not in repr(caught.value.problems)
    assert LITERAL not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("value", [{"env": LITERAL}, {"env": "A", LITERAL: 1}, {"file": ""}])
def test_a_wrong_reference_is_one_problem_at_the_secret_itself(value: Any) -> None:
    problem = only("slack/app_token", value)
    assert problem.key == "slack.app_token"
    assert problem.what == "this is not a reference to a secret"
    assert "{env: NAME}" in problem.mend


def test_two_actions_cannot_match_the_same_text() -> None:
    other = {**BASE["actions"]["deploy"], "match": {"action_id": ["x", "k8s_deploy"]}}
    problem = only("actions/other", other)
    assert problem.key == "actions.other.match.action_id[1]"
    assert "'deploy'" in problem.what


def test_the_same_text_of_another_kind_is_another_match() -> None:
    other = {**BASE["actions"]["deploy"], "match": {"shortcut": ["k8s_deploy"]}}
    assert parse(changed("actions/other", other), source="test").actions["other"]


def test_the_same_preset_twice_is_an_equal_match_at_the_action() -> None:
    text = SMALLEST + "  two: {use: k8s_deploy, pathway: cluster}\n"
    (problem,) = problems(text)
    assert problem.key == "actions.two.match.action_id[0]"
    assert problem.line == 19


def test_all_problems_are_listed_at_once_in_the_order_of_lines() -> None:
    text = """
slack:
  api_url: http://slack.example.com/
  bot_token: literal
server: {port: "3000"}
pathways:
  cluster: {type: direct, url: "http://127.0.0.1:1"}
actions:
  deploy:
    match: {action_id: [a, "x*y"]}
    pathway: clutser
    request: {path: "/{params.nope}"}
    params: {n: {type: integer, min: 5, max: 1, defualt: 2}}
    allow: {users: ["@ada"], params: {m: [1]}}
    alow: 1
"""
    found = [(problem.line, problem.key) for problem in problems(text)]
    assert found == [
        (2, "slack.signing_secrets"),
        (2, "store"),
        (3, "slack.api_url"),
        (4, "slack.bot_token"),
        (5, "server.port"),
        (7, "pathways.cluster.auth"),
        (10, "actions.deploy.match.action_id[1]"),
        (11, "actions.deploy.pathway"),
        (12, "actions.deploy.request.path"),
        (13, "actions.deploy.params.n.min"),
        (13, "actions.deploy.params.n.defualt"),
        (14, "actions.deploy.allow.users[0]"),
        (14, "actions.deploy.allow.params.m"),
        (15, "actions.deploy.alow"),
    ]


def test_an_empty_file_misses_what_has_no_default() -> None:
    assert [problem.key for problem in problems("")] == ["slack", "store"]


def test_a_file_that_cannot_be_read_misses_nothing_more() -> None:
    assert len(problems("a: [")) == 1


def test_the_error_notes_where_it_comes_from() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("", source="/etc/tidegate.yaml")
    assert caught.value.__notes__ == ["in /etc/tidegate.yaml"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST"])
def test_plain_http_is_accepted_on_loopback(host: str) -> None:
    assert parse(changed("pathways/cluster/url", f"http://{host}:1/x"), source="test")


def test_the_reserved_fields_of_templates_are_known() -> None:
    fields = ["actor.user_id", "actor.user_name", "actor.team_id", "channel_id", "run_id"]
    fields += ["action", "action_id", "params.namespace"]
    text = changed(f"{ACTION}/body", {field: f"{{{field}}}" for field in fields})
    assert parse(text, source="test")
    path = "/" + "/".join(f"{{{field}}}" for field in fields)
    assert parse(changed(f"{ACTION}/request/path", path), source="test")


def test_braces_that_are_no_template_are_left_alone() -> None:
    text = changed(f"{ACTION}/body", {"a": '{"json": 1}', "b": "{}", "c": "a {b} c", "d": "{1}"})
    assert parse(text, source="test")


# --- any text whatsoever --------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    [
        "slack",
        "actions",
        "deploy",
        "params",
        "match",
        "use",
        "k8s_deploy",
        "allow",
        "type",
        "env",
        "direct",
        "pathways",
        "url",
        "from",
        "text[0]",
        "{params.x}",
        "tidegate:a",
        "a*b",
        "",
        "enum",
        "default",
        "min",
        "max",
        "body",
        "request",
        "path",
        "/x/{run_id}",
        "http://[",
        "5/minute",
    ]
)
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


WHOLE: dict[str, Any] = yaml.safe_load(EVERYTHING)
PLACES = places(WHOLE)


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the file that says everything with some of its values replaced, added or left out."""
    document: dict[str, Any] = json.loads(json.dumps(WHOLE))
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        here: Any = document
        try:
            for step in path[:-1]:
                here = here[step]
            if draw(st.booleans()):
                here[path[-1]] = draw(VALUES)
            elif isinstance(here, dict) and draw(st.booleans()):
                here[draw(WORDS)] = draw(VALUES)
            else:
                del here[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    return document


def parsed(text: str) -> Settings | None:
    try:
        return parse(text, source="test")
    except ConfigError as error:
        found = error.problems
    assert found
    assert all(problem.what and problem.mend for problem in found)
    return None


@given(st.text() | VALUES.map(lambda value: yaml.safe_dump(value, allow_unicode=True)))
def test_any_text_is_settings_or_a_configuration_error(text: str) -> None:
    parsed(text)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=examples(60))
@given(mutations())
def test_any_change_of_a_file_is_settings_or_a_configuration_error(document: Any) -> None:
    parsed(json.dumps(document))
