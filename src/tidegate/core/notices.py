"""What people are told, in plain words. Nothing foreign is in here but what is escaped."""

from typing import Final

from tidegate.core.lifecycle import is_final
from tidegate.core.model import Kind, Run, State
from tidegate.core.policy import Denied, Reason
from tidegate.core.text import escape

_UNCONNECTED: Final = (
    "This {what} is not connected to anything (any more), so nothing was done. "
    "If you need it, ask the people who run Tidegate."
)
RETIRED: Final = (
    "This button is too old to be used safely, so nothing was done. Please use a newer message."
)
NOT_RECORDED: Final = (
    "Tidegate could not write this down just now, so nothing was done. "
    "Please try again in a moment."
)
NOT_OURS: Final = "This button does not belong here, so nothing was done."
SLOW_DOWN: Final = (
    "You have used this too often just now, so nothing was done. Try again in {wait}."
)
CHECKING: Final = "Asking the service what became of it. The message will tell."
SETTLED: Final = "This has been settled in the meantime; the message tells how."
CONFIRMED: Final = "Thank you. It goes on."
CANCELLED: Final = "It was called off. Nothing was done."
TOO_LATE: Final = "It is too late for that; nothing was changed."
NOT_UNDER_WAY: Final = (
    "What you pressed is not under way after all: who pressed it before you may not use it. "
    "Nothing was done. Please press it again."
)
NOT_YOURS: Final = "Only the person who asked for it can answer this."

_DENIED: Final = {
    Reason.NO_RULE: "Nobody has been allowed to use this yet, so nothing was done.",
    Reason.NOT_LISTED: "You are not among the people who may use this, so nothing was done.",
    Reason.WRONG_CHANNEL: "This may not be used in this channel, so nothing was done.",
    Reason.WRONG_PARAMS: "You may use this, but not for this target, so nothing was done.",
    Reason.GUEST: "Guests may not use this, so nothing was done.",
    Reason.EXTERNAL: (
        "This may not be used by people from outside the workspace, or in a channel shared "
        "with them, so nothing was done."
    ),
    Reason.INACTIVE: "This account is not active, so nothing was done.",
    Reason.UNVERIFIED: (
        "Slack did not tell whether you may use this, so nothing was done. Please try again."
    ),
}


def unconnected(kind: Kind) -> str:
    """Return what a person is told who used something that no action names."""
    names = {Kind.COMMAND: "command", Kind.VIEW_SUBMISSION: "form"}
    shortcuts = (Kind.SHORTCUT, Kind.MESSAGE_ACTION)
    what = "shortcut" if kind in shortcuts else names.get(kind, "button")
    return _UNCONNECTED.format(what=what)


def denied(decision: Denied) -> str:
    """Return what a person who is not admitted is told, with the way in where there is one."""
    text = _DENIED[decision.reason]
    if decision.groups:
        names = " or ".join(f"<!subteam^{group}>" for group in sorted(decision.groups)[:5])
        text += f" It needs {names}."
    return text


def denied_reason(reason: str) -> str:
    """Return the words for the reason that a denied run was given."""
    try:
        return _DENIED[Reason(reason)]
    except ValueError:
        return _REASONS.get(reason, "It was not allowed, so nothing was done.")


def wait(seconds: float) -> str:
    """Return a time to wait in words."""
    whole = max(1, round(seconds))
    if whole < 90:
        return f"{whole} second{'s' if whole != 1 else ''}"
    minutes = round(whole / 60)
    return f"{minutes} minutes" if minutes < 90 else f"{round(minutes / 60)} hours"


def joined(run: Run) -> str:
    """Return what the second person to press a button is told."""
    who = f"<@{escape(run.user_id)}>"
    if run.state is State.SUCCEEDED:
        return f"This was already done from here by {who}."
    if is_final(run.state):
        how = STATE_WORDS[run.state]
        return f"This was already tried from here by {who}: {how}. The message tells more."
    return f"This is already under way, started by {who}. The message tells how it goes."


def invalid(text: str, *, usage: str = "") -> str:
    """Return what a person is told whose input does not fit, and how to write it right."""
    return f"{text} Nothing was done." + (f" Write it so: `{usage}`" if usage else "")


STATE_WORDS: Final = {
    State.RECEIVED: "taken",
    State.AWAITING_APPROVAL: "waiting for approval",
    State.AWAITING_CONFIRMATION: "waiting for confirmation",
    State.QUEUED: "waiting for its turn",
    State.SENDING: "working",
    State.RUNNING: "working",
    State.SUCCEEDED: "done",
    State.FAILED: "failed",
    State.UNKNOWN: "outcome unknown",
    State.DENIED: "not allowed",
    State.EXPIRED: "expired",
    State.CANCELLED: "called off",
}

