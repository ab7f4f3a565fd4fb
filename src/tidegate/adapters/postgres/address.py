"""Where the database is, and by what right and over what line it is spoken to.

The address carries no password: that comes from a password file, a client certificate or a
reference. A host that is not this machine is spoken to over TLS, its name checked against its
certificate, unless the address says otherwise.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tidegate.errors import StoreError

#: Where the tables are, unless the address has a `search_path`.
SCHEMA: Final = "tidegate"

_TLS_KEYS: Final[tuple[str, ...]] = ("sslmode", "sslrootcert", "sslcert", "sslkey")

# Milliseconds. Whatever stops half way, the server lets its locks go by itself.
# https://www.postgresql.org/docs/current/runtime-config-client.html
SESSION: Final = {
    "application_name": "tidegate",
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "10000",
    "jit": "off",  # statements here are short: compiling them costs more than running them
    "lock_timeout": "1000",
    "search_path": SCHEMA,
    "statement_timeout": "30000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A database, as `store.url` names it.

    Attributes:
        url: `postgresql://…`, without a password.
        folder: Where relative paths of certificates begin.
        password: Reads the password; with True anew, because the last one was refused. None
            leaves it to the password file, or the client certificate.
    """

    url: str
    folder: Path = Path()
    password: Callable[[bool], str] | None = field(default=None, repr=False)

    def arguments(self) -> Sequence[dict[str, Any]]:
        """Return what `asyncpg.connect` is told for each host, apart from the password.

        Raises:
            StoreError: A certificate cannot be read.
        """
        parts = urlsplit(self.url)
        query = dict(parse_qsl(parts.query))
        tls = {key: query.pop(key) for key in _TLS_KEYS if key in query}
        found: dict[str, Any] = {
            # what the address has beyond the usual are settings of the session
            "server_settings": {k: v for k, v in SESSION.items() if k not in query},
            "target_session_attrs": query.pop("target_session_attrs", "read-write"),
        }
        mode = tls.get("sslmode") or (None if self.is_local() else "verify-full")
        if mode == "verify-full":
            found["ssl"] = self._context(tls)
        else:
            query |= tls
        user, at, hosts = parts.netloc.rpartition("@")
        return [
            {**found, "dsn": parts._replace(netloc=each, query=urlencode(query)).geturl()}
            for each in (f"{user}{at}{host}" for host in hosts.split(","))
        ]

    def is_local(self) -> bool:
        """Tell whether all hosts are this machine."""
        return all(map(_is_local, self._hosts()))

    def _hosts(self) -> Sequence[str]:
        parts = urlsplit(self.url)
        given = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "")
        return [_host(each) for each in unquote(given).split(",")]

    def _context(self, tls: dict[str, str]) -> ssl.SSLContext:
        root = tls.get("sslrootcert", "system")
        try:
            context = ssl.create_default_context(
                cafile=None if root == "system" else self.folder / root
            )
            if "sslcert" in tls:
                key = tls.get("sslkey")
                context.load_cert_chain(
                    self.folder / tls["sslcert"], self.folder / key if key else None
                )
        except OSError as error:  # ssl.SSLError included
            what = error.strerror or "not PEM"
            raise StoreError(
                f"a certificate that store.url names cannot be read ({what})"
            ) from error
        return context


def _host(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority if authority.startswith("/") else authority.partition(":")[0]


def _is_local(host: str) -> bool:
    """Whether a host is loopback, or a socket in the file system."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
