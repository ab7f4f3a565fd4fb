"""The cluster on a real listener: what it is told, what it does, and how often."""

import asyncio
import base64
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tidegate_dev.cluster import Cluster, cluster_app
from tidegate_dev.listener import Listener

KEY = Ed25519PrivateKey.generate()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


JWKS = {
    "keys": [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "kid": "k1",
            "x": encoded(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)),
        }
    ]
}


@dataclass
class Watch:
    """A clock that moves when told."""

    reading: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.reading


@dataclass
class Stage:
    """A cluster that listens, and a gateway's manners."""

    url: str
    cluster: Cluster
    watch: Watch
    client: aiohttp.ClientSession
    numbers: Callable[[], int] = field(default_factory=lambda: itertools.count(1).__next__)

    async def tell(
        self,
        verb: str,
        params: Mapping[str, Any] | None = None,
        *,
        run: str | None = None,
        raw: bytes | None = None,
        **claims: Any,
    ) -> tuple[int, Any, str | None]:
        run = run or f"run-{self.numbers()}"
        content = {"run_id": run, "user_name": "ada", "params": params or {}}
        body = json.dumps(content).encode() if raw is None else raw
        return await self.send("POST", f"/api/v1/{verb}", body, run, claims)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        run: str = "run-0",
        claims: Mapping[str, Any] | None = None,
    ) -> tuple[int, Any, str | None]:
        now = int(self.watch())
        statement = {
            "iss": "tidegate",
            "aud": "cluster",
            "sub": "slack:T0:U0ADA",
            "groups": [],
            "run": run,
            "action": "deploy-staging",
            "jti": f"jti-{self.numbers()}",
            "iat": now,
            "exp": now + 60,
            "method": method,
            "path": path,
            "body_sha256": hashlib.sha256(body).hexdigest(),
            **(claims or {}),
        }
        header = b'{"alg":"EdDSA","kid":"k1"}'
        signed = f"{encoded(header)}.{encoded(json.dumps(statement).encode())}"
        headers = {
            "Idempotency-Key": run,
            "Tidegate-Identity": f"{signed}.{encoded(KEY.sign(signed.encode()))}",
        }
        async with self.client.request(
            method, self.url + path, data=body or None, headers=headers
        ) as response:
            return response.status, await response.json(), response.headers.get("Location")

    def workload(self, name: str, namespace: str = "staging") -> dict[str, Any]:
        [place] = [n for n in self.cluster.state()["namespaces"] if n["name"] == namespace]
        [workload] = [w for w in place["workloads"] if w["name"] == name]
        return dict(workload)


@asynccontextmanager
async def staged(**options: Any) -> AsyncIterator[Stage]:
    watch = options.pop("now", Watch())
    cluster = Cluster(jwks=JWKS, now=watch, **options)
    async with Listener(cluster_app(cluster)) as listener, aiohttp.ClientSession() as client:
        yield Stage(url=listener.url, cluster=cluster, watch=watch, client=client)
    cluster.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as ready:
        yield ready


WEB = {"namespace": "staging", "deployment": "web"}
DEPLOY = {**WEB, "image": "web:2.4.1"}


async def test_a_deploy_is_taken_at_once_and_rolls_out_pod_by_pod(stage: Stage) -> None:
    old = {pod["name"] for pod in stage.workload("web")["pods"]}
    status, answer, location = await stage.tell("deploy", DEPLOY, run="run-a")
    assert (status, location) == (202, "/api/v1/deploy/operations/run-a")
    assert answer["message"] == "Rolling out web 2.4.1 to staging."
    assert location is not None
    seen: list[tuple[str, int]] = []
    told: dict[str, Any] = {}
    for _ in range(4):
        _, told, _ = await stage.send("GET", location)
        seen.append((told["phase"], told["progress"]["done"]))
        assert told["progress"]["total"] == 3
        ready = sum(pod["ready"] for pod in stage.workload("web")["pods"])
        assert ready >= 3, "a rolling update never serves with fewer pods"
        stage.watch.reading += 1
    assert seen == [("running", 0), ("running", 1), ("running", 2), ("succeeded", 3)]
    assert told["message"] == "web 2.4.1 is running in staging: 3 of 3 pods."
    assert [event["level"] for event in told["events"]] == ["info"] * len(told["events"])
    web = stage.workload("web")
    assert (web["tag"], web["ready"], web["revision"], web["status"]) == ("2.4.1", 3, 2, "healthy")
    assert old.isdisjoint(pod["name"] for pod in web["pods"])
    assert stage.workload("web", "production")["tag"] == "2.4.0"


