"""What a configuration file says, once it is known to be right.

The attributes are named exactly as the keys of the file (`from` alone becomes `from_`).
Everything is immutable. A file's text becomes a `Settings` by
`tidegate.core.configuration.parse`, which also checks what one part says about another;
nothing here reads files, the environment or a clock.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue

from tidegate.core.fields import (
    ByteCount,
    ChannelId,
    ChannelIds,
    CommandText,
    Confirm,
    EnvSecret,
    FilePath,
    FileSecret,
    GroupIds,
    MatchText,
    Name,
    ParamName,
    Pattern,
    Port,
    QueueUrl,
    RateLimit,
    RateLimitText,
    RequestPath,
    Scalar,
    Seconds,
    SecretRef,
    SecretsManagerSecret,
    Section,
    ServiceUrl,
    SlackApiUrl,
    Source,
    SourceText,
    StoreUrl,
    UserIds,
    rejected,
    source_of,
)
from tidegate.core.pathway_settings import (
    ApiGatewayPathway,
    DirectPathway,
    NoAuth,
    Pathway,
    Pathways,
    PrivateLinkPathway,
    SigV4Auth,
    TokenFileAuth,
    WebIdentityAuth,
)

__all__ = [
    "Action",
    "AllowRule",
    "ApiGatewayPathway",
    "DirectPathway",
    "Distribution",
    "EnvSecret",
    "FileSecret",
    "Match",
    "NoAuth",
    "Param",
    "Pathway",
    "PrivateLinkPathway",
    "RateLimit",
    "Request",
    "SecretRef",
    "SecretsManagerSecret",
    "Settings",
    "SigV4Auth",
    "Source",
    "TokenFileAuth",
    "WebIdentityAuth",
    "source_of",
    "sqlite_path",
]

Mode = Literal["upload", "link", "image", "gallery"]
Modes = Annotated[tuple[Mode, ...], Field(strict=False, max_length=4)]


# --- slack, server, admin, store, worker ---------------------------------------------------


class SlackLimits(Section):
    """How fast the gateway may speak to Slack."""

    posts_per_channel_per_second: Annotated[
        float, Field(gt=0, le=1_000_000, description="New messages per channel and second.")
    ] = 1.0
    updates_per_minute: Annotated[
        float,
        Field(gt=0, le=1_000_000_000, description="Message updates per minute, all together."),
    ] = 50.0


class Slack(Section):
    """The Slack app the gateway speaks for."""

    api_url: Annotated[
        SlackApiUrl,
        Field(description="Slack's Web API; plain http or another host only on loopback."),
    ] = "https://slack.com/api/"
    bot_token: Annotated[SecretRef, Field(description="The bot token, by reference.")]
    signing_secrets: Annotated[
        tuple[SecretRef, ...],
        Field(
            strict=False,
            min_length=1,
            max_length=8,
            description="Signing secrets, the current one first, then those being rotated out.",
        ),
    ]
    app_token: Annotated[
        SecretRef | None, Field(description="App-level token for Socket Mode.")
    ] = None
    limits: Annotated[
        SlackLimits, Field(description="How fast the gateway may speak to Slack.")
    ] = SlackLimits()


class Tls(Section):
    """The certificate the public listener shows."""

    cert: Annotated[FilePath, Field(description="PEM file with the certificate chain.")]
    key: Annotated[FilePath, Field(description="PEM file with the private key.")]


class Server(Section):
    """The public listener."""

    host: Annotated[
        str,
        Field(min_length=1, max_length=255, pattern=r"^\S+$", description="Address to listen on."),
    ] = "0.0.0.0"  # noqa: S104 - the public listener stands behind a load balancer
    port: Annotated[Port, Field(description="Port to listen on; 0 takes a free one.")] = 3000
    max_body_bytes: Annotated[
        int, Field(ge=1024, le=67_108_864, description="Larger requests are answered 413.")
    ] = 1_048_576
    ack_deadline_seconds: Annotated[
        float,
        Field(gt=0, le=3, description="A click not recorded by then is refused; Slack waits 3 s."),
    ] = 2.0
    drain_seconds: Annotated[
        float,
        Field(ge=0, le=3600, description="How long a stopping gateway finishes what is in flight."),
    ] = 10.0
    tls: Annotated[Tls | None, Field(description="Own TLS; off behind a load balancer.")] = None


class Admin(Section):
    """The listener for metrics and the runs API."""

    host: Annotated[
        str,
        Field(min_length=1, max_length=255, pattern=r"^\S+$", description="Address to listen on."),
    ] = "127.0.0.1"
    port: Annotated[Port, Field(description="Port to listen on; 0 takes a free one.")] = 3001


class Store(Section):
    """Where runs live."""

    url: Annotated[
        StoreUrl,
        Field(
            description="sqlite:////absolute, sqlite:///relative to this file, or postgresql://…"
        ),
    ]
    password: Annotated[
        SecretRef | None,
        Field(description="The database user's password; else PGPASSFILE, or a certificate."),
    ] = None
    retention_days: Annotated[
        float, Field(gt=0, le=3650, description="Days after which a finished run is forgotten.")
    ] = 90


class Worker(Section):
    """The second pass: carrying runs out."""

    enabled: Annotated[
        bool, Field(description="Whether `tidegate serve` carries runs out itself.")
    ] = True
    concurrency: Annotated[
        int, Field(ge=1, le=10_000, description="Runs in flight at once, all pathways together.")
    ] = 64
    lease_seconds: Annotated[
        float,
        Field(ge=1, le=300, description="After so long a dead worker's run is taken over."),
    ] = 10.0


# --- actions -------------------------------------------------------------------------------

MatchTexts = Annotated[tuple[MatchText, ...], Field(strict=False, min_length=1, max_length=100)]
CommandTexts = Annotated[tuple[CommandText, ...], Field(strict=False, min_length=1, max_length=100)]


class Match(Section):
    """What starts the action: exactly one kind, a list of texts, each exact or ending in *."""

    model_config = {"json_schema_extra": {"minProperties": 1, "maxProperties": 1}}

    action_id: Annotated[
        MatchTexts | None, Field(description="Action ids of buttons, selects and inputs.")
    ] = None
    command: Annotated[CommandTexts | None, Field(description="Slash commands.")] = None
    shortcut: Annotated[MatchTexts | None, Field(description="Callback ids of shortcuts.")] = None
    view: Annotated[MatchTexts | None, Field(description="Callback ids of modals.")] = None


class Request(Section):
    """What is sent to the service."""

    method: Annotated[
        Literal["POST", "GET", "PUT", "PATCH", "DELETE"], Field(description="HTTP method.")
    ] = "POST"
    path: Annotated[
        RequestPath,
        Field(description="Appended to the pathway's url; {params.x} may stand as a segment."),
    ]


AllowedValues = Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1, max_length=1000)]


class AllowRule(Section):
    """Who may use the action: every key given must hold; `channels` and `params` only narrow."""

    users: Annotated[UserIds, Field(description="User ids, or `any`.")] = ()
    user_groups: Annotated[GroupIds, Field(description="User group ids.")] = ()
    channels: Annotated[
        ChannelIds,
        Field(min_length=1, description="Only in these channels; alone it admits nobody."),
    ] = ()
    params: Annotated[
        Mapping[str, AllowedValues],
        Field(description="Only with these values, by param name."),
    ] = {}
    guests: Annotated[bool, Field(description="Whether guests are admitted too.")] = False
    external: Annotated[
        bool, Field(description="Whether people of other workspaces are admitted too.")
    ] = False


def _rules(value: Any) -> Any:
    if isinstance(value, Mapping | AllowRule):
        return (value,)
    if not isinstance(value, list | tuple):
        raise rejected(
            "one rule or a list of rules is expected",
            "write for example allow: {users: [U0123ABCD]}",
        )
    return value


class Param(Section):
    """One value the action takes, and the rule it must keep."""

    type: Annotated[
        Literal["string", "integer", "boolean"], Field(description="Kind of value.")
    ] = "string"
    required: Annotated[bool, Field(description="Whether a value must be given.")] = False
    default: Annotated[Scalar | None, Field(description="Value when none is given.")] = None
    enum: Annotated[
        tuple[Scalar, ...] | None,
        Field(strict=False, min_length=1, max_length=1000, description="The only values allowed."),
    ] = None
    min: Annotated[int | None, Field(description="Smallest integer allowed.")] = None
    max: Annotated[int | None, Field(description="Largest integer allowed.")] = None
    max_length: Annotated[
        int, Field(ge=1, le=10_000, description="Characters a string may have.")
    ] = 256
    pattern: Annotated[
        Pattern | None, Field(description="Regular expression the whole string must match.")
    ] = None
    secret: Annotated[bool, Field(description="Whether the value is never shown or logged.")] = (
        False
    )
    from_: Annotated[
        SourceText,
        Field(alias="from", description="Where it comes from; value.NAME if not given."),
    ] = ""


def _params_with_source(value: Any) -> Any:
    """Give every param that says no `from` the one its name implies."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: {"from": f"value.{name}", **rule}
        if isinstance(rule, Mapping) and source_of(f"value.{name}")
        else rule
        for name, rule in value.items()
    }


