"""What the product does with AWS, adapter by adapter: each public method at least once."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp

from tests.adapters.test_direct import a_request
from tests.contract.clock import StillClock
from tests.deploy.cloudformation import stacks
from tests.deploy.cloudformation.calls import ACCESS_KEY, BUCKET, FarEnd, Source, drive
from tidegate.adapters.caller_identity import CallerIdentity
from tidegate.adapters.credentials import AssumedRole, ChainCredentials
from tidegate.adapters.journal import EventJournal
from tidegate.adapters.pathways.execute_api import ExecuteApi
from tidegate.adapters.pathways.transport import Place
from tidegate.adapters.pathways.web_identity import Wanted, WebIdentity
from tidegate.adapters.s3 import S3
from tidegate.adapters.secrets import SecretReader
from tidegate.adapters.sqs import Sqs
from tidegate.core.settings import SecretsManagerSecret
from tidegate.core.share import Object
from tidegate.core.sigv4 import Credentials
from tidegate.ports import Message

KEYS: Final = Credentials(access_key=ACCESS_KEY, secret_key="secret", token=None)
OF_A_VERSION: Final = Object(bucket=BUCKET, key="q3/a.pdf", size=3, etag='"e"', version_id="v1")
UNVERSIONED: Final = Object(bucket=BUCKET, key="q3/a.pdf", size=3, etag='"e"')


async def read_whole(s3: S3, *, current: bool = False) -> None:
    async with s3.open(OF_A_VERSION, current=current) as reading:
        assert [chunk async for chunk in reading.chunks()]


async def follow(s3: S3, found: Object) -> None:
    link = await s3.link(found, seconds=60, name="a.pdf")
    async with aiohttp.ClientSession() as http, http.get(link.url) as response:
        assert response.status == 200


async def look_at_link(s3: S3, found: Object) -> None:
    looked = await s3.opened(await s3.link(found, seconds=60, name="a.pdf"))
    assert looked.status in (200, 206)


async def of_s3(far_end: FarEnd) -> None:
    s3 = S3(credentials=Source(KEYS), clock=StillClock(), region="eu-west-1", endpoint=far_end.url)
    objects = (OF_A_VERSION, UNVERSIONED)
    await drive(
        s3,
        {
            "head": (
                lambda: s3.head(BUCKET, "q3/a.pdf"),
                lambda: s3.head(BUCKET, "q3/a.pdf", version_id="v1"),
            ),
            "open": (partial(read_whole, s3, current=True), partial(read_whole, s3)),
            "first": (partial(s3.first, OF_A_VERSION, 3),),
            "tags": tuple(partial(s3.tags, each) for each in objects),
            "keys": (lambda: s3.keys(BUCKET, "q3/", most=10),),
            "link": tuple(partial(follow, s3, each) for each in objects),
            "look": (
                lambda: s3.look("HEAD", BUCKET),
                lambda: s3.look("GET", BUCKET, "", {"list-type": "2", "prefix": "q3/"}),
            ),
            "opened": tuple(partial(look_at_link, s3, each) for each in objects),
            "address_of": (),
            "close": (s3.close,),
        },
    )


async def of_sqs(far_end: FarEnd) -> None:
    queue, dead = f"{far_end.url}/1/arrivals", f"{far_end.url}/1/arrivals-dead"
    sqs = Sqs(
        url=queue,
        dead_letter_url=dead,
        region="eu-west-1",
        credentials=Source(KEYS),
        clock=StillClock(),
        wait_seconds=0,
    )
    message = Message(receipt="r", body=b"{}", receives=1)
    await drive(
        sqs,
        {
            "receive": (sqs.receive,),
            "delete": (lambda: sqs.delete([message]),),
            "postpone": (lambda: sqs.postpone([message], seconds=1),),
            "bury": (lambda: sqs.bury(message, reason="not_an_event"),),
            "look": (sqs.look, lambda: sqs.look(dead)),
            "close": (sqs.close,),
        },
    )


async def of_secrets(far_end: FarEnd) -> None:
    ref = SecretsManagerSecret(secretsmanager=stacks.SLACK_SECRET)
    reader = SecretReader({}, Path("/"))
    await drive(
        reader,
        {
            "read": (partial(asyncio.to_thread, reader.read, ref),),
            "read_anew": (partial(asyncio.to_thread, reader.read_anew, ref),),
        },
    )


async def of_a_role(far_end: FarEnd) -> None:
    role = AssumedRole(arn=stacks.ELSEWHERE, region="eu-west-1", external_id="0123456789abcdef")
    found = await ChainCredentials(journal=EventJournal(), role=role).current()
    assert found.access_key == "ASIA"


async def of_a_token(far_end: FarEnd) -> None:
    tokens = WebIdentity(
        Wanted(audience="tidegate-agent", region="eu-west-1", endpoint_url=far_end.url),
        credentials=Source(KEYS),
        clock=StillClock(),
        journal=EventJournal(),
    )
    assert await tokens.current() == "a.b.c"
    await tokens.close()


async def of_the_caller(far_end: FarEnd) -> None:
    asked = CallerIdentity(region="eu-west-1", endpoint=far_end.url, clock=StillClock())
    assert await asked.ask(KEYS) is not None


async def of_execute_api(far_end: FarEnd) -> None:
    place = Place(url=far_end.url, timeout_seconds=5, concurrency=1)
    pathway = ExecuteApi(
        place,
        region="eu-west-1",
        service="execute-api",
        credentials=Source(KEYS),
        clock=StillClock(),
    )
    await pathway.send(a_request())
    await pathway.close()


#: By the module of `tidegate.adapters` that signs.
JOURNEYS: Final = {
    "s3/objects": of_s3,
    "sqs": of_sqs,
    "secrets": of_secrets,
    "credentials": of_a_role,
    "caller_identity": of_the_caller,
    "pathways/web_identity": of_a_token,
    "pathways/execute_api": of_execute_api,
}