async def test_a_page_is_told_of_each_step_without_asking() -> None:
    moved = asyncio.Event()
    async with staged(rollout_seconds=0.2, now=time.time, on_change=moved.set) as stage:
        await stage.tell("deploy", DEPLOY)
        seen = set()
        async with asyncio.timeout(10):
            while stage.cluster.state()["operations"][-1]["phase"] != "succeeded":
                await moved.wait()
                moved.clear()
                seen.add(stage.cluster.state()["operations"][-1]["progress"]["done"])
        assert 3 in seen
        assert stage.cluster._timer is None, "nothing is left to wait for"


async def test_a_closed_cluster_leaves_no_timer(stage: Stage) -> None:
    await stage.tell("deploy", DEPLOY)
    timer = stage.cluster._timer
    assert timer is not None
    stage.cluster.close()
    assert timer.cancelled()


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("web:2.5.0", "2.5.0"),
        ("2.5.0", "2.5.0"),
        ("registry.example.com/team/web:2.5.0", "2.5.0"),
        ("registry.example.com:5000/web@sha256:" + "a" * 64, "sha256:aaaaaaaaaaaa"),
        ("web", "latest"),
    ],
)
async def test_an_image_may_be_named_in_short(stage: Stage, image: str, tag: str) -> None:
    assert (await stage.tell("deploy", {**WEB, "image": image}))[0] == 202
    assert stage.workload("web")["tag"] == tag


async def test_scaling_up_and_down_adds_and_removes_pods(stage: Stage) -> None:
    status, answer, location = await stage.tell("scale", {**WEB, "replicas": 5})
    assert (status, answer["message"]) == (202, "Scaling web in staging from 3 to 5.")
    assert stage.workload("web")["ready"] == 3
    stage.watch.reading += 3
    web = stage.workload("web")
    assert (web["ready"], web["replicas"], web["status"]) == (5, 5, "healthy")
    assert location is not None
    assert (await stage.send("GET", location))[1]["progress"] == {"done": 2, "total": 2}
    await stage.tell("scale", {**WEB, "replicas": "0"})
    stage.watch.reading += 6
    web = stage.workload("web")
    assert (web["pods"], web["status"]) == ([], "scaled to zero")


async def test_scaling_to_what_is_there_is_done_at_once(stage: Stage) -> None:
    _, _, location = await stage.tell("scale", {**WEB, "replicas": 3})
    assert location is not None
    assert (await stage.send("GET", location))[1]["phase"] == "succeeded"


async def test_a_restart_replaces_the_pods_and_keeps_the_image(stage: Stage) -> None:
    old = {pod["name"] for pod in stage.workload("api")["pods"]}
    await stage.tell("restart", {"deployment": "api"})
    stage.watch.reading += 3
    api = stage.workload("api")
    assert (api["tag"], api["ready"], api["revision"]) == ("1.18.2", 3, 2)
    assert old.isdisjoint(pod["name"] for pod in api["pods"])


async def test_a_rollback_goes_to_the_revision_before_or_the_one_named(stage: Stage) -> None:
    status, answer, _ = await stage.tell("rollback", WEB)
    assert (status, answer["message"]) == (409, "web in staging has no earlier revision.")
    for version in ("2.4.1", "2.4.2"):
        await stage.tell("deploy", {**WEB, "image": f"web:{version}"})
        stage.watch.reading += 3
    _, answer, _ = await stage.tell("rollback", WEB)
    assert answer["message"] == "Rolling web in staging back to 2.4.1 (revision 2)."
    stage.watch.reading += 3
    assert (stage.workload("web")["tag"], stage.workload("web")["revision"]) == ("2.4.1", 4)
    await stage.tell("rollback", {**WEB, "revision": 1})
    stage.watch.reading += 3
    assert stage.workload("web")["tag"] == "2.4.0"
    assert (await stage.tell("rollback", {**WEB, "revision": 99}))[0] == 409


