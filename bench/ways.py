"""Ways to get objects of S3 into Slack, each as a process of its own. Prints the seconds of work.

`plain` and `sdk` are the peers: what a script does, one object after the other, by a temporary
file. Imports and clients come before the clock starts.

    python bench/ways.py plain|sdk|tidegate BUCKET CHANNEL KEY... [--clamd ADDRESS] [--times N]
"""

import argparse
import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Work = Callable[[], None]


def objects() -> Any:
    """Return boto3's client."""
    import boto3
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], config=config)


@contextlib.contextmanager
def plain(args: argparse.Namespace) -> Iterator[Work]:
    """boto3 into a temporary file; then the three steps of an upload, the file read whole."""
    import urllib3

    s3, http = objects(), urllib3.PoolManager()
    api = os.environ["SLACK_API_URL"]
    headers = {"Authorization": f"Bearer {os.environ['SLACK_BOT_TOKEN']}"}

    def call(method: str, fields: dict[str, str]) -> Any:
        answer = http.request_encode_body(
            "POST", api + method, fields, headers, encode_multipart=False
        )
        return answer.json()

    def share(key: str, file: Path) -> None:
        with file.open("wb") as stream:
            s3.download_fileobj(args.bucket, key, stream)
        content = file.read_bytes()
        upload = call("files.getUploadURLExternal", {"filename": key, "length": str(len(content))})
        answer = http.request("POST", upload["upload_url"], body=content)
        assert answer.status == 200, answer.status
        files = json.dumps([{"id": upload["file_id"], "title": key}])
        call("files.completeUploadExternal", {"files": files, "channel_id": args.channel})

    yield lambda: each(args.keys, share)


@contextlib.contextmanager
def sdk(args: argparse.Namespace) -> Iterator[Work]:
    """boto3 into a temporary file; then slack_sdk."""
    from slack_sdk import WebClient

    s3 = objects()
    slack = WebClient(os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])

    def share(key: str, file: Path) -> None:
        with file.open("wb") as stream:
            s3.download_fileobj(args.bucket, key, stream)
        slack.files_upload_v2(file=str(file), filename=key, channel=args.channel)

    yield lambda: each(args.keys, share)


def each(keys: list[str], share: Callable[[str, Path], None]) -> None:
    """Share one object after the other."""
    with tempfile.TemporaryDirectory() as folder:
        for key in keys:
            share(key, Path(folder) / "object")


@contextlib.contextmanager
def tidegate(args: argparse.Namespace) -> Iterator[Work]:
    """All objects as one share, wired as the command line does it."""
    from tidegate.core.model import run_id
    from tidegate.core.share import Mode, Order, Rules, Scan
    from tidegate.entry.share_wiring import open_sharing

    async def share() -> None:
        scan = Scan(clamd=args.clamd) if args.clamd else None
        order = Order(
            id=run_id(parts.clock.now(), parts.clock.entropy(10)),
            rules=Rules(alias=args.bucket, bucket=args.bucket, scan=scan),
            keys=tuple(args.keys),
            channel_id=args.channel,
            mode=Mode.UPLOAD,
        )
        shared = await parts.sharing.share(order)
        failed = [item for item in shared.items if item.error is not None]
        assert not failed, failed

    parts = open_sharing(None)
    with asyncio.Runner() as runner:
        yield lambda: runner.run(share())
        runner.run(parts.close())


def main() -> None:
    """Share, and print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["plain", "sdk", "tidegate"])
    parser.add_argument("bucket")
    parser.add_argument("channel")
    parser.add_argument("keys", nargs="+")
    parser.add_argument("--clamd")
    parser.add_argument("--times", type=int, default=1)
    args = parser.parse_args()
    with {"plain": plain, "sdk": sdk, "tidegate": tidegate}[args.way](args) as work:
        for _ in range(args.times):
            began = time.perf_counter()
            work()
            print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
