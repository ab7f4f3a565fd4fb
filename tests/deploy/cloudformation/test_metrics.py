"""The metrics in CloudWatch are made of log lines that the product really writes."""

import ast
import io
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest

from tests.deploy.cloudformation.stacks import stack
from tests.deploy.cloudformation.templates import ROOT, Json, every, named, text
from tidegate.adapters.journal import EventJournal
from tidegate.core.model import State

SOURCE: Final = ROOT / "src/tidegate"
ALWAYS: Final = {"event", "level", "at"}
#: A line of each kind that a filter is made for, as the product notes it, by the metric.
LINES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "AckMilliseconds": ("answered", {"status": 200, "outcome": "recorded", "total_ms": 3.25}),
    "SignatureFailures": ("answered", {"level": "warning", "status": 401, "outcome": "refused"}),
    "NotRecorded": ("answered", {"level": "warning", "status": 503, "outcome": "failed"}),
    "RunsSucceeded": ("outcome", {"state": "succeeded", "pathway": "cluster"}),
    "RunsFailed": ("outcome", {"state": "failed", "pathway": "cluster", "reason": "http_500"}),
    "RunsUnknown": ("outcome", {"state": "unknown", "pathway": "cluster"}),
    "RunsExpired": ("outcome", {"state": "expired", "pathway": "cluster"}),
    "Outcomes": ("outcome", {"state": "running", "pathway": "cluster"}),
    "PathwayFaults": ("pathway_fault", {"level": "warning", "reason": "not_permitted"}),
    "LinksDown": ("pathway_fault", {"level": "warning", "reason": "link_down"}),
    "MalwareRefused": ("outcome", {"state": "failed", "reason": "malware"}),
    "StoreFailures": ("store_failed", {"level": "error", "reason": "StoreError"}),
    "AuditFailures": ("audit_failed", {"level": "error"}),
    "CredentialFailures": ("credentials_not_renewed", {"level": "warning"}),
    "QueueFailures": ("queue_failed", {"level": "warning", "reason": "unreachable"}),
    "DeadEvents": ("event_dead", {"level": "warning", "reason": "not_an_event"}),
    "SlackLimits": ("slack_failed", {"level": "warning", "reason": "ratelimited"}),
    "SlackFailures": ("slack_facts_failed", {"level": "warning"}),
    "Starts": ("started", {}),
    "Errors": ("worker_failed", {"level": "error"}),
}


@cache
def spoken() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the events that the product notes, the fields it gives them, and all its words."""
    events, fields, words = set(), set(), set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str(word)):
                    words.add(word)
                case ast.Call(func=ast.Attribute(attr="note" | "_note"), args=[first, *_]):
                    if isinstance(first, ast.Constant):
                        events.add(str(first.value))
                    fields |= {each.arg for each in node.keywords if each.arg}
                case _:
                    continue
    return frozenset(events), frozenset(fields), frozenset(words)


def filters() -> Iterator[tuple[str, Json]]:
    """Yield each metric that is made of the gateway's lines, with its filter."""
    for _, found in named("observability").of("Logs::MetricFilter"):
        if text(found["LogGroupName"]) == "${LogGroupName}":
            (made,) = found["MetricTransformations"]
            yield str(made["MetricName"]), found


