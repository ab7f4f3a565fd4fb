"""The look at what the gateway proves itself with: secrets, its key, credentials, tokens."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from tidegate.app.doctor.walk import Step
from tidegate.core.diagnosis import keys as diagnosis_keys
from tidegate.core.diagnosis.finding import Path, Seen, finding
from tidegate.core.diagnosis.keys import WORDS, Caller
from tidegate.core.sigv4 import Credentials
from tidegate.errors import CredentialsError, SecretError, TokenError
from tidegate.ports import Clock

SECONDS: Final = 25.0  # the chain of credentials gives up after 20


class Keys(Protocol):
    """Where AWS credentials come from."""

    async def current(self) -> Credentials:
        """Return credentials that are valid now. Raises `CredentialsError`."""

    @property
    def expires_in_seconds(self) -> float | None:
        """Seconds until they end; None if they do not, or none were read yet."""


class Callers(Protocol):
    """Tells whom AWS takes keys for."""

    async def ask(self, credentials: Credentials) -> Caller | None:
        """Return whom the keys are of; None without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysVisit:
    """A look at AWS credentials.

    Attributes:
        role: The role that is assumed, or None.
        callers: Who tells whose they are; None where nobody is to be asked.
        renewed: Whoever hands them out hands out new ones.
    """

    path: Path
    keys: Keys
    role: str | None
    callers: Callers | None
    renewed: bool

    def step(self) -> Step:
        """Return what to look at."""
        return Step(path=self.path, title="AWS credentials", look=self._look, seconds=SECONDS)

    async def _look(self) -> Seen:
        try:
            found = await self.keys.current()
        except CredentialsError as error:
            return Seen(findings=(diagnosis_keys.no_credentials(str(error), role=self.role),))
        caller = None if self.callers is None else await self.callers.ask(found)
        return diagnosis_keys.credentials(
            access_key=found.access_key,
            temporary=found.token is not None,
            left=self.keys.expires_in_seconds,
            caller=caller,
            renewed=self.renewed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVisit:
    """A look at the bearer token that a pathway shows.

    Attributes:
        read: Returns the token as it would go out. Raises `TokenError`.
        issued: It is asked for, and not read from a file.
        audience: For whom it has to be made, or None.
    """

    path: Path
    read: Callable[[], Awaitable[str]]
    issued: bool
    audience: str | None
    clock: Clock

    def step(self) -> Step:
        """Return what to look at."""
        return Step(path=self.path, title="bearer token", look=self._look, seconds=SECONDS)

    async def _look(self) -> Seen:
        text: str | None = None
        try:
            text = await self.read()
        except TokenError as error:
            if self.issued:
                return Seen(findings=(finding(WORDS, "token.not_issued", reason=error),))
        return diagnosis_keys.token(text, audience=self.audience, now=self.clock.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsVisit:
    """A look at every secret that the configuration refers to.

    Attributes:
        reads: By their keys in the configuration, what reads each of them. Blocking; raises
            `SecretError`, whose text names the reference and never a value.
    """

    reads: Mapping[str, Callable[[], str]]

    def steps(self) -> tuple[Step, ...]:
        """Return what to look at."""
        return tuple(
            Step(path=secret_path(key), title=key, look=self._look(key), seconds=SECONDS)
            for key in self.reads
        )

    def _look(self, key: str) -> Callable[[], Awaitable[Seen]]:
        async def look() -> Seen:
            try:
                value = await asyncio.to_thread(self.reads[key])
            except SecretError as error:
                one = finding(WORDS, "secret.missing", key=key, reason=error)
                return Seen(findings=(one,))
            mixed = diagnosis_keys.mixed_up(key, value)
            return Seen(said="there", findings=() if mixed is None else (mixed,))

        return look


def secret_path(key: str) -> Path:
    """Return where a secret stands in the tree."""
    return ("secrets", key)


def key_unusable(reason: object) -> Seen:
    """Return what it means that the key which signs who clicked cannot be used."""
    return Seen(findings=(finding(WORDS, "identity.key_unusable", reason=reason),))
