"""Buckets as the gateway's keys find them: reachable, readable, private, and their links."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tidegate.core.diagnosis.finding import Finding, Words, duration, finding

_CODE: Final = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
#: Keys that are not taken, whatever was asked for.
_KEYS: Final = frozenset(
    {
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_ELSEWHERE: Final = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
MAX_BODY: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What S3 answered to a request that only reads.

    Attributes:
        status: The HTTP status; 0 where no answer came.
        headers: By their names in lower case.
        body: Its beginning.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def code(self) -> str:
        """S3's name for a failure; empty if it names none."""
        match = _CODE.search(self.body[:MAX_BODY])
        return match[1].decode() if match else ""

    @property
    def region(self) -> str:
        """Where the bucket lies, if that is said."""
        return self.headers.get("x-amz-bucket-region", "")

    @property
    def encrypted_by_key(self) -> bool:
        """Whether a key of KMS is needed to read it."""
        return self.headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")

    @property
    def ok(self) -> bool:
        """Whether it was given; 416 is S3's answer for the first byte of what is empty."""
        return self.status in (200, 206, 416)


WORDS: Final[Mapping[str, Words]] = {
    "s3.no_region": Words(
        what="no region is named, neither by s3.region nor by AWS_REGION",
        why="the first request to each bucket is signed for us-east-1 and turned away; AWS's own "
        "tools would sign for None",
        mend="write s3: {{region: …}}, where the buckets lie",
        grave=False,
    ),
    "s3.other_region": Words(
        what="the bucket lies in {there}, not in {region}",
        why="a link that is signed for another region is refused when it is opened",
        mend="write s3: {{region: {there}}}",
        grave=False,
    ),
    "s3.keys_refused": Words(
        what="S3 does not take the credentials ({code})",
        why="they were deleted, have expired, or lack their session token",
        mend="take new ones: key id, secret key and session token belong together",
    ),
    "s3.clock_refused": Words(
        what="S3 finds the signature too old, or from the future",
        why="the gateway's clock is wrong by more than 15 minutes",
        mend="have it set by NTP",
    ),
    "s3.no_bucket": Words(
        what="there is no bucket {bucket}",
        why="the name is a slip, or it was deleted; somebody else may take a name that is free",
        mend="correct s3.buckets.{alias}.name",
    ),
    "s3.fails": Words(
        what="S3 fails, or what answers is not S3 ({status})",
        why="nothing can be told of the bucket {bucket} then, nor shared from it",
        mend="look at health.aws.amazon.com and at s3.endpoint_url; run the check again",
    ),
    "s3.list_denied": Words(
        what="the gateway may not list {bucket}",
        why="galleries by prefix need it; without it, an object that is not there is told as one "
        "that may not be read",
        mend="allow s3:ListBucket on arn:aws:s3:::{bucket}, narrowed by s3:prefix",
    ),
    "s3.list_denied_wished": Words(
        what="the gateway may not list {bucket}",
        why="an object that is not there is told as one that may not be read",
        mend="allow s3:ListBucket on arn:aws:s3:::{bucket}, narrowed by s3:prefix",
        grave=False,
    ),
    "s3.get_denied": Words(
        what="the gateway may not read objects of {bucket}",
        why="s3:GetObject is missing, or a policy denies it",
        mend="allow s3:GetObject on arn:aws:s3:::{bucket}/{prefix}*",
    ),
    "s3.version_denied": Words(
        what="the gateway may not read versions of objects of {bucket}",
        why="links name the version that was checked, so that no other is opened",
        mend="allow s3:GetObjectVersion on arn:aws:s3:::{bucket}/{prefix}*",
    ),
    "s3.key_denied": Words(
        what="the gateway may not decrypt objects of {bucket}",
        why="they are encrypted with a key of KMS, whose policy or whose own lacks kms:Decrypt",
        mend="allow kms:Decrypt on that key, in the role's policy and in the key's",
    ),
    "s3.tags_denied": Words(
        what="the gateway may not read the tags of objects of {bucket}",
        why="scan: guardduty reads the verdict there: nothing is shared without it",
        mend="allow s3:GetObjectTagging and s3:GetObjectVersionTagging on its objects",
    ),
    "s3.not_scanned": Words(
        what="an object of {bucket} carries no verdict of GuardDuty",
        why="it is older than the malware protection plan, or the plan does not cover its prefix: "
        "it will not be shared",
        mend="switch the plan on for the bucket and prefix, and have old objects scanned",
        grave=False,
    ),
    "s3.unversioned": Words(
        what="an object of {bucket} has no version",
        why="versioning is off, or was switched on after it was written: what a link opens could "
        "be replaced after it was checked, so no links are given",
        mend="switch versioning on and write the objects again, or set unversioned: true on "
        "purpose",
    ),
    "s3.open_to_the_world": Words(
        what="anyone on the internet may {what} of {bucket}",
        why="its policy or an ACL lets unsigned requests in",
        mend="switch Block Public Access on, for the bucket and the account",
    ),
    "s3.link_refused": Words(
        what="a link to an object of {bucket} is refused when it is opened ({code})",
        why="it was signed as configured, and whoever opens it has no other rights: keys, a "
        "policy on aws:SourceVpce or s3:signatureAge, or a proxy stands in the way",
        mend="let s3:GetObject be used from outside the VPC; look at the bucket's policy",
    ),
    "s3.link_elsewhere": Words(
        what="a link to an object of {bucket} leads to another region ({there})",
        why="it was signed for {region}, and a signature holds in one",
        mend="write s3: {{region: {there}}}",
    ),
    "s3.link_unanswered": Words(
        what="a link to an object of {bucket} gets no answer",
        why="what it leads to does not take connections from here",
        mend="look at the line above; links have to work for whoever is in the channel",
    ),
    "s3.links_cut_short": Words(
        what="links of {bucket} live for {lives}, not for the {asked} that are configured",
        why="a presigned link ends with the credentials that signed it, and a role's end within "
        "hours",
        mend="write expires_seconds: {seconds}, or share through CloudFront or by upload",
        grave=False,
    ),
    "s3.front_unusable": Words(
        what="links by CloudFront cannot be signed: {reason}",
        why="what is shared as a link from such a bucket is refused",
        mend="put the private key there in PEM: RSA of 2,048 bits or ECDSA P-256",
    ),
    "s3.front_refuses": Words(
        what="the CloudFront distribution of {bucket} refuses a link of ours ({status})",
        why="the key pair is not in the behaviour's trusted key group, or the distribution may "
        "not read the bucket (OAC)",
        mend="add the public key to the key group; allow cloudfront.amazonaws.com with the "
        "distribution's AWS:SourceArn in the bucket's policy",
    ),
}


