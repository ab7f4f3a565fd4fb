"""The buckets below one folder; a folder that appears there is one more."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tidegate_dev.objects.buckets import QUIET_SECONDS, Bucket
from tidegate_dev.objects.changes import ObjectChange
from tidegate_dev.objects.errors import S3Error
from tidegate_dev.objects.names import is_bucket_name

STATE: Final = ".s3"


class ObjectStore:
    """All buckets. Blocking, and safe to call from any thread."""

    def __init__(
        self,
        root: Path,
        *,
        tell: Callable[[ObjectChange], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root.resolve()
        self._tell = tell
        self._now = now
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def add(self, name: str, *, versioned: bool = True) -> Bucket:
        """Return the bucket *name*, made if it is not there.

        Raises:
            ValueError: S3 would not take the name.
        """
        if not is_bucket_name(name):
            raise ValueError(f"{name[:70]!r} is not a bucket's name")
        with self._lock:
            (self.root / name).mkdir(exist_ok=True)
            state = self.root / STATE / name
            state.mkdir(parents=True, exist_ok=True)
            properties = state / "properties.json"
            if not properties.exists():
                properties.write_text(json.dumps({"versioned": versioned}), encoding="ascii")
        return self.bucket(name)

    def bucket(self, name: str) -> Bucket:
        """Return the bucket *name*.

        Raises:
            S3Error: There is none.
        """
        folder = self.root / name
        with self._lock:
            if not is_bucket_name(name) or folder.is_symlink() or not folder.is_dir():
                self._buckets.pop(name, None)
                raise S3Error("NoSuchBucket", details=[("BucketName", name)])
            if name not in self._buckets:
                self._buckets[name] = self._open(folder)
            return self._buckets[name]

    def buckets(self) -> list[Bucket]:
        """Return every bucket, in the order of their names."""
        found = []
        for name in sorted(path.name for path in self.root.iterdir()):
            with contextlib.suppress(S3Error):
                found.append(self.bucket(name))
        return found

    def scan(self, *, quiet_seconds: float = QUIET_SECONDS) -> None:
        """Every change in every bucket's folder is noticed."""
        for bucket in self.buckets():
            bucket.scan(quiet_seconds=quiet_seconds)

    def _open(self, folder: Path) -> Bucket:
        state = self.root / STATE / folder.name
        state.mkdir(parents=True, exist_ok=True)
        properties = state / "properties.json"
        versioned = not properties.exists() or bool(
            json.loads(properties.read_text(encoding="ascii"))["versioned"]
        )
        return Bucket(folder, state, versioned=versioned, tell=self._tell, now=self._now)