_REASONS: Final = {
    "connect": "The service could not be reached. Nothing was done.",
    "dns": "The service's name could not be found. Nothing was done.",
    "tls": "The service could not prove who it is. Nothing was done.",
    "tls_name": "What answered there is another service than the one asked for. Nothing was done.",
    "tls_expired": "The service's certificate has run out. Nothing was done.",
    "tls_files": "Tidegate's own certificates could not be read. Nothing was done.",
    "client_refused": "The service did not accept Tidegate's certificate. Nothing was done.",
    "private_address": (
        "The service's name leads to a place that Tidegate may not go to. Nothing was done."
    ),
    "credentials": "Tidegate has no valid credentials for the service. Nothing was done.",
    "unsignable": "The request could not be signed as it stands. Nothing was done.",
    "token": "Tidegate has no valid token for the service. Nothing was done.",
    "too_large": "The request is too large to be sent this way. Nothing was done.",
    "head_too_large": (
        "What goes along with the request is too large to be sent this way. Nothing was done."
    ),
    # --- what the way to the service answered, and not the service
    "unsigned": (
        "The way to the service asks for a proof that Tidegate did not send. Nothing was done."
    ),
    "bad_signature": "The way to the service found Tidegate's signature wrong. Nothing was done.",
    "wrong_scope": (
        "Tidegate's signature was made for another place than this service. Nothing was done."
    ),
    "clock_skew": (
        "Tidegate's clock and that of the way to the service differ too much. Nothing was done."
    ),
    "expired_credentials": "Tidegate's credentials for the service have run out. Nothing was done.",
    "unknown_credentials": (
        "The way to the service does not know Tidegate's credentials. Nothing was done."
    ),
    "not_permitted": "Tidegate is not permitted to ask the service for this. Nothing was done.",
    "edge_forbidden": "The way to the service did not let the request through. Nothing was done.",
    "edge_refused": "The way to the service refused the request. Nothing was done.",
    "token_refused": "The way to the service did not accept Tidegate's token. Nothing was done.",
    "no_route": "There is no such way to the service. Nothing was done.",
    "throttled": "Too much is asked of the way to the service just now. Nothing was done.",
    "link_down": "The way to the service is interrupted. Nothing was done.",
    "no_target": "The service is not running, or not healthy. Nothing was done.",
    "integration_timeout": (
        "The service did not answer the way to it in time. It may or may not have been done."
    ),
    "integration_failed": (
        "The way to the service broke before an answer. It may or may not have been done."
    ),
    "busy": "The service is busy. Nothing was done.",
    "not_started": "It could not be started in time. Nothing was done.",
    "joined": "Somebody else was quicker, so this was not done again.",
    "not_confirmed": "It was not confirmed in time. Nothing was done.",
    "refused_late": "It could not be written down in time. Nothing was done.",
    "timeout": "The service did not answer in time. It may or may not have been done.",
    "no_answer": "The connection broke before an answer. It may or may not have been done.",
    "interrupted": "Tidegate was interrupted before an answer. It may or may not have been done.",
    "error": "The service failed while working on it. It may or may not have been done.",
    "bad_location": "The service took it, but did not say where it can be followed.",
    "refused_again": (
        "The service refused it when it was asked again after an answer that never came. "
        "It may or may not have been done before."
    ),
    "untraceable": (
        "The service was asked, and could not tell what became of it. "
        "It may or may not have been done."
    ),
    "lost_track": "The service no longer says how it goes. It may or may not have been done.",
    "unauthenticated": "The service did not accept the proof of who asked. Nothing was done.",
    "forbidden": "The service did not permit it. Nothing was done.",
    "not_found": "The service does not know what was asked for. Nothing was done.",
    "conflict": "The service says that something else is in the way. Nothing was done.",
    "rejected": "The service refused it. Nothing was done.",
    "redirect": "The service pointed elsewhere, which Tidegate does not follow. Nothing was done.",
    "redirected": (
        "The service pointed elsewhere, which Tidegate does not follow. "
        "It may or may not have been done."
    ),
    "failed": "The service reports that it failed.",
    "cancelled": "The service reports that it was called off.",
    "unrouted": "The action is no longer configured. Nothing was done.",
    "operator": "Settled by hand.",
}


def reason(code: str) -> str:
    """Return the words for an error class of ours, or an empty text."""
    return _REASONS.get(code, "")


def rejected_as(status: int) -> str:
    """Return the error class for an HTTP status that says no."""
    if 300 <= status < 400:
        return "redirect"
    return {401: "unauthenticated", 403: "forbidden", 404: "not_found", 409: "conflict"}.get(
        status, "rejected"
    )
