"""Small real pictures, made on the spot."""

import struct
import zlib


def png(width: int = 8, height: int = 6, color: tuple[int, int, int] = (11, 98, 112)) -> bytes:
    """A PNG of one colour, a little lighter towards the bottom."""
    rows = bytearray()
    for y in range(height):
        lighter = 90 * y // height
        rows += b"\0" + bytes(min(255, part + lighter) for part in color) * width
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


GIF = b"GIF89a" + struct.pack("<HH", 5, 4) + b"\0\0\0;"
# The marker of the frame header stands behind a segment that must be passed over.
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x00\x09\x00\x0d\x03" + b"\0" * 9 + b"\xff\xd9"
)
PDF = b"%PDF-1.7\n%%EOF\n"
