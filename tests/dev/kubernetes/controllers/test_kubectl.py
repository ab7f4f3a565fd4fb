"""What people see of rollouts and pods with the real `kubectl`."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dev.kubernetes.controllers.terminal import TIMINGS, Terminal, terminal
from tidegate_dev.kubernetes.resources import RESOURCE_QUOTAS

pytestmark = pytest.mark.long

REGISTRY = "registry.example.com"


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Terminal]:
    async with terminal(tmp_path) as opened:
        yield opened


async def set_image(shell: Terminal, tag: str) -> None:
    await shell.do(f"set image deployment/web web={REGISTRY}/web:{tag}")


async def images(shell: Terminal) -> list[str]:
    """Return the tags of the pods that stay."""
    pods = await shell.read("get pods -l app.kubernetes.io/name=web")
    return [
        pod["spec"]["containers"][0]["image"].rpartition(":")[2]
        for pod in pods["items"]
        if "deletionTimestamp" not in pod["metadata"]
    ]


async def staying(shell: Terminal) -> set[str]:
    """Return the names of the pods that are not being stopped."""
    pods = await shell.read("get pods -l app.kubernetes.io/name=web")
    metadata = [pod["metadata"] for pod in pods["items"]]
    return {each["name"] for each in metadata if "deletionTimestamp" not in each}


async def a_pod(shell: Terminal, tag: str) -> str:
    pods = await shell.read("get pods -l app.kubernetes.io/name=web")
    names = [
        pod["metadata"]["name"]
        for pod in pods["items"]
        if pod["spec"]["containers"][0]["image"].endswith(tag)
    ]
    assert names, f"no pod runs {tag}"
    return str(names[0])


def table(text: str) -> dict[str, list[str]]:
    """Return the columns of each row behind its first."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[1:] if line.strip()]
    return {row[0]: row[1:] for row in rows}


async def test_rollout_status_follows_a_rollout_to_its_end(shell: Terminal) -> None:
    await set_image(shell, "2.4.1")
    answer = await shell.do("rollout status deployment/web --timeout=20s")
    assert answer.splitlines()[-1] == 'deployment "web" successfully rolled out'
    assert await images(shell) == ["2.4.1"] * 3


async def test_rollout_status_waits_in_words_while_pods_are_replaced(tmp_path: Path) -> None:
    async with terminal(tmp_path) as shell:
        shell.controllers.timings = replace(TIMINGS, ready=1.5)
        await set_image(shell, "2.4.1")
        answer = await shell.do("rollout status deployment/web --timeout=20s")
    assert "1 out of 3 new replicas have been updated..." in answer
    assert "1 old replicas are pending termination..." in answer


async def test_rollout_status_fails_when_the_deadline_is_exceeded(shell: Terminal) -> None:
    await shell.do('patch deployment/web -p {"spec":{"progressDeadlineSeconds":2}}')
    await set_image(shell, "does-not-exist")
    ran = await shell.run("rollout status deployment/web --timeout=20s")
    assert ran.code == 1
    assert 'error: deployment "web" exceeded its progress deadline' in ran.error
    described = await shell.do("describe deployment/web")
    assert re.search(r"Progressing\s+False\s+ProgressDeadlineExceeded", described)
    assert re.search(r"Available\s+True\s+MinimumReplicasAvailable", described)
    await shell.do('patch deployment/web -p {"spec":{"progressDeadlineSeconds":60}}')
    await shell.do("rollout undo deployment/web")
    answer = await shell.do("rollout status deployment/web --timeout=20s")
    assert answer.splitlines()[-1] == 'deployment "web" successfully rolled out'


async def test_rollout_history_lists_revisions_with_their_causes(shell: Terminal) -> None:
    await set_image(shell, "2.4.1")
    await shell.do("annotate deployment/web kubernetes.io/change-cause=tariffs --overwrite")
    await shell.do("rollout status deployment/web --timeout=20s")
    answer = await shell.do("rollout history deployment/web")
    assert table(answer.partition("\n")[2]) == {"1": ["installed"], "2": ["tariffs"]}
    answer = await shell.do("rollout history deployment/web --revision=1")
    assert f"{REGISTRY}/web:2.4.0" in answer
    ran = await shell.run("rollout history deployment/web --revision=9")
    assert ran.code == 1
    assert "unable to find the specified revision" in ran.error


