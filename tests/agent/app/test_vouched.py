"""What a record says counts for as much as a statement that somebody signed vouches for."""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typing_extensions import override

from tests.agent.app import mishaps
from tests.agent.app.mishaps import Killed, Killer
from tests.agent.app.stage import RULES, STRANGER, VIEWER, Stage, signed, statement
from tests.agent.entry.signer import Signer
from tidegate_agent.core import record
from tidegate_agent.core.identity import Keys
from tidegate_agent.core.operation import MAX_BODY_BYTES, UNDER_WAY_SECONDS
from tidegate_agent.errors import ConflictError, UnavailableError
from tidegate_dev.kubernetes.resources import CONFIG_MAPS

BODY = json.dumps({"params": {"namespace": "staging", "deployment": "web", "replicas": 9}}).encode()


def written(run: str = "forged", **said: Any) -> dict[str, Any]:
    """Return a record that somebody wrote who may create ConfigMaps."""
    params = {"namespace": "staging", "deployment": "web", "replicas": 9}
    now = time.time()
    content: dict[str, Any] = {
        "format": 1,
        "verb": "scale",
        "params": {**params, "dry_run": False, "force": False},
        "digest": "0" * 64,
        "run": run,
        "subject": "slack:T1:U1",
        "groups": ["SDEV"],
        "statement": "",
        "body": base64.b64encode(BODY).decode(),
        "action": "x",
        "phase": "claimed",
        "message": "",
        "holder": "dead",
        "lease_until": 0.0,
        "begun_at": now,
        "deadline_at": now + 86_400,
        "ended_at": None,
        "put_off": False,
        "steps": [],
        "noted": None,
        "applied": None,
        "refusal": None,
        **said,
    }
    labels = {record.LABEL: record.LABEL_VALUE, record.PHASE_LABEL: content["phase"]}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": record.name(run), "namespace": RULES.home, "labels": labels},
        "data": {"operation.json": json.dumps(content)},
    }


def token(run: str = "forged", **claimed: Any) -> str:
    return signed("scale", BODY, run, **claimed)


ANOTHER = b'{"params":{"namespace":"staging","deployment":"web","replicas":1}}'
DRY = b'{"params":{"namespace":"staging","deployment":"web","replicas":9,"dry_run":true}}'


@pytest.mark.parametrize(
    "forge",
    [
        dict,
        lambda: {"statement": "a.b.c"},
        lambda: {"statement": token("another")},
        lambda: {"statement": token(body_sha256="0" * 64)},
        lambda: {"statement": token(path="/api/v1/status")},
        lambda: {"statement": token(aud="another")},
        lambda: {"statement": token(exp="never")},
        lambda: {
            "statement": token(body_sha256=hashlib.sha256(ANOTHER).hexdigest()),
            "body": base64.b64encode(ANOTHER).decode(),
        },
        lambda: {
            "statement": token(body_sha256=hashlib.sha256(DRY).hexdigest()),
            "body": base64.b64encode(DRY).decode(),
            "params": json.loads(DRY)["params"],
        },
        lambda: {
            "statement": token(body_sha256=hashlib.sha256(b"{}").hexdigest()),
            "body": base64.b64encode(b"{}").decode(),
        },
    ],
)
async def test_a_record_that_no_statement_vouches_for_is_never_acted_on(
    stage: Stage, forge: Callable[[], dict[str, Any]]
) -> None:
    stage.cluster.store.create(CONFIG_MAPS, written(**forge()))
    await stage.agent.recover()
    assert stage.effects() == []
    assert "not_vouched" in stage.notes.names
    told = await stage.follow("forged")
    assert (told.status, told.content["status"]) == (410, "unknown")
    assert "does not prove who asked" in told.content["message"]
    assert await stage.agent.recover() == 0, "and never looked at again"


async def test_who_acts_is_whom_the_statement_names_whatever_the_record_says(
    stage: Stage,
) -> None:
    forged: dict[str, Any] = {
        "statement": token(who=VIEWER),
        "subject": "slack:T1:U1",
        "groups": ["SDEV"],
    }
    stage.cluster.store.create(CONFIG_MAPS, written(**forged))
    await stage.agent.recover()
    assert stage.effects() == []
    assert (await stage.follow("forged", who=VIEWER)).content["phase"] == "failed"


