"""The configuration: what it means, what is wrong with it, and that its schema says the same."""

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tidegate_agent.adapters.kubernetes.client import MAX_OBJECTS
from tidegate_agent.entry.format import FILE, json_schema
from tidegate_agent.entry.settings import (
    EXAMPLE,
    MAX_RECORDS,
    Settings,
    SettingsError,
    environment_names,
    parse,
)
from tidegate_agent.entry.shapes import Keys, Named

DOCS = Path(__file__).parents[3] / "docs"

WHOLE: dict[str, Any] = {
    "version": 1,
    "listen": {
        "host": "127.0.0.1",
        "port": 8443,
        "tls": {"cert": "tls.crt", "key": "tls.key", "client_ca": "ca.crt"},
        "drain_seconds": 5,
    },
    "metrics": {"host": "0.0.0.0", "port": 9091},
    "identity": {"audience": "cluster", "issuer": "tidegate", "jwks": "jwks.json"},
    "token_review": {
        "audiences": ["tidegate-agent"],
        "service_accounts": ["tidegate/tidegate-gateway"],
    },
    "namespaces": ["staging", "production"],
    "default_namespace": "staging",
    "roles": {
        "deployers": {"namespaces": ["staging"], "groups": ["S0DEVS"], "people": []},
        "operators": {"people": ["slack:T0:U0ADA"]},
    },
    "individuals": {"slack:T0:U0ADA": "ada@example.com"},
    "impersonate": False,
    "registries": ["registry.example.com/team", "*"],
    "require_digest": True,
    "max_replicas": 12,
    "rollout_seconds": 300,
    "records": {"namespace": "tidegate", "retention_hours": 24, "most": 100},
    "logs": {"max_lines": 100, "max_bytes": 2048},
    "kubernetes": {"kubeconfig": "config", "context": "c", "timeout_seconds": 5},
}


def _parse(content: Mapping[str, Any], **environ: str) -> Settings:
    return parse(yaml.safe_dump(dict(content), sort_keys=False), environ)


def _problems(content: Mapping[str, Any] | str) -> list[tuple[str, str]]:
    text = content if isinstance(content, str) else yaml.safe_dump(dict(content))
    with pytest.raises(SettingsError) as caught:
        parse(text, {})
    assert all(problem.mend for problem in caught.value.problems)
    return [(problem.key, problem.what) for problem in caught.value.problems]


def test_every_key_comes_to_where_it_counts() -> None:
    found = _parse(WHOLE)
    rules = found.rules
    assert found.listen.tls is not None
    assert (found.listen.port, found.listen.tls.client_ca) == (8443, "ca.crt")
    assert (found.metrics.host, found.metrics.port) == ("0.0.0.0", 9091)
    assert found.callers is not None
    assert found.callers.users == {"system:serviceaccount:tidegate:tidegate-gateway"}
    assert [(role.name, role.namespaces) for role in rules.roles.roles] == [
        ("deployers", ("staging",)),
        ("operators", ("staging", "production")),
    ]
    assert rules.roles.individuals == {"slack:T0:U0ADA": "ada@example.com"}
    assert (rules.audience, rules.home, rules.default_namespace) == (
        "cluster",
        "tidegate",
        "staging",
    )
    assert (rules.impersonate, rules.digest_required, rules.max_replicas) == (False, True, 12)
    assert (rules.max_log_lines, rules.max_log_bytes, rules.rollout_seconds) == (100, 2048, 300)
    assert (rules.retention_seconds, rules.max_records) == (86_400, 100)
    assert found.cluster.kubeconfig == "config"


def test_the_example_works_and_leaves_the_rest_as_documented() -> None:
    found = parse(EXAMPLE, {})
    assert (found.listen.port, found.metrics.host, found.callers) == (8443, "127.0.0.1", None)
    assert found.rules.impersonate
    assert found.rules.max_replicas == 20


def test_all_problems_are_told_at_once_each_with_its_line() -> None:
    text = "lisen: {}\nnamespaces: [A]\nmax_replicas: 1.5\nidentity:\n  audience: a b\n"
    with pytest.raises(SettingsError) as caught:
        parse(text, {})
    told = [(problem.line, problem.key) for problem in caught.value.problems]
    assert told == [
        (1, "lisen"),
        (2, "namespaces[0]"),
        (3, "max_replicas"),
        (4, "identity.jwks"),
        (5, "identity.audience"),
    ]
    assert caught.value.problems[0].mend == "did you mean listen?"


