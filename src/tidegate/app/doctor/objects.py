"""The look at buckets: whether they are reached, read, closed to strangers, and give links."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from tidegate.app.doctor.line import LineVisit
from tidegate.app.doctor.walk import Look as LookAt
from tidegate.app.doctor.walk import Step
from tidegate.core import share
from tidegate.core.bucket import Address
from tidegate.core.diagnosis import line as diagnosis_line
from tidegate.core.diagnosis import objects as diagnosis_objects
from tidegate.core.diagnosis.finding import Finding, Path, Seen, finding
from tidegate.core.diagnosis.objects import WORDS, Look
from tidegate.core.share import Mode, Object, Rules
from tidegate.errors import CredentialsError, ObjectsError, ShareError
from tidegate.ports import Clock, Front, Link

ROOT: Final[Path] = ("s3",)
FRONTS: Final[Path] = (*ROOT, "cloudfront")
SECONDS: Final = 20.0
LINK_SECONDS: Final = 60
VERDICT: Final = "GuardDutyMalwareScanStatus"
_LINKED: Final = frozenset({Mode.LINK})


class ObjectsReader(Protocol):
    """S3, looked at. May raise `CredentialsError`."""

    def look(
        self,
        method: str,
        bucket: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        *,
        signed: bool = True,
    ) -> Awaitable[Look]:
        """Return what is answered to a request that only reads."""

    def opened(self, link: Link) -> Awaitable[Look]:
        """Return what whoever has a link is answered."""

    def address_of(self, bucket: str) -> Address:
        """Return where a bucket is asked."""

    def keys(self, bucket: str, prefix: str, *, most: int) -> Awaitable[Sequence[str]]:
        """Return keys that begin so."""

    def head(self, bucket: str, key: str) -> Awaitable[Object]:
        """Return an object as it is now."""

    def tags(self, found: Object) -> Awaitable[Mapping[str, str]]:
        """Return an object's tags."""

    def link(self, found: Object, *, seconds: int, name: str) -> Awaitable[Link]:
        """Return a link that saves the object under a name."""