async def test_an_old_statement_that_is_written_down_again_is_too_late(stage: Stage) -> None:
    then = int(time.time()) - 2 * RULES.rollout_seconds
    stage.cluster.store.create(CONFIG_MAPS, written(statement=token(iat=then, exp=then + 60)))
    await stage.agent.recover()
    assert stage.effects() == []
    assert "not begun in time" in (await stage.follow("forged")).content["message"]


async def test_a_record_asks_for_no_more_than_the_rules_allow(stage: Stage) -> None:
    body = BODY.replace(b"9}", b"99}")
    said = {"namespace": "staging", "deployment": "web", "replicas": 99}
    forged: dict[str, Any] = {
        "statement": token(body_sha256=hashlib.sha256(body).hexdigest()),
        "body": base64.b64encode(body).decode(),
        "params": said,
    }
    stage.cluster.store.create(CONFIG_MAPS, written(**forged))
    await stage.agent.recover()
    assert stage.effects() == []
    assert "At most 10 replicas" in (await stage.follow("forged")).content["message"]


@pytest.mark.parametrize("keys", [None, Keys(Signer().jwks())], ids=["none", "others"])
async def test_what_keys_do_not_vouch_for_any_more_is_unknown_unless_it_is_asked_for_again(
    stage: Stage, keys: Keys | None
) -> None:
    for run in ("a", "b"):
        with pytest.raises(Killed):
            await stage.ask("restart", run, agent=stage.new_agent(through=Killer(3)))
    stage.clock.ahead += RULES.lease_seconds + UNDER_WAY_SECONDS
    agent = stage.new_agent(keys=keys)
    assert (await stage.ask("restart", "a", agent=agent)).status == 202
    assert len(stage.effects()) == 1
    await agent.recover()
    assert (await stage.follow("b", agent=agent)).status == 410
    assert len(stage.effects()) == 1


class LostKeys(Keys):
    """Keys whose file is gone for too long."""

    @override
    def find(self, kid: object) -> Ed25519PublicKey:
        raise UnavailableError("Nobody can tell who asks, for now.", retry_after=5.0)


@pytest.mark.parametrize("step", [2, 3], ids=["claimed", "planned"])
async def test_while_nobody_can_tell_who_asked_an_operation_is_left_as_it_is(
    stage: Stage, step: int
) -> None:
    with pytest.raises(Killed):
        await stage.ask("restart", agent=stage.new_agent(through=Killer(step)))
    (before,) = stage.records()
    stage.clock.ahead += RULES.lease_seconds + UNDER_WAY_SECONDS
    agent = stage.new_agent(keys=LostKeys(Signer().jwks()))
    assert await agent.recover() == 0
    told = await stage.follow(agent=agent)
    assert (told.status, told.retry_after) == (503, 5.0)
    assert "Nobody can tell who asks" in told.content["message"]
    assert stage.records() == [before], "neither ended nor begun"
    assert {"not_vouched", "unknown"}.isdisjoint(stage.notes.names)
    assert await stage.new_agent().recover() == 1, "once the keys are back"
    assert len(stage.effects()) == 1


async def test_a_record_that_is_written_meanwhile_is_left_to_who_wrote_it(stage: Stage) -> None:
    stage.cluster.store.create(CONFIG_MAPS, written())
    lost = mishaps.refusing("update", ConflictError("modified", code=409), times=1)
    await stage.new_agent(through=lost).recover()
    assert "not_vouched" not in stage.notes.names
    assert stage.effects() == []


async def test_a_body_that_is_too_long_is_not_kept(stage: Stage) -> None:
    body = json.dumps({"params": json.loads(BODY)["params"], "user_name": "x" * MAX_BODY_BYTES})
    await stage.agent.ask("scale", body.encode(), replace(statement("long"), token="x"))
    (obj,) = stage.records()
    assert json.loads(obj["data"]["operation.json"])["body"] == ""


async def test_another_person_with_the_same_key_gets_no_operation_of_the_first(
    stage: Stage,
) -> None:
    assert (await stage.ask("scale", replicas=4)).status == 202
    told = await stage.ask("scale", replicas=4, who=VIEWER)
    assert told.status == 409
    assert "another request" in told.content["message"]


async def test_another_person_may_look_with_a_role_there_and_not_cancel(stage: Stage) -> None:
    await stage.ask("scale", replicas=4)
    assert (await stage.follow(who=VIEWER)).status == 200
    assert (await stage.follow(who=STRANGER)).status == 403
    told = await stage.cancel(who=VIEWER)
    assert (told.status, "only they can cancel it" in told.content["message"]) == (403, True)
    assert (await stage.followed())["phase"] == "succeeded"
