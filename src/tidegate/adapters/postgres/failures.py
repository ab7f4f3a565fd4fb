"""PostgreSQL's failures in our words, each with what to do about it.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from typing import Final

import asyncpg

from tidegate.errors import StoreError

#: What asyncpg, and the network below it, raise.
VENDOR: Final = (
    OSError,  # TimeoutError included
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

_LOCKED: Final = "another session held a lock of the store for too long; try again"
_STANDBY: Final = "the database only reads (a standby?); have store.url name the primary"
_GONE: Final = "the connection to the database was lost; is the server up?"
_STARTING: Final = "the database is starting or stopping; try again"

_MEANING: Final = {
    "25006": _STANDBY,
    "28000": "the database does not let this user in; check the user, pg_hba.conf and TLS",
    "28P01": "the database refuses the password; check PGPASSFILE or store.password",
    "3D000": "there is no such database; create it, or check store.url",
    "3F000": "the store's schema cannot be used; check search_path in store.url",
    "40001": "others wrote to the same rows; try again",
    "40P01": _LOCKED,
    "42501": "the database user may not do this; have it own the store's schema",
    "42P01": "the store's tables are gone; restore them from a backup",
    "53100": "the database's disk is full; make room",
    "53200": "the database is out of memory; try again",
    "53300": "the database has no free connection; raise max_connections or run fewer gateways",
    "55P03": _LOCKED,
    "57014": "the database was too slow; try again",
    "57P01": _STARTING,
    "57P02": _STARTING,
    "57P03": _STARTING,
    "57P05": _GONE,
    "25P03": _GONE,
    "XX001": "the database's data is damaged; restore it from a backup",
}

# What may be over in a moment, so that the same may work then. Nothing was done, unless it was
# COMMIT that failed.
_PASSING: Final = frozenset(
    {"25006", "25P03", "40001", "40P01", "53200", "53300", "55P03", "57014"}
    | {"57P01", "57P02", "57P03", "57P05"}
)


def is_passing(error: BaseException) -> bool:
    """Tell whether the same may work in a moment, perhaps over another connection."""
    if isinstance(error, asyncpg.PostgresError):
        return _code(error) in _PASSING or _code(error).startswith("08")
    if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return False
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, asyncpg.DataError | ValueError)
    return isinstance(error, VENDOR)


def is_doubtful(error: BaseException) -> bool:
    """Tell whether COMMIT may have been done although it ended with this: nobody answered it."""
    if isinstance(error, asyncpg.PostgresError):
        return _code(error).startswith(("08", "57P"))
    return True


def is_refused(error: BaseException) -> bool:
    """Tell whether the server refused who wanted to connect."""
    return isinstance(error, asyncpg.PostgresError) and _code(error) in ("28P01", "28000")


def store_error(error: BaseException | None) -> StoreError:
    """Return what the caller is told; the vendor's error is its cause."""
    told = StoreError(_meaning(error))
    told.__cause__ = error
    return told


def _meaning(error: BaseException | None) -> str:
    if isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched):
        return _STANDBY
    if isinstance(error, asyncpg.PostgresError):
        code = _code(error)
        return _MEANING.get(code, _GONE if code.startswith("08") else f"the store failed ({code})")
    if error is None or isinstance(error, TimeoutError):
        return "the database did not answer in time; is it reachable, and not overloaded?"
    if isinstance(error, OSError):
        why = error.strerror or type(error).__name__
        return f"the database cannot be reached ({why}); check store.url, network and TLS"
    if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return "store.url cannot be used to connect; check its parameters"
    return _GONE


def _code(error: asyncpg.PostgresError) -> str:
    return str(getattr(error, "sqlstate", None) or "?")