BAD: list[tuple[str, Any]] = [
    ("version", 2),
    ("version", True),
    ("listen", []),
    ("listen.port", 0),
    ("listen.port", "8443"),
    ("listen.tls", {"cert": "a"}),
    ("listen.tls", "yes"),
    ("identity.audience", "a b"),
    ("identity.jwks", None),
    ("token_review", {"audiences": [], "service_accounts": ["a/b"]}),
    ("token_review.service_accounts", ["system:serviceaccount:a:b"]),
    ("namespaces", []),
    ("namespaces", "staging"),
    ("namespaces", ["staging", "staging"]),
    ("namespaces", ["Staging"]),
    ("roles", []),
    ("roles", {"Deployers": {"groups": ["S0"]}}),
    ("roles.deployers", None),
    ("roles.deployers.groups", ["a b"]),
    ("roles.deployers.people", ["U0ADA"]),
    ("roles.deployers.namespaces", []),
    ("roles.deployers.verbs", ["deploy"]),
    ("individuals", {"slack:T0:U0ADA": "system:admin"}),
    ("individuals", {"ada": "ada"}),
    ("impersonate", "yes"),
    ("registries", ["https://registry.example.com"]),
    ("registries", ["registry.example.com/"]),
    ("require_digest", 1),
    ("max_replicas", -1),
    ("max_replicas", 1.5),
    ("rollout_seconds", 0),
    ("records.retention_hours", 1),
    ("records.namespace", ""),
    ("logs.max_bytes", 10),
    ("kubernetes.timeout_seconds", 0),
    ("kubernetes.proxy", "http://x"),
]


def _changed(key: str, value: Any) -> dict[str, Any]:
    whole = copy.deepcopy(WHOLE)
    *way, last = key.split(".")
    place = whole
    for step in way:
        place = place[step]
    place[last] = value
    return whole


@pytest.mark.parametrize(("key", "value"), BAD)
def test_what_is_not_as_it_has_to_be_is_refused_by_parser_and_schema(key: str, value: Any) -> None:
    whole = _changed(key, value)
    assert any(problem.startswith(key) for problem, _ in _problems(whole))
    assert not Draft202012Validator(json_schema()).is_valid(whole)


def test_what_the_parser_takes_the_schema_takes() -> None:
    validator = Draft202012Validator(json_schema())
    for content in (WHOLE, yaml.safe_load(EXAMPLE)):
        assert [error.message for error in validator.iter_errors(content)] == []


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70_000) | st.text("ab/:*-1", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner),
    max_leaves=4,
)


@given(
    key=st.sampled_from(
        [*WHOLE, *(f"{k}.{n}" for k, v in WHOLE.items() if isinstance(v, dict) for n in v)]
    ),
    value=_JUNK,
)
def test_parser_and_schema_agree_but_for_what_names_mean(key: str, value: Any) -> None:
    if key.startswith("individuals."):
        return  # the subject holds colons and dots of its own
    whole = _changed(key, value)
    allowed = Draft202012Validator(json_schema()).is_valid(whole)
    there = {"TIDEGATE_AGENT_AUDIENCE": "a", "TIDEGATE_AGENT_JWKS": "b"}
    try:
        _parse(whole, **there)
    except SettingsError as error:
        by_meaning = (
            "does not serve",
            "agent's own namespace",
            "nobody has this role",
            "no role counts there",
            "longer than an operation is held for",
            "more than the agent can list",
        )
        told = [problem.what for problem in error.problems]
        assert not allowed or all(any(w in what for w in by_meaning) for what in told), told
    else:
        assert allowed


