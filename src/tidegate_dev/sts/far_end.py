"""STS as a real server on loopback: for the dev workspace, and as a test double.

async with StsFarEnd(StsConfig(keys=keys, roles=[role])) as sts:
    client = session.create_client("sts", endpoint_url=sts.url, region_name="eu-west-1")

Whoever assumes a role gets keys that are put among *keys*: an edge that was given the same
mapping lets them in, and no longer than they live.

Sources: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html and
API_GetWebIdentityToken.html beside it.
"""

import asyncio
import json
import re
import secrets
import ssl
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from starlette.types import Receive, Scope, Send
from typing_extensions import override

from tidegate_dev.iam import (
    Asked,
    Statement,
    account_of,
    of_caller,
    reason_against,
    role_arn,
)
from tidegate_dev.listener import Listener
from tidegate_dev.named_faults import switch_fault
from tidegate_dev.running import Running
from tidegate_dev.signed_http import give, received
from tidegate_dev.sigv4_check import IssuedKeys, ReceivedRequest, Rules, check_by
from tidegate_dev.sts.query import VERSION, Form, QueryError, failure, result
from tidegate_dev.sts.roles import CHAINED_SECONDS, Role, is_session
from tidegate_dev.sts.web_identity import (
    ALGORITHMS,
    DISCOVERY_PATH,
    JWKS_PATH,
    Algorithm,
    TokenIssuer,
)

