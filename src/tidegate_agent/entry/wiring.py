"""From a configuration file to a running agent: what reads files and builds objects."""

import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp

from tidegate_agent.adapters.clock import SystemClock
from tidegate_agent.adapters.journal import LineJournal
from tidegate_agent.adapters.jwks import JwksFile, read_keys
from tidegate_agent.adapters.kubernetes import (
    Credentials,
    CredentialsError,
    KubernetesClient,
    from_kubeconfig,
    in_cluster,
    is_in_cluster,
    kubeconfig_paths,
)
from tidegate_agent.adapters.tls import Certificate, server_context
from tidegate_agent.app.agent import Agent
from tidegate_agent.entry.admission import Admission
from tidegate_agent.entry.callers import CallerCheck
from tidegate_agent.entry.document import MAX_CHARACTERS, Problem
from tidegate_agent.entry.http import AgentApp
from tidegate_agent.entry.listener import MAX_CONNECTIONS, Listener
from tidegate_agent.entry.metrics import Metrics
from tidegate_agent.entry.monitoring import Readiness, monitoring_app
from tidegate_agent.entry.service import Service
from tidegate_agent.entry.settings import Listen, Settings, SettingsError, Tls, parse
from tidegate_agent.errors import ConfigError
from tidegate_agent.ports import Clock, Journal, Kubernetes

DEFAULT_FILE: Final = "agent.yaml"
FILE_VARIABLE: Final = "TIDEGATE_AGENT_CONFIG"
PRIVATE_CONNECTIONS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A configuration file, read, and the environment that it was read in."""

    file: Path
    settings: Settings
    environ: Mapping[str, str]

    def near(self, path: str) -> Path:
        """Return a path of the file as an absolute one."""
        return self.file.absolute().parent / path


def environment() -> Mapping[str, str]:
    """Return this process's environment."""
    return os.environ  # noqa: TID251 - read here, and handed to whoever needs it


def file_of(given: str | None, environ: Mapping[str, str]) -> Path:
    """Return the configuration file: the one given, else the environment's, else ./agent.yaml."""
    return Path(given or environ.get(FILE_VARIABLE) or DEFAULT_FILE)


def load(file: Path, environ: Mapping[str, str]) -> Configuration:
    """Return what a file says.

    Raises:
        OSError: It cannot be read.
        SettingsError: It cannot be used.
    """
    with file.open("rb") as stream:
        content = stream.read(4 * MAX_CHARACTERS + 4)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _settings_error("", "this is not UTF-8 text", "save it as UTF-8") from None
    return Configuration(file=file, settings=parse(text, environ), environ=environ)


def problems(configuration: Configuration) -> list[Problem]:
    """Return what is wrong with the files that a configuration refers to."""
    found: list[Problem] = []
    settings = configuration.settings
    try:
        read_keys(configuration.near(settings.jwks))
    except ConfigError as error:
        mend = "write it with: tidegate identity jwks > jwks.json"
        found += [_problem("identity.jwks", each, mend) for each in error.problems]
    try:
        _tls(configuration)
    except SettingsError as error:
        found += error.problems
    try:
        credentials(configuration)
    except CredentialsError as error:
        found.append(_problem("kubernetes", str(error), "run it in a pod, or name a kubeconfig"))
    return found


def credentials(configuration: Configuration) -> Credentials:
    """Return how to reach the API server: as configured, else as a pod, else as kubectl does.

    Raises:
        CredentialsError: They cannot be had.
    """
    cluster, environ = configuration.settings.cluster, configuration.environ
    if cluster.kubeconfig is not None:
        named = [configuration.near(cluster.kubeconfig)]
        return from_kubeconfig(named, environ, context=cluster.context)
    if is_in_cluster(environ):
        return in_cluster(environ)
    paths = kubeconfig_paths(environ, Path(environ.get("HOME") or "/"))
    return from_kubeconfig(paths, environ, context=cluster.context)


def assemble(configuration: Configuration) -> Service:
    """Return the agent, ready to run. Its ports are taken.

    Raises:
        SettingsError: It cannot run as configured.
    """
    found = problems(configuration)
    if found:
        raise SettingsError(tuple(found))
    settings, clock, metrics = configuration.settings, SystemClock(), Metrics()
    journal = LineJournal(sys.stderr, now=clock.now, counted=metrics.noted)
    kubernetes = KubernetesClient(
        credentials(configuration),
        sleep=clock.sleep,
        timeout_seconds=settings.cluster.timeout_seconds,
        observe=metrics.called,
    )
    keys = JwksFile(
        configuration.near(settings.jwks),
        clock=clock,
        journal=journal,
        usable=metrics.keys_usable,
    )
    admission = Admission(
        rules=settings.rules,
        keys=keys,
        callers=_callers(settings, kubernetes, clock, journal),
        clock=clock,
    )
    agent = Agent(
        kubernetes=kubernetes, clock=clock, journal=journal, rules=settings.rules, keys=keys
    )
    app = AgentApp(agent, admission, clock=clock, journal=journal, metrics=metrics)
    readiness = Readiness(kubernetes.ready, clock)
    tls = _tls(configuration)
    public = _listener("listen", settings.listen, app.app, tls)
    try:
        monitoring = monitoring_app(readiness, metrics)
        private = _listener("metrics", settings.metrics, monitoring, None, PRIVATE_CONNECTIONS)
    except SettingsError:
        public.close()
        raise
    return Service(
        agent=agent,
        kubernetes=kubernetes,
        clock=clock,
        journal=journal,
        readiness=readiness,
        public=public,
        private=private,
        certificate=_certificate(configuration, tls),
        lease_seconds=settings.rules.lease_seconds,
    )


def _callers(
    settings: Settings, kubernetes: Kubernetes, clock: Clock, journal: Journal
) -> CallerCheck | None:
    if settings.callers is None:
        return None
    return CallerCheck(settings.callers, kubernetes, clock=clock, journal=journal)


def _listener(
    key: str,
    listen: Listen,
    app: ASGIApp,
    tls: ssl.SSLContext | None,
    max_connections: int = MAX_CONNECTIONS,
) -> Listener:
    try:
        return Listener(app, listen, tls=tls, max_connections=max_connections)
    except OSError as error:
        what = f"cannot listen on {listen.host}:{listen.port}: {error.strerror}"
        mend = f"stop what listens there, or set {key}.port"
        raise _settings_error(key, what, mend) from None


def _files(configuration: Configuration, tls: Tls) -> tuple[Path, Path, Path | None]:
    authority = None if tls.client_ca is None else configuration.near(tls.client_ca)
    return configuration.near(tls.cert), configuration.near(tls.key), authority


def _tls(configuration: Configuration) -> ssl.SSLContext | None:
    tls = configuration.settings.listen.tls
    if tls is None:
        return None
    try:
        return server_context(*_files(configuration, tls))
    except OSError as error:
        what = f"the certificate, its key or client_ca cannot be used: {error.strerror or error}"
        mend = "name PEM files with the certificate chain, its private key and the authorities"
        raise _settings_error("listen.tls", what, mend) from None


def _certificate(
    configuration: Configuration, context: ssl.SSLContext | None
) -> Certificate | None:
    tls = configuration.settings.listen.tls
    if tls is None or context is None:
        return None
    chain, key, _ = _files(configuration, tls)
    return Certificate(context, chain, key)


def _problem(key: str, what: str, mend: str) -> Problem:
    return Problem(line=None, key=key, what=what, mend=mend)


def _settings_error(key: str, what: str, mend: str) -> SettingsError:
    return SettingsError((_problem(key, what, mend),))
