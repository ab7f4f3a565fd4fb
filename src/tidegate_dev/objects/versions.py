"""The versions of a bucket's objects, and the journal that brings them back after a restart."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tidegate_dev.objects.folders import FileMark

NULL_VERSION: Final = "null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of one object, or a delete marker.

    Attributes:
        blob: The name of its content; empty for a delete marker.
        etag: Without quotes.
        modified: When it was uploaded, in seconds since the epoch.
        headers: As they are sent with it; names in lower case.
        checksum: The algorithm's name and the sum in base64.
        sequencer: Grows from change to change.
        file: The file in the bucket's folder that it was made from, or that it was written to.
    """

    key: str
    id: str
    blob: str = ""
    size: int = 0
    etag: str = ""
    modified: float
    headers: Mapping[str, str] = field(default_factory=dict)
    checksum: tuple[str, str] | None = None
    tags: tuple[tuple[str, str], ...] = ()
    sequencer: str
    file: FileMark | None = None

    @property
    def is_marker(self) -> bool:
        """Whether it says that the object was deleted."""
        return not self.blob


class Versions:
    """All versions of a bucket's objects in memory, each change journalled before it counts."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._by_key: dict[str, list[Version]] = {}
        self._sorted: list[str] | None = []
        self.last_sequence = 0
        for record in _records(journal):
            self._apply(record)

    def current(self, key: str) -> Version | None:
        """Return the latest version, which may be a delete marker."""
        versions = self._by_key.get(key)
        return versions[-1] if versions else None

    def of(self, key: str) -> tuple[Version, ...]:
        """Return the versions of one key, newest first."""
        return tuple(reversed(self._by_key.get(key, ())))

    def find(self, key: str, version_id: str) -> Version | None:
        """Return one version."""
        return next((v for v in self._by_key.get(key, ()) if v.id == version_id), None)

    def in_order(self) -> list[str]:
        """Return every key that has a version, in the order of its bytes. Not to be changed."""
        if self._sorted is None:
            # By code point, which is by UTF-8 byte as well.
            self._sorted = sorted(self._by_key)
        return self._sorted

    def blobs(self) -> set[str]:
        """Return the names of all contents."""
        return {v.blob for versions in self._by_key.values() for v in versions if v.blob}

    def add(self, version: Version) -> None:
        """*version* is the latest of its key."""
        self._write({"add": asdict(version)})

    def amend(self, version: Version, **changes: Any) -> Version:
        """Return the version with *changes*, which it has from now on."""
        amended = replace(version, **changes)
        self._write({"amend": asdict(amended)})
        return amended

    def drop(self, version: Version) -> None:
        """The version does not exist any more."""
        self._write({"drop": [version.key, version.id]})

    def new_id(self, key: str, state: str) -> str:
        """Return the id of a content's state: the same for the same, unless that is taken."""
        for times in range(len(self._by_key.get(key, ())) + 1):
            digest = hashlib.sha256(f"{key}\0{state}\0{times}".encode()).hexdigest()[:32]
            if self.find(key, digest) is None:
                return digest
        raise AssertionError("as many ids are taken as there are versions")

    def _write(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":"), ensure_ascii=True)
        with self._journal.open("a", encoding="ascii") as file:
            file.write(line + "\n")
        self._apply(json.loads(line))

    def _apply(self, record: dict[str, Any]) -> None:
        if "drop" in record:
            key, version_id = record["drop"]
            kept = [v for v in self._by_key.get(key, ()) if v.id != version_id]
            self._by_key[key] = kept
            if not kept:
                del self._by_key[key]
                self._sorted = None
            return
        version = _version(record.get("add") or record["amend"])
        if version.key not in self._by_key:
            self._sorted = None
        versions = self._by_key.setdefault(version.key, [])
        self.last_sequence = max(self.last_sequence, int(version.sequencer, 16))
        if "add" in record:
            versions.append(version)
        else:
            versions[:] = [version if v.id == version.id else v for v in versions]


def _records(journal: Path) -> Iterator[dict[str, Any]]:
    if not journal.exists():
        return
    whole = 0
    with journal.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                whole += len(line)
                yield json.loads(line)
    os.truncate(journal, whole)  # the last line may have been cut short


def _version(record: dict[str, Any]) -> Version:
    mark, checksum = record["file"], record["checksum"]
    return Version(
        **{
            **record,
            "checksum": tuple(checksum) if checksum else None,
            "tags": tuple((key, value) for key, value in record["tags"]),
            "file": FileMark(**{**mark, "place": tuple(mark["place"])}) if mark else None,
        }
    )
