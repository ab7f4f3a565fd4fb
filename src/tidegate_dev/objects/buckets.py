"""A bucket: a folder on disk, and every version of what was ever in it.

A file that appears, changes or goes in the folder is an upload or a deletion. It is noticed when
its key is asked for, when the bucket is listed, and when the folder is looked through.
"""

import mimetypes
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from tidegate_dev.objects.blobs import Blob, Blobs, BlobWriter
from tidegate_dev.objects.changes import Kind, ObjectChange
from tidegate_dev.objects.checksums import encoded
from tidegate_dev.objects.errors import S3Error
from tidegate_dev.objects.folders import BlockedError, FileMark, Folder
from tidegate_dev.objects.names import ENCODED, Place, encoded_place, key_at, plain_place
from tidegate_dev.objects.versions import NULL_VERSION, Version, Versions

Condition = Callable[[Version | None], None]
Tags = tuple[tuple[str, str], ...]

QUIET_SECONDS: Final = 0.25
_PUT: Final = "ObjectCreated:Put"
_MARKED: Final = "ObjectRemoved:DeleteMarkerCreated"
_REMOVED: Final = "ObjectRemoved:Delete"
_COPY_TRIES: Final = 3
# What Python brings along, not what the machine's files say: the same everywhere.
_TYPES: Final = mimetypes.MimeTypes()


