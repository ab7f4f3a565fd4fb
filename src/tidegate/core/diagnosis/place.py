"""What stands beside the gateway: the store that it keeps runs in, and the malware scanner."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidegate.core.diagnosis.finding import Finding, Seen, Words, finding

#: A store that cannot grow refuses every click.
LEAST_FREE_BYTES: Final = 268_435_456
MIB: Final = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Where a store's file lies.

    Attributes:
        writable: The gateway may make and change files there.
        passing: It goes with its container.
        free_bytes: How much room there is.
    """

    writable: bool
    passing: bool = False
    free_bytes: int = LEAST_FREE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a store's tables are.

    Attributes:
        version: Theirs; 0 where there are none yet.
        known: The version that this program writes.
    """

    version: int
    known: int


WORDS: Final[Mapping[str, Words]] = {
    "store.not_writable": Words(
        what="the store's folder {folder} cannot be written to",
        why="a click that cannot be recorded is refused",
        mend="let the user that the gateway runs as write there, and to the files in it",
    ),
    "store.disk_passes": Words(
        what="{folder} is the container's own disk, which goes with it",
        why="what was acknowledged would be forgotten",
        mend="use a database, postgresql://HOST/DATABASE, or mount a volume there",
    ),
    "store.disk_full": Words(
        what="the store's disk has {free} MiB left",
        why="a click that cannot be recorded is refused",
        mend="make room, or lower store.retention_days",
    ),
    "store.newer": Words(
        what="the store is of version {version}, and this program knows {known}",
        why="a newer Tidegate wrote it",
        mend="run that version, or restore a backup that is older",
    ),
    "store.foreign": Words(
        what="the store is another program's: {reason}",
        why="it holds tables that are not Tidegate's",
        mend="correct store.url",
    ),
    "store.unreachable": Words(
        what="the database does not answer",
        why="{reason}",
        mend="look at its security group, its name, and whether it runs",
    ),
    "store.refused": Words(
        what="the database does not let the gateway in",
        why="{reason}",
        mend="correct the user in store.url and store.password",
    ),
    "store.untrusted": Words(
        what="the database does not prove who it is",
        why="{reason}",
        mend="name its authority in store.url: ?sslrootcert=FILE",
    ),
    "store.no_database": Words(
        what="there is no such database",
        why="{reason}",
        mend="create it with the gateway's user as its owner, or correct store.url",
    ),
    "store.no_right": Words(
        what="the gateway's user may not {what}",
        why="it needs a schema that is its own: clicks are recorded there",
        mend="make that user the schema's owner, or GRANT CREATE ON DATABASE to it",
    ),
    "store.file_unusable": Words(
        what="the store's file cannot be used",
        why="{reason}",
        mend="let the user that the gateway runs as read and write it and its folder, or correct "
        "store.url",
    ),
    "store.read_only": Words(
        what="the database takes no writes",
        why="it is a replica, or set to read only",
        mend="name the primary in store.url",
    ),
    "store.busy": Words(
        what="the store is locked by another program",
        why="it was not given free within two seconds; clicks would be refused meanwhile",
        mend="find out who holds it: a backup that copies the file, or a shell",
    ),
    "scanner.unreachable": Words(
        what="clamd does not answer at {address}",
        why="nothing can be checked, so nothing is shared from buckets that are checked by it",
        mend="start it, and let the gateway reach its socket or port",
    ),
    "scanner.limit": Words(
        what="clamd does not read objects of {size} MiB to their end, or does not say that",
        why="what it does not read it calls clean, so nothing is trusted to it",
        mend="set AlertExceedsMax yes, and StreamMaxLength, MaxFileSize and MaxScanSize to as much "
        "as is shared; or lower the bucket's max_bytes",
    ),
    "scanner.failed": Words(
        what="clamd gives no verdict",
        why="it breaks off, runs out of something, or is something else",
        mend="look at its log; try clamdscan at its place",
    ),
}


def disk(seen: Disk, *, folder: str) -> Seen:
    """Judge where a store's file lies."""
    found: list[Finding] = []
    if not seen.writable:
        found.append(finding(WORDS, "store.not_writable", folder=folder))
    if seen.passing:
        found.append(finding(WORDS, "store.disk_passes", folder=folder))
    if seen.free_bytes < LEAST_FREE_BYTES:
        free = seen.free_bytes // MIB
        found.append(finding(WORDS, "store.disk_full", free=free))
    return Seen(said=f"{folder}, {seen.free_bytes // MIB:,} MiB free", findings=tuple(found))


def schema(seen: Schema) -> Seen:
    """Judge the version of a store's tables."""
    if seen.version > seen.known:
        one = finding(WORDS, "store.newer", version=seen.version, known=seen.known)
        return Seen(findings=(one,))
    if seen.version == 0:
        return Seen(said="none yet: made at the first start")
    later = "" if seen.version == seen.known else f", brought to {seen.known} at the next start"
    return Seen(said=f"version {seen.version}{later}")


def store(code: str, reason: str = "", *, what: str = "") -> Seen:
    """Return the finding of a store that cannot be used; *code* is one of `store.…`."""
    return Seen(findings=(finding(WORDS, code, reason=reason, what=what),))


def scanner(code: str, *, address: str, size: int) -> Seen:
    """Judge a scanner; *code* is `ScannerError`'s, empty where it is fit for objects of *size*."""
    if not code:
        return Seen(said=f"{address}, reads {max(1, size // MIB)} MiB to the end")
    name = code.replace("scanner_", "scanner.")
    one = finding(WORDS, name, address=address, size=max(1, size // MIB))
    return Seen(findings=(one,))
