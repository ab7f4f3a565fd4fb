"""Builds the look at a live set-up: the same adapters that serve, asked for nothing but a look."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from tidegate.adapters.clock import SystemClock
from tidegate.adapters.slack_api import SlackClient
from tidegate.adapters.slack_api.look import SlackLook
from tidegate.app.doctor.keys import SecretsVisit, secret_path
from tidegate.app.doctor.slack import ROOT as SLACK
from tidegate.app.doctor.slack import SlackVisit
from tidegate.app.doctor.walk import WALK_SECONDS, Progress, Step, walk
from tidegate.core.diagnosis.finding import Diagnosis
from tidegate.core.settings import SecretRef
from tidegate.entry.doctor.bench import Bench, Hidden
from tidegate.entry.doctor.pathways import pathway_steps
from tidegate.entry.doctor.sharing import sharing_steps
from tidegate.entry.doctor.store import identity_step, look_at_store
from tidegate.entry.wiring import Configuration
from tidegate.ports import Clock

SECRETS_SECONDS: Final = 25.0


async def diagnose(
    configuration: Configuration,
    *,
    environ: Mapping[str, str],
    hidden: Hidden,
    clock: Clock | None = None,
    within: float = WALK_SECONDS,
    progress: Progress = lambda *_: None,
) -> Diagnosis:
    """Return what a look at everything that a configuration names found.

    Args:
        configuration: One that is valid.
        environ: This process's environment.
        hidden: Takes what must not be shown of it.
        clock: Tells the time; the system's if not given.
        within: How many seconds it may take once the secrets are read.
        progress: Is told of each step that has ended.
    """
    bench = Bench(
        configuration=configuration,
        environ=environ,
        hidden=hidden,
        clock=clock or SystemClock(),
    )
    secrets = SecretsVisit(reads=_reads(bench))
    known = await walk(secrets.steps(), within=SECRETS_SECONDS, progress=progress)
    try:
        return await walk(_steps(bench), before=known, within=within, progress=progress)
    finally:
        for close in bench.closing:
            closed = close()
            if hasattr(closed, "__await__"):
                await closed


def _steps(bench: Bench) -> list[Step]:
    return [
        *look_at_store(bench),
        identity_step(bench),
        *_slack_steps(bench),
        *pathway_steps(bench),
        *sharing_steps(bench),
    ]


def _reads(bench: Bench) -> dict[str, Callable[[], str]]:
    """Return what reads each secret; what was read is kept, and hidden."""
    settings = bench.settings
    named: dict[str, SecretRef] = {"slack.bot_token": settings.slack.bot_token}
    for index, ref in enumerate(settings.slack.signing_secrets):
        named[f"slack.signing_secrets[{index}]"] = ref
    if settings.slack.app_token is not None:
        named["slack.app_token"] = settings.slack.app_token
    if settings.identity.signing_key is not None:
        named["identity.signing_key"] = settings.identity.signing_key
    if settings.store.password is not None:
        named["store.password"] = settings.store.password
    for index, token in enumerate(settings.api.tokens):
        named[f"api.tokens[{index}].secret"] = token.secret
    buckets = settings.s3.buckets if settings.s3 is not None else {}
    for alias, bucket in buckets.items():
        if bucket.cloudfront is not None:
            named[f"s3.buckets.{alias}.cloudfront.private_key"] = bucket.cloudfront.private_key

    def read(key: str, ref: SecretRef) -> str:
        value = bench.configuration.secrets.read(ref)
        bench.hidden.add(value, *value.splitlines())
        bench.secrets[key] = value
        return value

    return {key: partial(read, key, ref) for key, ref in named.items()}


def _slack_steps(bench: Bench) -> tuple[Step, ...]:
    settings = bench.settings
    client = SlackClient(
        api_url=settings.slack.api_url, token=bench.secrets.get("slack.bot_token", "")
    )
    bench.closing.append(client.close)
    line = bench.line(SLACK, settings.slack.api_url)
    visit = SlackVisit(
        settings=settings,
        slack=SlackLook(client),
        clock=bench.clock,
        needs=(line.end, secret_path("slack.bot_token")),
    )
    return (*line.steps(), *visit.steps())
