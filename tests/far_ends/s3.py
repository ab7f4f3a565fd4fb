"""S3s that are not ours, and our own: servers with a key that may all, and one that may nothing.

What each of them does otherwise than AWS is written down in `GAPS`. A test that needs what is
missing there is run all the same, and has to fail: once it does not, the table is out of date.
"""

import asyncio
import contextlib
import functools
import itertools
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.far_ends.ministack import REGION, client, policy, running, user
from tests.far_ends.process import started
from tidegate.core.sigv4 import Credentials
from tidegate_dev.objects import AccessKey, S3FarEnd

ROOT: Final = Path(__file__).parents[2]
SECRET: Final = "far-end+secret/0123456789=abcdefghijklmn"

#: What an S3 lacks, by the word with which a test asks for it.
GAPS: Final[Mapping[str, Mapping[str, str]]] = {
    "rclone": {
        "versions": "keeps no versions",
        "rights": "knows no rights",
        "temporary keys": "knows no temporary keys",
        "tags": "sends the object where its tags are asked for",
        "keys that no file can have": "keeps objects as files, below their keys' steps",
    },
    "ministack": {
        "names for versions": "forgets what to call an object whose version is named",
    },
    "dev": {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FarEnd:
    """An S3 that answers.

    Attributes:
        name: Which one: a key of `GAPS`.
        url: Its address, without a slash at the end.
        key: May do everything.
        narrow: A good key that may read nothing; None where there are no rights.
        temporary: A key with a session token; None where there are none.
        add_bucket: Makes a bucket, by its name and whether it keeps versions.
    """

    name: str
    url: str
    key: Credentials
    narrow: Credentials | None = None
    temporary: Credentials | None = None
    add_bucket: Callable[[str, bool], object]


@dataclass(slots=True)
class Bucket:
    """A bucket of a test's own; what is put there did not go through our adapter."""

    far_end: FarEnd
    name: str

    async def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        call = getattr(client("s3", self.far_end.url, self.far_end.key), operation)
        return dict(await asyncio.to_thread(call, Bucket=self.name, **arguments))

    async def put(self, key: str, body: bytes, **arguments: Any) -> dict[str, Any]:
        return await self.call("put_object", Key=key, Body=body, **arguments)

    async def delete(self, key: str) -> None:
        await self.call("delete_object", Key=key)

    async def fill(self, count: int) -> list[str]:
        """Put so many objects below `many/`, and return their keys in S3's order."""
        keys = [f"many/{number:05d}.png" for number in range(count)]
        # rclone fails now and then where eight write at once.
        put = client("s3", self.far_end.url, self.far_end.key, attempts=5).put_object

        def fill() -> None:
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(lambda key: put(Bucket=self.name, Key=key, Body=b"x"), keys))

        await asyncio.to_thread(fill)
        return keys


_names = itertools.count()


async def bucket_on(far_end: FarEnd, *, versioned: bool) -> Bucket:
    """Return a new bucket."""
    bucket = Bucket(far_end, f"acme-reports-{next(_names)}")
    await asyncio.to_thread(far_end.add_bucket, bucket.name, versioned)
    return bucket


def _add_bucket(url: str, key: Credentials, name: str, versioned: bool) -> None:
    s3 = client("s3", url, key)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


# --- rclone ---------------------------------------------------------------------------------


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[FarEnd]:
    """Run `rclone serve s3` over a folder while the block does."""
    key = Credentials(access_key="AKIARCLONE", secret_key=SECRET)
    (folder / "objects").mkdir()
    with started(
        *(Path(sys.executable).with_name("rclone"), "serve", "s3"),
        *("--addr", "127.0.0.1:0"),
        *("--auth-key", f"{key.access_key},{key.secret_key}"),
        *("--config", folder / "rclone.conf"),
        folder / "objects",
        ready=r"server on \[(http://127\.0\.0\.1:\d+)/\]",
        folder=folder,
    ) as server:
        url = server.said[1]
        add_bucket = functools.partial(_add_bucket, url, key)
        yield FarEnd(name="rclone", url=url, key=key, add_bucket=add_bucket)


# --- ministack ------------------------------------------------------------------------------


@contextlib.contextmanager
def ministack(folder: Path) -> Iterator[FarEnd]:
    """Run ministack while the block does, with users made through its own API."""
    with running(folder, "s3", "iam", "sts") as url:
        key = user(url, "tidegate", {"all": policy(["s3:*"])})
        yield FarEnd(
            name="ministack",
            url=url,
            key=key,
            narrow=user(url, "narrow", {"all": policy(["s3:ListAllMyBuckets"])}),
            temporary=_temporary(url, key),
            add_bucket=functools.partial(_add_bucket, url, key),
        )


def _temporary(url: str, key: Credentials) -> Credentials:
    found = client("sts", url, key).get_session_token()["Credentials"]
    return Credentials(
        access_key=found["AccessKeyId"],
        secret_key=found["SecretAccessKey"],
        token=found["SessionToken"],
    )


# --- the dev workspace's own ----------------------------------------------------------------


@contextlib.asynccontextmanager
async def dev(folder: Path) -> AsyncIterator[FarEnd]:
    """Serve the dev workspace's S3 in the running loop."""
    key = AccessKey(access_key="ASIADEV", secret_key=SECRET, session_token="dev//token==")
    narrow = AccessKey(access_key="AKIANARROW", secret_key=SECRET, buckets=())
    keys = {each.access_key: each for each in (key, narrow)}
    async with S3FarEnd(folder / "objects", region=REGION, keys=keys) as s3:
        all_rights = Credentials(
            access_key=key.access_key, secret_key=SECRET, token=key.session_token
        )
        yield FarEnd(
            name="dev",
            url=s3.url,
            key=all_rights,
            narrow=Credentials(access_key=narrow.access_key, secret_key=SECRET),
            temporary=all_rights,
            add_bucket=lambda name, versioned: s3.add_bucket(name, versioned=versioned),
        )
