"""The journey of sharing between a real S3 and a real Slack, both on loopback."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.dev.pictures import png
from tidegate.adapters.clamd import Clamd
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.credentials import GivenCredentials
from tidegate.adapters.s3 import S3
from tidegate.adapters.slack_api import SlackApi, SlackClient, SlackFiles
from tidegate.app.share import Sharing
from tidegate.core.model import run_id
from tidegate.core.share import Mode, Order, Rules, Shared
from tidegate.core.sigv4 import Credentials
from tidegate.core.steps import Steps
from tidegate_dev.objects import AccessKey, S3FarEnd
from tidegate_dev.slack import SlackFarEnd

BUCKET = "acme-reports"
CHANNEL = "C0REPORTS"
KEY = AccessKey(access_key="AKIASHARE", secret_key="share-secret")
TEMPORARY = AccessKey(access_key="ASIASHARE", secret_key="temporary-secret", session_token="tok")
KEYS = {key.access_key: key for key in (KEY, TEMPORARY)}
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + b"1 0 obj\n" * 4000
CSV = b"day,deploys\nmonday,3\n"


@dataclass
class Sharer:
    """Sharing, and both of its far ends."""

    s3: S3FarEnd
    slack: SlackFarEnd
    root: Path
    sharing: Sharing
    clock: SystemClock
    noted: list[Steps] = field(default_factory=list)
    unversioned: bool = False

    def put(self, key: str, content: bytes, *, bucket: str = BUCKET) -> None:
        """Drop a file into a bucket's folder."""
        place = self.root / bucket / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def remove(self, key: str) -> None:
        """Take a file out of the bucket."""
        (self.root / BUCKET / key).unlink()

    def rules(self, **given: Any) -> Rules:
        """Return rules that allow everything, but for what is given."""
        allowing = Rules(alias="reports", bucket=BUCKET, external=True)
        return replace(allowing, **given)

    def order(self, *keys: str, mode: str = "upload", **given: Any) -> Order:
        """Return an order of objects of the bucket."""
        order = Order(
            id=run_id(self.clock.now(), self.clock.entropy(10)),
            rules=self.rules(),
            keys=keys,
            channel_id=CHANNEL,
            mode=Mode(mode),
        )
        return replace(order, **given)

    async def note(self, steps: Steps) -> None:
        """Keep how far a share has come, as a store would."""
        self.noted.append(steps)

    async def share(self, order: Order, **given: Any) -> Shared:
        """Share, and keep what is noted."""
        return await self.sharing.share(order, ledger=self.note, **given)

    @property
    def messages(self) -> list[Any]:
        """What stands in the channel."""
        return list(self.slack.messages(CHANNEL))


@contextlib.asynccontextmanager
async def sharer(root: Path, *, processing_seconds: float = 0.02) -> AsyncIterator[Sharer]:
    """Sharing between an S3 over *root* and a Slack."""
    (root / BUCKET).mkdir(parents=True)
    async with (
        S3FarEnd(root, region="eu-west-1", keys=KEYS) as s3,
        SlackFarEnd(limits_enabled=False, processing_seconds=processing_seconds) as slack,
    ):
        clock = SystemClock()
        client = SlackClient(api_url=slack.api_url, token=slack.bot_token)
        objects = S3(
            credentials=GivenCredentials(
                Credentials(access_key=KEY.access_key, secret_key=KEY.secret_key)
            ),
            clock=clock,
            region="eu-west-1",
            endpoint=s3.url,
        )
        sharing = Sharing(
            objects=objects,
            files=SlackFiles(client),
            slack=SlackApi(client),
            scanner=Clamd(),
            clock=clock,
        )
        try:
            yield Sharer(s3=s3, slack=slack, root=root, sharing=sharing, clock=clock)
        finally:
            await objects.close()
            await client.close()
    shutil.rmtree(root, ignore_errors=True)


def pictures(count: int) -> list[bytes]:
    """Return images that differ."""
    return [png(20 + number, 10) for number in range(count)]
