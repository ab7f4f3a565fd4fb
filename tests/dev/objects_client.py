"""What the tests of the S3 far end share: a far end on a folder, and botocore as its client."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tidegate_dev.objects import AccessKey, ObjectChange, S3FarEnd

REGION = "eu-west-1"
BUCKET = "acme-reports"
KEY = AccessKey(access_key="ASIADEV", secret_key="dev+secret/1", session_token="dev//token==")
NARROW = AccessKey(
    access_key="AKIANARROW",
    secret_key="narrow-secret",
    buckets=[BUCKET],
    denied=["s3:ListBucket", "s3:GetObjectTagging"],
)
KEYS = {key.access_key: key for key in (KEY, NARROW)}


@functools.cache
def _session() -> Any:
    return botocore.session.get_session()  # reads its model of S3 once, which takes a while


def botocore_client(
    url: str, key: AccessKey = KEY, *, style: str = "path", region: str = REGION, **config: Any
) -> Any:
    """Return a client of S3 that did not come from us."""
    return _session().create_client(
        "s3",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        aws_session_token=key.session_token,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": style},
            retries={"total_max_attempts": 1},
            connect_timeout=10,
            read_timeout=20,
            **config,
        ),
    )


@dataclass
class Stage:
    """A far end that serves, its folder and its client."""

    s3: S3FarEnd
    root: Path
    client: Any

    @property
    def folder(self) -> Path:
        """Return the bucket's folder."""
        return self.root / BUCKET

    async def call(self, operation: str, *, by: Any = None, **arguments: Any) -> dict[str, Any]:
        """Return botocore's answer, the body read to its end."""

        def do() -> dict[str, Any]:
            arguments.setdefault("Bucket", BUCKET)
            answer = getattr(by or self.client, operation)(**arguments)
            if hasattr(answer.get("Body"), "read"):
                with contextlib.closing(answer["Body"]) as body:
                    answer["Body"] = body.read()
            return dict(answer)

        return await asyncio.to_thread(do)

    async def refusal(self, operation: str, **arguments: Any) -> tuple[int, str]:
        """Return status and code of the error that the call ends in."""
        with pytest.raises(ClientError) as raised:
            await self.call(operation, **arguments)
        answer = raised.value.response
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]

    async def put(self, key: str, body: bytes, **arguments: Any) -> dict[str, Any]:
        return await self.call("put_object", Key=key, Body=body, **arguments)

    async def get(self, key: str, **arguments: Any) -> dict[str, Any]:
        return await self.call("get_object", Key=key, **arguments)

    async def keys(self, **arguments: Any) -> list[str]:
        answer = await self.call("list_objects_v2", **arguments)
        return [entry["Key"] for entry in answer.get("Contents", [])]

    def drop(self, key: str, content: bytes) -> Path:
        """Put a file into the bucket's folder, as a person would."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@asynccontextmanager
async def staged(root: Path, now: Callable[[], float] = time.time) -> AsyncIterator[Stage]:
    """Give a far end on *root* with one bucket."""
    s3 = S3FarEnd(root, region=REGION, keys=KEYS, now=now)
    s3.add_bucket(BUCKET)
    async with s3:
        client = botocore_client(s3.url)
        try:
            yield Stage(s3, root, client)
        finally:
            client.close()


class Changes:
    """The changes that were told, to be waited for."""

    def __init__(self, s3: S3FarEnd) -> None:
        self.told: list[ObjectChange] = []
        self._more = asyncio.Event()
        self.end = s3.changes(self._tell)

    async def first(self, count: int) -> list[ObjectChange]:
        """Return the first *count* changes as soon as they were told."""
        async with asyncio.timeout(10):
            while len(self.told) < count:
                self._more.clear()
                await self._more.wait()
        return self.told[:count]

    def _tell(self, change: ObjectChange) -> None:
        self.told.append(change)
        self._more.set()
