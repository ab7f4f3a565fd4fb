"""Ranges and preconditions of a request for an object.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

from tidegate_dev.objects.errors import S3Error
from tidegate_dev.objects.requests import Request
from tidegate_dev.objects.versions import Version

_RANGE: Final = re.compile(r"bytes=(?:([0-9]+)-([0-9]*)|-([0-9]+))")


class NotModifiedError(Exception):
    """The caller has it already: 304."""


def check_conditions(request: Request, version: Version) -> None:
    """The object may be sent.

    Raises:
        S3Error: A precondition does not hold.
        NotModifiedError: It is what the caller has.
    """
    matches, differs = request.header("if-match"), request.header("if-none-match")
    if matches is not None:
        if not _names(matches, version):
            raise failed("If-Match")
    elif _since(request, "if-unmodified-since", version) is True:
        raise failed("If-Unmodified-Since")
    if differs is not None:
        if _names(differs, version):
            raise NotModifiedError
    elif _since(request, "if-modified-since", version) is False:
        raise NotModifiedError


def check_upload_conditions(request: Request, current: Version | None) -> None:
    """The object may be written over *current*.

    Raises:
        S3Error: A precondition does not hold.
    """
    there = current is not None and not current.is_marker
    matches, differs = request.header("if-match"), request.header("if-none-match")
    if differs is not None:
        if differs != "*":
            raise S3Error("NotImplemented", details=[("Header", "If-None-Match")])
        if there:
            raise failed("If-None-Match")
    if matches is not None:
        if current is None or current.is_marker:
            raise S3Error("NoSuchKey", details=[("Key", request.key)])
        if not _names(matches, current):
            raise failed("If-Match")


def failed(condition: str) -> S3Error:
    """Return the error for a precondition that does not hold."""
    return S3Error("PreconditionFailed", details=[("Condition", condition)])


def part_of(asked: str | None, size: int) -> tuple[int, int] | None:
    """Return start and length of the range *asked* for, or None for the whole.

    Raises:
        S3Error: Nothing of an object of *size* bytes is in it.
    """
    found = _RANGE.fullmatch(asked) if asked is not None else None
    if asked is None or found is None:
        return None  # several ranges, or no range at all: S3 sends the whole
    first, last, suffix = found.groups()
    if suffix is not None:
        start, end = max(0, size - int(suffix)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise S3Error(
            "InvalidRange",
            details=[("RangeRequested", asked), ("ActualObjectSize", str(size))],
            headers=[("content-range", f"bytes */{size}")],
        )
    return start, end - start


def http_date(seconds: float) -> str:
    """Return a moment as headers have it."""
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC), usegmt=True)


def _names(tags: str, version: Version) -> bool:
    wanted = {tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")}
    return "*" in wanted or version.etag in wanted


def _since(request: Request, name: str, version: Version) -> bool | None:
    """Return whether the object was changed since the moment in a header, if there is one."""
    try:
        moment = parsedate_to_datetime(request.header(name) or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(version.modified) > moment.timestamp()
