"""What a configuration says of the pathways, once it is known to be right.

Part of `tidegate.core.settings`, where everybody else finds these names: the attributes are
named exactly as the keys of the file.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from tidegate.core.fields import (
    NAME,
    Audience,
    Authority,
    FilePath,
    Name,
    Section,
    ServiceUrl,
)

EXECUTE_API: Final = "execute-api"
VPC_LATTICE: Final = "vpc-lattice-svcs"

Region = Annotated[str, Field(pattern=r"^[a-z]{2,4}(-[a-z0-9]+)+$", max_length=40)]
Service = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]{1,600}$")]
#: Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
ExternalId = Annotated[
    str, Field(min_length=2, max_length=1224, pattern=r"^[A-Za-z0-9_+=,.@:/-]+$")
]
ApiId = Annotated[str, Field(pattern=r"^[a-z0-9]{4,32}$")]


# --- how the gateway proves itself ---------------------------------------------------------


class NoAuth(Section):
    """No credentials of the pathway's own; the signed statement of who clicked still goes."""

    type: Annotated[Literal["none"], Field(description="No proof of the pathway's own.")]


class TokenFileAuth(Section):
    """A bearer token from a file, read anew for every request."""

    type: Annotated[Literal["token_file"], Field(description="A bearer token from a file.")]
    path: Annotated[FilePath, Field(description="File that holds the token.")]
    audience: Annotated[
        Audience | None,
        Field(description="Audience the token is made for; another token is not sent."),
    ] = None


class WebIdentityAuth(Section):
    """A bearer token that AWS issues for the gateway's own role: it needs no secret.

    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html
    """

    type: Annotated[
        Literal["web_identity"],
        Field(description="A bearer token for the gateway's role, issued by AWS STS."),
    ]
    audience: Annotated[Audience, Field(description="Audience the token is made for.")]
    region: Annotated[Region, Field(description="Region whose STS issues it.")]
    seconds: Annotated[
        int, Field(ge=60, le=3600, description="How long a token lives; renewed well before.")
    ] = 300
    algorithm: Annotated[
        Literal["RS256", "ES384"],
        Field(description="How it is signed; a load balancer verifies RS256 only."),
    ] = "RS256"
    assume_role: Annotated[
        RoleArn | None, Field(description="ARN of a role to assume first: the token speaks of it.")
    ] = None
    external_id: Annotated[
        ExternalId | None, Field(description="External id that the role's trust policy asks for.")
    ] = None
    endpoint_url: Annotated[
        ServiceUrl | None,
        Field(description="Another STS than the region's own; plain http on loopback."),
    ] = None


class SigV4Auth(Section):
    """Every request is signed with SigV4, for VPC Lattice or another service that takes it.

    Source: https://docs.aws.amazon.com/vpc-lattice/latest/ug/sigv4-authenticated-requests.html
    """

    type: Annotated[Literal["sigv4"], Field(description="Every request is signed with SigV4.")]
    region: Annotated[Region, Field(description="AWS region to sign for.")]
    service: Annotated[
        Service,
        Field(description="Service name to sign for; vpc-lattice-svcs leaves the body unsigned."),
    ] = VPC_LATTICE
    assume_role: Annotated[
        RoleArn | None, Field(description="ARN of a role to assume before signing.")
    ] = None
    external_id: Annotated[
        ExternalId | None, Field(description="External id that the role's trust policy asks for.")
    ] = None


DirectAuth = Annotated[NoAuth | TokenFileAuth | WebIdentityAuth, Field(discriminator="type")]
LinkAuth = Annotated[
    NoAuth | TokenFileAuth | WebIdentityAuth | SigV4Auth, Field(discriminator="type")
]


# --- the pathways --------------------------------------------------------------------------


class _PathwayCommon(Section):
    url: Annotated[
        ServiceUrl,
        Field(description="Base address; an action's path is appended. Plain http on loopback."),
    ]
    timeout_seconds: Annotated[
        Annotated[float, Field(gt=0, le=900)],
        Field(description="How long one request may take; under 29 through API Gateway."),
    ] = 25.0
    concurrency: Annotated[
        int, Field(ge=1, le=10_000, description="Requests in flight at once.")
    ] = 16
    connect_to: Annotated[
        Authority | None,
        Field(description="HOST or HOST:PORT to connect to instead of the url's own."),
    ] = None
    host: Annotated[
        Authority | None, Field(description="Host header and TLS name instead of the url's own.")
    ] = None
    ca_file: Annotated[
        FilePath | None, Field(description="PEM file of the private CA to trust.")
    ] = None
    client_cert: Annotated[
        FilePath | None,
        Field(description="PEM file with client certificate and key (mTLS), read anew on change."),
    ] = None
    client_key: Annotated[
        FilePath | None, Field(description="PEM file with the key, where client_cert has none.")
    ] = None
    audience: Annotated[
        Audience,
        Field(description="Audience of the signed statement; the pathway's name if not given."),
    ] = ""


_PRIVATE: Final = (
    "Whether names may lead to private addresses; true but for `api_gateway`. Never to loopback."
)


class DirectPathway(_PathwayCommon):
    """The gateway runs where the service can be reached and calls it."""

    type: Annotated[Literal["direct"], Field(description="The gateway calls the service itself.")]
    auth: Annotated[DirectAuth, Field(description="Of `direct`: how the gateway proves itself.")]
    private_addresses: Annotated[bool, Field(description=_PRIVATE)] = True


class ApiGatewayPathway(_PathwayCommon):
    """Amazon API Gateway and a VPC link; every request is signed with SigV4."""

    type: Annotated[
        Literal["api_gateway"], Field(description="API Gateway; every request is signed.")
    ]
    region: Annotated[Region, Field(description="Of `api_gateway`: AWS region.")]
    service: Annotated[
        Service, Field(description="Of `api_gateway`: service name to sign for.")
    ] = EXECUTE_API
    assume_role: Annotated[
        RoleArn | None,
        Field(description="Of `api_gateway`: ARN of a role to assume before signing."),
    ] = None
    external_id: Annotated[
        ExternalId | None,
        Field(description="Of `api_gateway`: external id that the role's trust policy asks for."),
    ] = None
    api_id: Annotated[
        ApiId | None,
        Field(description="Of `api_gateway`: a private API's id, for an endpoint's own name."),
    ] = None
    private_addresses: Annotated[bool, Field(description=_PRIVATE)] = False


class PrivateLinkPathway(_PathwayCommon):
    """An interface or resource endpoint, or VPC Lattice."""

    type: Annotated[
        Literal["privatelink"], Field(description="An endpoint in the VPC, or VPC Lattice.")
    ]
    auth: Annotated[
        LinkAuth | None, Field(description="Of `privatelink`: how the gateway proves itself.")
    ] = None
    private_addresses: Annotated[bool, Field(description=_PRIVATE)] = True


Pathway = Annotated[
    DirectPathway | ApiGatewayPathway | PrivateLinkPathway, Field(discriminator="type")
]


def _with_audience(value: Any) -> Any:
    """Give every pathway that names no audience its own name as one."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: {"audience": name, **pathway}
        if isinstance(pathway, Mapping) and re.fullmatch(NAME, str(name))
        else pathway
        for name, pathway in value.items()
    }


Pathways = Annotated[
    Mapping[Name, Pathway],
    BeforeValidator(_with_audience, json_schema_input_type=Mapping[Name, Pathway]),
]
