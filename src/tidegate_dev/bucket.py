"""The bucket that the gateway shares from: its folder, and what lies in it now."""

import mimetypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tidegate_dev.configuration import ALIAS
from tidegate_dev.objects import ObjectChange, write_seed
from tidegate_dev.objects.seed import BUCKET
from tidegate_dev.objects.versions import Version

Json = dict[str, Any]

MOST_SHOWN: Final = 300
_STATE: Final = ".s3"
_UNKNOWN_TYPE: Final = "binary/octet-stream"
# By name alone, and the same on every machine, as S3's end does it.
_TYPES: Final = mimetypes.MimeTypes()


class FolderRefusedError(Exception):
    """A folder cannot hold the bucket; the text says why, and what to name instead."""


def prepare(root: Path) -> Path:
    """Return the bucket's folder below *root*, with the seed in it; what is there stays.

    Every folder in *root* would be a bucket, and be copied, so there may be no other.

    Raises:
        FolderRefusedError: *root* holds other things, or cannot be written to.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        others = sorted({path.name for path in root.iterdir()} - {BUCKET, _STATE})
        if others:
            raise FolderRefusedError(
                f"{root} holds other things, such as {others[0]}. Name a folder that is empty or "
                "does not exist yet; the bucket will be a folder in it"
            )
        return write_seed(root)
    except OSError as error:
        raise FolderRefusedError(f"{root} cannot hold the bucket: {error.strerror}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One object as it is now."""

    key: str
    size: int
    type: str
    version_id: str
    at: float
    sequencer: str

    def as_json(self) -> Json:
        """Return the object as the page takes it."""
        return {
            "key": self.key,
            "size": self.size,
            "type": self.type,
            "version": self.version_id,
            "at": self.at,
        }


class Listing:
    """The objects of the bucket, kept up to date by the changes that S3 tells of.

    *clamd* is the address of the clamd that scans them; None for the workspace's own scanner.
    """

    def __init__(self, *, on_change: Callable[[], None], clamd: str | None = None) -> None:
        self.folder: Path | None = None
        self._clamd = clamd
        self._items: dict[str, Item] = {}
        self._on_change = on_change

    def find(self, key: str) -> Item | None:
        """Return the object with this key, or None."""
        return self._items.get(key)

    def begin(self, folder: Path, versions: Iterable[Version]) -> None:
        """*versions* were there at the start, unless something newer is known by now."""
        self.folder = folder
        for version in versions:
            known = self._items.get(version.key)
            if known is None or known.sequencer < version.sequencer:
                self._items[version.key] = Item(
                    key=version.key,
                    size=version.size,
                    type=version.headers.get("content-type", _UNKNOWN_TYPE),
                    version_id=version.id,
                    at=version.modified,
                    sequencer=version.sequencer,
                )
        self._on_change()

    def changed(self, change: ObjectChange) -> None:
        """An object is new, changed or gone."""
        if change.bucket != BUCKET:
            return
        if change.kind == "removed":
            self._items.pop(change.key, None)
        else:
            self._items[change.key] = Item(
                key=change.key,
                size=change.size,
                type=_TYPES.guess_type(change.key)[0] or _UNKNOWN_TYPE,
                version_id=change.version_id,
                at=change.at,
                sequencer=change.sequencer,
            )
        self._on_change()

    def as_json(self) -> Json:
        """Return the bucket as the page takes it: the objects by key, as many as can be shown."""
        keys = sorted(self._items)
        return {
            "name": BUCKET,
            "alias": ALIAS,
            "clamd": self._clamd or "",
            "folder": "" if self.folder is None else str(self.folder),
            "count": len(keys),
            "objects": [self._items[key].as_json() for key in keys[:MOST_SHOWN]],
        }