async def test_status_tells_one_deployment_or_the_whole_namespace(stage: Stage) -> None:
    status, answer, location = await stage.tell("status", WEB)
    assert (status, location) == (200, None)
    assert answer == {
        "message": "web 2.4.0 in staging: 3 of 3 ready, revision 1 (installed)",
        "status": "healthy",
    }
    await stage.tell("deploy", DEPLOY)
    _, answer, _ = await stage.tell("status", {"namespace": "staging", "deployment": None})
    assert answer["status"] == "updating"
    assert len(answer["message"].splitlines()) == 3
    assert "deploy by slack:T0:U0ADA" in answer["message"]


async def test_logs_are_as_many_lines_as_asked_for(stage: Stage) -> None:
    status, answer, _ = await stage.tell("logs", {**WEB, "tail": 4})
    assert status == 200
    assert len(answer["message"].splitlines()) == 4
    _, answer, _ = await stage.tell("logs", {**WEB, "tail": 100_000})
    assert len(answer["message"]) <= 3000
    assert (await stage.tell("logs", {**WEB, "tail": 0}))[0] == 400


async def test_a_crashing_version_fails_and_the_old_one_goes_on_serving(stage: Stage) -> None:
    stage.cluster.set_fault("fail_rollout", True)
    _, _, location = await stage.tell("deploy", DEPLOY)
    stage.watch.reading += 3
    assert location is not None
    _, told, _ = await stage.send("GET", location)
    assert told["phase"] == "failed"
    assert "The previous version still serves with 3 pods." in told["message"]
    assert told["events"][-1]["level"] == "error"
    web = stage.workload("web")
    assert (web["ready"], web["status"]) == (3, "degraded")
    assert [pod["phase"] for pod in web["pods"]].count("CrashLoopBackOff") == 1
    assert "panic" in (await stage.tell("logs", {**WEB, "tail": 30}))[1]["message"]
    stage.cluster.set_fault("fail_rollout", False)
    await stage.tell("rollback", WEB)
    stage.watch.reading += 1
    phases = [pod["phase"] for pod in stage.workload("web")["pods"]]
    assert "CrashLoopBackOff" not in phases, "what does not serve is replaced first"
    stage.watch.reading += 2
    web = stage.workload("web")
    assert (web["tag"], web["ready"], len(web["pods"]), web["status"]) == ("2.4.0", 3, 3, "healthy")


async def test_a_newer_change_takes_over(stage: Stage) -> None:
    _, _, first = await stage.tell("deploy", DEPLOY)
    stage.watch.reading += 1.7
    await stage.tell("deploy", {**WEB, "image": "web:2.4.2"})
    stage.watch.reading += 3
    assert first is not None
    _, told, _ = await stage.send("GET", first)
    assert (told["phase"], told["message"]) == ("cancelled", "A newer change took over.")
    web = stage.workload("web")
    assert (web["tag"], len(web["pods"]), web["status"]) == ("2.4.2", 3, "healthy")
    assert {pod["tag"] for pod in web["pods"]} == {"2.4.2"}


async def test_an_operation_can_be_stopped_between_two_pods(stage: Stage) -> None:
    _, _, location = await stage.tell("deploy", DEPLOY)
    stage.watch.reading += 1.1
    status, told, _ = await stage.send("POST", f"{location}/cancel")
    assert (status, told["phase"]) == (200, "cancelled")
    assert told["message"] == "Stopped after 1 of 3."
    stage.watch.reading += 10
    tags = [pod["tag"] for pod in stage.workload("web")["pods"]]
    assert tags.count("2.4.1") >= 1
    assert "2.4.0" in tags
    assert (await stage.send("POST", f"{location}/cancel"))[1]["message"] == told["message"]


# --- one run, one effect ---------------------------------------------------------