@dataclass(slots=True, kw_only=True)
class BucketVisit:
    """A look at one bucket of the configuration.

    Attributes:
        rules: What may be shared from it.
        region: Where it is expected to lie.
        left: Returns the seconds that its credentials still live; None if they do not end.
        front: The CloudFront distribution before it; None without one that could be opened.
        proof: The step that looks at the credentials.
    """

    rules: Rules
    region: str
    objects: ObjectsReader
    left: "Left"
    front: Front | None
    line: LineVisit
    clock: Clock
    proof: Path
    _once: asyncio.Lock = field(default_factory=asyncio.Lock)
    _found: Object | None = None

    @property
    def _root(self) -> Path:
        return (*ROOT, self.rules.alias)

    def steps(self) -> tuple[Step, ...]:
        """Return what to look at."""
        bucket, read = (*self._root, "bucket"), (*self._root, "read")
        there = (self.line.end, self.proof)
        found = [
            *self.line.steps(),
            self._step("clock", "clock", self._clock, there),
            self._step("bucket", f"bucket {self.rules.bucket}", self._bucket, there),
            self._step("private", "closed to strangers", self._private, (self.line.end,)),
            self._step("read", "reading an object", self._read, (bucket,)),
        ]
        if self._links and not self.rules.front:
            found.append(self._step("lifetime", "life of links", self._lifetime, there))
        if self._links:
            needs = (read, FRONTS) if self.rules.front else (read,)
            found.append(self._step("link", "opening a link", self._link, needs))
        if self.rules.scan is not None and self.rules.scan.guardduty:
            found.append(self._step("tags", "verdict of GuardDuty", self._tags, (read,)))
        return tuple(found)

    def _step(self, name: str, title: str, look: LookAt, needs: tuple[Path, ...]) -> Step:
        path = (*self._root, name)
        return Step(path=path, title=title, look=look, needs=needs, seconds=SECONDS)

    @property
    def _links(self) -> bool:
        return self.rules.modes is None or bool(self.rules.modes & _LINKED)

    # --- looking ---------------------------------------------------------------------------

    async def _clock(self) -> Seen:
        seen = await self.objects.look("HEAD", self.rules.bucket)
        ahead = diagnosis_line.skew(seen.headers.get("date"), now=self.clock.now())
        return diagnosis_line.clock(ahead)

    async def _bucket(self) -> Seen:
        rules = self.rules
        head = await self.objects.look("HEAD", rules.bucket)
        found = [
            diagnosis_objects.bucket(head, name=rules.bucket, alias=rules.alias, region=self.region)
        ]
        if head.status != 404:
            query = {"list-type": "2", "max-keys": "1", "prefix": rules.prefix}
            listed = await self.objects.look("GET", rules.bucket, "", query)
            gallery = rules.modes is not None and Mode.GALLERY in rules.modes
            found.append(
                diagnosis_objects.listing(
                    listed, name=rules.bucket, alias=rules.alias, gallery=gallery
                )
            )
        where = self.objects.address_of(rules.bucket).region
        return _seen(f"{rules.bucket}/{rules.prefix} in {where}", found)

    async def _private(self) -> Seen:
        rules = self.rules
        query = {"list-type": "2", "max-keys": "1"}
        listed = await self.objects.look("GET", rules.bucket, "", query, signed=False)
        got = None
        try:
            one = await self._object()
        except (ObjectsError, CredentialsError):
            one = None  # what is wrong with that is told elsewhere
        if one is not None:
            got = await self.objects.look("GET", rules.bucket, one.key, signed=False)
        found = diagnosis_objects.anonymous(listed, got, name=rules.bucket)
        return _seen("unsigned requests are turned away", [found])

    async def _read(self) -> Seen:
        rules = self.rules
        try:
            one = await self._object()
        except ObjectsError as error:
            if error.code == "no_access":
                one_key = finding(WORDS, "s3.get_denied", bucket=rules.bucket, prefix=rules.prefix)
                return Seen(findings=(one_key,))
            return Seen(untold=f"no object could be looked at ({error.code})")
        if one is None:
            return Seen(untold=f"no object is found below {rules.bucket}/{rules.prefix} to try it")
        head = await self.objects.look("HEAD", rules.bucket, one.key)
        query = {"versionId": one.version_id} if one.version_id else {}
        got = await self.objects.look("GET", rules.bucket, one.key, query)
        plain = (
            got if got.ok or not query else await self.objects.look("GET", rules.bucket, one.key)
        )
        found = [
            diagnosis_objects.reading(
                head,
                got,
                name=rules.bucket,
                prefix=rules.prefix,
                version=bool(query) and plain.ok,
            )
        ]
        if self._links and one.version_id is None and not rules.unversioned:
            found.append(finding(WORDS, "s3.unversioned", bucket=rules.bucket))
        return _seen("its first byte was read", found)

    async def _link(self) -> Seen:
        one = await self._object()
        if one is None:
            return Seen(untold="there is no object to link to")
        name = self.rules.bucket
        if self.front is not None:
            link = self.front.link(one, seconds=LINK_SECONDS, name="check")
            return _seen(
                "opened through CloudFront",
                [diagnosis_objects.front(await self.objects.opened(link), name=name)],
            )
        try:
            link = await self.objects.link(one, seconds=LINK_SECONDS, name="check")
        except ShareError:
            return Seen(untold="the credentials are about to end")
        opened = await self.objects.opened(link)
        region = self.objects.address_of(name).region
        return _seen(
            "opened without any other right",
            [diagnosis_objects.link(opened, name=name, region=region)],
        )

    async def _lifetime(self) -> Seen:
        asked = self.rules.expires_seconds
        try:
            lives = share.lifetime(min(asked, share.MAX_LINK_SECONDS), self.left())
        except ShareError:
            lives = 0
        found = diagnosis_objects.lifetime(name=self.rules.bucket, asked=asked, lives=lives)
        return _seen(f"{asked} s", [found])

    async def _tags(self) -> Seen:
        one = await self._object()
        if one is None:
            return Seen(untold="there is no object whose tags could be read")
        name = self.rules.bucket
        try:
            tags = await self.objects.tags(one)
        except ObjectsError as error:
            if error.code != "no_access":
                return Seen(untold=f"the tags could not be read ({error.code})")
            return Seen(findings=(finding(WORDS, "s3.tags_denied", bucket=name),))
        if VERDICT not in tags:
            return Seen(findings=(finding(WORDS, "s3.not_scanned", bucket=name),))
        return Seen(said="there")

    async def _object(self) -> Object | None:
        """Return an object that is there; None if none can be found. It is looked for once."""
        async with self._once:
            if self._found is None:
                try:
                    keys = await self.objects.keys(self.rules.bucket, self.rules.prefix, most=20)
                except ObjectsError:
                    return None  # why not is told of the bucket
                key = next((each for each in keys if not each.endswith("/")), None)
                if key is not None:
                    self._found = await self.objects.head(self.rules.bucket, key)
        return self._found


def region_step(named: str | None) -> Step:
    """Return a look at the region that the first request to each bucket is signed for."""

    async def look() -> Seen:
        if named is None:
            return Seen(findings=(finding(WORDS, "s3.no_region"),))
        return Seen(said=named)

    return Step(path=(*ROOT, "region"), title="region", look=look)


def fronts_step(reason: str) -> Step:
    """Return a look at the keys that links by CloudFront are signed with.

    Args:
        reason: Why one cannot be used; empty if all can.
    """

    async def look() -> Seen:
        if reason:
            return Seen(findings=(finding(WORDS, "s3.front_unusable", reason=reason),))
        return Seen(said="keys can be used")

    return Step(path=FRONTS, title="CloudFront", look=look)


class Left(Protocol):
    """Tells how long credentials still live."""

    def __call__(self) -> float | None:
        """Return seconds; None if they do not end."""


def _seen(said: str, found: Sequence[Finding | None]) -> Seen:
    findings = tuple(each for each in found if each is not None)
    grave = any(each.grave for each in findings)
    return Seen(said="" if grave else said, findings=findings)
