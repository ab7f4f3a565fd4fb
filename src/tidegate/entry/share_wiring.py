"""Builds what sharing needs: of a configuration, or of the environment alone.

Apart from the gateway's wiring, so that a command that shares one object does not load a store,
a worker and an HTTP server. What reads a configuration is loaded only where there is one.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.adapters.clamd import Clamd
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.credentials import ChainCredentials, GivenCredentials
from tidegate.adapters.s3 import S3, KeysOfAws
from tidegate.adapters.slack_api import SlackApi, SlackClient, SlackFiles
from tidegate.app.send import Sending
from tidegate.app.share import Sharing
from tidegate.core.bucket import is_bucket_name
from tidegate.core.model import RunId, run_id
from tidegate.core.share import Mode, Rules, refusal
from tidegate.core.sigv4 import Credentials
from tidegate.core.web_address import AddressError, slack_api_url, split
from tidegate.errors import ConfigError, Problem, SecretError
from tidegate.ports import Clock, Front, Journal, Objects

if TYPE_CHECKING:
    from tidegate.adapters.sqs import Sqs
    from tidegate.core.settings import Events, SecretRef, Settings

MAX_CONFIG_BYTES: Final = 4_194_304
#: Asked first; S3 answers with the region in which the bucket really lies.
SOME_REGION: Final = "us-east-1"
SLACK: Final = "https://slack.com/api/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where Slack and S3 are, and as whom they are asked.

    What is None is taken from the configuration, or else from the environment.

    Attributes:
        slack_token: A bot token.
        slack_api_url: Another Slack than Slack's own, on loopback.
        region: The AWS region to ask first.
        endpoint_url: Another S3 than AWS's.
        access_key: With `secret_key`: the AWS keys to sign with.
        secret_key: Belongs to `access_key`.
        session_token: Belongs to `access_key`, where that is temporary.
    """

    slack_token: str | None = field(default=None, repr=False)
    slack_api_url: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(slots=True, kw_only=True)
class SharingParts:
    """What a process that only shares and sends is made of."""

    sharing: Sharing
    sending: Sending
    client: SlackClient
    files: SlackFiles
    objects: Objects
    clock: Clock
    settings: "Settings | None"

    def sharing_of(self, objects: Objects) -> Sharing:
        """Return what shares other objects than those of S3."""
        return Sharing(
            objects=objects,
            files=self.files,
            slack=SlackApi(self.client),
            scanner=Clamd(),
            clock=self.clock,
        )

    def new_id(self) -> RunId:
        """Return an id for something that is to be shared or sent once."""
        return run_id(self.clock.now(), self.clock.entropy(10))

    async def close(self) -> None:
        """Let connections go."""
        await self.objects.close()
        await self.client.close()

    def rules(self, bucket: str, key: str, *, unversioned: bool, external: bool) -> Rules:
        """Return what may be shared from a bucket.

        Without a configuration, whatever the caller's own rights allow; with one, what it says.

        Raises:
            ShareError: The configuration does not know the bucket, or there cannot be such a one.
        """
        if self.settings is not None:
            from tidegate.core import plan

            found = plan.bucket_rules(self.settings.s3, bucket, key)
            if found is None:
                raise refusal("bucket_not_allowed")
            return found
        if not is_bucket_name(bucket):
            raise refusal("not_a_bucket")
        return Rules(
            alias=bucket, bucket=bucket, unversioned=unversioned, external=external, own=True
        )


def configuration_file(config: str | None) -> str | None:
    """Return the configuration to go by: the one named, else TIDEGATE_CONFIG, else none."""
    return config or os.environ.get("TIDEGATE_CONFIG") or None


def own_files(*, any_type: bool) -> Rules:
    """Return what may be sent of files that whoever asks has at hand."""
    return Rules(
        alias="(local)",
        bucket="(local)",
        modes=frozenset({Mode.UPLOAD}),
        external=True,
        own=True,
        any_type=any_type,
    )