async def test_rollout_undo_goes_back_one_revision_or_to_the_one_named(shell: Terminal) -> None:
    for tag in ("2.4.1", "2.4.2"):
        await set_image(shell, tag)
        await shell.do("rollout status deployment/web --timeout=20s")
    await shell.do("rollout undo deployment/web")
    await shell.do("rollout status deployment/web --timeout=20s")
    assert await images(shell) == ["2.4.1"] * 3
    answer = await shell.do("rollout history deployment/web")
    assert list(table(answer.partition("\n")[2])) == ["1", "3", "4"]
    await shell.do("rollout undo deployment/web --to-revision=1")
    await shell.do("rollout status deployment/web --timeout=20s")
    assert await images(shell) == ["2.4.0"] * 3
    ran = await shell.run("rollout undo deployment/web --to-revision=1")
    assert "unable to find specified revision 1" in ran.error


async def test_rollout_restart_replaces_every_pod(shell: Terminal) -> None:
    before = await staying(shell)
    await shell.do("rollout restart deployment/web")
    await shell.do("rollout status deployment/web --timeout=20s")
    assert not before & await staying(shell)


async def test_rollout_pause_holds_a_change_back_until_resume(shell: Terminal) -> None:
    await set_image(shell, "2.4.1")
    await shell.do("rollout status deployment/web --timeout=20s")
    await shell.do("rollout pause deployment/web")
    await set_image(shell, "2.4.2")
    await asyncio.sleep(0.3)
    assert set(await images(shell)) == {"2.4.1"}
    ran = await shell.run("rollout undo deployment/web")
    assert "cannot rollback a paused deployment" in ran.error
    await shell.do("rollout resume deployment/web")
    await shell.do("rollout status deployment/web --timeout=20s")
    assert set(await images(shell)) == {"2.4.2"}


async def test_scale_changes_how_many_pods_there_are(shell: Terminal) -> None:
    await shell.do("scale deployment/web --replicas=5")
    await shell.do("rollout status deployment/web --timeout=20s")
    listed = table(await shell.do("get deployment/web"))
    assert listed["web"][:3] == ["5/5", "5", "5"]
    await shell.do("scale deployment/web --replicas=0")
    listed = table(await shell.until("get deployment/web", "0/0"))
    assert listed["web"][:3] == ["0/0", "0", "0"]


async def test_get_pods_shows_each_stage_of_a_rollout(tmp_path: Path) -> None:
    async with terminal(tmp_path) as shell:
        shell.controllers.timings = replace(TIMINGS, pull=1.5, stop=1.5)
        await set_image(shell, "2.4.1")
        await shell.until("get pods", "ContainerCreating", "Running")
        await shell.until("get pods", "Terminating")


async def test_a_crash_loop_is_seen_in_pods_logs_and_descriptions(shell: Terminal) -> None:
    await set_image(shell, "2.5.0-crash")
    await shell.until("get pods", "CrashLoopBackOff")
    name = await a_pod(shell, "2.5.0-crash")
    row = table(await shell.do(f"get pod {name}"))[name]
    assert row[0] == "0/1"
    assert int(row[2].split(" ")[0]) >= 1
    before = await shell.do(f"logs --previous {name}")
    assert "FATAL giving up, exit status 1" in before.splitlines()
    described = await shell.do(f"describe pod {name}")
    assert re.search(r"Last State:\s+Terminated\n\s+Reason:\s+Error\n\s+Exit Code:\s+1", described)
    assert "Back-off restarting failed container web in pod" in described
    assert re.search(r"Controlled By:\s+ReplicaSet/web-", described)


