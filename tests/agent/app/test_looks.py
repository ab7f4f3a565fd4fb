"""Status, logs and dry runs: what is told, and that nothing is changed."""

import json
from dataclasses import replace

from tests.agent.app.stage import HOME, RULES, VIEWER, Stage, bind, only
from tidegate_dev.kubernetes.bootstrap import rule
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, PODS, ROLE_BINDINGS, STATEFUL_SETS


async def test_logs_are_the_last_lines_of_the_pods_in_order(stage: Stage) -> None:
    told = await stage.ask("logs", tail=4)
    assert told.status == 200, told
    lines = told.content["lines"]
    assert 0 < len(lines) <= 4
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert told.content["container"] == "web"
    assert told.content["status"].split()[0] == str(len(lines))


async def test_logs_of_one_pod_are_its_own_and_another_workloads_pod_is_refused(
    stage: Stage,
) -> None:
    pods, _ = stage.cluster.store.list(PODS, "staging")
    names = [obj["metadata"]["name"] for obj in pods]
    web = next(name for name in names if name.startswith("web-"))
    told = await stage.ask("logs", pod=web)
    assert {line["pod"] for line in told.content["lines"]} == {web}
    other = next(name for name in names if name.startswith("api-"))
    refused = await stage.ask("logs", pod=other)
    assert refused.status == 404
    assert "has no pod" in refused.content["message"]


async def test_logs_of_those_who_may_not_read_them_are_refused_with_the_right(
    stage: Stage,
) -> None:
    told = await stage.ask("logs", who=VIEWER)
    assert told.status == 403
    assert "pods/log" in told.content["message"]


async def test_a_dry_run_leaves_its_key_free(stage: Stage) -> None:
    await stage.ask("deploy", dry_run=True, image="web:2.4.1")
    assert (await stage.ask("deploy", image="web:2.4.1")).status == 202


async def test_a_dry_run_is_held_to_the_same_rights(stage: Stage) -> None:
    told = await stage.ask("deploy", who=VIEWER, dry_run=True, image="web:2.4.1")
    assert told.status == 403


def a_pod_of_web(stage: Stage) -> str:
    pods, _ = stage.cluster.store.list(PODS, "staging")
    return next(name for obj in pods if (name := str(obj["metadata"]["name"])).startswith("web-"))


async def test_secrets_in_logs_are_struck_out(stage: Stage) -> None:
    pod = a_pod_of_web(stage)
    stage.cluster.logs.append("staging", pod, "web", "DB_PASSWORD=hunter2 key AKIAIOSFODNN7EXAMPLE")
    told = await stage.ask("logs", pod=pod, tail=1)
    assert told.content["lines"][0]["text"] == "DB_PASSWORD=[redacted] key [redacted]"
    assert "hunter2" not in json.dumps(dict(told.content))


async def test_of_more_than_fits_the_newest_lines_are_shown(stage: Stage) -> None:
    pod = a_pod_of_web(stage)
    for number in range(400):
        stage.cluster.logs.append("staging", pod, "web", f"line {number} " + "x" * 1000)
    told = await stage.ask("logs", pod=pod, tail=400)
    texts = [line["text"].split()[1] for line in told.content["lines"]]
    assert 10 < len(texts) < 400
    assert texts == [str(number) for number in range(400 - len(texts), 400)]
    assert len(told.content["message"]) <= 3000
    assert "line 399" in told.content["message"]


async def test_no_more_lines_are_shown_than_the_rules_let_through(stage: Stage) -> None:
    pod = a_pod_of_web(stage)
    for number in range(30):
        stage.cluster.logs.append("staging", pod, "web", str(number))
    agent = stage.new_agent(rules=replace(RULES, max_log_lines=7))
    told = await stage.ask("logs", pod=pod, tail=30, agent=agent)
    assert [line["text"] for line in told.content["lines"]] == [str(n) for n in range(23, 30)]


async def test_what_a_container_wrote_before_it_crashed_can_be_asked_for(stage: Stage) -> None:
    nothing = await stage.ask("logs", previous=True)
    assert nothing.status == 200
    assert "has written nothing before it was last started" in nothing.content["message"]
    await stage.ask("deploy", "b", image="web:9-crash")
    await stage.followed("b", until=lambda told: told.get("reason") == "CrashLoopBackOff")
    told = await stage.ask("logs", "c", previous=True)
    for _ in range(100):
        if not told.content["lines"]:
            await stage.clock.sleep(0.05)
            told = await stage.ask("logs", "c", previous=True)
    assert told.content["lines"]


async def test_without_impersonation_logs_need_a_review_as_well(stage: Stage) -> None:
    account = {"kind": "ServiceAccount", "name": "tidegate-agent", "namespace": HOME}
    bind(stage.cluster.store, ROLE_BINDINGS, "tidegate-deployer", "staging", account, name="agent")
    agent = stage.new_agent(rules=replace(RULES, impersonate=False))
    told = await stage.ask("logs", who=VIEWER, agent=agent)
    assert told.status == 403
    assert "get pods/log in staging" in told.content["message"]
    assert (await stage.ask("logs", "b", agent=agent)).status == 200


async def test_a_namespace_without_workloads_is_empty(stage: Stage) -> None:
    for resource in (DEPLOYMENTS, STATEFUL_SETS):
        found, _ = stage.cluster.store.list(resource, "staging")
        for obj in found:
            stage.cluster.store.delete(resource, "staging", obj["metadata"]["name"])
    told = await stage.ask("status")
    assert (told.content["status"], told.content["workloads"]) == ("empty", [])


async def test_who_may_see_but_one_kind_is_shown_that_one(stage: Stage) -> None:
    only(stage, rule(["list"], "apps", "deployments"))
    told = await stage.ask("status")
    assert [each["name"] for each in told.content["workloads"]] == ["api", "web", "worker"]
    only(stage, rule(["list"], "", "pods"))
    refused = await stage.ask("status")
    assert refused.status == 403
    assert "list deployments.apps in staging" in refused.content["message"]


async def test_who_may_but_deploy_can_follow_it_without_pods_and_events(stage: Stage) -> None:
    only(stage, rule(["get", "patch"], "apps", "deployments"))
    assert (await stage.ask("deploy", image="web:2.4.1")).status == 202
    assert (await stage.follow()).content["phase"] == "running"
    assert (await stage.followed())["phase"] == "succeeded"
