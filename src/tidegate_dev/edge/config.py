"""What an API is."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from tidegate_dev.edge.doors import DEFAULT_STAGE, CustomDomain, InterfaceEndpoint
from tidegate_dev.edge.exchange import Exchange
from tidegate_dev.edge.integration import BackendTls, VpcLink
from tidegate_dev.edge.permission import Permission
from tidegate_dev.edge.routes import DEFAULT_KEY, Route
from tidegate_dev.edge.throttle import Throttle
from tidegate_dev.iam import Statement
from tidegate_dev.sigv4_check import IssuedKeys

Kind = Literal["http", "rest", "private_rest"]

ACCOUNT: Final = "123456789012"
HTTP_SECONDS: Final = 30.0
REST_SECONDS: Final = 29.0
_MOST_SECONDS: Final = {"http": HTTP_SECONDS, "rest": 300.0, "private_rest": 300.0}

#: What a private integration of either kind is pointed at; a plain URL does not do for HTTP APIs.
_URI: Final = {
    "http": re.compile(
        r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:listener/(app|net)/\S+"
        r"|arn:aws[a-z-]*:servicediscovery:[a-z0-9-]+:\d{12}:service/srv-\S+"
    ),
    "rest": re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/\S*)?"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeConfig:
    """What this API is.

    Attributes:
        integration_url: The private service behind the VPC link.
        keys: The keys in circulation, by access key id; read anew for each request.
        kind: An HTTP API, a regional REST API, or one that only an interface endpoint reaches.
        region: The region that signatures must name.
        account: The account that everything belongs to.
        permissions: What a signed request may invoke, whoever signed it.
        policies: What else whoever signed may invoke, or may not, by the pattern of their ARN.
        resource_policy: The policy of a REST API. None for none; for a private API, for one that
            denies every way but its endpoint.
        api_id: The API's id, as in its host name.
        stage: The stage that is deployed; else `$default`, and `prod` for a REST API.
        routes: What there is below the stage; by default everything, with IAM.
        throttle: How often each route may be taken, unless it says so itself.
        domains: The domains of one's own that lead here.
        default_endpoint: Whether the API answers by the name that API Gateway gives it.
        strict_host: Whether any other `Host` is refused; a private API always does.
        endpoint: By what a private API is reached.
        link: The VPC link.
        integration_uri: What the template says that the integration is; only checked.
        backend_tls: The name in the service's certificate, where that is verified.
        overwrite_path: Whether the service gets the path without the stage.
        terse: Whether an HTTP API says no more than `Forbidden`, whatever IAM found.
        timeout_status: What a service that takes too long becomes; HTTP APIs have been seen to
            say 503 as well as 504.
        integration_timeout_seconds: Else 30 for an HTTP API, its most, and 29 for a REST API.
        slow_seconds: How much longer the way to the private service takes while it is slow.
        max_body_bytes: 10 MB at API Gateway.
        max_header_bytes: Request line and header values, 10,240 at API Gateway.
        max_exchanges: How many exchanges are remembered.
        now: The edge's clock.
        monotonic: What throttles and the VPC link count by, in seconds.
        on_exchange: Called after each exchange.
    """

    integration_url: str
    keys: Mapping[str, IssuedKeys]
    kind: Kind = "http"
    region: str = "eu-west-1"
    account: str = ACCOUNT
    permissions: Sequence[Permission] = (
        Permission(method="POST", path="/api/v1/*"),
        Permission(method="GET", path="/api/v1/*"),
    )
    policies: Mapping[str, Sequence[Statement]] = field(default_factory=dict)
    resource_policy: Sequence[Statement] | None = None
    api_id: str = "a1b2c3d4e5"
    stage: str = ""
    routes: Sequence[Route] = ()
    throttle: Throttle | None = None
    domains: Sequence[CustomDomain] = ()
    default_endpoint: bool = True
    strict_host: bool = False
    endpoint: InterfaceEndpoint = field(default_factory=InterfaceEndpoint)
    link: VpcLink = field(default_factory=VpcLink)
    integration_uri: str = ""
    backend_tls: BackendTls | None = None
    overwrite_path: bool = False
    terse: bool = False
    timeout_status: Literal[503, 504] = 504
    integration_timeout_seconds: float | None = None
    slow_seconds: float = 5.0
    max_body_bytes: int = 10 * 1024 * 1024
    max_header_bytes: int = 10_240
    max_exchanges: int = 200
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    on_exchange: Callable[[Exchange], None] | None = None

    def __post_init__(self) -> None:
        """Refuse what API Gateway would not deploy."""
        if self.is_rest and self.stage == DEFAULT_STAGE:
            raise ValueError("a REST API has no $default stage")
        if self.is_rest and any(route.key == DEFAULT_KEY for route in self.routes):
            raise ValueError("a REST API has no $default route")
        if not self.is_rest and self.resource_policy is not None:
            raise ValueError("an HTTP API has no resource policy")
        most = _MOST_SECONDS[self.kind]
        if not 0.05 <= self.timeout_seconds <= most:
            raise ValueError(f"an integration of this kind waits from 0.05 to {most:g} seconds")
        uri = _URI["rest" if self.is_rest else "http"]
        if self.integration_uri and not uri.fullmatch(self.integration_uri):
            raise ValueError(f"a VPC link leads to no {self.integration_uri[:80]!r}")

    @property
    def is_rest(self) -> bool:
        """Whether it speaks as REST APIs do."""
        return self.kind != "http"

    @property
    def deployed_stage(self) -> str:
        """Return the stage's name."""
        return self.stage or ("prod" if self.is_rest else DEFAULT_STAGE)

    @property
    def timeout_seconds(self) -> float:
        """Return how long the integration is waited for."""
        if self.integration_timeout_seconds is not None:
            return self.integration_timeout_seconds
        return REST_SECONDS if self.is_rest else HTTP_SECONDS

    @property
    def deployed_routes(self) -> Sequence[Route]:
        """Return the routes; by default one that takes everything, with IAM."""
        if self.routes:
            return self.routes
        if not self.is_rest:
            return (Route(key=DEFAULT_KEY),)
        return (Route(key="ANY /"), Route(key="ANY /{proxy+}"))

    @property
    def api_policy(self) -> Sequence[Statement] | None:
        """Return the policy of the API itself; a private one has to have one."""
        if self.kind == "private_rest" and self.resource_policy is None:
            return (Statement(effect="Deny", not_source_vpce=(self.endpoint.id,)),)
        return self.resource_policy