Params = Annotated[
    Mapping[ParamName, Param],
    BeforeValidator(_params_with_source, json_schema_input_type=Mapping[ParamName, Param]),
]


class Action(Section):
    """A route: what starts it, who may use it, and what is then sent where."""

    use: Annotated[
        Literal[
            "k8s_deploy",
            "k8s_scale",
            "k8s_status",
            "k8s_restart",
            "k8s_rollback",
            "k8s_logs",
            "s3_share_link",
            "s3_share_image",
            "s3_share_gallery",
            "s3_upload",
        ]
        | None,
        Field(description="Preset that fills match, request and params."),
    ] = None
    match: Annotated[Match | None, Field(description="What starts the action.")] = None
    pathway: Annotated[
        Name | None, Field(description="Name of the pathway the request goes over.")
    ] = None
    request: Annotated[Request | None, Field(description="What is sent.")] = None
    body: Annotated[
        Mapping[str, JsonValue] | None,
        Field(description="JSON object to send instead of the usual one."),
    ] = None
    params: Annotated[Params, Field(description="Values the action takes, by name.")] = {}
    allow: Annotated[
        tuple[AllowRule, ...],
        Field(strict=False, max_length=100, description="Who may use it; any one rule suffices."),
        BeforeValidator(_rules, json_schema_input_type=AllowRule | list[AllowRule]),
    ] = ()
    rate_limit: Annotated[
        RateLimitText | None, Field(description="N/second, N/minute or N/hour, per user.")
    ] = None
    repeat: Annotated[
        Literal["once_per_message", "allow"],
        Field(description="Whether the same button of the same message acts again."),
    ] = "once_per_message"
    button_max_age_days: Annotated[
        int, Field(ge=1, le=3650, description="Days after which a button is retired.")
    ] = 30
    idempotent: Annotated[
        bool, Field(description="Whether the service honours the Idempotency-Key header.")
    ] = False
    start_within_seconds: Annotated[
        Seconds, Field(description="A run not started by then expires.")
    ] = 600.0
    deadline_seconds: Annotated[
        Seconds, Field(description="A run not finished by then becomes unknown.")
    ] = 3600.0
    confirm: Annotated[
        Confirm, Field(description="Ask before acting; a text is the question asked.")
    ] = False


