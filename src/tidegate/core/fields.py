"""The small values a configuration is made of, each with its own rule and mend.

Pure: a value goes in, the accepted value or a `PydanticCustomError` comes out. The error
carries `what` (what is wrong) and `mend` (what to write instead). A value that stands
where a secret is expected is never repeated in either.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
)
from pydantic_core import PydanticCustomError

from tidegate.core import web_address
from tidegate.core.web_address import AddressError, host_of

MAX_PATTERN: Final = 500  # characters of one regular expression
RESERVED_PREFIX: Final = "tidegate:"  # action ids of the gateway's own buttons
ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def rejected(what: str, mend: str) -> PydanticCustomError:
    """Return the error that says *what* is wrong and how to *mend* it."""
    return PydanticCustomError("rejected", "{what}", {"what": what, "mend": mend})


class Section(BaseModel):
    """A part of the configuration: immutable, typed strictly, closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )


# --- secrets -------------------------------------------------------------------------------


class EnvSecret(Section):
    """A secret that stands in an environment variable."""

    env: Annotated[
        str,
        Field(
            pattern=f"^{ENV_NAME.pattern}$",
            max_length=200,
            description="Name of the environment variable.",
        ),
    ]


class FileSecret(Section):
    """A secret that stands alone in a file."""

    file: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="Path of the file; a relative one starts at the configuration file.",
        ),
    ]


class SecretsManagerSecret(Section):
    """A secret that AWS Secrets Manager keeps."""

    secretsmanager: Annotated[
        str, Field(min_length=1, max_length=2048, description="Name or ARN of the secret.")
    ]
    key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=512,
            description="Key inside the secret when it is a JSON object.",
        ),
    ] = None


REFERENCE_MEND: Final = (
    "write a reference instead: {env: NAME}, {file: PATH} or {secretsmanager: NAME, key: KEY}"
)


def _kind_of_secret(value: Any) -> str | None:
    if isinstance(value, EnvSecret | FileSecret | SecretsManagerSecret):
        return next(iter(type(value).model_fields))
    if not isinstance(value, Mapping):
        return None
    named = [kind for kind in ("env", "file", "secretsmanager") if kind in value]
    return named[0] if len(named) == 1 else None


SecretRef = Annotated[
    Annotated[EnvSecret, Tag("env")]
    | Annotated[FileSecret, Tag("file")]
    | Annotated[SecretsManagerSecret, Tag("secretsmanager")],
    Discriminator(
        _kind_of_secret,
        custom_error_type="secret_reference",
        custom_error_message="a secret is expected by reference here, never its value",
    ),
]


# --- ids -----------------------------------------------------------------------------------

_ID_MEND: Final = {
    "user": (
        "write the member's id, such as U0123ABCD: in Slack open the profile, then ⋮, "
        "then 'Copy member ID'"
    ),
    "channel": (
        "write the channel's id, such as C0123ABCD: in Slack open the channel's details; "
        "the id stands at the very bottom"
    ),
    "user group": (
        "write the user group's id, such as S0123ABCD: in Slack open the group's page, then ⋮, "
        "then 'Copy group ID'"
    ),
}


def _id_error(kind: str, value: str) -> PydanticCustomError:
    shown = value if len(value) <= 40 else f"{value[:40]}…"
    named = " is a name, not an id" if value[:1] in "#@" and value else f" is not a {kind} id"
    return rejected(f"'{shown}'{named}", _ID_MEND[kind])


def _user_id(value: str) -> str:
    if value != "any" and not re.fullmatch(r"[UW][A-Z0-9]{1,30}", value):
        raise _id_error("user", value)
    return value


def _channel_id(value: str) -> str:
    if not re.fullmatch(r"[CGD][A-Z0-9]{1,30}", value):
        raise _id_error("channel", value)
    return value


def _group_id(value: str) -> str:
    if not re.fullmatch(r"S[A-Z0-9]{1,30}", value):
        raise _id_error("user group", value)
    return value


def _any_as_list(value: Any) -> Any:
    return ("any",) if value == "any" else value


