"""A real PostgreSQL server on loopback, with a schema of its own for each test that asks."""

import asyncio
import atexit
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg

from tests.ports import free_port

ROOT: Final = Path(__file__).parents[2]
USER: Final = "tidegate"
PASSWORD: Final = "let me in"
START_SECONDS: Final = 30.0

# What makes tests quick is off; a killed process loses nothing by it, only a machine would.
SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "10s",
    "log_min_messages": "fatal",
}


class Server:
    """A server that can be stopped, killed and started again over the same data.

    Attributes:
        port: Where it listens on 127.0.0.1.
        folder: Where its data is.
    """

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-postgres-"))
        self.folder.chmod(0o711)
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.port = free_port()
        self.settings = {**SETTINGS, **settings}
        self.process: subprocess.Popen[bytes] | None = None
        self._programs = _programs()
        self._owner = _owner()
        self.data.mkdir(mode=0o700)
        if self._owner:
            shutil.chown(self.data, **{k: v for k, v in self._owner.items() if k != "extra_groups"})
        self._initialise()

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def schema_url(self, name: str | None = None, **query: str) -> str:
        """The address of a schema that nobody else has."""
        name = name or f"t_{uuid.uuid4().hex[:12]}"
        return f"{self.url}?{urlencode({'search_path': name, **query})}"

    def _initialise(self) -> None:
        command: list[str | Path] = [
            "--pgdata",
            self.data,
            "--username",
            USER,
            "--auth",
            "trust",
            "--no-sync",
        ]
        made = subprocess.run(
            [self._programs / "initdb", *command, "--encoding", "UTF8", "--locale", "C"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **self._owner,
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def start(self) -> "Server":
        """Start it, and return once it takes connections."""
        settings: Mapping[str, str] = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self.settings,
        }
        options = [f"--{key}={value}" for key, value in settings.items()]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                **self._owner,
            )
        self._wait()
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends sessions, SIGQUIT crashes, as a failover does."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def guard(self, authority: Path, proof: Path) -> None:
        """Start as a server that proves itself, and lets nobody in without a proof.

        Args:
            authority: The certificate of whom clients' certificates are to be from.
            proof: Its own certificate and key.
        """
        for file, name in ((authority, "authority.pem"), (proof, "proof.pem")):
            shutil.copy(file, self.data / name)
            (self.data / name).chmod(0o600)
            if self._owner:
                os.chown(self.data / name, self._owner["user"], self._owner["group"])
        names = {"ssl_cert_file": "proof.pem", "ssl_key_file": "proof.pem"}
        self.settings |= {"ssl": "on", "ssl_ca_file": "authority.pem", **names}
        self.start()
        self.ask(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")
        self.ask("CREATE ROLE certified LOGIN SUPERUSER")
        rules = "hostssl all certified all cert\nhost all all all scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(rules)
        self.stop()
        self.start()

    def copy_of(self, other: "Server") -> None:
        """Become a standby of another server, which is stopped just now."""
        subprocess.run(["cp", "-a", other.data, self.data], check=True)
        for name in ("postmaster.pid", "postmaster.opts"):
            (self.data / name).unlink(missing_ok=True)
        (self.data / "standby.signal").touch()

    def wait_for(self, primary: "Server") -> None:
        """Wait until this standby has all that the primary has."""
        (last,) = primary.ask("SELECT pg_current_wal_flush_lsn()::text")
        end = time.monotonic() + START_SECONDS
        while not self.ask(f"SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{last}'"):
            assert time.monotonic() < end, self.log.read_text(errors="replace")
            time.sleep(0.02)

    def promote(self) -> None:
        """Have this standby take writes."""
        self.ask("SELECT pg_promote()")

    def ask(self, sql: str) -> list[str]:
        """Return the first column of what a statement returns, as text."""

        async def fetch() -> list[str]:
            connection = await asyncpg.connect(self.url)
            try:
                return [str(row[0]) for row in await connection.fetch(sql)]
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def remove(self) -> None:
        """Stop it, and leave nothing behind."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        """Wait until its own file says that it is ready."""
        status = self.data / "postmaster.pid"
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text(errors="replace")
            lines = status.read_text().splitlines() if status.exists() else []
            if len(lines) >= 8 and lines[7].strip() == "ready" and lines[0] == str(self._pid()):
                return
            time.sleep(0.02)
        raise AssertionError("PostgreSQL did not start:\n" + self.log.read_text(errors="replace"))

    def _pid(self) -> int:
        assert self.process is not None
        return self.process.pid


@functools.cache
def shared() -> Server:
    """One server for all tests of this process; it ends with it."""
    server = Server().start()
    atexit.register(server.remove)
    return server


@functools.cache
def _programs() -> Path:
    found = subprocess.run(
        [ROOT / "scripts" / "postgres"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    return Path(found.stdout.strip())


def _owner() -> dict[str, Any]:
    """Who it runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        none: Sequence[int] = ()
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": none}
    raise AssertionError("PostgreSQL does not run as root, and there is no user `nobody`")
