"""AWS credentials from the chain that every AWS tool reads, without blocking the event loop.

botocore finds them (environment, profiles, web identity, container, instance metadata) and knows
when they need renewing. All of that is blocking I/O, and importing botocore alone takes half a
second, so both happen in a thread of their own, at first use. What is found is kept for a minute
at most: signing costs no hop to a thread.
"""

import asyncio
import logging
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from typing_extensions import override

from tidegate.core.sigv4 import Credentials
from tidegate.errors import CredentialsError
from tidegate.ports import Journal

KEEP_SECONDS: Final = 60.0  # how long a copy is used before botocore is asked again
NEAR_EXPIRY_SECONDS: Final = 120.0  # closer to its end than this, a caller waits for new ones
RETRY_SECONDS: Final = 10.0  # between attempts to renew credentials that still live
UNKNOWN_LIFETIME_SECONDS: Final = 600.0  # botocore's mandatory window: they last at least this long

_CODE: Final = re.compile(r"[A-Za-z.]{1,60}")  # STS's word for a refusal
_NONE_FOUND: Final = (
    "No AWS credentials were found. Give the gateway a role (a service account's, a task's or an "
    "instance's), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedRole:
    """A role to take on top of what the chain finds.

    Attributes:
        arn: The role's ARN.
        region: The region whose STS is asked.
        session_name: What CloudTrail shows as the session.
        external_id: The secret-like id that the role's owner asks for, or None.
    """

    arn: str
    region: str
    session_name: str = "tidegate"
    external_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    credentials: Credentials
    expires: float  # seconds since the epoch; infinity for keys that do not expire
    read: float


class GivenCredentials:
    """Credentials that stand in the environment: they need no chain, and no half second for it."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    @property
    def expires_in_seconds(self) -> float | None:
        """Seconds that may be counted on; None if they do not end.

        Temporary keys do not say here when they end. As long as they are taken at all, no more
        is counted on than botocore would leave of keys that it renews.
        """
        return UNKNOWN_LIFETIME_SECONDS if self._credentials.token else None

    async def current(self) -> Credentials:
        """Return the keys."""
        return self._credentials


class ChainCredentials:
    """The gateway's AWS credentials, always current.

    Args:
        journal: Where it is noted that they could not be read.
        role: A role to assume, or None for what the chain finds.
        now: Seconds since the Unix epoch.
        timeout_seconds: How long a caller waits for the chain before it gives up.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        role: AssumedRole | None = None,
        now: Callable[[], float] = time.time,
        timeout_seconds: float = 20.0,
    ) -> None:
        self._journal = journal
        self._chain = _Chain(role)
        self._now = now
        self._timeout_seconds = timeout_seconds
        self._copy: _Copy | None = None
        self._flight: asyncio.Future[_Copy] | None = None
        self._retry_at = -math.inf
        self._discarded_at = -math.inf

    @property
    def expires_in_seconds(self) -> float | None:
        """Seconds until the copy in use expires; None when it does not, or there is none yet."""
        if self._copy is None or math.isinf(self._copy.expires):
            return None
        return self._copy.expires - self._now()

    def discard(self, refused: Credentials) -> None:
        """Use no longer what AWS refused: all is looked for anew when next asked.

        Not at once again: whoever answers so to every request would have AWS asked for new
        credentials as often.
        """
        now = self._now()
        if 0 <= now - self._discarded_at < RETRY_SECONDS:
            return
        if self._copy is not None and self._copy.credentials == refused:
            self._copy, self._discarded_at = None, now
            self._chain.outdated = True

    async def current(self) -> Credentials:
        """Return credentials that are valid now.

        Those about to expire are renewed first; those merely a minute old are used while they are
        renewed beside. A renewal that fails leaves the old ones in use for as long as they live.

        Raises:
            CredentialsError: There are none, or none that still live.
        """
        now = self._now()
        copy = self._copy
        if copy is not None and copy.expires - now > NEAR_EXPIRY_SECONDS:
            # A clock set back makes a copy look younger than new: that counts as old.
            if not 0 <= now - copy.read < KEEP_SECONDS and now >= self._retry_at:
                self._renew()
            return copy.credentials
        try:
            async with asyncio.timeout(self._timeout_seconds):
                renewed = await asyncio.shield(self._renew())
        except (CredentialsError, TimeoutError) as error:
            if copy is not None and copy.expires > self._now():
                return copy.credentials
            if isinstance(error, CredentialsError):
                raise
            raise CredentialsError(
                f"The AWS credentials did not arrive within {self._timeout_seconds:g} s. "
                "Look at the endpoint that hands them out."
            ) from None
        return renewed.credentials

    def _renew(self) -> asyncio.Future[_Copy]:
        if self._flight is None:
            loop = asyncio.get_running_loop()
            self._flight = loop.create_future()
            self._flight.add_done_callback(self._landed)
            # A daemon, unlike an executor's thread: a hanging endpoint must not hold up the exit.
            threading.Thread(
                target=self._read, args=(loop, self._flight), name="aws-credentials", daemon=True
            ).start()
        return self._flight

    def _read(self, loop: asyncio.AbstractEventLoop, flight: asyncio.Future[_Copy]) -> None:
        try:
            credentials, expires = self._chain.read()
            copy = _Copy(
                credentials=credentials,
                expires=self._now() + UNKNOWN_LIFETIME_SECONDS if expires is None else expires,
                read=self._now(),
            )
        except CredentialsError as error:
            _hand_over(loop, flight, error)
        else:
            _hand_over(loop, flight, copy)

    def _landed(self, flight: asyncio.Future[_Copy]) -> None:
        self._flight = None
        if flight.cancelled():
            return
        error = flight.exception()
        if error is None:
            if self._chain.not_renewed:
                self._journal.note(
                    "credentials_not_renewed", level="warning", reason=self._chain.not_renewed
                )
            self._copy = flight.result()
            self._retry_at = -math.inf
            return
        self._retry_at = self._now() + RETRY_SECONDS
        self._journal.note(
            "credentials_not_read",
            level="warning",
            reason=type(error.__cause__ or error).__name__,
            expires_in_seconds=self.expires_in_seconds,
            mend=str(error),
        )


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    flight: asyncio.Future[_Copy],
    outcome: _Copy | CredentialsError,
) -> None:
    def settle() -> None:
        if flight.done():
            return
        if isinstance(outcome, CredentialsError):
            flight.set_exception(outcome)
        else:
            flight.set_result(outcome)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop was closed while the chain was asked: nobody waits any more.
        return


