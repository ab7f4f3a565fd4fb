"""What an agent's answers tell about the statements it was shown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.entry.signer import Signer
from tidegate.core.diagnosis.agent import (
    MAX_TRIALS,
    SUBJECT,
    Statement,
    Trial,
    answered,
    believed,
    claims,
    mistaken,
    operations_path,
    others,
    speaks,
)
from tidegate.core.diagnosis.pathway import Answer
from tidegate_agent.core.identity import Expected, Keys, Memory, verify

OURS = Statement(trial=Trial.AS_CONFIGURED, audience="cluster", issuer="tidegate")


@pytest.mark.parametrize(
    ("paths", "path", "agent"),
    [
        (["/api/v1/status", "/api/v1/deploy"], "/api/v1/deploy/operations/r", True),
        (["/x/api/v1/scale"], "/x/api/v1/scale/operations/r", True),
        (["/api/v1/status"], "/api/v1/operations/r", True),
        (["/tenant/api/v1/logs"], "/tenant/api/v1/operations/r", True),
        (["/jobs/{params.name}/run/"], "/jobs/none/run/operations/r", False),
        (["/b", "/a"], "/a/operations/r", False),
        ([], "/operations/r", False),
    ],
)
def test_what_is_asked_for_is_a_run_that_cannot_exist(
    paths: list[str], path: str, agent: bool
) -> None:
    assert operations_path(paths, "r") == (path, agent)


names = st.sampled_from(["cluster", "agent", "tidegate", "prod", "acme"])


@given(names, names, st.none() | st.floats(-100, 100), st.lists(names, max_size=6))
def test_what_else_is_tried_is_honest_differs_and_ends(
    audience: str, issuer: str, ahead: float | None, audiences: list[str]
) -> None:
    ours = Statement(trial=Trial.AS_CONFIGURED, audience=audience, issuer=issuer)
    found = others(ours, ahead=ahead, audiences=audiences)
    assert len(found) <= MAX_TRIALS
    assert len(set(found)) == len(found)
    for each in found:
        changed = (each.audience != audience) + (each.issuer != issuer) + (each.ahead != 0.0)
        assert changed == 1
        assert (each.trial is Trial.CLOCK) == (each.ahead != 0.0)
    clocks = [each for each in found if each.trial is Trial.CLOCK]
    assert bool(clocks) == (ahead is not None and abs(ahead) > 1.5)
    assert found[: len(clocks)] == clocks


def test_the_statement_that_is_believed_tells_what_was_wrong_with_ours() -> None:
    def code(taken: Statement | None) -> tuple[str, str]:
        found = mistaken(OURS, taken, alone=False)
        return found.code, f"{found.what} {found.mend}"

    clock = Statement(trial=Trial.CLOCK, audience="cluster", issuer="tidegate", ahead=42)
    assert code(clock)[0] == "agent.other_clock"
    assert "42 s" in code(clock)[1]
    audience = Statement(trial=Trial.AUDIENCE, audience="prod", issuer="tidegate")
    assert code(audience)[0] == "agent.other_audience"
    assert "audience: prod" in code(audience)[1]
    issuer = Statement(trial=Trial.ISSUER, audience="cluster", issuer="acme")
    assert code(issuer)[0] == "agent.other_issuer"
    assert code(None)[0] == "agent.other_key"
    assert "tidegate identity jwks" in code(None)[1]
    assert mistaken(OURS, None, alone=True).code == "agent.other_key_or_no_token"


@pytest.mark.parametrize(
    ("status", "content", "code"),
    [
        (404, {"message": "There is no such operation.", "status": "refused"}, None),
        (
            404,
            {"message": "There is nothing here.", "status": "refused"},
            "agent.path_not_stripped",
        ),
        (404, {"message": "Unknown.", "status": "refused"}, None),
        (503, {"message": "Not now.", "status": "unavailable"}, "agent.busy"),
    ],
)
def test_a_healthy_agent_says_that_there_is_no_such_operation(
    status: int, content: dict[str, str], code: str | None
) -> None:
    answer = Answer(status=status, body=json.dumps(content).encode())
    assert speaks(answer)
    assert believed(answer)
    found = answered(answer)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html>",
        b'{"message":"Not Found"}',
        b'{"status":"refused"}',
        b'{"status":"gone","message":"x"}',
    ],
)
def test_another_service_does_not_speak_like_the_agent(body: bytes) -> None:
    assert not speaks(Answer(status=404, body=body))


def test_only_401_is_disbelief() -> None:
    assert not believed(Answer(status=401))


@given(st.floats(0, 2e9), st.floats(-50, 50))
def test_an_agent_takes_the_claims_of_a_look_for_what_they_are(now: float, ahead: float) -> None:
    said = Statement(trial=Trial.CLOCK, audience="cluster", issuer="tidegate", ahead=ahead)
    signer = Signer()
    token = signer.sign(claims(said, run="doctor-1", path="/p", now=now, nonce="n"))
    expected = Expected(
        issuer="tidegate",
        audience="cluster",
        method="GET",
        path="/p",
        body=b"",
        key="doctor-1",
        now=max(0.0, now - ahead),
    )
    if now - ahead < 1:
        return
    who = verify(token, expected, keys=Keys(signer.jwks()), memory=Memory())
    assert who.subject == SUBJECT
    assert who.groups == ()