UserId = Annotated[
    str,
    AfterValidator(_user_id),
    Field(json_schema_extra={"pattern": "^(any|[UW][A-Z0-9]{1,30})$"}),
]
ChannelId = Annotated[
    str,
    AfterValidator(_channel_id),
    Field(json_schema_extra={"pattern": "^[CGD][A-Z0-9]{1,30}$"}),
]
GroupId = Annotated[
    str, AfterValidator(_group_id), Field(json_schema_extra={"pattern": "^S[A-Z0-9]{1,30}$"})
]
ChannelIds = Annotated[tuple[ChannelId, ...], Field(strict=False, max_length=1000)]
GroupIds = Annotated[tuple[GroupId, ...], Field(strict=False, max_length=1000)]
UserIds = Annotated[
    tuple[UserId, ...],
    Field(strict=False, max_length=1000),
    BeforeValidator(
        _any_as_list,
        json_schema_input_type=Annotated[list[UserId], Field(max_length=1000)] | Literal["any"],
    ),
]

NAME: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]
ParamName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")]

# --- numbers -------------------------------------------------------------------------------

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=2_592_000)]
ByteCount = Annotated[int, Field(ge=1, le=2**40)]

# --- addresses -----------------------------------------------------------------------------


def _parts(url: str) -> SplitResult:
    try:
        return web_address.split(url)
    except AddressError as error:
        raise rejected(error.what, error.mend) from None


def _service_url(url: str) -> str:
    _parts(url)
    return url


def _slack_api_url(url: str) -> str:
    try:
        return web_address.slack_api_url(url)
    except AddressError as error:
        raise rejected(error.what, error.mend) from None


def _queue_url(url: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_.-]{1,80}", _parts(url).path):
        raise rejected(
            "this is not the address of a queue",
            "write https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, as SQS shows it",
        )
    return url


def _authority(value: str) -> str:
    if host_of(value) is None:
        raise rejected(
            "this is not a host or host:port",
            "write it without a scheme and path, such as vpce-0abc.example.com:443",
        )
    return value


def _store_url(url: str) -> str:
    if re.fullmatch(r"sqlite:///[^\x00-\x1f?#]+", url):
        return url
    if url.startswith(("postgresql://", "postgres://")):
        if re.match(r"postgres(ql)?://[^/@]*:[^/@]*@", url) or "password=" in url:
            raise rejected(
                "the address carries a password",
                "leave it out and use a password file or a client certificate",
            )
        if re.fullmatch(r"postgres(ql)?://[^\s/]+/[^\s]+", url):
            return url
    raise rejected(
        "this is not the address of a store",
        "write sqlite:////absolute/path.db, sqlite:///relative.db or postgresql://HOST/DATABASE",
    )


_URL_SCHEMA: Final = {"pattern": "^https?://", "maxLength": 2048}
ServiceUrl = Annotated[
    str, Field(max_length=2048, json_schema_extra=_URL_SCHEMA), AfterValidator(_service_url)
]
QueueUrl = Annotated[
    str, Field(max_length=2048, json_schema_extra=_URL_SCHEMA), AfterValidator(_queue_url)
]
SlackApiUrl = Annotated[
    str, Field(max_length=2048, json_schema_extra=_URL_SCHEMA), AfterValidator(_slack_api_url)
]
StoreUrl = Annotated[
    str,
    Field(max_length=4096, json_schema_extra={"pattern": "^(sqlite:///|postgres(ql)?://)"}),
    AfterValidator(_store_url),
]
Authority = Annotated[str, Field(min_length=1, max_length=260), AfterValidator(_authority)]


def _file_path(value: str) -> str:
    if "-----BEGIN" in value or any(ord(char) < 32 for char in value):
        raise rejected("the path of a file is expected, not its content", "write the file's path")
    return value


FilePath = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_file_path)]
# Goes into a signed header, so it is bounded and plain.
Audience = Annotated[str, Field(max_length=200, pattern=r"^[!-~]+$")]

# --- what an action matches and sends ------------------------------------------------------


def _match_text(value: str) -> str:
    if "*" in value[:-1]:
        raise rejected(
            "a * may only stand at the end", "write an exact text or a beginning followed by *"
        )
    if value.startswith(RESERVED_PREFIX):
        raise rejected(
            f"{RESERVED_PREFIX} is reserved for the gateway's own buttons",
            "choose another beginning for this id",
        )
    return value


def _command_text(value: str) -> str:
    if not re.fullmatch(r"/[^\s/*]+\*?|/\*", value):
        raise rejected(
            "a slash command starts with / and is one word", "write it as in Slack, such as /deploy"
        )
    return value