class Bucket:
    """One bucket. Blocking, and safe to call from any thread."""

    def __init__(
        self,
        folder: Path,
        state: Path,
        *,
        versioned: bool,
        tell: Callable[[ObjectChange], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = folder.name
        self.versioned = versioned
        self.created = folder.stat().st_ctime
        self._folder = Folder(folder)
        self._blobs = Blobs(state / "blobs")
        self._versions = Versions(state / "journal")
        self._blobs.keep_only(self._versions.blobs())
        self._tell = tell
        self._now = now
        self._lock = threading.RLock()

    # Reading

    def find(self, key: str, version_id: str | None = None) -> Version | None:
        """Return a version, the current one by default; either may be a delete marker."""
        with self._lock:
            self._look(key)
            if version_id is None:
                return self._versions.current(key)
            return self._versions.find(key, version_id)

    def open(self, version: Version) -> int | None:
        """Return a descriptor of the version's content, or None if it was dropped meanwhile."""
        try:
            return self._blobs.open(version.blob)
        except FileNotFoundError:
            return None

    def objects(self) -> list[Version]:
        """Return what is there now, in the order of the keys."""
        with self._lock:
            self.scan()
            found = map(self._versions.current, self._versions.in_order())
            return [version for version in found if version and not version.is_marker]

    def history(self) -> list[Version]:
        """Return every version and marker, in the order of the keys, newest first."""
        with self._lock:
            self.scan()
            return [v for key in self._versions.in_order() for v in self._versions.of(key)]

    # Writing

    def writer(self, algorithms: Collection[str] = ()) -> BlobWriter:
        """Return where the content of an upload is written to."""
        return self._blobs.writer(algorithms)

    def put(
        self,
        key: str,
        blob: Blob,
        *,
        headers: Mapping[str, str],
        tags: Tags = (),
        checksum: tuple[str, str] | None = None,
        condition: Condition | None = None,
    ) -> Version:
        """Return the new version that holds *blob*; it is a file in the folder as well.

        *condition* raises when what is there now forbids the upload.
        """
        with self._lock:
            self._look(key)
            if condition is not None:
                condition(self._versions.current(key))
            mark = self._write_file(key, blob.name)
            return self._add(
                key,
                blob,
                mark,
                modified=self._now(),
                headers=headers,
                tags=tags,
                checksum=checksum,
            )

    def delete(self, key: str) -> Version | None:
        """The object is gone; return the delete marker where there are versions."""
        with self._lock:
            self._look(key)
            self._remove_file(key)
            return self._mark_deleted(key)

    def delete_version(self, key: str, version_id: str) -> Version | None:
        """Return the version, which is gone for good; what came before it may be back."""
        with self._lock:
            self._look(key)
            version = self._versions.find(key, version_id)
            if version is None:
                return None
            was_current = version is self._versions.current(key)
            self._forget(version)
            current = self._versions.current(key)
            if was_current:
                self._remove_file(key)
                if current is not None and not current.is_marker:
                    self._versions.amend(current, file=self._write_file(key, current.blob))
            if not version.is_marker:
                self._report("removed", _REMOVED, version, size=0, etag="")
            return version

    def tag(self, version: Version, tags: Tags) -> None:
        """The version has these tags and no others."""
        with self._lock:
            found = self._versions.find(version.key, version.id)
            if found is not None:
                self._versions.amend(found, tags=tags)

    # What happens in the folder

    def scan(self, *, quiet_seconds: float = 0.0) -> None:
        """Every change in the folder is noticed.

        Args:
            quiet_seconds: Leave files for later that were written to so short a time ago: they
                may still be growing.
        """
        with self._lock:
            seen: dict[str, FileMark] = {}
            for mark in self._folder.marks():
                key = key_at(mark.place)
                if key is not None and (key not in seen or mark.place[0] != ENCODED):
                    seen[key] = mark
            wall = time.time()
            for key, mark in seen.items():
                if not 0 <= wall - mark.modified_ns / 1e9 < quiet_seconds:
                    self._take(key, mark)
            for key in list(self._versions.in_order()):
                if key not in seen:
                    self._take(key, None)

    def _look(self, key: str) -> None:
        self._take(key, self._mark(key))

    def _mark(self, key: str) -> FileMark | None:
        for place in _places(key):
            mark = self._folder.mark(place)
            if mark is not None:
                return mark
        return None

    def _take(self, key: str, mark: FileMark | None) -> None:
        """What the file says counts, unless it is what was known before."""
        current = self._versions.current(key)
        known = None if current is None else current.file
        if mark == known:
            return
        if mark is None:
            self._mark_deleted(key)
            return
        taken = self._copy_in(mark)
        if taken is None:
            return
        blob, mark = taken
        same_time = known is not None and known.modified_ns == mark.modified_ns
        if current is not None and same_time and current.etag == blob.etag:
            self._blobs.drop(blob.name)  # moved, or its permissions were changed
            self._versions.amend(current, file=mark)
            return
        self._add(
            key,
            blob,
            mark,
            modified=mark.changed_ns / 1e9,
            headers={"content-type": _TYPES.guess_type(key)[0] or "binary/octet-stream"},
        )

    def _copy_in(self, mark: FileMark) -> tuple[Blob, FileMark] | None:
        """Return the file's content and the state it was in, or None if it does not hold still."""
        for _ in range(_COPY_TRIES):
            file = self._folder.open(mark.place)
            if file is None:
                return None
            try:
                before = FileMark.of(mark.place, os.fstat(file))
                blob = self._blobs.copy_in(file)
                if before == FileMark.of(mark.place, os.fstat(file)):
                    return blob, before
                self._blobs.drop(blob.name)
            finally:
                os.close(file)
        return None

    def _write_file(self, key: str, blob: str) -> FileMark:
        for place in _places(key):
            path = self._blobs.copy_out(blob)
            try:
                mark = self._folder.move_in(path, place)
            except BlockedError:
                continue
            finally:
                path.unlink(missing_ok=True)
            for other in _places(key):
                if other != place:
                    self._folder.remove(other)
            return mark
        raise BlockedError(key[:80])

    def _remove_file(self, key: str) -> None:
        for place in _places(key):
            self._folder.remove(place)

    # What becomes of it

    def _add(
        self,
        key: str,
        blob: Blob,
        mark: FileMark,
        *,
        modified: float,
        headers: Mapping[str, str],
        tags: Tags = (),
        checksum: tuple[str, str] | None = None,
    ) -> Version:
        before = self._versions.current(key)
        state = f"{blob.size} {mark.modified_ns} {blob.etag}"
        version = Version(
            key=key,
            id=self._versions.new_id(key, state) if self.versioned else NULL_VERSION,
            blob=blob.name,
            size=blob.size,
            etag=blob.etag,
            modified=modified,
            headers=headers,
            checksum=checksum or ("crc32", encoded(blob.sums["crc32"])),
            tags=tags,
            sequencer=self._sequencer(),
            file=mark,
        )
        if not self.versioned and before is not None:
            self._forget(before)
        self._versions.add(version)
        kind: Kind = "new" if before is None or before.is_marker else "changed"
        self._report(kind, _PUT, version, size=version.size, etag=version.etag)
        return version

    def _mark_deleted(self, key: str) -> Version | None:
        before = self._versions.current(key)
        was_there = before is not None and not before.is_marker
        if not self.versioned:
            if before is not None:
                self._forget(before)
                self._report("removed", _REMOVED, before, size=0, etag="")
            return None
        at, sequencer = self._now(), self._sequencer()
        marker = Version(
            key=key,
            id=self._versions.new_id(key, f"deleted {sequencer}"),
            modified=at,
            sequencer=sequencer,
        )
        self._versions.add(marker)
        if was_there:
            self._report("removed", _MARKED, marker, size=0, etag="")
        return marker

    def _forget(self, version: Version) -> None:
        self._versions.drop(version)
        if version.blob:
            self._blobs.drop(version.blob)

    def _sequencer(self) -> str:
        self._versions.last_sequence = max(self._versions.last_sequence + 1, time.time_ns())
        return f"{self._versions.last_sequence:018X}"

    def _report(
        self, kind: Kind, event_name: str, version: Version, *, size: int, etag: str
    ) -> None:
        self._tell(
            ObjectChange(
                kind=kind,
                bucket=self.name,
                key=version.key,
                size=size,
                version_id=version.id if self.versioned else "",
                etag=etag,
                sequencer=version.sequencer if kind != "removed" else self._sequencer(),
                event_name=event_name,
                at=self._now(),
            )
        )


def existing(bucket: Bucket, key: str, version_id: str | None) -> Version:
    """Return a version that has content.

    Raises:
        S3Error: There is none, in the words that S3 has for each case.
    """
    version = bucket.find(key, version_id)
    if version is None:
        if version_id is None:
            raise S3Error("NoSuchKey", details=[("Key", key)])
        raise S3Error("NoSuchVersion", details=[("Key", key), ("VersionId", version_id)])
    if not version.is_marker:
        return version
    headers = [("x-amz-delete-marker", "true"), ("x-amz-version-id", version.id)]
    if version_id is None:
        raise S3Error("NoSuchKey", details=[("Key", key)], headers=headers)
    raise S3Error(
        "MethodNotAllowed",
        details=[("Method", "GET"), ("ResourceType", "DeleteMarker")],
        headers=[*headers, ("allow", "DELETE")],
    )


def _places(key: str) -> tuple[Place, ...]:
    plain = plain_place(key)
    return (encoded_place(key),) if plain is None else (plain, encoded_place(key))
