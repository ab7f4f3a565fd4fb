"""Stand in for a VPC Lattice service: signed requests without the body, and an auth policy.

Sources: https://docs.aws.amazon.com/vpc-lattice/latest/ug/sigv4-authenticated-requests.html and
auth-policies.html beside it.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from starlette.types import Receive, Scope, Send

from tidegate_dev.edge.answers import Answer, RefusedError
from tidegate_dev.edge.exchange import Exchange, exchange_of
from tidegate_dev.edge.integration import Integration, Onward, end_to_end
from tidegate_dev.iam import Asked, Statement, article, of_caller
from tidegate_dev.named_faults import switch_fault
from tidegate_dev.signed_http import give, received
from tidegate_dev.sigv4_check import IssuedKeys, ReceivedRequest, Rules, Verdict, check_by

SERVICE: Final = "vpc-lattice-svcs"
INVOKE: Final = "vpc-lattice-svcs:Invoke"
ANONYMOUS: Final = "anonymous"
#: A fault's name, and what the service does while it is on.
FAULTS: Final = {
    "not_permitted": "has a policy that lets nobody in",
    "explicit_deny": "has a policy that keeps the caller out",
    "clock_skew": "has another time than the caller",
    "target_down": "has no healthy target",
}
_WRONG_CLOCK: Final = timedelta(minutes=20)
_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_PLAIN: Final = ("content-type", "text/plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatticeConfig:
    """What this service is.

    Attributes:
        target_url: The target behind it.
        keys: The keys in circulation, by access key id; read anew for each request.
        region: The region that signatures must name.
        account: The account that the service belongs to.
        service_id: The service's id, as in its ARN.
        auth_type: Whether requests have to be signed and permitted at all.
        domain: The only `Host` that is answered; empty for any.
        service_policy: The service's auth policy. Without one nobody gets in.
        network_policy: The service network's; None where that has no auth.
        policies: The callers' own policies, by the pattern of their ARN.
        timeout_seconds: How long the target is waited for.
        now: The clock.
    """

    target_url: str
    keys: Mapping[str, IssuedKeys]
    region: str = "eu-west-1"
    account: str = "123456789012"
    service_id: str = "svc-0123456789abcdef0"
    auth_type: Literal["AWS_IAM", "NONE"] = "AWS_IAM"
    domain: str = ""
    service_policy: Sequence[Statement] = (Statement(principal="arn:*"),)
    network_policy: Sequence[Statement] | None = None
    policies: Mapping[str, Sequence[Statement]] = field(
        default_factory=lambda: {"*": (Statement(action=INVOKE),)}
    )
    timeout_seconds: float = 60.0
    now: Callable[[], float] = time.time


class Lattice:
    """The ASGI application.

    Attributes:
        faults: What is wrong at the moment; any of `FAULTS`.
        exchanges: The latest exchanges, oldest first.
    """

    def __init__(self, config: LatticeConfig) -> None:
        self.config = config
        self.faults: set[str] = set()
        self.exchanges: deque[Exchange] = deque(maxlen=200)
        self._integration = Integration(
            config.target_url,
            timeout_seconds=config.timeout_seconds,
            max_body_bytes=_MAX_BODY_BYTES,
        )

    def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault.

        Raises:
            ValueError: There is no such fault.
        """
        switch_fault(self.faults, name, on=on, known=FAULTS)

    async def aclose(self) -> None:
        """Let go of the connections to the target."""
        await self._integration.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] != "http":
            return
        begin = time.perf_counter()
        request, whole = await received(scope, receive, _MAX_BODY_BYTES)
        try:
            answer = await self._answer(request, scope, whole=whole)
        except RefusedError as refused:
            answer = _refusal(refused)
        at = datetime.fromtimestamp(self.config.now(), UTC).isoformat(timespec="milliseconds")
        ms = (time.perf_counter() - begin) * 1000
        self.exchanges.append(exchange_of(request, answer, request_id="", at=at, ms=ms))
        await give(send, answer.status, answer.headers, answer.body)

    async def _answer(self, request: ReceivedRequest, scope: Scope, *, whole: bool) -> Answer:
        hosts = [re.sub(rb":[0-9]+\Z", b"", host) for host in request.values(b"host")]
        if self.config.domain and hosts != [self.config.domain.encode()]:
            raise RefusedError("UnknownHost")
        if not whole:
            raise RefusedError("RequestTooLarge")
        verdict, principal = Verdict(), ANONYMOUS
        if self.config.auth_type == "AWS_IAM":
            verdict, principal = self._check(request)
            self._authorise(request, principal, verdict)
        if "target_down" in self.faults:
            raise RefusedError("IntegrationFailure", check=verdict)
        service = f"{self.config.region}:{self.config.account}:service/{self.config.service_id}"
        identity = f"Principal={principal}" if verdict.accepted else "SourceVpc=vpc-0123"
        headers = [
            *end_to_end(request),
            ("X-Amzn-Lattice-Identity", identity),
            ("X-Amzn-Lattice-Target", f"ServiceArn=arn:aws:vpc-lattice:{service}"),
            ("X-Forwarded-For", (scope.get("client") or ("unknown", 0))[0]),
        ]
        path = request.raw_path.decode("utf-8", "replace")
        onward = Onward(request=request, path=path, headers=headers, check=verdict)
        return await self._integration.carry(onward)

    def _check(self, request: ReceivedRequest) -> tuple[Verdict, str]:
        """Return what was found, and who it is; who does not sign is nobody in particular."""
        rules = Rules(region=self.config.region, service=SERVICE, unsigned_payload=True)
        now = datetime.fromtimestamp(self.config.now(), UTC)
        if "clock_skew" in self.faults:
            now += _WRONG_CLOCK
        verdict = check_by(rules, request, issued=self.config.keys, now=now)
        if verdict.keys is not None:
            return verdict, verdict.keys.principal
        if verdict.error_type:
            raise RefusedError(verdict.error_type, verdict.message, check=verdict)
        return verdict, ANONYMOUS

    def _authorise(self, request: ReceivedRequest, principal: str, verdict: Verdict) -> None:
        path = request.raw_path.decode("utf-8", "replace")
        config = self.config
        place = f"{config.region}:{config.account}:service/{config.service_id}{path}"
        arn = f"arn:aws:vpc-lattice:{place}"
        asked = Asked(principal=principal, action=INVOKE, resource=arn)
        if reason := self._reason_against(asked):
            raise RefusedError(
                "AccessDeniedException",
                f"User: {principal} is not authorized to perform: {INVOKE} "
                f"on resource: {arn} {reason}",
                check=verdict,
            )

    def _reason_against(self, asked: Asked) -> str:
        """Return why the request is kept out: every policy that there is has to let it in."""
        if "explicit_deny" in self.faults:
            return "with an explicit deny in a service-based policy"
        own = of_caller(self.config.policies, asked.principal)
        policies: list[tuple[str, Sequence[Statement]]] = []
        if self.config.network_policy is not None:
            policies.append(("network", self.config.network_policy))
        policies.append(
            ("service", () if "not_permitted" in self.faults else self.config.service_policy)
        )
        if asked.principal != ANONYMOUS:  # who is nobody has no policy of their own
            policies.append(("identity", own))
        for kind, statements in policies:
            about = [statement for statement in statements if statement.is_about(asked)]
            if any(statement.effect == "Deny" for statement in about):
                return f"with an explicit deny in {article(kind)} {kind}-based policy"
            if not about:
                return f"because no {kind}-based policy allows the {INVOKE} action"
        return ""


def _refusal(refused: RefusedError) -> Answer:
    """Return Lattice's answer: plain text, the error's name before it."""
    status, told = {
        "UnknownHost": (404, ""),
        "RequestTooLarge": (413, ""),
        "IntegrationTimeout": (504, ""),
    }.get(refused.verdict, (503, ""))
    if refused.told:
        status, told = 403, f"{refused.verdict}: {refused.told}"
    return Answer(
        status=status,
        body=told.encode(),
        headers=[_PLAIN],
        verdict=refused.verdict,
        message=refused.told,
        check=refused.check,
        forwarded=refused.forwarded,
    )
