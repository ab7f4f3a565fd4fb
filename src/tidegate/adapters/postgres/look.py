"""The database, looked at and left as it is: who we are there, its tables, and whether it writes.

Sources: https://www.postgresql.org/docs/current/functions-info.html
"""

import ssl
from typing import Final

import asyncpg

from tidegate.adapters.postgres.address import Address
from tidegate.adapters.postgres.connections import Connection, Connections
from tidegate.adapters.postgres.failures import VENDOR, store_error
from tidegate.adapters.postgres.schema import MIGRATIONS
from tidegate.core.diagnosis import place as diagnosis_place
from tidegate.core.diagnosis.finding import Seen
from tidegate.core.diagnosis.place import Schema
from tidegate.errors import StoreError

_WHERE: Final = (
    "SELECT (current_schemas(false))[1], pg_is_in_recovery(), "
    "current_setting('transaction_read_only') = 'on', "
    "has_database_privilege(current_database(), 'CREATE')"
)
_TABLE: Final = "SELECT to_regclass(quote_ident($1) || '.meta') IS NOT NULL"
_MAY: Final = "SELECT has_schema_privilege($1, 'USAGE'), has_schema_privilege($1, 'CREATE')"
_MAY_WRITE: Final = "SELECT has_table_privilege(quote_ident($1) || '.runs', 'INSERT, UPDATE')"
_VERSION: Final = "SELECT value FROM meta WHERE key = 'schema_version'"
_OTHERS: Final = (
    "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename IN ('runs', 'audit')"
)
_REFUSED: Final = ("28000", "28P01")
SECONDS: Final = 5.0


async def look(address: Address) -> Seen:
    """Return what the database is; nothing in it changes."""
    try:
        connection = await Connections(address, most=1).connect()
    except StoreError as error:  # the password or a certificate of ours
        return diagnosis_place.store("store.refused", str(error))
    except VENDOR as error:
        return _failed(error)
    try:
        return await _looked(connection)
    except VENDOR as error:
        return _failed(error)
    finally:
        connection.terminate()


async def _looked(connection: Connection) -> Seen:
    schema, replica, read_only, may_make = await connection.fetchrow(_WHERE, timeout=SECONDS)
    if replica or read_only:
        return diagnosis_place.store("store.read_only")
    known = len(MIGRATIONS)
    if schema is None:
        if not may_make:
            return diagnosis_place.store("store.no_right", what="make a schema in the database")
        return diagnosis_place.schema(Schema(version=0, known=known))
    if not await connection.fetchval(_TABLE, schema, timeout=SECONDS):
        if await connection.fetchval(_OTHERS, schema, timeout=SECONDS):
            return diagnosis_place.store("store.foreign", f"the schema {schema} holds its tables")
        _, may = await connection.fetchrow(_MAY, schema, timeout=SECONDS)
        if not may:
            return diagnosis_place.store("store.no_right", what=f"make tables in {schema}")
        return diagnosis_place.schema(Schema(version=0, known=known))
    version = int(await connection.fetchval(_VERSION, timeout=SECONDS) or 0)
    if not await connection.fetchval(_MAY_WRITE, schema, timeout=SECONDS):
        return diagnosis_place.store("store.no_right", what=f"write to the tables of {schema}")
    return diagnosis_place.schema(Schema(version=version, known=known))


def _failed(error: BaseException) -> Seen:
    return diagnosis_place.store(_code(error), str(store_error(error)))


def _code(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return "store.untrusted"
    if isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched):
        return "store.read_only"
    state = str(getattr(error, "sqlstate", None) or "")
    codes = {"3D000": "store.no_database", "25006": "store.read_only"}
    if state in _REFUSED:
        return "store.refused"
    return codes.get(state, "store.unreachable")