# --- identity, s3, api ---------------------------------------------------------------------


class Identity(Section):
    """The signed statement of who clicked."""

    signing_key: Annotated[
        SecretRef | None,
        Field(description="Ed25519 private key (PEM); else one is made beside the store."),
    ] = None
    issuer: Annotated[
        str,
        Field(min_length=1, max_length=200, pattern=r"^[!-~]+$", description="Claim `iss`."),
    ] = "tidegate"


class Scan(Section):
    """How objects are checked for malware before they are shared: clamd or guardduty."""

    clamd: Annotated[
        str | None,
        Field(
            pattern=r"^(unix:/\S+|tcp://\S+|[^\s:/]+:[0-9]{1,5})$",
            max_length=1024,
            description="Address of clamd: unix:/PATH or HOST:PORT.",
        ),
    ] = None
    guardduty: Annotated[
        bool | None, Field(description="Trust the tag GuardDuty Malware Protection sets.")
    ] = None
    max_bytes: Annotated[
        ByteCount | None, Field(description="Larger objects cannot be scanned, so are refused.")
    ] = None


class Distribution(Section):
    """A CloudFront distribution in front of a bucket, whose links outlive AWS credentials."""

    domain: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$",
            max_length=253,
            description="The distribution's domain, such as d111111abcdef8.cloudfront.net.",
        ),
    ]
    key_pair_id: Annotated[
        str,
        Field(pattern=r"^[A-Z0-9]{8,64}$", description="Id of the public key in CloudFront."),
    ]
    private_key: Annotated[
        SecretRef, Field(description="The private key (PEM): RSA 2,048 bits or ECDSA P-256.")
    ]


class Bucket(Section):
    """A bucket that may be shared from, and how."""

    name: Annotated[
        str,
        Field(min_length=3, max_length=255, pattern=r"^\S+$", description="The bucket's name."),
    ]
    prefix: Annotated[str, Field(max_length=1024, description="Only keys that begin so.")] = ""
    channels: Annotated[ChannelIds, Field(description="Channels it may be shared in.")] = ()
    modes: Annotated[Modes, Field(description="Ways it may be shared.")] = ()
    types: Annotated[
        tuple[
            Annotated[
                str, Field(pattern=r"^[A-Za-z0-9_.+-]+/([A-Za-z0-9_.+-]+|\*)$", max_length=200)
            ],
            ...,
        ]
        | None,
        Field(strict=False, max_length=200, description="Media types, judged by content."),
    ] = None
    max_bytes: Annotated[ByteCount | None, Field(description="Larger objects are refused.")] = None
    external: Annotated[
        bool, Field(description="Whether it may go to channels shared with others.")
    ] = False
    unversioned: Annotated[
        bool, Field(description="Whether objects without a version id may be shared.")
    ] = False
    scan: Annotated[Scan | None, Field(description="Malware check.")] = None
    expires_seconds: Annotated[
        int, Field(ge=1, le=31_536_000, description="How long a link lives; 7 days if presigned.")
    ] = 3600
    cloudfront: Annotated[
        Distribution | None, Field(description="Links by CloudFront instead of presigned ones.")
    ] = None


