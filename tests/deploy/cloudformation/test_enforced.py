"""The rights as an emulator enforces them, which others wrote: enough, and no more."""

import itertools
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import pytest

from tests.deploy.cloudformation.stacks import stack
from tests.deploy.cloudformation.templates import Json
from tests.far_ends.ministack import REGION, client
from tests.far_ends.s3 import Bucket, FarEnd, bucket_on
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.credentials import GivenCredentials
from tidegate.adapters.s3 import S3
from tidegate.core.sigv4 import Credentials
from tidegate.errors import ObjectsError

pytestmark = pytest.mark.xdist_group("objects-ministack")  # which has been started there

_ROOT: Final = Credentials(access_key="test", secret_key="test")
_numbers = itertools.count()


def policy_for(bucket: str) -> list[Json]:
    """Return what the template allows of a bucket, statement by statement."""
    made = stack("iam", BucketName=bucket, Prefix="q3/", MalwareScan="yes").resources()
    found: list[Json] = made["ReadObjects"]["PolicyDocument"]["Statement"]
    return found


def reader(far_end: FarEnd, statements: list[Json]) -> S3:
    """Return the product's way to S3, with the keys of a user who may do this alone."""
    iam = client("iam", far_end.url, _ROOT)
    name = f"role-{next(_numbers)}"
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="template", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return s3_of(
        far_end, Credentials(access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    )


def s3_of(far_end: FarEnd, keys: Credentials) -> S3:
    """Return the product's way to S3."""
    return S3(
        credentials=GivenCredentials(keys),
        clock=SystemClock(),
        region=REGION,
        endpoint=far_end.url,
    )


@pytest.fixture
async def bucket(ministack: FarEnd) -> Bucket:
    found = await bucket_on(ministack, versioned=True)
    await found.put("q3/a.pdf", b"abc", Tagging="GuardDutyMalwareScanStatus=NO_THREATS_FOUND")
    await found.put("q4/b.pdf", b"abc")
    return found


async def journeys(far_end: FarEnd, statements: list[Json], name: str, key: str) -> dict[str, str]:
    """Return what came of each thing that the product does with a bucket."""
    known = s3_of(far_end, far_end.key)
    found = await known.head(name, key)
    await known.close()
    s3 = reader(far_end, statements)
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "head": partial(s3.head, name, key),
        "first": partial(s3.first, found, 3),
        "tags": partial(s3.tags, found),
        "keys": partial(s3.keys, name, key.partition("/")[0] + "/", most=10),
    }
    ended: dict[str, str] = {}
    for what, ask in asked.items():
        try:
            await ask()
        except ObjectsError as error:
            ended[what] = error.code
        else:
            ended[what] = "done"
    await s3.close()
    return ended


async def test_what_is_shared_can_be_read_and_nothing_beside_it(
    ministack: FarEnd, bucket: Bucket
) -> None:
    statements = policy_for(bucket.name)
    inside = await journeys(ministack, statements, bucket.name, "q3/a.pdf")
    assert set(inside.values()) == {"done"}, inside
    outside = await journeys(ministack, statements, bucket.name, "q4/b.pdf")
    assert set(outside.values()) == {"no_access"}, outside


@pytest.mark.parametrize(
    ("sid", "refused"),
    [("ReadObjects", {"head", "first"}), ("ListObjects", {"keys"}), ("ReadVerdicts", {"tags"})],
)
async def test_without_one_of_the_rights_something_is_refused(
    ministack: FarEnd, bucket: Bucket, sid: str, refused: set[str]
) -> None:
    statements = [each for each in policy_for(bucket.name) if each["Sid"] != sid]
    ended = await journeys(ministack, statements, bucket.name, "q3/a.pdf")
    assert {what for what, how in ended.items() if how == "no_access"} == refused, ended
