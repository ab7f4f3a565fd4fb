"""Why something did not come about, in words for the page."""

import json
from typing import Final

_REASONS: Final = {
    "bad_signature": "the edge found that the signature does not match",
    "busy": "the service is busy",
    "client_refused": "the service does not take the gateway's certificate",
    "clock_skew": "the clocks of the gateway and the edge are too far apart",
    "connect": "the service cannot be reached",
    "credentials": "the gateway has no AWS credentials",
    "dns": "the service's name leads nowhere",
    "edge_forbidden": "the edge lets nobody in there",
    "edge_refused": "the edge turned it away",
    "error": "the service failed",
    "expired_credentials": "the gateway's AWS session is over",
    "external": "not open to people from outside the workspace",
    "guest": "guests may not use it",
    "head_too_large": "the headers are larger than the edge takes",
    "inactive": "the account is not active",
    "integration_failed": "the edge could not pass it on to the service",
    "integration_timeout": "the edge did not wait for the service's answer",
    "interrupted": "the gateway stopped before an answer",
    "link_down": "the edge cannot reach the service",
    "lost_track": "the service no longer says how it goes",
    "no_answer": "the connection broke before an answer",
    "no_route": "the edge has no such stage or route",
    "no_rule": "nobody is allowed to use it",
    "no_target": "nothing healthy is behind the edge",
    "no_token": "the service asks for a token, and got none",
    "not_listed": "not among the people who may use it",
    "not_permitted": "no policy lets the gateway in",
    "private_address": "the service's name leads to an address that is not allowed",
    "retired": "the button is too old to be safe",
    "throttled": "the edge is asked too often",
    "timeout": "no answer in time",
    "tls": "the service's certificate is not trusted",
    "tls_expired": "the service's certificate has ended",
    "tls_files": "the files for TLS cannot be used",
    "tls_name": "the service's certificate is for another name",
    "token": "the gateway has no token for the service",
    "token_refused": "the service does not take the gateway's token",
    "too_large": "it is larger than the edge takes",
    "unknown_credentials": "the edge does not know the gateway's key",
    "unsignable": "its address cannot be signed",
    "unsigned": "the edge got no signature",
    "unverified": "Slack did not say whether this person may",
    "wrong_channel": "not in this channel",
    "wrong_params": "not for this target",
    "wrong_scope": "it was signed for another region or service",
}


def reason_words(reason: object) -> str:
    """Return the gateway's word for a reason in words of the page."""
    code = str(reason or "").removeprefix("denied: ")
    return _REASONS.get(code, plain(code))


def plain(value: object) -> str:
    """Return a reason or rule of the gateway in words for the page."""
    if value is None or value == "":
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("_", " ")
