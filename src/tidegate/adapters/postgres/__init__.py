"""Runs in a PostgreSQL database: the `Store` port for many gateways and many workers."""

from tidegate.adapters.postgres.address import Address
from tidegate.adapters.postgres.store import PostgresStore

__all__ = ["Address", "PostgresStore"]
