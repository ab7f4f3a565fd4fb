"""What can be wrong with the store."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.entry.doctor.faults.fault import (
    Config,
    During,
    Fault,
    changed,
    well,
)
from tests.far_ends.live import Live
from tests.ports import free_port


def stored(make: Callable[[str], None]) -> During:
    """A store's file that is not as it has to be."""

    @asynccontextmanager
    async def during(live: Live, config: Config) -> AsyncIterator[None]:
        file = live.folder / f"store-{live.made}.db"
        make(str(file))
        config["store"]["url"] = f"sqlite:///{file}"
        yield

    return during


def _newer(file: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE runs (id TEXT)")
        connection.execute("PRAGMA application_id = 0x54474154")
        connection.execute("PRAGMA user_version = 99")
        connection.commit()


def _foreign(file: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE somebody (id TEXT)")
        connection.commit()


def _no_database(file: str) -> None:
    with open(file, "w") as stream:  # noqa: PTH123
        stream.write("this is no database, and long enough for one to be told from" * 20)


@asynccontextmanager
async def locked(live: Live, config: Config) -> AsyncIterator[None]:
    file = live.folder / "locked.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA application_id = 0x54474154")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        config["store"]["url"] = f"sqlite:///{file}"
        yield


@asynccontextmanager
async def no_folder(live: Live, config: Config) -> AsyncIterator[None]:
    file = live.folder / "a-file"
    file.write_text("")
    config["store"]["url"] = f"sqlite:///{file}/tidegate.db"
    yield


STORE = [
    Fault(name="the store is newer", codes={"store.newer"}, during=stored(_newer)),
    Fault(name="the store is another's", codes={"store.foreign"}, during=stored(_foreign)),
    Fault(
        name="the store is no database",
        codes={"store.file_unusable"},
        during=stored(_no_database),
    ),
    Fault(name="the store is locked", codes={"store.busy"}, during=locked),
    Fault(
        name="the store's folder cannot be written",
        codes={"store.not_writable"},
        during=no_folder,
    ),
    Fault(
        name="the store goes with its container",
        codes={"store.disk_passes"},
        during=well(),
        environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
    ),
    Fault(
        name="the database does not answer",
        codes={"store.unreachable"},
        during=changed(
            lambda config: config["store"].update(
                url=f"postgresql://tidegate@127.0.0.1:{free_port()}/tidegate"
            )
        ),
    ),
]