def terms(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of a pattern and what they are compared with."""
    for field, value in re.findall(r'\$\.(\w+) = ("[^"]*"|\d+)', pattern):
        yield field, value.strip('"')


def matches(pattern: str, line: Json) -> bool:
    """Return whether a line is one that CloudWatch's JSON pattern means.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
    """

    def holds(term: str) -> bool:
        ((field, value),) = terms(term)
        found = line.get(field)
        return found is not None and (value == "*" or str(found) == value)

    inside = pattern.strip("{} ")
    return any(all(map(holds, part.split("&&"))) for part in inside.split("||"))


def written(event: str, fields: dict[str, Any]) -> Json:
    """Return the line that the product writes."""
    stream = io.StringIO()
    EventJournal(stream).note(event, **fields)
    line: Json = json.loads(stream.getvalue())
    return line


def test_each_metric_is_tried() -> None:
    assert {name for name, _ in filters()} == set(LINES)


@pytest.mark.parametrize("metric", LINES)
def test_a_metric_counts_its_line_and_the_product_writes_such_lines(metric: str) -> None:
    events, fields, words = spoken()
    made = stack("observability").resources()
    (found,) = [
        each
        for name, each in made.items()
        if name.endswith("Filter") and each["MetricTransformations"][0]["MetricName"] == metric
    ]
    pattern = found["FilterPattern"]
    for field, value in terms(pattern):
        assert field in fields | ALWAYS, field
        if field == "event":
            assert value in events, value
        elif field == "state":
            assert value == "*" or value in set(State)
        elif not value.isdigit() and value != "*":
            assert value in words, value
    event, given = LINES[metric]
    assert event in events
    line = written(event, given)
    assert matches(pattern, line)
    assert not matches(pattern, written("told", {"state": "succeeded"}))
    (transformation,) = found["MetricTransformations"]
    if transformation["MetricValue"] != "1":
        assert line[transformation["MetricValue"].removeprefix("$.")] == 3.25
    for dimension in transformation.get("Dimensions", ()):
        assert dimension["Value"].removeprefix("$.") in fields


def test_on_kubernetes_the_fields_stand_below_what_the_collector_calls_them() -> None:
    made = stack("observability", LogFieldPrefix="log_processed.").resources()
    pattern = made["RunsFailedFilter"]["FilterPattern"]
    assert pattern == ('{ $.log_processed.event = "outcome" && $.log_processed.state = "failed" }')
    (transformation,) = made["AckMillisecondsFilter"]["MetricTransformations"]
    assert transformation["MetricValue"] == "$.log_processed.total_ms"


def test_alarms_and_dashboard_are_about_metrics_that_are_made() -> None:
    parameters = {
        "HttpApiId": "abc123",
        "RestApiName": "tidegate-rest",
        "ApiLogGroupName": "/aws/vendedlogs/tidegate/api",
        "QueueName": "tidegate-arrivals",
        "LoadBalancerFullName": "app/tidegate-slack/0123456789abcdef",
    }
    made = stack("observability", **parameters).resources()
    metrics = {
        each["MetricTransformations"][0]["MetricName"]
        for name, each in made.items()
        if name.endswith("Filter")
    }
    used = set()
    for name, alarm in made.items():
        if name.endswith("Alarm") and alarm.get("Namespace") == "Tidegate/tidegate":
            used.add(alarm["MetricName"])
        for each in every(alarm.get("Metrics")):
            if "MetricStat" in each:
                used.add(each["MetricStat"]["Metric"]["MetricName"])
    body = json.loads(made["Dashboard"]["DashboardBody"])
    for widget in body["widgets"]:
        for row in widget["properties"]["metrics"]:
            if row[0] == "Tidegate/tidegate":
                used.add(row[1])
    assert len(body["widgets"]) == 8
    assert used | {"ApiForbidden", "Outcomes"} == metrics | {"ApiForbidden"}
    assert 'MetricName=\\"Outcomes\\"' in made["Dashboard"]["DashboardBody"]


def test_the_dashboard_leaves_out_what_is_not_named() -> None:
    body = json.loads(stack("observability").resources()["Dashboard"]["DashboardBody"])
    assert len(body["widgets"]) == 5


def test_forbidden_calls_are_counted_as_the_access_log_writes_them() -> None:
    for name in ("pathway-api-gateway", "pathway-api-gateway-rest"):
        template = named(name)
        for _, stage in template.of("ApiGatewayV2::Stage", "ApiGateway::Stage"):
            settings = stage.get("AccessLogSettings") or stage["AccessLogSetting"]
            line = json.loads(
                settings["Format"].replace("$context.status", "403").replace("$context", "x")
            )
            assert line["status"] == "403"
    (filtered,) = [
        each
        for name, each in named("observability").of("Logs::MetricFilter")
        if name == "ForbiddenFilter"
    ]
    assert filtered["FilterPattern"] == '{ $.status = "403" }'