#: A fault's name, and what STS does while it is on.
FAULTS: Final = {
    "throttle": "says that it is asked too often",
    "down": "is not available (503)",
    "hang": "takes requests and does not answer",
    "clock_skew": "has another time than the caller",
    "access_denied": "lets nobody do anything",
    "federation_disabled": "gives out no tokens for others",
}
MAX_BODY_BYTES: Final = 64 * 1024
_SKEW: Final = timedelta(minutes=15)
_WRONG_CLOCK: Final = timedelta(hours=1)
_ROLE_ARN: Final = re.compile(r"arn:[ -~]{16,2043}")
_SESSION_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")
_CODES: Final = {
    "": ("MissingAuthenticationToken", "Request is missing Authentication Token"),
    "InvalidSignatureException": ("SignatureDoesNotMatch", ""),
    "IncompleteSignatureException": ("IncompleteSignature", ""),
    "UnrecognizedClientException": ("InvalidClientTokenId", ""),
    "ExpiredTokenException": ("ExpiredToken", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StsConfig:
    """What this STS knows.

    Attributes:
        keys: The keys in circulation, by access key id; sessions are added to them.
        roles: The roles that may be assumed.
        region: The region whose endpoint it is.
        policies: What else a caller may do, or may not, by the pattern of their ARN. Who says
            nothing of it may ask for tokens.
        federation: Whether the account has outbound federation enabled.
        issuer: What tokens name as their issuer; None for the server's own address.
        now: The clock.
    """

    keys: MutableMapping[str, IssuedKeys]
    roles: Sequence[Role] = ()
    region: str = "eu-west-1"
    policies: Mapping[str, Sequence[Statement]] = field(
        default_factory=lambda: {"*": (Statement(action="sts:*"),)}
    )
    federation: bool = True
    issuer: str | None = None
    now: Callable[[], float] = time.time


class Sts:
    """The ASGI application.

    Attributes:
        faults: What is wrong at the moment; any of `FAULTS`.
        calls: The names of the operations that were carried out, oldest first.
    """

    def __init__(self, config: StsConfig) -> None:
        self.config = config
        self.faults: set[str] = set()
        self.calls: list[str] = []
        self.tokens = TokenIssuer()
        self._let_go = asyncio.Event()

    def let_go(self) -> None:
        """Whoever waits for an answer that does not come gets none, and waits no longer."""
        self._let_go.set()

    def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault.

        Raises:
            ValueError: There is no such fault.
        """
        switch_fault(self.faults, name, on=on, known=FAULTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] != "http":
            return
        if "hang" in self.faults:
            await self._let_go.wait()
            return
        request, whole = await received(scope, receive, MAX_BODY_BYTES)
        if request.method == "GET" and scope["path"] in (DISCOVERY_PATH, JWKS_PATH):
            issuer = self.config.issuer or ""
            keys = scope["path"] == JWKS_PATH
            found = self.tokens.jwks() if keys else self.tokens.discovery(issuer)
            body = json.dumps(found).encode()
            await give(send, 200, [("content-type", "application/json")], body)
            return
        try:
            status, answer = 200, self._answer(request, whole=whole)
        except QueryError as error:
            status, answer = error.status, failure(error)
        request_id = ("x-amzn-requestid", secrets.token_hex(16))
        await give(send, status, [("content-type", "text/xml"), request_id], answer)

    def _answer(self, request: ReceivedRequest, *, whole: bool) -> bytes:
        if not whole:
            raise QueryError("RequestEntityTooLarge", "The request is too large.", 413)
        if "down" in self.faults:
            raise QueryError("ServiceUnavailable", "The service is not available.", 503)
        keys = self._caller(request)
        if "throttle" in self.faults:
            raise QueryError("Throttling", "Rate exceeded", 400)
        form = Form.read(request.body)
        action = form.required("Action")
        if form.text("Version") != VERSION:
            raise QueryError("InvalidAction", f"Could not find operation {action[:60]}.")
        match action:
            case "AssumeRole":
                answer = self._assume_role(form, keys)
            case "GetCallerIdentity":
                answer = self._caller_identity(keys)
            case "GetWebIdentityToken":
                answer = self._web_identity_token(form, keys)
            case _:
                raise QueryError("InvalidAction", f"Could not find operation {action[:60]}.")
        self.calls.append(action)
        return answer

    def _caller(self, request: ReceivedRequest) -> IssuedKeys:
        rules = Rules(region=self.config.region, service="sts", max_skew=_SKEW)
        now = datetime.fromtimestamp(self.config.now(), UTC)
        if "clock_skew" in self.faults:
            now += _WRONG_CLOCK
        verdict = check_by(rules, request, issued=self.config.keys, now=now)
        if verdict.keys is None:
            code, message = _CODES[verdict.error_type]
            raise QueryError(code, message or verdict.message, 403)
        return verdict.keys

    def _assume_role(self, form: Form, keys: IssuedKeys) -> bytes:
        arn = _valid(form.required("RoleArn"), _ROLE_ARN, "roleArn")
        session = _valid(form.required("RoleSessionName"), _SESSION_NAME, "roleSessionName")
        external_id = form.text("ExternalId")
        if external_id is not None:
            _valid(external_id, _EXTERNAL_ID, "externalId")
        seconds = form.number("DurationSeconds", 3600, 900, 43_200)
        role = next((role for role in self.config.roles if role.arn == arn), None)
        # Whether there is such a role is nobody's business who may not assume it.
        if role is None or not role.trusts(keys.principal, external_id):
            raise _denied(keys, "sts:AssumeRole", arn)
        self._require(keys, "sts:AssumeRole", arn)
        if is_session(keys) and seconds > CHAINED_SECONDS:
            raise QueryError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles "
                "assumed by role chaining.",
            )
        if seconds > role.max_session_seconds:
            raise QueryError(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
        made = self._session(role.session_arn(session), seconds)
        return result(
            "AssumeRole",
            {
                "AssumedRoleUser": {
                    "AssumedRoleId": f"AROA{made.access_key[4:]}:{session}",
                    "Arn": made.principal,
                },
                "Credentials": {
                    "AccessKeyId": made.access_key,
                    "SecretAccessKey": made.secret_key,
                    "SessionToken": made.session_token or "",
                    "Expiration": _moment(made.expires_at or 0.0),
                },
            },
        )

    def _session(self, principal: str, seconds: int) -> IssuedKeys:
        made = IssuedKeys(
            access_key=f"ASIA{secrets.token_hex(8).upper()}",
            secret_key=secrets.token_urlsafe(30),
            # About as long as they are: of what a request's head may hold, it takes a part.
            session_token=secrets.token_urlsafe(720),
            principal=principal,
            expires_at=float(int(self.config.now()) + seconds),
        )
        self.config.keys[made.access_key] = made
        return made

    def _caller_identity(self, keys: IssuedKeys) -> bytes:
        user = f"AROA{keys.access_key[4:]}:{keys.principal.rpartition('/')[2]}"
        account = account_of(keys.principal)
        return result(
            "GetCallerIdentity", {"Arn": keys.principal, "UserId": user, "Account": account}
        )

    def _web_identity_token(self, form: Form, keys: IssuedKeys) -> bytes:
        audience = form.members("Audience")
        if not 1 <= len(audience) <= 10 or not all(0 < len(each) <= 1000 for each in audience):
            raise QueryError("ValidationError", "1 validation error detected: 'audience'")
        algorithm = form.required("SigningAlgorithm")
        if algorithm not in ALGORITHMS:
            raise QueryError("ValidationError", "1 validation error detected: 'signingAlgorithm'")
        seconds = form.number("DurationSeconds", 300, 60, 3600)
        self._require(keys, "sts:GetWebIdentityToken", "*")
        if not self.config.federation or "federation_disabled" in self.faults:
            raise QueryError(
                "OutboundWebIdentityFederationDisabledException",
                "Outbound web identity federation is not enabled for this account.",
                403,
            )
        issued_at = int(self.config.now())
        if keys.expires_at is not None and issued_at + seconds > keys.expires_at:
            raise QueryError(
                "SessionDurationEscalationException",
                "The requested token duration would extend beyond the session's expiration.",
                403,
            )
        token = self.tokens.issue(
            algorithm=cast("Algorithm", algorithm),
            issuer=self.config.issuer or "",
            subject=role_arn(keys.principal),
            audience=audience,
            issued_at=issued_at,
            seconds=seconds,
            about={
                "aws_account": account_of(keys.principal),
                "source_region": self.config.region,
                "principal_id": keys.principal,
                "request_tags": form.tags("Tags"),
            },
        )
        return result(
            "GetWebIdentityToken",
            {"WebIdentityToken": token, "Expiration": _moment(issued_at + seconds)},
        )

    def _require(self, keys: IssuedKeys, action: str, resource: str) -> None:
        own = of_caller(self.config.policies, keys.principal)
        asked = Asked(principal=keys.principal, resource=resource, action=action)
        if "access_denied" in self.faults or reason_against(asked, identity=own, of_resource=None):
            raise _denied(keys, action, resource)


class StsFarEnd(Running):
    """An `Sts` that listens; an async context manager, started when entered."""

    def __init__(
        self, config: StsConfig, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.app = Sts(config)
        self._listener = Listener(self.app, port=port, tls=tls)
        self.url = self._listener.url
        if config.issuer is None:
            self.app.config = replace(config, issuer=self.url)

    @property
    def issuer(self) -> str:
        """Return what tokens name as their issuer."""
        return self.app.config.issuer or ""

    def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault; any of `FAULTS`."""
        self.app.set_fault(name, on)

    @override
    async def start(self) -> None:
        """Calls are being answered when this returns."""
        await self._listener.start()

    @override
    async def stop(self) -> None:
        """The port is free again."""
        self.app.let_go()
        await self._listener.stop()


def _denied(keys: IssuedKeys, action: str, resource: str) -> QueryError:
    told = f"User: {keys.principal} is not authorized to perform: {action} on resource: {resource}"
    return QueryError("AccessDenied", told, 403)


def _valid(value: str, pattern: re.Pattern[str], name: str) -> str:
    if not pattern.fullmatch(value):
        raise QueryError(
            "ValidationError",
            f"1 validation error detected: Value at '{name}' failed to satisfy constraint",
        )
    return value


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
