"""What the gateway proves itself with: secrets, AWS credentials, bearer tokens, its signing key."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tidegate.core.diagnosis.finding import Finding, Seen, Words, duration, finding

#: Credentials are renewed from a quarter of an hour before their end on.
SOON_SECONDS: Final = 600.0
#: The kubelet replaces a token at four fifths of its life, of ten minutes at least.
#: https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken
TOKEN_SOON_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whom AWS takes us for.

    Attributes:
        arn: The principal; empty where AWS did not tell.
        refusal: AWS's name for why it does not take the keys; empty if it does.
        date: The `Date` of the answer.
    """

    arn: str = ""
    refusal: str = ""
    date: str | None = None


WORDS: Final[Mapping[str, Words]] = {
    "secret.missing": Words(
        what="{key} cannot be read: {reason}",
        why="the gateway does not start without it",
        mend="put the secret there, where the gateway runs, and let the gateway read it",
    ),
    "secret.mixed_up": Words(
        what="{key} holds {holds}",
        why="secrets were mixed up: Slack would not take it, or nothing it sends would verify",
        mend="put {wanted} there: Slack's page of the app shows it",
    ),
    "identity.key_unusable": Words(
        what="the key that signs who clicked cannot be used: {reason}",
        why="every request to a service carries a statement signed with it",
        mend="make one by openssl genpkey -algorithm ed25519, and name it in identity.signing_key",
    ),
    "credentials.none": Words(
        what="there are no AWS credentials",
        why="{reason}",
        mend="give the gateway a role (task role, Pod Identity, IRSA), or name a profile",
    ),
    "credentials.unreadable": Words(
        what="the AWS credentials cannot be had",
        why="{reason}",
        mend="run aws sts get-caller-identity in the gateway's place; look at the endpoint or "
        "the role that hands them out",
    ),
    "credentials.role_refused": Words(
        what="the role {role} could not be assumed",
        why="its trust policy does not name the gateway's principal, the external id differs, or "
        "sts:AssumeRole is missing on our side ({reason})",
        mend="allow sts:AssumeRole on both sides, with the same external id",
    ),
    "credentials.expire": Words(
        what="the AWS credentials end in {left}",
        why="they are not renewed here: keys in the environment or a file end for good",
        mend="use a role that renews itself",
        grave=False,
    ),
    "credentials.refused": Words(
        what="AWS does not take the credentials ({reason})",
        why="they were deleted, have expired, or lack their session token",
        mend="take new ones; three values belong together: key id, secret key, session token",
    ),
    "credentials.of_a_user": Words(
        what="the AWS credentials are a user's own keys",
        why="they do not end: whoever copies them has them for good",
        mend="give the gateway a role, and delete the keys",
        grave=False,
    ),
    "token.missing": Words(
        what="the token file cannot be read here, or holds no token",
        why="no request goes out without it",
        mend="mount it: a projected serviceAccountToken with the audience of the service",
    ),
    "token.not_issued": Words(
        what="AWS issues no token for the gateway's role",
        why="{reason}",
        mend="switch on outbound web identity federation in the account, allow "
        "sts:GetWebIdentityToken, and reach STS of the region",
    ),
    "token.expired": Words(
        what="the token in the file expired {ago} ago",
        why="what projects it does not renew it, or the file is a copy",
        mend="name the projected file itself, which the kubelet replaces",
    ),
    "token.other_audience": Words(
        what="the token in the file is made for {found}, not for {wanted}",
        why="the service takes only tokens that name it",
        mend="write the same audience into the projected volume and into auth.audience",
    ),
}

_PRINCIPAL_REFUSED: Final = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidToken",
    }
)
_PREFIXES: Final = {
    "xoxb-": "a bot token",
    "xoxp-": "a user's token",
    "xapp-": "an app-level token",
    "xoxe": "a configuration or refresh token",
}


def mixed_up(key: str, value: str) -> Finding | None:
    """Return a finding if a secret is plainly another of Slack's than belongs there.

    Only beginnings that Slack gives to other kinds count: the shape itself is not checked.
    """
    kind = next((words for start, words in _PREFIXES.items() if value.startswith(start)), "")
    if key == "slack.bot_token":
        wanted, wrong = "the bot token", kind not in ("", "a bot token")
    elif key.startswith("slack.signing_secrets"):
        wanted, wrong = "the signing secret", kind != ""
    else:
        return None
    return finding(WORDS, "secret.mixed_up", key=key, holds=kind, wanted=wanted) if wrong else None


def credentials(
    *, access_key: str, temporary: bool, left: float | None, caller: Caller | None, renewed: bool
) -> Seen:
    """Judge AWS credentials that were read.

    Args:
        access_key: The key id, which is no secret; only its beginning is looked at.
        temporary: A session token belongs to them.
        left: Seconds until they end; None if they do not, or it is not known.
        caller: Whom AWS takes us for; None where it was not asked.
        renewed: Whoever hands them out hands out new ones.
    """
    found: list[Finding] = []
    if caller is not None and caller.refusal in _PRINCIPAL_REFUSED:
        found.append(finding(WORDS, "credentials.refused", reason=caller.refusal))
    if not temporary and access_key.startswith("AKIA"):
        found.append(finding(WORDS, "credentials.of_a_user"))
    if left is not None and left < SOON_SECONDS and not renewed:
        found.append(finding(WORDS, "credentials.expire", left=duration(left)))
    who = caller.arn if caller is not None and caller.arn else "AWS was not asked whose they are"
    end = "" if left is None else f", {duration(left)} left"
    return Seen(said=f"{who}{end}", findings=tuple(found))


def no_credentials(reason: str, *, role: str | None) -> Finding:
    """Return what it means that there are no credentials; *reason* is our own adapter's text."""
    if role is not None:
        return finding(WORDS, "credentials.role_refused", role=role, reason=reason)
    none = reason.startswith("No AWS credentials were found")
    code = "credentials.none" if none else "credentials.unreadable"
    return finding(WORDS, code, reason=reason)


def token(text: str | None, *, audience: str | None, now: float) -> Seen:
    """Judge a bearer token that was read from its file; None if it could not be.

    What it claims is looked at, and not whether it is genuine: that the service tells.

    Source: https://www.rfc-editor.org/rfc/rfc7519#section-4.1
    """
    if not text:
        return Seen(findings=(finding(WORDS, "token.missing"),))
    claims = _claims(text)
    if claims is None:
        return Seen(said="a token that says nothing of itself")
    found: list[Finding] = []
    said = "it does not end"
    end = claims.get("exp")
    if isinstance(end, int | float) and not isinstance(end, bool):
        said = f"{duration(end - now)} left"
        if end <= now:
            found.append(finding(WORDS, "token.expired", ago=duration(now - end)))
            said = ""
    named = claims.get("aud")
    names = named if isinstance(named, list) else [named]
    if audience is not None and audience not in names:
        said_for = ", ".join(map(str, names)) if named else "nobody by name"
        found.append(finding(WORDS, "token.other_audience", found=said_for, wanted=audience))
    return Seen(said=said, findings=tuple(found))


def _claims(text: str) -> Mapping[str, Any] | None:
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, msgspec.MsgspecError):
        return None
    return found if isinstance(found, dict) else None
