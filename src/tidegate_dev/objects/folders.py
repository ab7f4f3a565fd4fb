"""A folder that nothing leads out of.

Every step into it is taken from an open folder to a name inside, and none over a symbolic link:
whatever a link points at, and whenever it appears, what is outside is neither read nor written.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tidegate_dev.objects.names import Place

_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe that someone left there must not be waited for.
_OPEN_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_HERE: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMark:
    """What tells one state of a file from the next."""

    place: Place
    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, place: Place, found: os.stat_result) -> Self:
        """Return the mark of the file at *place*."""
        return cls(
            place=place,
            size=found.st_size,
            modified_ns=found.st_mtime_ns,
            changed_ns=found.st_ctime_ns,
            inode=found.st_ino,
        )


class BlockedError(OSError):
    """Something that is no folder, or no file, stands where one is needed."""


class Folder:
    """A folder on disk; places in it are tuples of names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self, place: Place) -> FileMark | None:
        """Return the mark of the regular file at *place*, if there is one."""
        with self._parent(place) as parent:
            if parent is None:
                return None
            try:
                found = os.stat(place[-1], dir_fd=parent, follow_symlinks=False)
            except OSError as error:
                _raise_unless_not_here(error)
                return None
        return FileMark.of(place, found) if stat.S_ISREG(found.st_mode) else None

    def open(self, place: Place) -> int | None:
        """Return a descriptor to read the regular file at *place*, if there is one."""
        with self._parent(place) as parent:
            if parent is None:
                return None
            try:
                file = os.open(place[-1], _OPEN_FILE, dir_fd=parent)
            except OSError as error:
                _raise_unless_not_here(error)
                return None
        if stat.S_ISREG(os.fstat(file).st_mode):
            return file
        os.close(file)
        return None

    def move_in(self, path: Path, place: Place) -> FileMark:
        """The file *path*, of the same file system, is at *place*; return its mark.

        Raises:
            BlockedError: A file stands where a folder is needed, or the other way round.
        """
        try:
            with self._parent(place, create=True) as parent:
                os.rename(path, place[-1], dst_dir_fd=parent)
                found = os.stat(place[-1], dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG):
                raise BlockedError("/".join(place)[:80]) from error
            raise
        return FileMark.of(place, found)

    def remove(self, place: Place) -> None:
        """There is no file at *place*, nor a folder that held only that."""
        with self._parent(place) as parent:
            if parent is None:
                return
            with contextlib.suppress(OSError):
                os.unlink(place[-1], dir_fd=parent)
        for depth in range(len(place) - 1, 0, -1):
            with self._parent(place[:depth]) as parent:
                try:
                    os.rmdir(place[depth - 1], dir_fd=parent)
                except OSError:
                    return

    def marks(self) -> Iterator[FileMark]:
        """Yield the mark of every regular file below, in no order."""
        waiting: list[Place] = [()]
        while waiting:
            place = waiting.pop()
            with self._parent((*place, "")) as folder:
                if folder is None:
                    continue
                with os.scandir(folder) as entries:
                    for entry in entries:
                        inner = (*place, entry.name)
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(inner)
                        elif entry.is_file(follow_symlinks=False):
                            with contextlib.suppress(FileNotFoundError):
                                yield FileMark.of(inner, entry.stat(follow_symlinks=False))

    @contextlib.contextmanager
    def _parent(self, place: Place, *, create: bool = False) -> Iterator[int | None]:
        """Give the folder that *place* is in, or None if there is none."""
        try:
            folder = self._walk(place[:-1], create=create)
        except OSError as error:
            if create:
                raise
            _raise_unless_not_here(error)
            yield None
            return
        try:
            yield folder
        finally:
            os.close(folder)

    def _walk(self, names: Place, *, create: bool) -> int:
        folder = os.open(self.path, _OPEN_FOLDER)
        for name in names:
            try:
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=folder)
                below = os.open(name, _OPEN_FOLDER, dir_fd=folder)
            finally:
                os.close(folder)
            folder = below
        return folder


def _raise_unless_not_here(error: OSError) -> None:
    if error.errno not in _NOT_HERE:
        raise error
