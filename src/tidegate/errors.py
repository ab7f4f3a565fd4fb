"""One tree of errors: the class says whose fault it was and what may be done about it.

Vendor errors are chained as causes at the adapter that met them; nothing above
an adapter sees a vendor's class or a vendor's text.
"""

from dataclasses import dataclass


class TidegateError(Exception):
    """Anything that Tidegate itself raises."""


# --- refused: the request is at fault ----------------------------------------


class RefusedError(TidegateError):
    """What came from outside is not taken; the message holds a reason, never content."""


class SignatureError(RefusedError):
    """The request did not prove that it came from Slack."""


class ForeignTeamError(RefusedError):
    """The request is signed, but speaks for a workspace that this gateway does not serve."""


class PayloadError(RefusedError):
    """The request is signed, but is not something Slack sends."""


class ParamsError(RefusedError):
    """A person's input does not fit the action's params.

    Attributes:
        notice: What the person is told, in plain words.
        field: The param at fault, or None.
    """

    def __init__(self, notice: str, *, field: str | None = None) -> None:
        super().__init__(f"param {field} invalid" if field else "params invalid")
        self.notice = notice
        self.field = field


# --- configuration: the operator's to mend ------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a configuration file, and its mend."""

    line: int | None
    column: int | None
    key: str
    what: str
    mend: str


class ConfigError(TidegateError):
    """The configuration cannot be used; every problem found is listed."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{len(problems)} problem(s) in the configuration")
        self.problems = problems


class SecretError(TidegateError):
    """A secret that the configuration refers to could not be read."""


class CredentialsError(TidegateError):
    """AWS credentials could not be had."""


class TokenError(CredentialsError):
    """A token to show to a service could not be had."""


class CertificateError(TidegateError):
    """Certificates or keys could not be read, or do not belong together."""


class AddressRefusedError(TidegateError):
    """A name led to no address that may be connected to."""


# --- the store -----------------------------------------------------------------


class StoreError(TidegateError):
    """The store could not do what was asked; nothing of it has happened."""


class NotRecordedError(StoreError):
    """The run was not recorded inside the deadline, and will not happen later."""


class LeaseLostError(StoreError):
    """Somebody else holds the lease now: the caller must not write any more."""


class NoSuchRunError(StoreError):
    """There is no run with that id."""


class NotAllowedNowError(StoreError):
    """The run's state does not allow what was asked; the message says why."""


class EffectTakenError(StoreError):
    """Another run holds the effect key, so this one must not act.

    Attributes:
        holder: That run's id.
    """

    def __init__(self, holder: str) -> None:
        super().__init__("another run holds the effect")
        self.holder = holder


class SchemaVersionError(StoreError):
    """The store was written by another, newer version."""


# --- Slack ---------------------------------------------------------------------


class SlackError(TidegateError):
    """Slack answered no.

    Attributes:
        code: Slack's error code, cut.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code[:80])
        self.code = code[:80]


class SlackBusyError(SlackError):
    """Slack asked to wait; nothing was done.

    Attributes:
        retry_after: Seconds to wait.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("ratelimited")
        self.retry_after = retry_after


class SlackUnreachableError(SlackError):
    """No connection to Slack was made; nothing was done."""

    def __init__(self) -> None:
        super().__init__("unreachable")


class SlackAmbiguousError(SlackError):
    """Whether Slack did it is not known."""

    def __init__(self, code: str = "no answer") -> None:
        super().__init__(code)


# --- sharing -------------------------------------------------------------------


class ObjectsError(TidegateError):
    """S3 did not give what was asked for, or a file did not.

    Attributes:
        code: What kind of failure it is: `not_found`, `no_access`, `changed`, `archived`,
            `unreachable`, `busy`, `broken_off` or `not_understood`; of a file `no_file`,
            `not_a_file`, `not_readable`, `spent`, `wrong_length` or `no_link`.
        again: Whether the same may work in a while.
    """

    def __init__(self, code: str, *, again: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.again = again


class EventError(RefusedError):
    """A message is none of S3's event notifications, or none that can be followed.

    Attributes:
        code: `not_an_event`, `too_large` or `unknown_bucket`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class QueueError(TidegateError):
    """A queue did not do what was asked.

    Attributes:
        code: `unreachable`, `busy`, `no_access`, `no_queue` or `not_understood`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ScannerError(TidegateError):
    """The scanner gave no verdict, so nothing may pass.

    Attributes:
        code: `scanner_unreachable`, `scanner_limit` or `scanner_failed`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ShareError(TidegateError):
    """An object was not shared or a message not sent, or not for certain.

    Attributes:
        code: A word for programs.
        notice: What people are told: what it was, and what they can do.
        again: Whether the same may work in a while; nothing was shared.
        unknown: Whether it may have been shared all the same.
    """

    def __init__(
        self, code: str, notice: str, *, again: bool = False, unknown: bool = False
    ) -> None:
        super().__init__(f"{code}: {notice}")
        self.code = code
        self.notice = notice
        self.again = again
        self.unknown = unknown
