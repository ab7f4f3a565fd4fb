"""The API itself: what becomes of a request, step by step.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html,
http-api-access-control-iam.html and limits.html beside it.
"""

import asyncio
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from tidegate_dev import iam
from tidegate_dev.edge import addresses, routes
from tidegate_dev.edge.addresses import Place
from tidegate_dev.edge.answers import Answer, RefusedError, refusal, request_id
from tidegate_dev.edge.config import EdgeConfig
from tidegate_dev.edge.doors import DEFAULT_STAGE
from tidegate_dev.edge.exchange import Exchange, exchange_of, text
from tidegate_dev.edge.faults import FAULTS, SKEW_OF_A_WRONG_CLOCK
from tidegate_dev.edge.integration import (
    Integration,
    LinkState,
    Onward,
    private_headers,
    require_available,
)
from tidegate_dev.edge.routes import Route
from tidegate_dev.edge.throttle import TokenBucket
from tidegate_dev.iam import Asked, Statement
from tidegate_dev.named_faults import switch_fault
from tidegate_dev.signed_http import give, received
from tidegate_dev.sigv4_check import IssuedKeys, ReceivedRequest, Verdict, check, normal_path

SERVICE: Final = "execute-api"
INVOKE: Final = "execute-api:Invoke"
_ELSEWHERE: Final = ("us-east-1", "eu-west-1")
_LINK_FAULTS: Final[dict[str, LinkState]] = {
    "vpc_link_pending": "PENDING",
    "vpc_link_inactive": "INACTIVE",
    "vpc_link_failed": "FAILED",
}


