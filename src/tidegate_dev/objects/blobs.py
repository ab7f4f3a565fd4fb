"""Contents of objects, kept aside: written once and never changed.

So what is served is what was hashed, whatever happens to the file in the folder meanwhile.
"""

import contextlib
import os
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidegate_dev.objects.checksums import ALGORITHMS

CHUNK_BYTES: Final = 1024 * 1024
_ALWAYS: Final = frozenset({"md5", "crc32"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Some content.

    Attributes:
        sums: Checksums by algorithm; `md5` and `crc32` are always there.
    """

    name: str
    size: int
    sums: Mapping[str, bytes]

    @property
    def etag(self) -> str:
        """Return the ETag of an object that was uploaded in one piece, without quotes."""
        return self.sums["md5"].hex()


class BlobWriter:
    """Content on its way in; it becomes a blob, or is discarded."""

    def __init__(self, path: Path, algorithms: Collection[str] = ()) -> None:
        self.size = 0
        self._path = path
        self._file = path.open("xb", buffering=0)
        self._sums = {name: ALGORITHMS[name]() for name in _ALWAYS.union(algorithms)}

    def write(self, data: bytes) -> None:
        """*data* is part of the content."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]
        self.size += len(data)
        for running in self._sums.values():
            running.update(data)

    def finish(self) -> Blob:
        """Return the blob."""
        self._file.close()
        sums = {name: running.digest() for name, running in self._sums.items()}
        return Blob(name=self._path.name, size=self.size, sums=sums)

    def discard(self) -> None:
        """Nothing of it is left."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class Blobs:
    """The contents of one bucket's versions, in a folder outside the bucket's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def writer(self, algorithms: Collection[str] = ()) -> BlobWriter:
        """Return where new content is written to."""
        return BlobWriter(self._folder / secrets.token_hex(16), algorithms)

    def copy_in(self, file: int) -> Blob:
        """Return a blob of what the descriptor *file* reads."""
        writer = self.writer()
        try:
            while data := os.read(file, CHUNK_BYTES):
                writer.write(data)
        except BaseException:
            writer.discard()
            raise
        return writer.finish()

    def copy_out(self, name: str) -> Path:
        """Return a new file beside the blobs that holds what blob *name* holds."""
        path = self._folder / f"{secrets.token_hex(16)}.out"
        try:
            with (self._folder / name).open("rb") as source, path.open("xb") as target:
                _copy(source.fileno(), target.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def open(self, name: str) -> int:
        """Return a descriptor that reads blob *name*, even if it is dropped meanwhile."""
        return os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)

    def drop(self, name: str) -> None:
        """Blob *name* is gone."""
        (self._folder / name).unlink(missing_ok=True)

    def keep_only(self, names: Collection[str]) -> None:
        """Nothing else is left, such as what an interrupted upload had written."""
        for path in self._folder.iterdir():
            if path.name not in names:
                path.unlink(missing_ok=True)

    def __contains__(self, name: str) -> bool:
        """Return whether there is a blob of that name."""
        return (self._folder / name).is_file()


def _copy(source: int, target: int) -> None:
    """Copy in the kernel; on some file systems the copy then takes no room of its own."""
    with contextlib.suppress(OSError):
        while os.copy_file_range(source, target, 1 << 30):
            pass
        return
    while data := os.read(source, CHUNK_BYTES):
        os.write(target, data)