class ArrivalRule(Section):
    """What is shared by itself when it appears, and how."""

    name: Annotated[Name, Field(description="What its runs are called, after `event:`.")]
    bucket: Annotated[Name, Field(description="Alias of the bucket it appears in.")]
    prefix: Annotated[str, Field(max_length=1024, description="Only keys that begin so.")] = ""
    suffix: Annotated[str, Field(max_length=1024, description="Only keys that end so.")] = ""
    channel: Annotated[ChannelId, Field(description="Channel it is shared in.")]
    mode: Annotated[
        Literal["upload", "link", "image"], Field(description="Way in which it is shared.")
    ]
    title: Annotated[
        str,
        Field(max_length=300, description="Title; {name}, {key} and {size} are replaced."),
    ] = ""
    comment: Annotated[
        str, Field(max_length=3000, description="Said beside it, word for word.")
    ] = ""


class Events(Section):
    """Sharing what appears: S3's event notifications, read from a queue."""

    queue_url: Annotated[
        QueueUrl, Field(description="The SQS queue they arrive in; plain http on loopback.")
    ]
    dead_letter_url: Annotated[
        QueueUrl | None, Field(description="Queue for messages that cannot be followed.")
    ] = None
    region: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z]{2,4}(-[a-z0-9]+)+$",
            max_length=40,
            description="Region of the queue; s3.region if not given.",
        ),
    ] = None
    rules: Annotated[
        tuple[ArrivalRule, ...],
        Field(
            strict=False,
            min_length=1,
            max_length=200,
            description="What is shared where; every rule that fits shares.",
        ),
    ]


class S3(Section):
    """Sharing from S3."""

    region: Annotated[
        str | None,
        Field(pattern=r"^[a-z]{2,4}(-[a-z0-9]+)+$", max_length=40, description="AWS region."),
    ] = None
    endpoint_url: Annotated[
        ServiceUrl | None, Field(description="Another S3 than AWS's; plain http on loopback.")
    ] = None
    buckets: Annotated[
        Mapping[Name, Bucket], Field(description="Buckets that may be shared from, by alias.")
    ] = {}
    events: Annotated[
        Events | None, Field(description="Sharing objects by themselves when they appear.")
    ] = None


class ApiToken(Section):
    """A caller of the admin listener's API."""

    name: Annotated[Name, Field(description="Who it is, for the audit log.")]
    secret: Annotated[SecretRef, Field(description="The bearer token, by reference.")]
    buckets: Annotated[
        tuple[Name, ...],
        Field(strict=False, max_length=1000, description="Buckets it may share from."),
    ] = ()
    channels: Annotated[ChannelIds, Field(description="Channels it may share in.")] = ()
    modes: Annotated[Modes, Field(description="Ways it may share.")] = ()
    rate_limit: Annotated[
        RateLimitText | None, Field(description="N/second, N/minute or N/hour.")
    ] = None


class Api(Section):
    """Who may call the admin listener's API; nobody when empty."""

    tokens: Annotated[
        tuple[ApiToken, ...], Field(strict=False, max_length=100, description="Callers.")
    ] = ()


# --- the whole -----------------------------------------------------------------------------


class Settings(Section):
    """Everything a configuration file says, with defaults filled in."""

    version: Annotated[Literal[1], Field(description="Version of this format.")] = 1
    slack: Annotated[Slack, Field(description="The Slack app.")]
    server: Annotated[Server, Field(description="The public listener.")] = Server()
    admin: Annotated[Admin, Field(description="The listener for metrics and the runs API.")] = (
        Admin()
    )
    store: Annotated[Store, Field(description="Where runs live.")]
    worker: Annotated[Worker, Field(description="Carrying runs out.")] = Worker()
    pathways: Annotated[Pathways, Field(description="Ways to private services, by name.")] = {}
    actions: Annotated[
        Mapping[Name, Action], Field(description="What people may do, by name.")
    ] = {}
    identity: Annotated[Identity, Field(description="The signed statement of who clicked.")] = (
        Identity()
    )
    trust_unlocked_groups: Annotated[
        bool, Field(description="Whether user groups that members can change count too.")
    ] = False
    s3: Annotated[S3 | None, Field(description="Sharing from S3.")] = None
    api: Annotated[Api, Field(description="Callers of the admin listener's API.")] = Api()


def sqlite_path(url: str, folder: str) -> str:
    """Return the file a `sqlite:///` *url* names; a relative one starts at *folder*."""
    path = url.removeprefix("sqlite:///")
    return path if path.startswith("/") else f"{folder.rstrip('/')}/{path}"
