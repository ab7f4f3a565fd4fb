"""Which store the configuration names, and whether it can be trusted to last."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.adapters.clock import SystemClock
from tidegate.adapters.secrets import SecretReader
from tidegate.adapters.sqlite import SqliteStore
from tidegate.core import plan
from tidegate.core.settings import SecretRef, Settings, sqlite_path
from tidegate.errors import ConfigError, Problem, SecretError, StoreError
from tidegate.ports import Store

if TYPE_CHECKING:
    from tidegate.adapters.postgres import Address

#: Set in every container that ECS starts.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html
ECS: Final = "ECS_CONTAINER_METADATA_URI_V4"

_MOUNTS: Final = Path("/proc/self/mountinfo")
_PASSING: Final = frozenset({"tmpfs", "ramfs", "overlay"})  # kinds of file systems


def is_sqlite(settings: Settings) -> bool:
    """Tell whether runs live in a file."""
    return settings.store.url.startswith("sqlite:")


def store_path(settings: Settings, folder: Path) -> Path:
    """Return the file that runs live in."""
    return Path(sqlite_path(settings.store.url, str(folder)))


async def open_store(
    settings: Settings,
    *,
    folder: Path,
    secrets: SecretReader,
    changed: Callable[[], None] | None,
    existing: bool,
) -> Store:
    """Open the store that the configuration names. See `wiring.open_store`."""
    if not is_sqlite(settings):
        return await _open_postgres(settings, folder, secrets, changed, existing)
    path = store_path(settings, folder)
    if existing and not path.exists():
        raise StoreError(f"there is no store at {path} yet; is store.url right?")
    make_folder(path.parent)
    return await SqliteStore.open(
        str(path),
        clock=SystemClock(),
        retention_days=settings.store.retention_days,
        button_days=plan.oldest_button_days(settings),
        on_change=changed,
    )


def address(settings: Settings, folder: Path, secrets: SecretReader) -> "Address":
    """Return where the database is. Raises `ConfigError`."""
    try:  # only who has a database needs its driver
        from tidegate.adapters.postgres import Address
    except ImportError:
        mend = "install it: pip install 'tidegate[postgres]'"
        raise _refused("a PostgreSQL store needs asyncpg, which is not installed", mend) from None
    ref = settings.store.password
    password = None if ref is None else partial(_password, secrets, ref)
    return Address(url=settings.store.url, folder=folder, password=password)


async def _open_postgres(
    settings: Settings,
    folder: Path,
    secrets: SecretReader,
    changed: Callable[[], None] | None,
    existing: bool,
) -> Store:
    there = address(settings, folder, secrets)
    from tidegate.adapters.postgres import PostgresStore

    return await PostgresStore.open(
        there,
        clock=SystemClock(),
        retention_days=settings.store.retention_days,
        button_days=plan.oldest_button_days(settings),
        on_change=changed,
        existing=existing,
    )


def _password(secrets: SecretReader, ref: SecretRef, anew: bool) -> str:
    """Return the database user's password; *anew* if the last one was refused."""
    try:
        return secrets.read_anew(ref) if anew else secrets.read(ref)
    except SecretError as error:
        raise StoreError(f"store.password cannot be read: {error}") from None


def make_folder(folder: Path) -> None:
    """Make the store's folder. Raises `ConfigError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        what = f"the folder {folder} cannot be made: {error.strerror}"
        raise _refused(what, "make it, and let Tidegate write there") from None


def refuse_passing_disk(settings: Settings, folder: Path, environ: Mapping[str, str]) -> None:
    """Refuse a file that goes with its container: what was acknowledged would go with it.

    Raises:
        ConfigError: This is ECS, and the store's folder is on no volume.
    """
    if ECS not in environ or not is_sqlite(settings):
        return
    path = store_path(settings, folder)
    if not on_a_volume(path.parent):
        raise _refused(
            f"{path.parent} is the container's own disk, which ECS throws away with the task",
            "use a database, postgresql://HOST/DATABASE, or mount a volume (EFS) there",
        )


def on_a_volume(folder: Path) -> bool:
    """Tell whether a folder lasts longer than the container that this process runs in."""
    try:
        mounts = _MOUNTS.read_text("utf-8", errors="replace")
    except OSError:
        mounts = ""
    return lasts(folder, mounts)


def lasts(folder: Path, mounts: str) -> bool:
    """Tell whether a folder is on a mount of its own that is no part of the container.

    Args:
        folder: An absolute path; it need not be there.
        mounts: As /proc/self/mountinfo has them.
            https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    """
    kinds: dict[Path, str] = {}
    for line in mounts.splitlines():
        fields, _, kind = line.partition(" - ")
        if kind and len(fields.split()) >= 5:
            place = fields.split()[4].replace("\\040", " ")
            kinds[Path(place)] = kind.split()[0]
    real = folder.resolve()
    nearest = next((each for each in (real, *real.parents) if each in kinds), Path("/"))
    return nearest != Path("/") and kinds[nearest] not in _PASSING


def _refused(what: str, mend: str) -> ConfigError:
    return ConfigError((Problem(line=None, column=None, key="store.url", what=what, mend=mend),))
