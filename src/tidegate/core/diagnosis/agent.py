"""The agent behind a pathway, by what it answers to a statement of ours.

It does not say why it does not believe a statement, and rightly so: who forges one would learn
from it. So other statements, all honest, are tried in turn; the first that is believed tells what
was wrong with the one that was not.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tidegate.core.diagnosis.finding import Finding, Words, duration, finding
from tidegate.core.diagnosis.pathway import Answer
from tidegate.core.request import MAX_IDENTITY_SECONDS

#: Who asks, as the agent's log shows it: nobody in Slack.
SUBJECT: Final = "tidegate:doctor"
ACTION: Final = "doctor"

#: What the agent's chart and the examples call it, where nothing else is said.
USUAL_AUDIENCES: Final = ("cluster", "agent", "tidegate-agent", "tidegate")
USUAL_ISSUERS: Final = ("tidegate",)
MAX_TRIALS: Final = 8
#: What an agent answers, whoever asks, where it has no such path.
NO_SUCH_PATH: Final = "There is nothing here."
_STATUSES: Final = ("refused", "unavailable")
#: The agent's own paths: operations are found below those that change something.
_CHANGES: Final = re.compile(r".*/api/v1/(?:deploy|scale|restart|rollback)")
_LOOKS: Final = re.compile(r"(?P<before>.*/api/v1)/(?:status|logs)")


class Trial(StrEnum):
    """In what a statement differs from the one that is sent with every click."""

    AS_CONFIGURED = "as configured"
    CLOCK = "by the far end's clock"
    AUDIENCE = "for another audience"
    ISSUER = "by another issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement to be tried.

    Attributes:
        trial: In what it differs.
        audience: For whom it is.
        issuer: By whom it is.
        ahead: How many seconds our clock is ahead of the one it is made by.
    """

    trial: Trial
    audience: str
    issuer: str
    ahead: float = 0.0


WORDS: Final[Mapping[str, Words]] = {
    "agent.other_clock": Words(
        what="the agent does not believe what we sign: its clock differs by {skew}",
        why="a statement of who clicked holds for a minute; made by the agent's clock, it is "
        "believed",
        mend="set the clocks of both machines by NTP",
    ),
    "agent.other_audience": Words(
        what="the agent goes by the audience {there}, not by {ours}",
        why="a statement that names another audience is for somebody else",
        mend="write audience: {there} into the pathway, or {ours} into the agent's settings",
    ),
    "agent.other_issuer": Words(
        what="the agent believes the issuer {there}, not {ours}",
        why="identity.issuer and the agent's settings have to say the same",
        mend="write issuer: {there} into identity, or {ours} into the agent's settings",
    ),
    "agent.other_key": Words(
        what="the agent does not believe what we sign",
        why="it does not hold our public key, goes by another audience or issuer, or does not "
        "take the credentials that come along (callers)",
        mend="give it the output of `tidegate identity jwks`; then compare audience and issuer; "
        "its log names the reason",
    ),
    "agent.other_key_or_no_token": Words(
        what="the agent does not believe what we send, which is a signed statement and no token",
        why="it wants a service-account token as well (callers), does not hold our public key, or "
        "goes by another audience or issuer",
        mend="set auth: {{type: token_file, …}} if it has callers; give it the output of "
        "`tidegate identity jwks`; its log names the reason",
    ),
    "agent.path_not_stripped": Words(
        what="the agent is reached, and knows no such path",
        why="the stage's name, or a path of the url, arrives as a part of the path",
        mend="map it away: overwrite:path = $request.path (HTTP API), requestOverride.path (REST)",
    ),
    "agent.busy": Words(
        what="the agent answers that it cannot tell now ({status})",
        why="it does not reach the cluster's API, or has no right to review tokens",
        mend="look at the agent's log and at its ClusterRole (system:auth-delegator)",
    ),
}