def open_sharing(config: str | None, access: Access | None = None) -> SharingParts:
    """Build what sharing needs.

    Args:
        config: A configuration file; its allow-lists bind. None for the one that TIDEGATE_CONFIG
            names, else none.
        access: What wins over the configuration and the environment.

    Raises:
        ConfigError: The configuration, or the environment without one, is not enough.
    """
    access = access or Access()
    environ = _with(access, os.environ)
    name = configuration_file(config)
    settings = _settings(name) if name is not None else None
    if settings is not None and name is not None and access.slack_token is None:
        client = _of_file(settings, environ, name, access.slack_api_url)
    else:
        url = settings.slack.api_url if settings is not None else None
        client = _of_environment(environ, access.slack_api_url or url)
    clock = SystemClock()
    s3 = settings.s3 if settings is not None else None
    given = _s3_url(access.endpoint_url, "endpoint_url") if access.endpoint_url else None
    objects = _objects(
        environ,
        clock=clock,
        journal=_Muted(),
        region=access.region or (s3.region if s3 is not None else None),
        endpoint=given or (s3.endpoint_url if s3 is not None else None),
    )
    files, slack = SlackFiles(client), SlackApi(client)
    sharing = Sharing(
        objects=objects,
        files=files,
        slack=slack,
        scanner=Clamd(),
        clock=clock,
        fronts=_fronts(settings, environ, name, clock),
    )
    return SharingParts(
        sharing=sharing,
        sending=Sending(slack=slack, clock=clock),
        client=client,
        files=files,
        objects=objects,
        clock=clock,
        settings=settings,
    )


def _fronts(
    settings: "Settings | None", environ: Mapping[str, str], name: str | None, clock: Clock
) -> Mapping[str, Front]:
    if settings is None or name is None:
        return {}
    from tidegate.adapters.secrets import SecretReader

    return open_fronts(settings, SecretReader(environ, Path(name).absolute().parent).read, clock)


def open_fronts(
    settings: "Settings", read: "Callable[[SecretRef], str]", clock: Clock
) -> Mapping[str, Front]:
    """Return the distributions that stand in front of buckets, by the buckets' aliases.

    Raises:
        ConfigError: A private key cannot be read or used.
    """
    s3 = settings.s3
    buckets = s3.buckets if s3 is not None else {}
    fronts: dict[str, Front] = {}
    for alias, bucket in buckets.items():
        if bucket.cloudfront is None:
            continue
        # Only those pay for the import who use it.
        from tidegate.adapters.cloudfront import CloudFront

        try:
            fronts[alias] = CloudFront(
                domain=bucket.cloudfront.domain,
                key_pair_id=bucket.cloudfront.key_pair_id,
                private_key=read(bucket.cloudfront.private_key).encode(),
                clock=clock,
            )
        except SecretError as error:
            key = f"s3.buckets.{alias}.cloudfront.private_key"
            raise _missing(key, str(error), "put the private key there, in PEM") from None
    return fronts


def _with(access: Access, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return an environment in which stands what was given."""
    merged = dict(environ)
    if access.slack_token is not None:
        merged["SLACK_BOT_TOKEN"] = access.slack_token
    if access.access_key is not None and access.secret_key is not None:
        for name in (*_ELSEWHERE, "AWS_SECURITY_TOKEN"):
            merged.pop(name, None)
        merged["AWS_ACCESS_KEY_ID"] = access.access_key
        merged["AWS_SECRET_ACCESS_KEY"] = access.secret_key
        merged["AWS_SESSION_TOKEN"] = access.session_token or ""
    return merged


def open_objects(*, clock: Clock, journal: Journal, region: str | None, endpoint: str | None) -> S3:
    """Return the way to S3: what is given wins over what AWS's own variables say."""
    return _objects(os.environ, clock=clock, journal=journal, region=region, endpoint=endpoint)


def open_keys(journal: Journal) -> KeysOfAws:
    """Return the AWS credentials that S3 and queues are asked with."""
    return _credentials(os.environ, journal)


def named_region(region: str | None) -> str | None:
    """Return the region that is named: what is given, or AWS's own variables."""
    return region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def open_queue(events: "Events", *, clock: Clock, journal: Journal, region: str | None) -> "Sqs":
    """Return the way to the queue that events arrive in, with the credentials of S3."""
    from tidegate.adapters.sqs import Sqs

    return Sqs(
        url=events.queue_url,
        dead_letter_url=events.dead_letter_url,
        region=events.region or named_region(region) or SOME_REGION,
        credentials=open_keys(journal),
        clock=clock,
    )


def _objects(
    environ: Mapping[str, str],
    *,
    clock: Clock,
    journal: Journal,
    region: str | None,
    endpoint: str | None,
) -> S3:
    named = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return S3(
        credentials=_credentials(environ, journal),
        clock=clock,
        region=named or SOME_REGION,
        endpoint=endpoint or _endpoint(environ),
    )


#: Where these stand, the keys beside them are not the whole story.
_ELSEWHERE: Final = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION")

_KEYS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
)


