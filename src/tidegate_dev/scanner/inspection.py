"""What is found in a file: the EICAR test file, alone or in archives, however deep.

A file is looked at while it comes, and next to nothing of it is kept. As with clamd, what lies
beyond a limit was not looked at, and is called clean unless `alert` is on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tidegate_dev.objects.seed import eicar
from tidegate_dev.scanner import archives
from tidegate_dev.scanner.archives import Members
from tidegate_dev.scanner.inflow import Inflow, Waiting

GIB: Final = 1 << 30
EICAR: Final = eicar()

_Is = Callable[[bytes], bool]
_Read = Callable[[Inflow, Members], Waiting[None]]
_ARCHIVES: Final[tuple[tuple[_Is, _Read], ...]] = (
    (archives.is_gzip, archives.gzip),
    (archives.is_tar, archives.tar),
    (archives.is_zip, archives.zipped),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is looked at; each has its name in clamd.conf.

    Attributes:
        stream_bytes: Longer streams are hung up on (StreamMaxLength).
        file_bytes: Larger files and members are not looked at (MaxFileSize).
        scan_bytes: No more than this is looked at, archives and what is in them (MaxScanSize).
        depth: Archives in archives are opened so deep (MaxRecursion).
        alert: What was not looked at is told as a finding (AlertExceedsMax).
    """

    stream_bytes: int = GIB
    file_bytes: int = GIB
    scan_bytes: int = 4 * GIB
    depth: int = 17
    alert: bool = True


class Verdict(Enum):
    """What came of an inspection."""

    CLEAN = auto()
    FOUND = auto()
    EXCEEDED = auto()


class _EnoughError(Exception):
    """More is not looked at."""


class Inspection:
    """Looks at one file."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.exceeded = False
        self._left = limits.scan_bytes
        self._file = _File(self, None, depth=0)

    def feed(self, piece: bytes) -> None:
        """Look at what comes next."""
        try:
            self._file.feed(piece)
        except _EnoughError:
            self._file.close()

    def verdict(self) -> Verdict:
        """Return what was found in all that came."""
        try:
            self._file.end()
        except _EnoughError:
            self._file.close()
        if self._file.found:
            return Verdict.FOUND
        return Verdict.EXCEEDED if self.exceeded else Verdict.CLEAN

    def spend(self, size: int) -> None:
        """So many bytes more are to be looked at. Raises `_EnoughError`."""
        self._left -= size
        if self._left < 0:
            self.stop()

    def stop(self) -> None:
        """A limit is reached. Raises `_EnoughError`."""
        self.exceeded = True
        raise _EnoughError


class _File:
    """One file, or one member of an archive.

    Attributes:
        found: It is, or holds, the test file.
    """

    def __init__(self, inspection: Inspection, outer: "_File | None", *, depth: int) -> None:
        self.found = False
        self._inspection = inspection
        self._outer = outer
        self._depth = depth
        self._size = 0
        self._inflow = Inflow()
        self._reader: Waiting[None] | None = self._read()

    def begin(self) -> "_File":
        """Return the next file in this archive."""
        if self._depth >= self._inspection.limits.depth:
            self._inspection.stop()
        return _File(self._inspection, self, depth=self._depth + 1)

    def feed(self, piece: bytes) -> None:
        """Look at what comes next."""
        self._size += len(piece)
        self._inspection.spend(len(piece))  # to unpack what nobody looks at takes its time too
        if self._reader is None:
            return
        if self._size > self._inspection.limits.file_bytes:
            self.close()
            return
        self._inflow.add(piece)
        self._go_on(self._reader)

    def end(self) -> None:
        """All of it has come; the archive that it lies in has what was found."""
        self._inflow.end()
        if self._reader is not None:
            self._go_on(self._reader)
        if self._size > self._inspection.limits.file_bytes:
            self.found, self._inspection.exceeded = False, True
        if self.found and self._outer is not None:
            self._outer.found = True

    def close(self) -> None:
        """No more of it is looked at, and nothing kept."""
        self._reader = None
        self._inflow = Inflow()

    def _go_on(self, reader: Waiting[None]) -> None:
        try:
            next(reader)
        except StopIteration:
            self.close()

    def _read(self) -> Waiting[None]:
        head = yield from self._inflow.peek(archives.TAR_BLOCK)
        self.found = head.startswith(EICAR)
        for fits, read in _ARCHIVES:
            if fits(head):
                yield from read(self._inflow, self)
                return