async def test_a_bad_image_is_seen_in_pods_and_descriptions(shell: Terminal) -> None:
    await set_image(shell, "missing")
    await shell.until("get pods", "ImagePullBackOff")
    name = await a_pod(shell, "missing")
    described = await shell.do(f"describe pod {name}")
    assert f'Failed to pull image "{REGISTRY}/web:missing"' in described
    assert f'Back-off pulling image "{REGISTRY}/web:missing"' in described
    assert re.search(r"Reason:\s+(ImagePullBackOff|ErrImagePull)", described)
    ran = await shell.run(f"logs {name}")
    assert ran.code == 1
    assert "is waiting to start" in ran.error


async def test_a_healthy_pod_has_no_log_before_a_restart(shell: Terminal) -> None:
    name = await a_pod(shell, "2.4.0")
    assert "INFO listening on :8080" in (await shell.do(f"logs {name}")).splitlines()
    ran = await shell.run(f"logs --previous {name}")
    assert "previous terminated container" in ran.error


async def test_a_deployments_description_tells_its_replica_sets_and_events(
    shell: Terminal,
) -> None:
    await set_image(shell, "2.4.1")
    await shell.do("rollout status deployment/web --timeout=20s")
    described = await shell.do("describe deployment/web")
    assert re.search(r"OldReplicaSets:\s+web-\w+ \(0/0 replicas created\)", described)
    assert re.search(r"NewReplicaSet:\s+web-\w+ \(3/3 replicas created\)", described)
    assert re.search(r"3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavail", described)
    assert re.search(
        r"deployment-controller\s+Scaled up replica set web-\w+ from 0 to 3", described
    )
    described = await shell.do("describe replicasets -l app.kubernetes.io/name=web --show-events")
    assert len(re.findall(r"Controlled By:\s+Deployment/web", described)) == 2
    assert re.search(r"replicaset-controller\s+Created pod: web-", described)


async def test_get_events_tells_what_happened(shell: Terminal) -> None:
    text = await shell.do("get events")
    for words in (
        r"Scheduled\s+pod/web-\S+\s+Successfully assigned staging/web-\S+ to node-\d",
        r"Pulling\s+pod/web-\S+\s+Pulling image",
        r"Created\s+pod/web-\S+\s+Created container: web",
        r"Started\s+pod/web-\S+\s+Started container web",
        r"SuccessfulCreate\s+replicaset/web-\S+\s+Created pod: web-",
        r"ScalingReplicaSet\s+deployment/web\s+Scaled up replica set web-\S+ from 0 to 3",
    ):
        assert re.search(words, text), words


async def test_a_full_quota_is_told_by_the_deployment(shell: Terminal) -> None:
    place = {"name": "small", "namespace": "staging"}
    quota = {"metadata": place, "spec": {"hard": {"pods": "10"}}}
    shell.cluster.store.create(RESOURCE_QUOTAS, quota)
    await shell.do("scale deployment/web --replicas=9")
    described = await shell.until("describe deployment/web", "ReplicaFailure")
    assert re.search(r"ReplicaFailure\s+True\s+FailedCreate", described)
    described = await shell.do("describe replicasets -l app.kubernetes.io/name=web --show-events")
    assert "exceeded quota: small" in described


@pytest.mark.parametrize(
    ("namespace", "workload"),
    [("staging", "statefulset/orders-db"), ("kube-system", "daemonset/log-shipper")],
)
async def test_stateful_and_daemon_sets_roll_and_go_back(
    shell: Terminal, namespace: str, workload: str
) -> None:
    there = f"--namespace={namespace}"
    await shell.do(f"rollout status {workload} {there} --timeout=20s")
    await shell.do(f"rollout restart {workload} {there}")
    await shell.do(f"rollout status {workload} {there} --timeout=20s")
    answer = await shell.do(f"rollout history {workload} {there}")
    assert list(table(answer.partition("\n")[2])) == ["1", "2"]
    await shell.do(f"rollout undo {workload} {there}")
    await shell.do(f"rollout status {workload} {there} --timeout=20s")
    answer = await shell.do(f"rollout history {workload} {there}")
    assert list(table(answer.partition("\n")[2])) == ["2", "3"]
    answer = await shell.do(f"rollout history {workload} {there} --revision=3")
    assert f"{REGISTRY}/" in answer
