"""The published JSON Schema: up to date, documented, and of one mind with the parser."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

from tests.core.configuration_rows import preset_rows, rows
from tests.core.test_configuration import changed, mutations, parsed
from tests.core.test_settings import EVERYTHING, SMALLEST
from tests.examples import examples
from tidegate.core import document
from tidegate.core.schema import description, json_schema, known_keys, types_at

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_published_schema_is_up_to_date() -> None:
    published = (ROOT / "docs" / "tidegate.schema.json").read_text("utf-8")
    assert published == json.dumps(json_schema(), indent=2) + "\n", (
        "run: tidegate check --schema > docs/tidegate.schema.json"
    )


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


DOCUMENTATION = (ROOT / "docs" / "configuration.md").read_text("utf-8")


@pytest.mark.parametrize("row", [*rows(), *preset_rows()])
def test_every_key_and_preset_is_documented_as_it_is(row: str) -> None:
    assert row in DOCUMENTATION.splitlines()


def test_nothing_is_documented_that_does_not_exist() -> None:
    known = {row.split("|")[1] for row in rows()}
    tables = re.findall(r"^\| key \| type .*\n\|[-|]+\n((?:\|.*\n)+)", DOCUMENTATION, re.MULTILINE)
    listed = [line.split("|")[1] for table in tables for line in table.splitlines()]
    assert [key for key in listed if key not in known] == []
    assert len(listed) == len(rows())


def examples_of_the_documentation() -> list[str]:
    return [
        block
        for block in re.findall(r"```yaml\n(.*?)```", DOCUMENTATION, re.DOTALL)
        if not block.startswith("#")
    ]


@pytest.mark.parametrize("example", examples_of_the_documentation())
def test_the_examples_of_the_documentation_fit_the_schema(example: str) -> None:
    needed = {"slack": {"bot_token": {"env": "A"}, "signing_secrets": [{"env": "B"}]}}
    whole = {**needed, "store": {"url": "sqlite:///x"}, **document.read(example).value}
    VALIDATOR.validate(whole)


GOOD = [
    SMALLEST,
    EVERYTHING,
    *[(ROOT / "examples" / name).read_text("utf-8") for name in ("tidegate.yaml", "full.yaml")],
    SMALLEST.replace("users: [U0HELDOUT]", "users: any"),
    SMALLEST.replace("{users: [U0HELDOUT], channels: [C0HELDOUT]}", "[{}, {users: [any]}]"),
    SMALLEST.replace("repeat:", "confirm: Sure?\n    repeat:"),
    SMALLEST + "s3:\n",
]

A = "actions/deploy"
BAD_SHAPE: list[tuple[str, Any]] = [
    ("version", 2),
    ("sever", {}),
    ("server", None),
    ("server/port", "3000"),
    ("server/port", 70000),
    ("server/port", True),
    ("server/tls", {"cert": "c"}),
    ("slack/bot_token", "xoxb-literal"),
    ("slack/bot_token", {"env": "xoxb-literal"}),
    ("slack/bot_token", {"env": "A", "file": "b"}),
    ("slack/bot_token", {}),
    ("slack/signing_secrets", []),
    ("slack/signing_secrets", {"env": "A"}),
    ("store", {}),
    ("store/url", "mysql://x"),
    ("worker/lease_seconds", 0.5),
    ("pathways/cluster/auth", "none"),
    ("pathways/cluster/auth", {"type": "basic"}),
    ("pathways/cluster/type", "direkt"),
    ("pathways/cluster/region", "eu-west-1"),
    ("pathways/cluster/url", "ftp://x"),
    ("pathways/a b", {"type": "direct", "url": "https://h", "auth": {"type": "none"}}),
    ("pathways/b", {"type": "direct", "url": "https://h"}),
    ("pathways/b", {"type": "api_gateway", "url": "https://h"}),
    (f"{A}/match", {}),
    (f"{A}/match", {"action_id": ["a"], "view": ["b"]}),
    (f"{A}/match", {"action_id": "a"}),
    (f"{A}/match", {"command": ["deploy"]}),
    (f"{A}/request/method", "post"),
    (f"{A}/request/path", "api"),
    (f"{A}/allow", "any"),
    (f"{A}/allow/users", ["@ada"]),
    (f"{A}/allow/channels", ["#ops"]),
    (f"{A}/allow/channels", []),
    (f"{A}/allow/user_groups", ["U0X"]),
    (f"{A}/allow/params", {"namespace": "a"}),
    (f"{A}/rate_limit", "5/day"),
    (f"{A}/rate_limit", 5),
    (f"{A}/repeat", "never"),
    (f"{A}/confirm", 5),
    (f"{A}/confirm", ""),
    (f"{A}/params/n", {"type": "number"}),
    (f"{A}/params/n", {"defualt": 1}),
    (f"{A}/params/n", {"from": "nowhere"}),
    (f"{A}/params/n", {"from_": "selected"}),
    (f"{A}/params/n", {"default": [1]}),
    (f"{A}/params/n", {"max_length": 0}),
    (f"{A}/params/a b", {}),
    (f"{A}/body", ["a"]),
    ("s3/buckets/a", {}),
    ("s3/buckets/a", {"name": "abc", "modes": ["email"]}),
    ("s3/events", {"queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q"}),
    ("s3/events", {"queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q", "rules": []}),
    ("s3/events", {"queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q", "rules": [{}]}),
    ("api/tokens", [{"name": "ci"}]),
]


@pytest.mark.parametrize("text", GOOD)
def test_what_the_parser_takes_the_schema_takes(text: str) -> None:
    assert (parsed(text) is not None) == VALIDATOR.is_valid(document.read(text).value)


@pytest.mark.parametrize(("path", "value"), BAD_SHAPE)
def test_a_wrong_shape_is_refused_by_both(path: str, value: Any) -> None:
    text = changed(path, value)
    assert parsed(text) is None
    assert not VALIDATOR.is_valid(document.read(text).value)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=examples(60))
@given(mutations())
def test_what_the_schema_refuses_the_parser_refuses(changed_file: Any) -> None:
    text = json.dumps(changed_file)
    read = document.read(text)
    if not read.problems and not VALIDATOR.is_valid(read.value):
        assert parsed(text) is None


def test_the_keys_of_a_place_are_known() -> None:
    assert known_keys(("slack", "limits")) == ["posts_per_channel_per_second", "updates_per_minute"]
    assert "region" in known_keys(("pathways", "cluster"))
    assert known_keys(("actions", "x", "allow")) == known_keys(("actions", "x", "allow", 0))
    assert known_keys(("no", "such", 5)) == []


def test_the_types_of_a_place_are_known() -> None:
    assert types_at(("pathways", "x")) == ["direct", "api_gateway", "privatelink"]
    auths = ["none", "token_file", "web_identity", "sigv4"]
    assert types_at(("pathways", "x", "auth")) == auths


def test_what_a_key_says_is_known() -> None:
    assert "AWS region" in description(("s3", "region"))
    assert description(("nothing",)) == ""