def bucket(seen: Look, *, name: str, alias: str, region: str) -> Finding | None:
    """Return what is wrong with a bucket, by the answer to a look at it (HeadBucket).

    Its error has no body, so that a key that is not taken is only told by a listing.
    """
    if seen.status == 404:
        return finding(WORDS, "s3.no_bucket", bucket=name, alias=alias)
    return elsewhere(seen, region=region)


def elsewhere(seen: Look, *, region: str) -> Finding | None:
    """Return a finding if the bucket lies in another region than it is asked in."""
    if seen.region and seen.region != region:
        return finding(WORDS, "s3.other_region", there=seen.region, region=region)
    return None


def listing(seen: Look, *, name: str, alias: str, gallery: bool) -> Finding | None:
    """Return what is wrong, by the answer to a listing of at most one key."""
    if seen.ok:
        return None
    code = seen.code
    if code in _KEYS:
        return finding(WORDS, "s3.keys_refused", code=code)
    if code == "RequestTimeTooSkewed":
        return finding(WORDS, "s3.clock_refused")
    if seen.status == 404 or code == "NoSuchBucket":
        return finding(WORDS, "s3.no_bucket", bucket=name, alias=alias)
    if seen.status == 403:
        listed = "s3.list_denied" if gallery else "s3.list_denied_wished"
        return finding(WORDS, listed, bucket=name)
    return finding(WORDS, "s3.fails", bucket=name, status=seen.status or "no answer")


def reading(head: Look, got: Look, *, name: str, prefix: str, version: bool) -> Finding | None:
    """Return what is wrong, by the answers to a look at an object and to its first byte.

    A look needs the same right as reading, and no key of KMS.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    if got.ok:
        return None
    if got.code in _KEYS:
        return finding(WORDS, "s3.keys_refused", code=got.code)
    if got.status == 403 and (b"kms:" in got.body or (head.ok and head.encrypted_by_key)):
        return finding(WORDS, "s3.key_denied", bucket=name)
    code = "s3.version_denied" if version else "s3.get_denied"
    return finding(WORDS, code, bucket=name, prefix=prefix)


def anonymous(listed: Look, got: Look | None, *, name: str) -> Finding | None:
    """Return a finding if a request without a signature was let in."""
    if listed.ok:
        return finding(WORDS, "s3.open_to_the_world", what="list the objects", bucket=name)
    if got is not None and got.ok:
        return finding(WORDS, "s3.open_to_the_world", what="read objects", bucket=name)
    return None


def link(opened: Look, *, name: str, region: str) -> Finding | None:
    """Return what is wrong with a presigned link, by what it is answered without other rights."""
    if opened.ok:
        return None
    if opened.status == 0:
        return finding(WORDS, "s3.link_unanswered", bucket=name)
    moved = opened.status in (301, 307) or opened.code in _ELSEWHERE
    if moved or (opened.region and opened.region != region):
        there = opened.region or "another one"
        return finding(WORDS, "s3.link_elsewhere", bucket=name, there=there, region=region)
    if opened.status in (400, 403) and b"kms" in opened.body.lower():
        return finding(WORDS, "s3.key_denied", bucket=name)
    code = opened.code or str(opened.status)
    return finding(WORDS, "s3.link_refused", bucket=name, code=code)


def lifetime(*, name: str, asked: int, lives: int) -> Finding | None:
    """Return a finding if links end before they are configured to."""
    if lives >= asked:
        return None
    hour = max(300, lives // 300 * 300)
    return finding(
        WORDS,
        "s3.links_cut_short",
        bucket=name,
        asked=duration(asked),
        lives=duration(lives),
        seconds=hour,
    )


def denied(code: str, *, name: str, prefix: str = "") -> Finding:
    """Return the finding of a code that needs no more than the bucket's name."""
    return finding(WORDS, code, bucket=name, prefix=prefix)


def front(opened: Look, *, name: str) -> Finding | None:
    """Return what is wrong with a link by CloudFront, by what it is answered."""
    if opened.ok:
        return None
    if opened.status == 0:
        return finding(WORDS, "s3.link_unanswered", bucket=name)
    return finding(WORDS, "s3.front_refuses", bucket=name, status=opened.status)
