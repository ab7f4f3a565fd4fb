"""What a request is answered that failed: a status that says what to do, and words that help."""

import pytest

from tidegate_agent.core import answer
from tidegate_agent.errors import (
    AlreadyExistsError,
    AmbiguousError,
    BusyError,
    Cause,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    IdentityError,
    InputError,
    InvalidError,
    KeyTakenError,
    KubernetesError,
    MissingError,
    NotFoundError,
    RefusedError,
    StateError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("Say which.", field="image"), 400, "Say which."),
        (IdentityError("expired"), 401, "does not prove who asked"),
        (MissingError("None."), 404, "None."),
        (StateError("Paused."), 409, "Paused."),
        (KeyTakenError(), 409, "another request"),
        (UnavailableError("Later."), 503, "Later."),
        (BusyError("slow", retry_after=9), 503, "asks to wait"),
        (UnreachableError("refused"), 503, "cannot be reached"),
        (UnauthorizedError("no", code=401), 503, "own credentials"),
        (KubernetesError("boom", code=500), 503, "failed"),
        (KubernetesError("odd", code=418), 418, "odd"),
        (KubernetesError("too slow", code=408), 503, "failed"),
        (ExpiredError("too old", code=410), 503, "failed"),
        (KubernetesError("ask the proxy", code=407), 503, "failed"),
        (ConflictError("modified", code=409), 409, "Somebody else changed it"),
        (AlreadyExistsError("there", code=409), 409, "Somebody else changed it"),
        (NotFoundError("pods x not found", code=404), 404, "pods x not found"),
        (InvalidError("bad"), 422, "bad"),
        (
            InvalidError("x", causes=[Cause(field="spec.replicas", reason="", message="too many")]),
            422,
            "spec.replicas: too many",
        ),
        (
            ForbiddenError(
                "…", user="tidegate", verb="patch", resource="deployments.apps", namespace="prod"
            ),
            403,
            "tidegate lacks the right to patch deployments.apps in prod",
        ),
        (ForbiddenError("denied by policy"), 403, "denied by policy"),
    ],
)
def test_each_error_says_whether_to_come_again_and_why(
    error: RefusedError | UnavailableError | KubernetesError, status: int, words: str
) -> None:
    told = answer.of_error(error)
    assert told.status == status
    assert words in told.content["message"]
    assert (told.retry_after is not None) == (status == 503)
    assert told.location is None


@pytest.mark.parametrize(
    ("groups", "who"),
    [
        ([], "tidegate lacks"),
        (["tidegate:viewer"], "tidegate (group tidegate:viewer) lacks"),
        (["tidegate:a", "tidegate:b"], "tidegate (groups tidegate:a, tidegate:b) lacks"),
        ([f"g{number}" for number in range(50)], "tidegate (groups g0, g1, g2, g3, g4, …) lacks"),
    ],
)
def test_a_missing_right_names_the_groups_that_do_not_give_it(groups: list[str], who: str) -> None:
    error = ForbiddenError("…", user="tidegate", groups=groups, verb="get", resource="pods/log")
    assert f" {who} the right to get pods/log." in answer.of_error(error).content["message"]


def test_a_refusal_names_the_param_at_fault() -> None:
    assert answer.of_error(InputError("Say.", field="image")).content["field"] == "image"
    assert "field" not in answer.of_error(InputError("Say.")).content


def test_the_servers_own_words_are_cut_and_hold_no_secret() -> None:
    error = KubernetesError("password=hunter2\n" + "x" * 5000, code=405)
    message = answer.of_error(error).content["message"]
    assert "hunter2" not in message
    assert "\n" not in message
    assert len(message) < 600


def test_what_is_in_doubt_is_never_told_to_be_refused() -> None:
    assert answer.of_error(AmbiguousError("reset")).status == 503
