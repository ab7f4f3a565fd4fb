"""The only place that reads the environment and builds objects.

Two steps: `open_parts` makes what stands at the rim (the adapters), `assemble` joins the
journeys over them. Tests put themselves between the two and bring no second code path.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tidegate.adapters.clamd import Clamd
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.identity import IdentitySigner, kept_key
from tidegate.adapters.journal import EventJournal, LibraryLog
from tidegate.adapters.secrets import SecretReader
from tidegate.adapters.slack_api import SlackApi, SlackClient, SlackFiles
from tidegate.app.arrivals import Arrivals
from tidegate.app.directory import Directory
from tidegate.app.errand import Errands
from tidegate.app.intake import Intake
from tidegate.app.pace import Pace
from tidegate.app.share import Sharing
from tidegate.app.share_request import ShareRequests
from tidegate.app.share_run import ShareRuns
from tidegate.app.tell import Teller
from tidegate.app.worker import Pathway, Worker
from tidegate.core import plan
from tidegate.core.configuration import parse
from tidegate.core.settings import Settings
from tidegate.entry import store_wiring
from tidegate.entry.pathway_wiring import open_pathways
from tidegate.entry.share_wiring import open_fronts, open_objects, open_queue
from tidegate.errors import ConfigError, Problem, SecretError
from tidegate.ports import Clock, Front, Journal, Queue, Signer, Slack, Store

MAX_CONFIG_BYTES: Final = 4_194_304
#: Leases end a little early, so that what a dead process held is taken up within
#: `worker.lease_seconds`: the next look at the store and the first step included.
LEASE_SHARE: Final = 0.8
_BUTTON_SECRET: Final = "button_secret"  # noqa: S105 - the name it is kept under


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A configuration file, read, and what it refers to."""

    file: Path
    settings: Settings
    secrets: SecretReader

    @property
    def folder(self) -> Path:
        """Where relative paths begin."""
        return self.file.parent

    def near(self, path: str) -> Path:
        """Return a path of the configuration as an absolute one."""
        return self.folder / path


@dataclass(slots=True, kw_only=True)
class Parts:
    """What stands at the rim."""

    store: Store
    slack: Slack
    sharing: Sharing | None
    queue: Queue | None  # where it is told that objects have appeared
    pathways: Mapping[str, Pathway]
    signer: Signer
    clock: Clock
    journal: Journal
    metrics: Callable[[], bytes]
    library_log: logging.Handler
    signing_secrets: tuple[bytes, ...]
    tokens: tuple[tuple[str, str], ...]  # name and secret; two of a name while one is rotated
    button_secret: bytes
    changed: "Changed"


@dataclass(slots=True)
class Changed:
    """Passes the store's news on to whoever wants it."""

    listeners: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self) -> None:
        """Tell every listener that something may be ready."""
        for listener in self.listeners:
            listener()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journeys:
    """The journeys, joined over the parts."""

    intake: Intake
    worker: Worker
    teller: Teller
    directory: Directory
    errands: Errands
    requests: ShareRequests | None
    arrivals: Arrivals | None


def environment() -> Mapping[str, str]:
    """Return this process's environment."""
    return os.environ


def load(config: str | None) -> Configuration:
    """Return the configuration: of *config*, else TIDEGATE_CONFIG, else ./tidegate.yaml.

    Raises:
        ConfigError: It cannot be read or has problems; all of them are listed.
    """
    environ = environment()
    name = config or environ.get("TIDEGATE_CONFIG") or "tidegate.yaml"
    file = Path(name).absolute()
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_CONFIG_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problem = Problem(
            line=None,
            column=None,
            key=name,
            what=f"cannot be read: {why}",
            mend="name a file with --config FILE",
        )
        raise ConfigError((problem,)) from None
    return Configuration(
        file=file,
        settings=parse(text, source=name),
        secrets=SecretReader(environ, file.parent),
    )