def operations_path(paths: Iterable[str], run: str) -> tuple[str, bool]:
    """Return what can be asked for without an effect, and whether an agent should answer it.

    It is how any service is asked what became of a run; there is none of that id.

    Args:
        paths: What the pathway's actions ask for.
        run: The id of a run that cannot exist.
    """
    known = sorted(paths)
    for path in known:
        if _CHANGES.fullmatch(path):
            return f"{path}/operations/{run}", True
    for path in known:
        match = _LOOKS.fullmatch(path)
        if match is not None:
            return f"{match['before']}/operations/{run}", True
    if not known:
        return f"/operations/{run}", False
    plain = re.sub(r"\{[^{}]*\}", "none", known[0]).rstrip("/")
    return f"{plain}/operations/{run}", False


def claims(said: Statement, *, run: str, path: str, now: float, nonce: str) -> dict[str, Any]:
    """Return the claims of `Tidegate-Identity` for a look that nobody clicked for.

    Args:
        said: For whom, by whom, by which clock.
        run: The id that the request asks for, and carries as its key.
        path: As the agent sees it, without a stage.
        now: Our own time.
        nonce: New for each.
    """
    issued = int(now - said.ahead)
    return {
        "iss": said.issuer,
        "aud": said.audience,
        "sub": SUBJECT,
        "groups": [],
        "run": run,
        "action": ACTION,
        "jti": nonce,
        "iat": issued,
        "exp": issued + MAX_IDENTITY_SECONDS,
        "method": "GET",
        "path": path,
        "body_sha256": hashlib.sha256(b"").hexdigest(),
    }


def others(ours: Statement, *, ahead: float | None, audiences: Sequence[str]) -> list[Statement]:
    """Return what else to try when a statement was not believed.

    Args:
        ours: The one that was not.
        ahead: Seconds that our clock is ahead of the far end's, if that is known.
        audiences: Names that an agent of this configuration may go by.
    """
    found: list[Statement] = []
    if ahead is not None and abs(ahead) > 1.5:
        found.append(_like(ours, Trial.CLOCK, ahead=ahead))
    for name in dict.fromkeys((*audiences, *USUAL_AUDIENCES)):
        if name != ours.audience:
            found.append(_like(ours, Trial.AUDIENCE, audience=name))
    for name in USUAL_ISSUERS:
        if name != ours.issuer:
            found.append(_like(ours, Trial.ISSUER, issuer=name))
    return found[:MAX_TRIALS]


def _like(
    ours: Statement,
    trial: Trial,
    *,
    audience: str | None = None,
    issuer: str | None = None,
    ahead: float = 0.0,
) -> Statement:
    return Statement(
        trial=trial,
        audience=audience or ours.audience,
        issuer=issuer or ours.issuer,
        ahead=ahead,
    )


def speaks(answer: Answer) -> bool:
    """Tell whether it was an agent that answered: another service may have the same paths."""
    return answer.content.get("status") in _STATUSES and bool(answer.content.get("message"))


def believed(answer: Answer) -> bool:
    """Tell whether the agent took a statement: only then it looks for the operation."""
    return answer.status != 401


def mistaken(ours: Statement, taken: Statement | None, *, alone: bool) -> Finding:
    """Return why our statement was not believed.

    Args:
        ours: The statement.
        taken: Another one that was believed; None if none was.
        alone: Nothing else goes along that proves who calls.
    """
    match taken:
        case Statement(trial=Trial.CLOCK, ahead=ahead):
            return finding(WORDS, "agent.other_clock", skew=duration(ahead))
        case Statement(trial=Trial.AUDIENCE, audience=there):
            return finding(WORDS, "agent.other_audience", there=there, ours=ours.audience)
        case Statement(trial=Trial.ISSUER, issuer=there):
            return finding(WORDS, "agent.other_issuer", there=there, ours=ours.issuer)
        case _:
            return finding(WORDS, "agent.other_key_or_no_token" if alone else "agent.other_key")


def answered(answer: Answer) -> Finding | None:
    """Return what is wrong with the agent's answer to a statement that it took.

    The operation cannot exist, so 404 is what a healthy agent answers; in other words, though,
    than those for a path that it does not have at all.
    """
    if answer.status == 404 and answer.message == NO_SUCH_PATH:
        return finding(WORDS, "agent.path_not_stripped")
    if answer.status == 503:
        return finding(WORDS, "agent.busy", status=answer.status)
    return None
