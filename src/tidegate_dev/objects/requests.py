"""What a request asks for: which operation, on which bucket, key and version.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from tidegate_dev.objects.errors import S3Error
from tidegate_dev.objects.names import MAX_KEY_BYTES
from tidegate_dev.objects.signatures import Head

UNKNOWN: Final = "Unknown"
OVERRIDES: Final = {
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
    "response-content-language": "content-language",
    "response-content-type": "content-type",
    "response-expires": "expires",
}

_INTEGER: Final = re.compile(r"[0-9]{1,10}")
# What makes a request another operation than its method and its path alone would.
_SUBRESOURCES: Final = frozenset(
    re.findall(
        r"\S+",
        """
    accelerate acl analytics annotation annotations attributes cors delete encryption
    intelligent-tiering inventory legal-hold lifecycle location logging metrics
    metadataConfiguration metadataTable notification object-lock ownershipControls partNumber
    policy policyStatus publicAccessBlock renameObject replication requestPayment restore
    retention select session tagging torrent uploadId uploads versioning versions website
        """,
    )
)
_OF_OBJECTS: Final = {
    ("GET", ""): "GetObject",
    ("HEAD", ""): "HeadObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("DELETE", "tagging"): "DeleteObjectTagging",
}
_OF_BUCKETS: Final = {
    ("HEAD", ""): "HeadBucket",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "versioning"): "GetBucketVersioning",
    ("GET", "versions"): "ListObjectVersions",
}
# What an operation is called in IAM, where it is called differently.
_ACTIONS: Final = {
    "HeadObject": "s3:GetObject",
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListBuckets": "s3:ListAllMyBuckets",
}
_OF_A_VERSION: Final = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request without its body.

    Attributes:
        bucket: Empty when it is about none.
        key: Empty when it is about a bucket.
        query: The parameters; where one is sent twice, the first counts.
    """

    head: Head
    bucket: str
    key: str
    query: dict[str, str]
    operation: str

    @property
    def version_id(self) -> str | None:
        """Return the version that is asked for, if one is."""
        return self.query.get("versionId")

    @property
    def action(self) -> str:
        """Return what a policy must allow for the operation."""
        action = _ACTIONS.get(self.operation, f"s3:{self.operation}")
        return _OF_A_VERSION.get(action, action) if self.version_id is not None else action

    @property
    def overrides(self) -> dict[str, str]:
        """Return the headers that the answer is to have, by their names."""
        return {OVERRIDES[name]: text for name, text in self.query.items() if name in OVERRIDES}

    def header(self, name: str) -> str | None:
        """Return a header's value; several are one list."""
        values = self.head.values(name.encode())
        return b",".join(values).decode("latin-1").strip() if values else None

    def integer(self, name: str, *, default: int, most: int) -> int:
        """Return a parameter that is a number from 0 on, *most* when it is more.

        Raises:
            S3Error: It is something else.
        """
        text = self.query.get(name, "")
        if not text:
            return default
        if not _INTEGER.fullmatch(text) or int(text) > 2**31 - 1:
            raise invalid(name, text, f"Provided {name} not an integer or within integer range")
        return min(int(text), most)


def read_request(scope: Scope, *, region: str, is_bucket: Callable[[str], bool]) -> Request:
    """Return what an ASGI scope asks for; the operation is `UNKNOWN` where there is none.

    Args:
        scope: Of type `http`.
        region: In which the names of S3's own hosts are.
        is_bucket: Whether there is a bucket of a name.

    Raises:
        S3Error: It cannot be read.
    """
    head = Head(
        method=scope["method"],
        raw_path=scope["raw_path"],
        raw_query=scope["query_string"],
        headers=scope["headers"],
    )
    host = b"".join(head.values(b"host")[:1]).decode("latin-1").lower()
    path = head.raw_path[1:]
    bucket = _bucket_of_host(host, region, is_bucket)
    if bucket is None:
        raw_bucket, _, path = path.partition(b"/")
        bucket = _decoded(raw_bucket)
    key = _decoded(path)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise S3Error(
            "KeyTooLongError",
            details=[("Size", str(len(key.encode()))), ("MaxSizeAllowed", str(MAX_KEY_BYTES))],
        )
    query: dict[str, str] = {}
    for name, value in head.query():
        query.setdefault(_utf8(name), _utf8(value))
    operation = _operation(head, bucket, key, query)
    return Request(head=head, bucket=bucket, key=key, query=query, operation=operation)


def invalid(name: str, value: str, message: str) -> S3Error:
    """Return the error for an argument that does not do."""
    details = [("ArgumentName", name), ("ArgumentValue", value[:1024])]
    return S3Error("InvalidArgument", message, details=details)


def check_served(request: Request) -> None:
    """The operation is one that this end has.

    Raises:
        S3Error: It is not.
    """
    if request.version_id == "":
        raise invalid("versionId", "", "Version id cannot be the empty string")
    if request.operation != UNKNOWN:
        return
    if not _SUBRESOURCES.isdisjoint(request.query) or request.head.method in ("PUT", "GET"):
        raise S3Error("NotImplemented", "This far end does not have that operation of S3.")
    kind = "OBJECT" if request.key else "BUCKET" if request.bucket else "SERVICE"
    raise S3Error(
        "MethodNotAllowed",
        details=[("Method", request.head.method), ("ResourceType", kind)],
    )


def _operation(head: Head, bucket: str, key: str, query: dict[str, str]) -> str:
    method, names = head.method, sorted(_SUBRESOURCES.intersection(query))
    if len(names) > 1 or head.values(b"x-amz-copy-source"):
        return UNKNOWN
    named = names[0] if names else ""
    if key:
        return _OF_OBJECTS.get((method, named), UNKNOWN)
    if not bucket:
        return "ListBuckets" if (method, named) == ("GET", "") else UNKNOWN
    if (method, named) == ("GET", "") and query.get("list-type") == "2":
        return "ListObjectsV2"
    return _OF_BUCKETS.get((method, named), UNKNOWN)


def _bucket_of_host(host: str, region: str, is_bucket: Callable[[str], bool]) -> str | None:
    """Return the bucket that the host names, or None where the path does."""
    name = host.rpartition(":")[0] if re.search(r":[0-9]*$", host) else host
    for own in _own_hosts(region):
        if name == own:
            return None
        if name.endswith(f".{own}"):
            return name.removesuffix(f".{own}")
    if _is_address(name) or "." not in name:
        return None
    # Any other name is a bucket's, followed by whatever this machine is called.
    labels = name.split(".")
    names = [".".join(labels[:count]) for count in range(len(labels), 0, -1)]
    return next(filter(is_bucket, names), labels[0])


def _own_hosts(region: str) -> Sequence[str]:
    return (
        f"s3.{region}.amazonaws.com",
        f"s3.dualstack.{region}.amazonaws.com",
        "s3.amazonaws.com",
        "s3.localhost",
        "localhost",
        "127.0.0.1",
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _decoded(raw: bytes) -> str:
    return _utf8(unquote_to_bytes(raw))


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidURI") from None