async def test_the_same_run_sent_again_has_one_effect_and_one_answer(stage: Stage) -> None:
    answers = [await stage.tell("deploy", DEPLOY, run="run-a") for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert stage.cluster.effects == {"run-a": 1}
    assert stage.workload("web")["revision"] == 2


async def test_the_same_run_sent_at_the_same_time_has_one_effect() -> None:
    async with staged(slow_seconds=0.1) as stage:
        stage.cluster.set_fault("slow", True)
        await asyncio.gather(*(stage.tell("deploy", DEPLOY, run="run-a") for _ in range(10)))
        assert stage.cluster.effects == {"run-a": 1}


async def test_two_runs_have_two_effects(stage: Stage) -> None:
    await stage.tell("deploy", DEPLOY)
    await stage.tell("deploy", DEPLOY)
    assert stage.cluster.state()["effects"] == {"distinct": 2, "performed": 2}


async def test_a_run_sent_again_with_another_body_is_a_conflict(stage: Stage) -> None:
    await stage.tell("deploy", DEPLOY, run="run-a")
    status, answer, _ = await stage.tell("deploy", {**DEPLOY, "image": "web:9"}, run="run-a")
    assert status == 409
    assert "used for another request" in answer["message"]
    assert (await stage.tell("restart", DEPLOY, run="run-a"))[0] == 409
    assert stage.cluster.effects == {"run-a": 1}


async def test_a_refused_run_has_no_effect_and_the_same_refusal_again(stage: Stage) -> None:
    wrong = {**DEPLOY, "deployment": "nothing"}
    first = await stage.tell("deploy", wrong, run="run-a")
    assert first[0] == 404
    assert await stage.tell("deploy", wrong, run="run-a") == first
    assert stage.cluster.effects == {}


async def test_what_became_of_a_run_is_found_under_its_id(stage: Stage) -> None:
    assert (await stage.send("GET", "/api/v1/deploy/operations/run-a"))[0] == 404
    await stage.tell("deploy", DEPLOY, run="run-a")
    assert (await stage.send("GET", "/api/v1/deploy/operations/run-a"))[0] == 200
    assert (await stage.send("GET", "/api/v1/scale/operations/run-a"))[0] == 404


async def test_a_key_that_does_not_fit_a_path_gets_a_place_of_its_own(stage: Stage) -> None:
    _, _, location = await stage.tell("deploy", DEPLOY, run="run a/../b")
    assert location is not None
    assert "run" not in location.rpartition("/")[2]
    assert (await stage.send("GET", location))[0] == 200


# --- who asked ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"aud": "another"}, "aud"),
        ({"iss": "mallory"}, "iss"),
        ({"exp": 1}, "may live"),
        ({"method": "GET"}, "method"),
        ({"path": "/api/v1/status"}, "path"),
        ({"body_sha256": "0" * 64}, "another body"),
    ],
)
async def test_a_statement_that_does_not_hold_is_unauthorised(
    stage: Stage, claims: dict[str, Any], told: str
) -> None:
    status, answer, _ = await stage.tell("deploy", DEPLOY, **claims)
    assert status == 401
    assert told in answer["message"]
    assert stage.cluster.effects == {}


async def test_a_statement_for_another_run_is_unauthorised(stage: Stage) -> None:
    body = json.dumps({"params": DEPLOY}).encode()
    status, answer, _ = await stage.send("POST", "/api/v1/deploy", body, "run-a", {"run": "run-b"})
    assert status == 401
    assert "Idempotency-Key is not the run" in answer["message"]
    assert stage.cluster.effects == {}


async def test_a_statement_used_twice_is_unauthorised(stage: Stage) -> None:
    assert (await stage.tell("status", WEB, jti="same"))[0] == 200
    status, answer, _ = await stage.tell("status", WEB, jti="same")
    assert (status, answer["message"]) == (401, "The statement has been used before.")


