"""What lies in an archive, handed on member by member as it comes.

Nothing is kept but a header: an archive may be as large as it likes. What is broken, encrypted or
packed in an unknown way is passed over, as far as it says where it ends.
"""

import struct
import zlib
from typing import Final, Protocol

from tidegate_dev.scanner.inflow import Inflow, Waiting

PIECE_BYTES: Final = 65_536
TAR_BLOCK: Final = 512
TAR_MAGIC: Final = slice(257, 262)
_ZIP_HEADER: Final = struct.Struct("<4sHHHHHIIIHH")
_ZIP_MEMBER: Final = b"PK\x03\x04"
_ZIP_SUMS: Final = b"PK\x07\x08"
_IN_EXTRA: Final = 0xFFFFFFFF  # instead of a size: it has more than 32 bits
_ENCRYPTED: Final = 1
_SIZE_FOLLOWS: Final = 8
_STORED: Final = 0
_DEFLATED: Final = 8


class Member(Protocol):
    """Takes one member's bytes."""

    def feed(self, piece: bytes, /) -> None:
        """Take the next of them."""

    def end(self) -> None:
        """There are no more."""


class Members(Protocol):
    """Takes an archive's members."""

    def begin(self) -> Member:
        """Return what takes the next one."""


def is_gzip(head: bytes) -> bool:
    """Tell whether a file that begins so is one of gzip."""
    return head.startswith(b"\x1f\x8b")


def is_tar(head: bytes) -> bool:
    """Tell whether a file that begins so is a tar archive."""
    return head[TAR_MAGIC] == b"ustar"


def is_zip(head: bytes) -> bool:
    """Tell whether a file that begins so is a zip archive."""
    return head.startswith(_ZIP_MEMBER)


def gzip(inflow: Inflow, members: Members) -> Waiting[None]:
    """Hand on what is in a file of gzip; several of them in a row are one.

    Source: https://www.rfc-editor.org/rfc/rfc1952
    """
    member = members.begin()
    while is_gzip((yield from inflow.peek(2))):
        if not (yield from _inflated(inflow, member, zlib.MAX_WBITS | 16)):
            break
    member.end()


def tar(inflow: Inflow, members: Members) -> Waiting[None]:
    """Hand on what is in a tar archive.

    Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
    """
    while is_tar(head := (yield from inflow.take(TAR_BLOCK))):
        size = _tar_size(head[124:136])
        if size is None:
            return
        member = members.begin()
        yield from _copied(inflow, member, size)
        member.end()
        yield from inflow.take(-size % TAR_BLOCK)


def zipped(inflow: Inflow, members: Members) -> Waiting[None]:
    """Hand on what is in a zip archive, by the headers before its members.

    Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
    """
    while is_zip((yield from inflow.peek(4))):
        head = yield from inflow.take(_ZIP_HEADER.size)
        if len(head) < _ZIP_HEADER.size:
            return
        _, _, flags, method, _, _, _, packed, _, name, extra = _ZIP_HEADER.unpack(head)
        yield from inflow.take(name)
        size = _zip_size(packed, (yield from inflow.take(extra)))
        if not (yield from _zip_member(inflow, members, flags, method, size)):
            return
        if flags & _SIZE_FOLLOWS:
            yield from _after_sums(inflow)


def _zip_member(
    inflow: Inflow, members: Members, flags: int, method: int, size: int
) -> Waiting[bool]:
    """Hand on one member; return whether it is known where the next one begins."""
    measured = not flags & _SIZE_FOLLOWS
    if flags & _ENCRYPTED or method not in (_STORED, _DEFLATED):
        yield from _copied(inflow, None, size)
        return measured
    member = members.begin()
    if method == _DEFLATED:
        whole = yield from _inflated(inflow, member, -zlib.MAX_WBITS)
    else:
        yield from _copied(inflow, member, size)
        whole = measured
    member.end()
    return whole


def _after_sums(inflow: Inflow) -> Waiting[None]:
    """Pass over the sums that follow a member, whose sizes have 32 bits or 64."""
    if (yield from inflow.peek(4)) == _ZIP_SUMS:
        yield from inflow.take(4)
    yield from inflow.take(12)
    if not (yield from inflow.peek(2)).startswith(b"PK"):
        yield from inflow.take(8)


def _inflated(inflow: Inflow, member: Member, window: int) -> Waiting[bool]:
    """Hand on what is deflated up to its own end; return whether that came."""
    packed = zlib.decompressobj(window)
    try:
        while not packed.eof:
            piece = packed.unconsumed_tail or (yield from inflow.some(PIECE_BYTES))
            if not piece:
                member.feed(packed.flush())
                return False
            member.feed(packed.decompress(piece, PIECE_BYTES))
    except zlib.error:
        return False
    inflow.give_back(packed.unused_data)
    return True


def _copied(inflow: Inflow, member: Member | None, size: int) -> Waiting[None]:
    """Hand on the next *size* bytes, or pass them over."""
    while size and (piece := (yield from inflow.some(min(size, PIECE_BYTES)))):
        size -= len(piece)
        if member is not None:
            member.feed(piece)


def _tar_size(field: bytes) -> int | None:
    if field[0] & 0x80:  # GNU's way to write what has more than 33 bits
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        return None


def _zip_size(packed: int, extra: bytes) -> int:
    """Return how many bytes a member takes, also where that has more than 32 bits."""
    while packed == _IN_EXTRA and len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == 1 and len(extra) >= 20:
            return int.from_bytes(extra[12:20], "little")
        extra = extra[4 + size :]
    return packed