async def open_store(
    configuration: Configuration,
    *,
    changed: Callable[[], None] | None = None,
    existing: bool = False,
) -> Store:
    """Open the store that the configuration names.

    Raises:
        ConfigError: There cannot be one.
        StoreError: It cannot be opened, or is to be an *existing* one and is not there.
    """
    return await store_wiring.open_store(
        configuration.settings,
        folder=configuration.folder,
        secrets=configuration.secrets,
        changed=changed,
        existing=existing,
    )


def signer(configuration: Configuration) -> IdentitySigner:
    """Return the signer of `Tidegate-Identity`.

    Without a configured key, one is kept beside the store, if that is a file. Raises
    `SecretError`.
    """
    ref = configuration.settings.identity.signing_key
    if ref is not None:
        return IdentitySigner(configuration.secrets.read(ref).encode())
    if not store_wiring.is_sqlite(configuration.settings):
        raise SecretError(
            "none is named, and gateways that share a database sign with one key "
            "(openssl genpkey -algorithm ed25519)"
        )
    path = store_wiring.store_path(configuration.settings, configuration.folder)
    store_wiring.make_folder(path.parent)
    return IdentitySigner(kept_key(path.with_name(f"{path.name}.identity.pem")))


async def open_parts(configuration: Configuration) -> Parts:
    """Read the secrets and open what stands at the rim.

    Raises:
        ConfigError: A secret is missing, or a file is unusable; all such are listed.
        StoreError: The store cannot be opened.
    """
    settings = configuration.settings
    store_wiring.refuse_passing_disk(settings, configuration.folder, environment())
    secrets = _Secrets(configuration)
    token = secrets.read("slack.bot_token", settings.slack.bot_token)
    signing = [
        secrets.read(f"slack.signing_secrets[{index}]", ref)
        for index, ref in enumerate(settings.slack.signing_secrets)
    ]
    tokens = tuple(
        (entry.name, secrets.read(f"api.tokens[{index}].secret", entry.secret))
        for index, entry in enumerate(settings.api.tokens)
    )
    secrets.refuse_if_missing()
    changed = Changed()
    clock = SystemClock()
    fronts = open_fronts(settings, configuration.secrets.read, clock)
    journal = EventJournal()
    store = await open_store(configuration, changed=changed)
    try:
        identity = signer(configuration)
    except SecretError as error:
        await store.close()
        raise ConfigError((_problem("identity.signing_key", str(error)),)) from None
    read_anew = partial(configuration.secrets.read_anew, settings.slack.bot_token)
    client = SlackClient(
        api_url=settings.slack.api_url,
        token=token,
        read_token=partial(asyncio.to_thread, read_anew),
    )
    button = await store.remember(_BUTTON_SECRET, clock.entropy(32).hex())
    return Parts(
        store=store,
        slack=SlackApi(client),
        sharing=sharing(settings, client, clock, journal, fronts),
        queue=_queue(settings, clock, journal),
        pathways=open_pathways(
            settings.pathways, near=configuration.near, clock=clock, journal=journal
        ),
        signer=identity,
        clock=clock,
        journal=journal,
        metrics=journal.metrics,
        library_log=LibraryLog(journal),
        signing_secrets=tuple(secret.encode() for secret in signing),
        tokens=tokens,
        button_secret=bytes.fromhex(button),
        changed=changed,
    )


def sharing(
    settings: Settings,
    client: SlackClient,
    clock: Clock,
    journal: Journal,
    fronts: Mapping[str, Front],
) -> Sharing | None:
    """Return what shares from S3, or None where the configuration has no buckets."""
    if settings.s3 is None:
        return None
    objects = open_objects(
        clock=clock,
        journal=journal,
        region=settings.s3.region,
        endpoint=settings.s3.endpoint_url,
    )
    return Sharing(
        objects=objects,
        files=SlackFiles(client),
        slack=SlackApi(client),
        scanner=Clamd(),
        clock=clock,
        fronts=fronts,
    )


def _queue(settings: Settings, clock: Clock, journal: Journal) -> Queue | None:
    s3 = settings.s3
    if s3 is None or s3.events is None:
        return None
    return open_queue(s3.events, clock=clock, journal=journal, region=s3.region)


