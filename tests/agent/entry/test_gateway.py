"""What the gateway itself makes of a click, the agent takes; what the agent answers, it follows."""

import hashlib
import time
import uuid
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.agent.app import stage as stages
from tests.agent.entry.door import door
from tidegate.adapters.identity import IdentitySigner
from tidegate.core import outcome, request
from tidegate.core.model import Kind, Run, RunId, State
from tidegate_agent.core.identity import Keys


def _signer() -> IdentitySigner:
    return IdentitySigner(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _run(params: dict[str, Any]) -> Run:
    now = time.time()
    return Run(
        id=RunId(uuid.uuid4().hex),
        kind=Kind.BLOCK_ACTIONS,
        action="deploy-staging",
        action_id="k8s_deploy",
        pathway="cluster",
        state=State.SENDING,
        team_id="T1",
        user_id="U1",
        user_name="ada",
        channel_id="C0OPS",
        params=params,
        delivery_key=hashlib.sha256(b"click").hexdigest(),
        idempotent=True,
        created_at=now,
        updated_at=now,
        start_by=now + 60,
        deadline_at=now + 600,
    )


def _body(run: Run) -> bytes:
    """Return the body that is sent by default (`core.request.body` of a route without one)."""
    return msgspec.json.encode(
        {
            "run_id": run.id,
            "action": run.action,
            "action_id": run.action_id,
            "user_id": run.user_id,
            "user_name": run.user_name,
            "team_id": run.team_id,
            "channel_id": run.channel_id,
            "params": dict(run.params),
        }
    )


async def test_a_click_is_taken_followed_and_ends_well() -> None:
    signer = _signer()
    run = _run({"namespace": "staging", "deployment": "web", "image": "2.8.0"})

    def headers(method: str, path: str, body: bytes) -> dict[str, str]:
        said = request.claims(
            run,
            issuer="tidegate",
            audience="cluster",
            groups=frozenset({"SDEV"}),
            method=method,
            path=path,
            body=body,
            now=time.time(),
            nonce=uuid.uuid4().hex,
        )
        identity = {"Tidegate-Identity": signer.sign(said), "Idempotency-Key": run.id}
        return {**identity, "Content-Type": "application/json"}

    async with stages.stage() as stage, door(stage, keys=Keys(signer.jwks())) as at:
        body, path = _body(run), "/api/v1/deploy"
        await at.send("POST", path, body, None, headers("POST", path, body))
        # An attempt that got no answer is sent again, with another statement.
        told = await at.send("POST", path, body, None, headers("POST", path, body))
        assert outcome.of_status(told.status, location="/") is outcome.Verdict.RUNNING
        place = request.safe_location(told.headers["Location"], base_path="")
        assert place == f"{path}/operations/{run.id}"
        phase = "pending"
        while phase in ("pending", "running"):
            told = await at.send("GET", place, b"", None, headers("GET", place, b""))
            phase = told.content["phase"]
            await stage.clock.sleep(0.05)
        assert phase == "succeeded"
        assert len(stage.effects()) == 1
        assert stage.image() == "registry.example.com/web:2.8.0"