async def test_nobody_may_look_or_stop_without_saying_who_they_are(stage: Stage) -> None:
    _, _, location = await stage.tell("deploy", DEPLOY)
    for method, path in (
        ("GET", location),
        ("POST", f"{location}/cancel"),
        ("POST", "/api/v1/status"),
    ):
        async with stage.client.request(method, f"{stage.url}{path}") as response:
            assert response.status == 401
            assert "missing" in (await response.json())["message"]


async def test_a_cluster_may_be_told_not_to_ask_who() -> None:
    async with staged(require_identity=False) as stage:
        body = {"user_name": "ada", "params": DEPLOY}
        headers = {"Idempotency-Key": "run-a"}
        url = f"{stage.url}/api/v1/deploy"
        async with stage.client.post(url, json=body, headers=headers) as response:
            assert response.status == 202
        async with stage.client.post(url, json=body) as response:
            assert response.status == 400
            assert "Idempotency-Key is missing" in (await response.json())["message"]
        assert stage.workload("web")["revisions"][0]["cause"] == "deploy by ada"


# --- faults and bad input ---------------------------------------------------------------


async def test_a_slow_cluster_takes_its_time() -> None:
    async with staged(slow_seconds=0.3) as stage:
        stage.cluster.set_fault("slow", True)
        begin = time.monotonic()
        assert (await stage.tell("status", WEB))[0] == 200
        assert time.monotonic() - begin >= 0.3


async def test_a_cluster_that_is_down_does_nothing(stage: Stage) -> None:
    stage.cluster.set_fault("down", True)
    assert (await stage.tell("deploy", DEPLOY, run="run-a"))[0] == 503
    assert stage.cluster.effects == {}
    stage.cluster.set_fault("down", False)
    assert (await stage.tell("deploy", DEPLOY, run="run-a"))[0] == 202


async def test_an_unknown_fault_is_refused(stage: Stage) -> None:
    with pytest.raises(ValueError, match="no fault is called 'earthquake'"):
        stage.cluster.set_fault("earthquake", True)


@pytest.mark.parametrize(
    ("verb", "params", "status", "told"),
    [
        ("deploy", WEB, 400, "which image"),
        ("deploy", {**WEB, "image": "a b"}, 400, "which image"),
        ("deploy", {**WEB, "image": 7}, 400, "which image"),
        ("deploy", {"image": "web:1"}, 400, "which deployment"),
        ("deploy", {**DEPLOY, "namespace": "kube-system"}, 404, "no such namespace"),
        ("deploy", {**DEPLOY, "namespace": ["staging"]}, 404, "no such namespace"),
        ("deploy", {**DEPLOY, "deployment": "db"}, 404, "There are web, api, worker."),
        ("scale", WEB, 400, "how many replicas"),
        ("scale", {**WEB, "replicas": 21}, 400, "how many replicas"),
        ("scale", {**WEB, "replicas": -1}, 400, "how many replicas"),
        ("scale", {**WEB, "replicas": True}, 400, "how many replicas"),
        ("scale", {**WEB, "replicas": "٣"}, 400, "how many replicas"),
        ("explode", WEB, 404, "does not know how"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_plain_words(
    stage: Stage, verb: str, params: dict[str, Any], status: int, told: str
) -> None:
    answered, answer, _ = await stage.tell(verb, params)
    assert answered == status
    assert told in answer["message"]
    assert stage.cluster.effects == {}


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"{", b'{"params": []}', b"[" * 100_000])
async def test_a_body_that_is_no_request_is_refused(stage: Stage, raw: bytes) -> None:
    assert (await stage.tell("deploy", raw=raw))[0] == 400


async def test_a_body_over_the_limit_is_refused(stage: Stage) -> None:
    assert (await stage.tell("deploy", raw=b" " * (256 * 1024 + 1)))[0] == 413


async def test_anything_else_is_not_here(stage: Stage) -> None:
    async with stage.client.get(f"{stage.url}/etc/passwd") as response:
        assert (response.status, await response.json()) == (
            404,
            {"message": "There is nothing here.", "status": "refused"},
        )


async def test_params_may_stand_at_the_top_of_a_body_of_its_own_shape(stage: Stage) -> None:
    assert (await stage.tell("deploy", raw=json.dumps(DEPLOY).encode()))[0] == 202