class _Chain(logging.Filter):
    """botocore, spoken to from one thread at a time.

    Attributes:
        not_renewed: Why the latest reading found no newer keys, or an empty text.
        outdated: Whether what was found is to be looked for anew.
    """

    def __init__(self, role: AssumedRole | None) -> None:
        super().__init__()
        self._role = role
        self._source: Any = None
        self.not_renewed = ""
        self.outdated = False
        self._thread = 0  # that reads: what another chain's thread logs is not ours

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Learn that a renewal failed, without the endpoint's answer that botocore would log."""
        if record.levelno < logging.WARNING or record.thread != self._thread:
            return True
        kind = record.exc_info[0] if record.exc_info else None
        self.not_renewed = kind.__name__ if kind else "expired"
        return False

    def read(self) -> tuple[Credentials, float | None]:
        """Return the credentials and their end: infinity for never, None for not known."""
        self.not_renewed = ""
        self._thread = threading.get_ident()
        if self.outdated:
            self.outdated, self._source = False, None
        try:
            if self._source is None:
                self._source = self._open()
            # One call, one consistent triple: attributes read one by one may straddle a renewal.
            frozen = self._source.get_frozen_credentials()
            credentials = Credentials(
                access_key=frozen.access_key,
                secret_key=frozen.secret_key,
                token=frozen.token or None,
            )
            end = self._end()
        except CredentialsError:
            raise
        except Exception as error:  # each provider raises what its file or socket raises
            self._source = None  # whatever changed on the machine is found at the next attempt
            raise self._unread(error) from error
        finally:
            self._thread = 0  # its number may be another's next
        return credentials, end

    def _unread(self, error: Exception) -> CredentialsError:
        """Return what is told of a failure: its kind, and STS's word for it, but not its text."""
        from botocore.exceptions import ClientError

        if self._role is not None and isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            why = code if _CODE.fullmatch(code) else "no reason that is known"
            return CredentialsError(
                f"The role {self._role.arn} could not be assumed ({why}). Its trust policy must "
                "name the gateway's own role (and the external id, if it asks for one), and the "
                "gateway's own role must be allowed sts:AssumeRole on it."
            )
        return CredentialsError(
            f"The AWS credentials could not be read ({type(error).__name__}). "
            "`aws sts get-caller-identity` in the gateway's place shows why."
        )

    def _open(self) -> Any:
        from botocore.session import Session

        logging.getLogger("botocore.credentials").addFilter(self)  # once, however often
        session = Session()
        found = session.get_credentials()
        if found is None:
            raise CredentialsError(_NONE_FOUND)
        return found if self._role is None else _assume(session, found, self._role)

    def _end(self) -> float | None:
        from botocore.credentials import RefreshableCredentials

        if not isinstance(self._source, RefreshableCredentials):
            # Temporary keys end; in the environment and in files they need not say when.
            return None if self._source.token else math.inf
        # Private, and the only place that tells; another botocore may not have it.
        end = getattr(self._source, "_expiry_time", None)
        return end.timestamp() if isinstance(end, datetime) else None


def _assume(session: Any, found: Any, role: AssumedRole) -> Any:
    from botocore.config import Config
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    def client(service: str, **keys: Any) -> Any:
        config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
        return session.create_client(service, region_name=role.region, config=config, **keys)

    extra = {"RoleSessionName": role.session_name}
    if role.external_id is not None:
        extra["ExternalId"] = role.external_id
    fetcher = AssumeRoleCredentialFetcher(client, found, role_arn=role.arn, extra_args=extra)
    return DeferredRefreshableCredentials(
        refresh_using=fetcher.fetch_credentials, method="assume-role"
    )