def _credentials(environ: Mapping[str, str], journal: Journal) -> KeysOfAws:
    for name in _KEYS:
        _expect_ascii(environ.get(name, ""), name)
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret or any(environ.get(name) for name in _ELSEWHERE):
        return ChainCredentials(journal=journal)
    token = environ.get("AWS_SESSION_TOKEN") or environ.get("AWS_SECURITY_TOKEN") or None
    return GivenCredentials(Credentials(access_key=key, secret_key=secret, token=token))


def _endpoint(environ: Mapping[str, str]) -> str | None:
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        url = environ.get(name)
        if url:
            return _s3_url(url, name)
    return None


def _s3_url(url: str, name: str) -> str:
    """Return the address of an S3, as a configuration has to give it, too."""
    try:
        split(url)
    except AddressError as error:
        raise _missing(name, error.what, error.mend) from None
    return url.rstrip("/")


def _settings(name: str) -> "Settings":
    from tidegate.core.configuration import parse

    try:
        with Path(name).open("rb") as stream:
            text = stream.read(MAX_CONFIG_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        mend = "name a file with --config FILE"
        raise _missing(name, f"cannot be read: {why}", mend) from None
    return parse(text, source=name)


def _of_file(
    settings: "Settings", environ: Mapping[str, str], name: str, given: str | None
) -> SlackClient:
    from tidegate.adapters.secrets import SecretReader

    reader = SecretReader(environ, Path(name).absolute().parent)
    try:
        token = reader.read(settings.slack.bot_token)
    except SecretError as error:
        raise _missing("slack.bot_token", str(error), "put the secret there") from None
    _expect_ascii(token, "slack.bot_token")
    url = _api_url(given) if given is not None else settings.slack.api_url
    return SlackClient(api_url=url, token=token)


def _of_environment(environ: Mapping[str, str], given: str | None) -> SlackClient:
    names = ("SLACK_BOT_TOKEN", "SLACK_BOT_USER_OAUTH_TOKEN")
    token = next((environ[name].strip() for name in names if environ.get(name, "").strip()), None)
    if token is None:
        what = "neither it nor SLACK_BOT_USER_OAUTH_TOKEN is set"
        raise _missing("SLACK_BOT_TOKEN", what, "set it, or name a configuration with --config")
    _expect_ascii(token, next(name for name in names if environ.get(name, "").strip()))
    return SlackClient(
        api_url=_api_url(given or environ.get("SLACK_API_URL") or SLACK), token=token
    )


def _api_url(url: str) -> str:
    try:
        return slack_api_url(url)
    except AddressError as error:
        raise _missing("SLACK_API_URL", error.what, error.mend) from None


def _expect_ascii(secret: str, name: str) -> None:
    """Return if a key or a token can be one: anything else cannot even be sent."""
    if not (secret.isascii() and secret.isprintable()):
        what = "it holds characters that no such secret has: a line end, or what is not ASCII"
        raise _missing(name, what, "set it again, as it was given to you")


def _missing(key: str, what: str, mend: str) -> ConfigError:
    return ConfigError((Problem(line=None, column=None, key=key, what=what, mend=mend),))


class _Muted:
    """Notes nothing: a command says by itself what went wrong."""

    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        """Pass over it."""
