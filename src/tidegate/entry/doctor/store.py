"""Builds the look at the store, and at the key that signs who clicked."""

import asyncio
import os
import shutil
from functools import partial
from pathlib import Path

from tidegate.adapters.identity import IdentitySigner
from tidegate.app.doctor import place as doctor_place
from tidegate.app.doctor.keys import key_unusable
from tidegate.app.doctor.pathway import IDENTITY
from tidegate.app.doctor.walk import Step
from tidegate.core.diagnosis import place as diagnosis_place
from tidegate.core.diagnosis.finding import Seen
from tidegate.core.diagnosis.place import Disk
from tidegate.entry import store_wiring
from tidegate.entry.doctor.bench import Bench
from tidegate.errors import ConfigError, SecretError

#: Set in every container that Kubernetes starts.
#: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
KUBERNETES = "KUBERNETES_SERVICE_HOST"


def look_at_store(bench: Bench) -> tuple[Step, ...]:
    """Return the look at where runs live."""
    if not store_wiring.is_sqlite(bench.settings):
        return doctor_place.store_steps(disk=None, schema=partial(_database, bench))
    path = store_wiring.store_path(bench.settings, bench.configuration.folder)
    contained = store_wiring.ECS in bench.environ or KUBERNETES in bench.environ
    return doctor_place.store_steps(
        disk=partial(_disk, path, contained=contained), schema=partial(_file, path)
    )


async def _database(bench: Bench) -> Seen:
    try:
        address = store_wiring.address(
            bench.settings, bench.configuration.folder, bench.configuration.secrets
        )
    except ConfigError as error:
        return diagnosis_place.store("store.unreachable", error.problems[0].what)
    from tidegate.adapters.postgres.look import look  # only who has a database needs its driver

    return await look(address)


async def _file(path: Path) -> Seen:
    from tidegate.adapters.sqlite.look import look

    return await asyncio.to_thread(look, path)


def _disk(path: Path, *, contained: bool) -> Seen:
    """Look at where a store's file lies, or will lie; nothing is made there."""
    folder = path.parent
    there = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    if path.exists():
        writable = writable and os.access(path, os.R_OK | os.W_OK)
    disk = Disk(
        writable=writable,
        passing=contained and not store_wiring.on_a_volume(folder),
        free_bytes=shutil.disk_usage(there).free,
    )
    return diagnosis_place.disk(disk, folder=str(folder))


def identity_step(bench: Bench) -> Step:
    """Return the look at the key; none is made."""

    async def look() -> Seen:
        try:
            found = signer(bench)
        except SecretError as error:
            return key_unusable(error)
        if found is None:
            return Seen(untold="it is made beside the store at the first start")
        kid = found.jwks()["keys"][0]["kid"]
        return Seen(said=f"key {kid}")

    return Step(path=IDENTITY, title="the key that signs who clicked", look=look)


def signer(bench: Bench) -> IdentitySigner | None:
    """Return the signer of `Tidegate-Identity`; None where its key is yet to be made.

    Raises:
        SecretError: The key cannot be read or used.
    """
    ref = bench.settings.identity.signing_key
    if ref is not None:
        return IdentitySigner(bench.configuration.secrets.read(ref).encode())
    path = store_wiring.store_path(bench.settings, bench.configuration.folder)
    file = path.with_name(f"{path.name}.identity.pem")
    try:
        return IdentitySigner(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SecretError(f"{file.name} cannot be read: {error.strerror}") from error
