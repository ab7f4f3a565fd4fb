"""Builds the look at what sharing needs: buckets, the queue that tells of objects, scanners."""

from collections.abc import Mapping

from tidegate.adapters.clamd import Clamd
from tidegate.app.doctor.keys import KeysVisit
from tidegate.app.doctor.objects import ROOT as S3_ROOT
from tidegate.app.doctor.objects import BucketVisit, fronts_step, region_step
from tidegate.app.doctor.place import QUEUE, QueueVisit, scanner_steps
from tidegate.app.doctor.walk import Step
from tidegate.core import plan
from tidegate.core.diagnosis.finding import Path, Seen
from tidegate.core.diagnosis.keys import no_credentials
from tidegate.core.settings import S3
from tidegate.core.share import MAX_OTHER_BYTES
from tidegate.entry.doctor.bench import Bench, WatchedKeys
from tidegate.entry.share_wiring import (
    SOME_REGION,
    named_region,
    open_fronts,
    open_keys,
    open_objects,
    open_queue,
)
from tidegate.errors import ConfigError
from tidegate.ports import Front

_PROOF: Path = (*S3_ROOT, "credentials")


def sharing_steps(bench: Bench) -> list[Step]:
    """Return the looks; none where nothing is shared."""
    s3 = bench.settings.s3
    if s3 is None or not s3.buckets:
        return []
    try:
        keys = WatchedKeys(open_keys(bench.journal), bench.hidden)
    except ConfigError as error:
        return [_unusable(error)]
    return [
        region_step(named_region(s3.region)),
        _keys_step(bench, s3, keys),
        *_bucket_steps(bench, s3, keys),
        *_queue_steps(bench, s3),
        *scanner_steps(_scans(s3), Clamd()),
    ]


def _unusable(error: ConfigError) -> Step:
    """Return what tells that keys in the environment cannot even be sent."""

    async def look() -> Seen:
        one = error.problems[0]
        return Seen(findings=(no_credentials(f"{one.key}: {one.what}", role=None),))

    return Step(path=_PROOF, title="AWS credentials", look=look)


def _keys_step(bench: Bench, s3: S3, keys: WatchedKeys) -> Step:
    region = named_region(s3.region) or SOME_REGION
    elsewhere = s3.endpoint_url or ""
    return KeysVisit(
        path=_PROOF,
        keys=keys,
        role=None,
        callers=bench.callers(region, elsewhere),
        renewed=bench.renews(None),
    ).step()


def _bucket_steps(bench: Bench, s3: S3, keys: WatchedKeys) -> list[Step]:
    objects = open_objects(
        clock=bench.clock, journal=bench.journal, region=s3.region, endpoint=s3.endpoint_url
    )
    bench.closing.append(objects.close)
    fronts, reason = _fronts(bench)
    steps: list[Step] = []
    if any(bucket.cloudfront is not None for bucket in s3.buckets.values()):
        steps.append(fronts_step(reason))
    for alias in s3.buckets:
        rules = plan.bucket_rules(s3, alias, "")
        if rules is None:
            continue
        address = objects.address_of(rules.bucket)
        visit = BucketVisit(
            rules=rules,
            region=address.region,
            objects=objects,
            left=lambda: keys.expires_in_seconds,
            front=fronts.get(alias),
            line=bench.line((*S3_ROOT, alias), address.base),
            clock=bench.clock,
            proof=_PROOF,
        )
        steps += visit.steps()
    return steps


def _fronts(bench: Bench) -> tuple[Mapping[str, Front], str]:
    """Return the distributions by their buckets' aliases, or why they cannot be used."""
    try:
        found = open_fronts(bench.settings, bench.configuration.secrets.read, bench.clock)
    except ConfigError as error:
        one = error.problems[0]
        return {}, f"{one.key}: {one.what}"
    return found, ""


def _queue_steps(bench: Bench, s3: S3) -> tuple[Step, ...]:
    events = s3.events
    if events is None:
        return ()
    queue = open_queue(events, clock=bench.clock, journal=bench.journal, region=s3.region)
    bench.closing.append(queue.close)
    return QueueVisit(
        url=events.queue_url,
        dead_letter_url=events.dead_letter_url,
        region=events.region or named_region(s3.region) or SOME_REGION,
        queue=queue,
        line=bench.line(QUEUE, events.queue_url),
        proof=_PROOF,
    ).steps()


def _scans(s3: S3) -> dict[str, int]:
    """Return the scanners, each with the size of the largest objects that it is given."""
    found: dict[str, int] = {}
    for bucket in s3.buckets.values():
        scan = bucket.scan
        if scan is None or scan.clamd is None:
            continue
        most = min(scan.max_bytes or MAX_OTHER_BYTES, bucket.max_bytes or MAX_OTHER_BYTES)
        found[scan.clamd] = max(found.get(scan.clamd, 0), most)
    return found