def test_the_published_schema_is_the_parsers() -> None:
    published = json.loads((DOCS / "agent.schema.json").read_text())
    assert published == json_schema(), "tidegate agent --schema > docs/agent.schema.json"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"default_namespace": "other"}, "default_namespace"),
        ({"roles": {"a": {"groups": ["S0"], "namespaces": ["other"]}}}, "roles.a.namespaces[0]"),
        ({"roles": {"a": {}}}, "roles.a"),
        ({"records": {"namespace": "staging"}}, "namespaces[0]"),
    ],
)
def test_names_have_to_stand_for_something(change: dict[str, Any], key: str) -> None:
    assert [problem for problem, _ in _problems({**WHOLE, **change})] == [key]


@pytest.mark.parametrize(
    ("key", "fits", "mend"),
    [
        ("kubernetes.timeout_seconds", 15, "write a number from 1 to 15"),
        ("records.most", 10_000, "write a number from 10 to 10000"),
    ],
)
def test_what_does_not_go_together_is_told_with_what_would(key: str, fits: int, mend: str) -> None:
    assert _parse(_changed(key, fits))
    with pytest.raises(SettingsError) as caught:
        _parse(_changed(key, fits + 1))
    assert [(problem.key, problem.mend) for problem in caught.value.problems] == [(key, mend)]


def test_records_that_are_kept_can_be_listed() -> None:
    assert 2 * MAX_RECORDS <= MAX_OBJECTS


# --- the environment -----------------------------------------------------------------------------


def test_the_environment_says_what_the_file_does_not() -> None:
    found = parse(
        "{}",
        {
            "TIDEGATE_AGENT_AUDIENCE": "cluster",
            "TIDEGATE_AGENT_JWKS": "/etc/jwks.json",
            "TIDEGATE_AGENT_NAMESPACES": "staging, production",
            "TIDEGATE_AGENT_PORT": "9000",
            "POD_NAMESPACE": "gate",
        },
    )
    assert (found.rules.audience, found.jwks, found.listen.port) == (
        "cluster",
        "/etc/jwks.json",
        9000,
    )
    assert found.rules.home == "gate"


def test_the_file_counts_before_the_environment() -> None:
    found = _parse(WHOLE, TIDEGATE_AGENT_AUDIENCE="other", POD_NAMESPACE="gate")
    assert (found.rules.audience, found.rules.home) == ("cluster", "tidegate")


def test_what_the_environment_says_is_held_to_the_same_rules() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(EXAMPLE, {"TIDEGATE_AGENT_PORT": "many", "POD_NAMESPACE": "Gate"})
    told = [problem.key for problem in caught.value.problems]
    assert told == ["listen.port", "records.namespace"]


def test_every_variable_is_documented_with_its_key() -> None:
    text = (DOCS / "agent.md").read_text()
    for variable, key in environment_names().items():
        assert variable in text
        assert f"`{key}`" in text


# --- text that is none ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- a",
        "just words",
        "a: 1\na: 2",
        "a: !!python/object:os.system x",
        "? [1]\n: 2",
        '"\\ud800": 1',
        "a: &a [*a]",
        "x" * 300_000,
        "\x00",
        "[" * 500,
        "<<: {a: 1}",
    ],
)
def test_text_that_cannot_be_read_is_told_and_nothing_breaks(text: str) -> None:
    assert _problems(text)


@given(st.text(max_size=200))
def test_whatever_the_text_it_is_settings_or_problems(text: str) -> None:
    with pytest.raises(SettingsError):  # the environment says nothing, so something is missing
        parse(text, {})


def test_aliases_that_multiply_are_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert _problems("\n".join(lines)) == [("", "the file says too much")]


def test_every_key_is_documented() -> None:
    text = (DOCS / "agent.md").read_text()
    missing = [key for key in _keys(FILE, "") if f"`{key}`" not in text]
    assert missing == []


def test_the_documented_example_is_the_one_that_is_tested() -> None:
    text = (DOCS / "agent.md").read_text()
    first = text.split("```yaml\n")[1].split("```")[0]
    assert parse(first, {}) == parse(EXAMPLE, {})


def _keys(shape: Keys, before: str) -> Iterator[str]:
    for name, key in shape.keys.items():
        inner = key.shape
        if isinstance(inner, Keys):
            yield from _keys(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}"
        if isinstance(inner, Named) and isinstance(inner.of, Keys):
            yield from _keys(inner.of, f"{before}{name}.NAME.")