MatchText = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_match_text)]
CommandText = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={"pattern": "^/"}),
    AfterValidator(_match_text),
    AfterValidator(_command_text),
]


def _request_path(value: str) -> str:
    if not value.startswith("/"):
        raise rejected("a path starts with /", f"write /{value[:60]}")
    if re.search(r"[\x00-\x20\x7f?#\\]", value):
        raise rejected("a path holds no spaces, ?, # or \\", "send such values in the body instead")
    if any(step in {".", ".."} for step in value.split("/")):
        raise rejected("a path holds no . or .. steps", "write the path out")
    return value


RequestPath = Annotated[
    str,
    Field(max_length=1024, json_schema_extra={"pattern": "^/"}),
    AfterValidator(_request_path),
]


def _pattern(value: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        reason = error.msg if isinstance(error, re.error) else "it is too large"
        raise rejected(
            f"this is not a regular expression: {reason}",
            "use Python's syntax; YAML wants each \\ twice in double quotes, once in single quotes",
        ) from None
    return value


Pattern = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PATTERN, json_schema_extra={"format": "regex"}),
    AfterValidator(_pattern),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most *count* runs in any window of *seconds*."""

    count: int
    seconds: int


_RATE: Final = re.compile(r"([1-9][0-9]{0,5})/(second|minute|hour)")
_WINDOWS: Final = {"second": 1, "minute": 60, "hour": 3600}


def _rate_limit(value: Any) -> RateLimit:
    if isinstance(value, RateLimit):
        return value
    shape = _RATE.fullmatch(value) if isinstance(value, str) else None
    if shape is None:
        raise rejected("this is not a rate", "write N/second, N/minute or N/hour, such as 5/minute")
    return RateLimit(count=int(shape[1]), seconds=_WINDOWS[shape[2]])


RateLimitText = Annotated[
    RateLimit,
    PlainValidator(
        _rate_limit,
        json_schema_input_type=Annotated[str, Field(pattern=f"^{_RATE.pattern}$")],
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a param's value comes from in an interaction.

    Attributes:
        kind: `value` (a field of the button's JSON value), `selected` (what was chosen in a
            select), `text` (a word of the command's text) or `state` (an input of the form).
        name: The field's name, for `value`.
        index: The word's number from 0, for `text`.
        block: The block id, for `state`.
        action: The action id, for `state`.
    """

    kind: Literal["value", "selected", "text", "state"]
    name: str = ""
    index: int = 0
    block: str = ""
    action: str = ""


_SOURCE: Final = re.compile(
    r"value\.(?P<name>[^\s.]{1,100})|(?P<selected>selected)|text\[(?P<index>[0-9]{1,3})\]"
    r"|state\.(?P<block>[^\s.]{1,255})\.(?P<action>[^\s]{1,255})",
    re.ASCII,
)


def source_of(text: str) -> Source | None:
    """Return what a param's `from` says, or None when it has no valid syntax."""
    shape = _SOURCE.fullmatch(text)
    if shape is None:
        return None
    if shape["selected"]:
        return Source(kind="selected")
    if shape["index"] is not None:
        return Source(kind="text", index=int(shape["index"]))
    if shape["block"] is not None:
        return Source(kind="state", block=shape["block"], action=shape["action"])
    return Source(kind="value", name=shape["name"])


def _source(value: str) -> str:
    if source_of(value) is None:
        raise rejected(
            "this is not a place a value can come from",
            "write value.NAME, selected, text[N] (N counts words from 0) or state.BLOCK.ACTION",
        )
    return value


SourceText = Annotated[
    str,
    Field(max_length=520, json_schema_extra={"pattern": r"^(value\.|selected$|text\[|state\.)"}),
    AfterValidator(_source),
]


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | bool):
        raise rejected("a string, a whole number or true/false is expected", "write one such value")
    return value


def _confirm(value: Any) -> Any:
    if not isinstance(value, str | bool) or value == "" or len(str(value)) > 300:
        raise rejected(
            "true, false or a text of 1 to 300 characters is expected",
            "write true, or the question to ask in quotes",
        )
    return value


Scalar = Annotated[
    str | int | bool, BeforeValidator(_scalar, json_schema_input_type=str | int | bool)
]
Confirm = Annotated[
    bool | str,
    BeforeValidator(
        _confirm,
        json_schema_input_type=bool | Annotated[str, Field(min_length=1, max_length=300)],
    ),
]