def assemble(settings: Settings, parts: Parts) -> Journeys:
    """Join the journeys over the parts."""
    router = plan.router(settings)
    hidden = plan.hidden_params(settings)
    errands = Errands(parts.journal)
    directory = Directory(
        parts.slack,
        parts.store,
        parts.clock,
        parts.journal,
        group_ids=plan.group_ids(settings),
        trust_unlocked_groups=settings.trust_unlocked_groups,
    )
    intake = Intake(
        store=parts.store,
        slack=parts.slack,
        directory=directory,
        router=router,
        clock=parts.clock,
        journal=parts.journal,
        errands=errands,
        signing_secrets=parts.signing_secrets,
        button_secret=parts.button_secret,
        ack_deadline_seconds=settings.server.ack_deadline_seconds,
        warm=settings.worker.enabled,
    )
    lease_seconds = settings.worker.lease_seconds * LEASE_SHARE
    shares = None
    if parts.sharing is not None:
        find = partial(plan.bucket_rules, settings.s3)
        shares = ShareRuns(
            parts.sharing,
            rules=find,
            callers=plan.callers(settings),
            arrivals=plan.arrival_rules(settings),
            now=parts.clock.now,
        )
    worker = Worker(
        store=parts.store,
        slack=parts.slack,
        errands=errands,
        directory=directory,
        router=router,
        pathways=parts.pathways,
        shares=shares,
        signer=parts.signer,
        clock=parts.clock,
        journal=parts.journal,
        issuer=settings.identity.issuer,
        concurrency=settings.worker.concurrency,
        lease_seconds=lease_seconds,
    )
    limits = settings.slack.limits
    teller = Teller(
        store=parts.store,
        slack=parts.slack,
        clock=parts.clock,
        journal=parts.journal,
        errands=errands,
        pace=Pace(
            posts_per_channel_per_second=limits.posts_per_channel_per_second,
            updates_per_minute=limits.updates_per_minute,
        ),
        button_secret=parts.button_secret,
        hidden=hidden,
        questions=plan.questions(settings),
        lease_seconds=lease_seconds,
    )
    parts.changed.listeners += [worker.wake, teller.wake]
    return Journeys(
        intake=intake,
        worker=worker,
        teller=teller,
        directory=directory,
        errands=errands,
        requests=_share_requests(settings, parts, shares),
        arrivals=_arrivals(settings, parts),
    )


def _arrivals(settings: Settings, parts: Parts) -> Arrivals | None:
    if parts.queue is None or settings.s3 is None:
        return None
    return Arrivals(
        queue=parts.queue,
        store=parts.store,
        clock=parts.clock,
        journal=parts.journal,
        rules=plan.arrival_rules(settings),
        buckets=[bucket.name for bucket in settings.s3.buckets.values()],
    )


def _share_requests(
    settings: Settings, parts: Parts, shares: ShareRuns | None
) -> ShareRequests | None:
    if parts.sharing is None or shares is None:
        return None
    return ShareRequests(
        store=parts.store,
        sharing=parts.sharing,
        shares=shares,
        clock=parts.clock,
        journal=parts.journal,
        rules=partial(plan.bucket_rules, settings.s3),
        callers=plan.callers(settings),
    )


class _Secrets:
    """Reads secrets and gathers what is missing, so that all is said at once."""

    def __init__(self, configuration: Configuration) -> None:
        self._reader = configuration.secrets
        self._problems: list[Problem] = []

    def read(self, key: str, ref: object) -> str:
        try:
            return self._reader.read(ref)  # type: ignore[arg-type]
        except SecretError as error:
            self._problems.append(_problem(key, str(error)))
            return ""

    def refuse_if_missing(self) -> None:
        if self._problems:
            raise ConfigError(tuple(self._problems))


def _problem(key: str, what: str) -> Problem:
    mend = "put the secret there before Tidegate starts"
    return Problem(line=None, column=None, key=key, what=what, mend=mend)