class Edge:
    """The ASGI application, its switches and its memory.

    Attributes:
        faults: Named faults that are on; any of `FAULTS`.
        exchanges: The latest exchanges, oldest first.
    """

    def __init__(self, config: EdgeConfig) -> None:
        self.config = config
        self.faults: set[str] = set()
        self.exchanges: deque[Exchange] = deque(maxlen=config.max_exchanges)
        self._buckets: dict[str, TokenBucket] = {}
        self._integration = Integration(
            config.integration_url,
            timeout_seconds=config.timeout_seconds,
            max_body_bytes=config.max_body_bytes,
            tls=config.backend_tls,
            rest=config.is_rest,
        )

    def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault.

        Raises:
            ValueError: There is no such fault.
        """
        switch_fault(self.faults, name, on=on, known=FAULTS)

    @property
    def hosts(self) -> frozenset[str]:
        """Return the names that DNS leads here: for a private API, inside the VPC alone."""
        return addresses.resolvable(self.config)

    def state(self) -> dict[str, Any]:
        """Return faults and exchanges, newest first, as JSON has them."""
        return {
            "api_id": self.config.api_id,
            "kind": self.config.kind,
            "region": self.config.region,
            "stage": self.config.deployed_stage,
            "vpc_link": self._link_state(),
            "faults": sorted(self.faults),
            "exchanges": [exchange.to_dict() for exchange in reversed(self.exchanges)],
        }

    async def aclose(self) -> None:
        """Let go of the connections to the private service."""
        await self._integration.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin = time.perf_counter()
        request, whole = await received(scope, receive, self.config.max_body_bytes)
        try:
            answer = await self._answer(request, scope, too_large=not whole)
        except RefusedError as refused:
            answer = self._refusal(refused)
        named, id_headers = request_id(rest=self.config.is_rest)
        self._remember(request, answer, named, (time.perf_counter() - begin) * 1000)
        await give(send, answer.status, [*answer.headers, *id_headers], answer.body)

    async def _answer(self, request: ReceivedRequest, scope: Scope, *, too_large: bool) -> Answer:
        if too_large:
            raise RefusedError("RequestTooLarge")
        if _head_bytes(request) > self.config.max_header_bytes:
            raise RefusedError("HeadersTooLarge")
        place = self._place(request)
        route = self._route(request, place)
        self._throttle(route)
        verdict = Verdict()
        if route.auth == "AWS_IAM":
            verdict, keys = self._check(request)
            self._authorise(request, place, verdict, keys)
        require_available(self._link(), verdict)
        return await self._carry(request, place, verdict, scope)

    def _refusal(self, refused: RefusedError) -> Answer:
        answer = refusal(refused, rest=self.config.is_rest, terse=self.config.terse)
        if refused.verdict == "IntegrationTimeout" and self.config.timeout_status != answer.status:
            gone = refusal(RefusedError("IntegrationFailure"), rest=False, terse=False)
            return replace(answer, status=gone.status, body=gone.body, message=gone.message)
        return answer

    def _place(self, request: ReceivedRequest) -> Place:
        disabled = not self.config.default_endpoint or "endpoint_disabled" in self.faults
        place = addresses.place_of(
            self.config, request, stage=self.config.deployed_stage, disabled=disabled
        )
        if "wrong_stage" in self.faults:
            raise RefusedError("UnknownStage")
        return place

    def _route(self, request: ReceivedRequest, place: Place) -> Route:
        chosen = routes.choose(self.config.deployed_routes, request.method, place.path)
        if chosen is None or "unknown_route" in self.faults:
            raise RefusedError("UnknownRoute")
        return chosen

    def _throttle(self, route: Route) -> None:
        throttle = route.throttle or self.config.throttle
        if throttle is not None and route.key not in self._buckets:
            self._buckets[route.key] = TokenBucket(throttle, self.config.monotonic)
        bucket = self._buckets.get(route.key)
        if "throttle" in self.faults or (bucket is not None and not bucket.take()):
            raise RefusedError("TooManyRequests")

    def _check(self, request: ReceivedRequest) -> tuple[Verdict, IssuedKeys]:
        """Return what was found, and the keys that the request was signed with."""
        if "unsigned" in self.faults:
            raise RefusedError("MissingAuthenticationToken")
        region = self.config.region
        if "wrong_region" in self.faults:
            region = next(other for other in _ELSEWHERE if other != region)
        verdict = check(
            request, issued=self._issued(), region=region, service=SERVICE, now=self._clock()
        )
        if verdict.keys is None:
            name = verdict.error_type or "MissingAuthenticationToken"
            raise RefusedError(name, verdict.message if verdict.error_type else "", check=verdict)
        return verdict, verdict.keys

    def _issued(self) -> dict[str, IssuedKeys]:
        """Return the keys as this end has them, with what is made wrong about them."""
        issued = {} if "unknown_key" in self.faults else dict(self.config.keys)
        if "bad_signature" in self.faults:
            issued = {
                name: replace(keys, secret_key=keys.secret_key[::-1])
                for name, keys in issued.items()
            }
        if "expired_token" in self.faults:
            issued = {name: replace(keys, expires_at=0.0) for name, keys in issued.items()}
        return issued

    def _clock(self) -> datetime:
        now = datetime.fromtimestamp(self.config.now(), UTC)
        return now + SKEW_OF_A_WRONG_CLOCK if "clock_skew" in self.faults else now

    def _authorise(
        self, request: ReceivedRequest, place: Place, verdict: Verdict, keys: IssuedKeys
    ) -> None:
        normal = text(normal_path(place.path.encode()))
        # Both spellings must be allowed: `/api/v1/../../admin` is nobody's /api/v1/*.
        for path in (place.path, normal):
            reason = self._reason_against(request.method, path, place.stage, keys)
            if reason:
                arn = self._arn(request.method, normal[:200], place.stage, masked=True)
                raise RefusedError(
                    "AccessDeniedException",
                    f"User: {keys.principal} is not authorized to perform: "
                    f"{INVOKE} on resource: {arn} {reason}",
                    check=verdict,
                )

    def _reason_against(self, method: str, path: str, stage: str, keys: IssuedKeys) -> str:
        if "explicit_deny" in self.faults:
            return "with an explicit deny in an identity-based policy"
        own: list[Statement] = []
        if "not_permitted" not in self.faults:
            if any(permission.covers(method, path) for permission in self.config.permissions):
                own.append(Statement())
            own.extend(iam.of_caller(self.config.policies, keys.principal))
        private = self.config.kind == "private_rest"
        asked = Asked(
            principal=keys.principal,
            action=INVOKE,
            resource=self._arn(method, path, stage),
            source_vpce=self.config.endpoint.id if private else None,
        )
        return iam.reason_against(asked, identity=own, of_resource=self.config.api_policy)

    def _arn(self, method: str, path: str, stage: str, *, masked: bool = False) -> str:
        account = self.config.account
        if masked and self.config.is_rest:  # REST APIs do not tell whose account it is
            account = "*" * (len(account) - 4) + account[-4:]
        place = f"{self.config.region}:{account}:{self.config.api_id}"
        return f"arn:aws:{SERVICE}:{place}/{stage}/{method}{path}"

    def _link(self) -> LinkState:
        return self._faulty_link() or self.config.link.ask()

    def _link_state(self) -> LinkState:
        return self._faulty_link() or self.config.link.state

    def _faulty_link(self) -> LinkState | None:
        return next((state for name, state in _LINK_FAULTS.items() if name in self.faults), None)

    async def _carry(
        self, request: ReceivedRequest, place: Place, verdict: Verdict, scope: Scope
    ) -> Answer:
        if "integration_down" in self.faults:
            raise RefusedError("IntegrationFailure", check=verdict)
        if "backend_tls" in self.faults:
            raise RefusedError("BackendNotTrusted", check=verdict)
        if "integration_slow" in self.faults:
            await asyncio.sleep(self.config.slow_seconds)
        peer = (scope.get("client") or ("unknown", 0))[0]
        # A named stage is part of the path that a private integration gets, unless overwritten.
        bare = place.stage == DEFAULT_STAGE or self.config.overwrite_path
        onward = Onward(
            request=request,
            path=place.path if bare else f"/{place.stage}{place.path}",
            headers=private_headers(request, peer=peer, scheme=scope.get("scheme", "http")),
            check=verdict,
        )
        answer = await self._integration.carry(onward)
        if "integration_timeout" in self.faults:
            raise RefusedError("IntegrationTimeout", check=verdict, forwarded=True)
        return answer

    def _remember(self, request: ReceivedRequest, answer: Answer, named: str, ms: float) -> None:
        at = datetime.fromtimestamp(self.config.now(), UTC).isoformat(timespec="milliseconds")
        exchange = exchange_of(request, answer, request_id=named, at=at, ms=ms)
        self.exchanges.append(exchange)
        if self.config.on_exchange is not None:
            self.config.on_exchange(exchange)


def edge_app(config: EdgeConfig) -> Edge:
    """Return the edge as an ASGI application; close it with `aclose` or by its lifespan."""
    return Edge(config)


def _head_bytes(request: ReceivedRequest) -> int:
    line = len(request.method) + len(request.raw_path) + len(request.raw_query) + len("  HTTP/1.1")
    return line + sum(len(value) for _, value in request.headers)
