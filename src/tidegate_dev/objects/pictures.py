"""Pictures for the seed, drawn and encoded here: PNG, JPEG and GIF without a library."""

import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

Colour = tuple[int, int, int]

WIDTH: Final = 640
HEIGHT: Final = 360
_MARGIN: Final = 48
_DEEP: Final[Colour] = (15, 61, 79)
_PAPER: Final[Colour] = (247, 250, 250)
_GRID: Final[Colour] = (221, 231, 233)
_TEAL: Final[Colour] = (42, 140, 130)
_MINT: Final[Colour] = (134, 209, 190)
_CORAL: Final[Colour] = (236, 122, 92)


def bar_chart_png(values: Sequence[int]) -> bytes:
    """Return a bar for each value, lighter from one to the next, and the last one in coral."""
    room, floor = (WIDTH - 2 * _MARGIN) / len(values), HEIGHT - _MARGIN
    bars = []
    for x in range(WIDTH):
        place = (x - _MARGIN) / room
        top, colour = HEIGHT, _PAPER
        if 0 <= place < len(values) and 0.14 < place % 1 < 0.86:
            top = floor - values[int(place)] * (floor - _MARGIN) // max(values)
            last = int(place) == len(values) - 1
            colour = _CORAL if last else _between(_TEAL, _MINT, place / len(values))
        bars.append((top, bytes(colour)))
    rows = []
    for y in range(HEIGHT):
        behind = bytes(_background(y))
        rows.append(b"".join(c if top <= y < floor else behind for top, c in bars))
    return _png(rows)


def area_chart_png(values: Sequence[int]) -> bytes:
    """Return a smooth line through the values, with what is below it shaded."""
    floor, step = HEIGHT - _MARGIN, (WIDTH - 2 * _MARGIN) / (len(values) - 1)
    shades = [bytes(_between(_CORAL, _PAPER, depth / HEIGHT)) for depth in range(HEIGHT)]
    line: list[float] = []
    for x in range(_MARGIN, WIDTH - _MARGIN):
        left, part = divmod((x - _MARGIN) / step, 1)
        one, other = values[int(left)], values[min(int(left) + 1, len(values) - 1)]
        value = one + (other - one) * (1 - math.cos(math.pi * part)) / 2
        line.append(floor - value * (floor - _MARGIN) / max(values))
    rows = []
    for y in range(HEIGHT):
        behind, ink = bytes(_background(y)), bytes(_DEEP)
        middle = (
            ink if abs(y - top) < 2.2 else shades[int(y - top)] if top < y < floor else behind
            for top in line
        )
        rows.append(behind * _MARGIN + b"".join(middle) + behind * _MARGIN)
    return _png(rows)


def _background(y: int) -> Colour:
    if y == HEIGHT - _MARGIN:
        return _DEEP
    return _GRID if (HEIGHT - _MARGIN - y) % 66 == 0 and y > _MARGIN // 2 else _PAPER


def _between(one: Colour, other: Colour, part: float) -> Colour:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


# PNG: https://www.w3.org/TR/png-3/


def _png(rows: Sequence[bytes]) -> bytes:
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    unfiltered = b"".join(b"\0" + row for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _png_chunk(b"IHDR", head)
        + _png_chunk(b"IDAT", zlib.compress(unfiltered, 9))
        + _png_chunk(b"IEND", b"")
    )


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# GIF: https://www.w3.org/Graphics/GIF/spec-gif89a.txt

_GIF_FRAMES: Final = 8
_GIF_WIDTH: Final = 320
_GIF_HEIGHT: Final = 180
_GIF_COLOURS: Final[tuple[Colour, ...]] = (
    (255, 244, 230),
    (252, 222, 196),
    (247, 190, 160),
    (120, 190, 190),
    (70, 160, 165),
    (42, 140, 130),
    (24, 96, 110),
    (15, 61, 79),
)


def tide_gif() -> bytes:
    """Return waves that roll for ever."""
    made = bytearray(b"GIF89a" + struct.pack("<HHBBB", _GIF_WIDTH, _GIF_HEIGHT, 0xF2, 0, 0))
    for colour in _GIF_COLOURS:
        made += bytes(colour)
    made += b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    for frame in range(_GIF_FRAMES):
        made += b"\x21\xf9\x04\x00" + struct.pack("<H", 12) + b"\x00\x00"
        made += b"\x2c" + struct.pack("<HHHHB", 0, 0, _GIF_WIDTH, _GIF_HEIGHT, 0)
        made += _lzw(_waves(2 * math.pi * frame / _GIF_FRAMES), bits=3)
    return bytes(made + b"\x3b")


def _waves(phase: float) -> Iterator[int]:
    columns = []
    for x in range(_GIF_WIDTH):
        column = b"".join(bytes([min(2, y // 28)]) for y in range(78 + 16))
        for layer in range(5):
            shift = phase if layer % 2 else -phase
            wave = math.sin(2 * math.pi * (2 + layer % 2) * x / _GIF_WIDTH + shift)
            crest = round(78 + layer * 22 + 8 * wave)
            column = column[:crest].ljust(crest, bytes([layer + 2])) + bytes([layer + 3]) * 30
        columns.append(column.ljust(_GIF_HEIGHT, b"\x07")[:_GIF_HEIGHT])
    for row in zip(*columns, strict=True):
        yield from row


class _Bits:
    """Codes of changing width, the least significant bit first."""

    def __init__(self) -> None:
        self.packed = bytearray()
        self._waiting = 0
        self._count = 0

    def write(self, code: int, width: int) -> None:
        self._waiting |= code << self._count
        self._count += width
        while self._count >= 8:
            self.packed.append(self._waiting & 255)
            self._waiting >>= 8
            self._count -= 8

    def end(self) -> bytes:
        self.write(0, -self._count % 8)
        return bytes(self.packed)


def _lzw(pixels: Iterator[int], *, bits: int) -> bytes:
    """Return image data: code size, then sub-blocks of compressed codes."""
    out, clear = _Bits(), 1 << bits
    codes: dict[tuple[int, int], int] = {}  # of a run that was seen, and the pixel after it
    width, following, run = bits + 1, clear + 2, next(pixels)
    out.write(clear, width)
    for pixel in pixels:
        if (run, pixel) in codes:
            run = codes[run, pixel]
            continue
        out.write(run, width)
        codes[run, pixel] = following
        run = pixel
        if following == 1 << width:
            width += 1
        following += 1
        if following == 4096:
            out.write(clear, width)
            codes.clear()
            width, following = bits + 1, clear + 2
    out.write(run, width)
    out.write(clear + 1, width)
    packed, blocks = out.end(), bytearray([bits])
    for start in range(0, len(packed), 255):
        block = packed[start : start + 255]
        blocks += bytes([len(block)]) + block
    return bytes(blocks + b"\0")


# JPEG, baseline: https://www.w3.org/Graphics/JPEG/itu-t81.pdf


_JPEG_WIDTH: Final = 640
_JPEG_HEIGHT: Final = 400
_QUANTUM: Final = 4
# The tables of Annex K for luminance, used for all components.
_DC_COUNTS: Final = bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))
_DC_SYMBOLS: Final = bytes(range(12))
# Only what is written here: the end of a block, and a coefficient of up to 10 bits with none or
# one zero before it. Codes are given out by length, so few symbols make a table of their own.
_AC_COUNTS: Final = bytes((0, 1, 2, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0))
_AC_SYMBOLS: Final = bytes((0x00, *(run << 4 | size for size in range(1, 11) for run in (0, 1))))


def sky_jpeg() -> bytes:
    """Return a sky after sunset over the sea.

    Each block of 8 by 8 is a level and a slope across and down, which is all that a sky needs.
    """
    sizes = struct.pack(">HH", _JPEG_HEIGHT, _JPEG_WIDTH)
    components = b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    return (
        b"\xff\xd8"
        + _segment(0xE0, b"JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00")
        + _segment(0xDB, b"\0" + bytes([_QUANTUM]) * 64)
        + _segment(0xC0, b"\x08" + sizes + components)
        + _segment(0xC4, b"\x00" + _DC_COUNTS + _DC_SYMBOLS)
        + _segment(0xC4, b"\x10" + _AC_COUNTS + _AC_SYMBOLS)
        + _segment(0xDA, b"\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00")
        + _scan()
        + b"\xff\xd9"
    )


def _segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def _scan() -> bytes:
    dc, ac = _codes(_DC_COUNTS, _DC_SYMBOLS), _codes(_AC_COUNTS, _AC_SYMBOLS)
    bits: list[str] = []
    before = [0, 0, 0]
    for top in range(0, _JPEG_HEIGHT, 8):
        for left in range(0, _JPEG_WIDTH, 8):
            middle, right, low = (
                _ycc(_sky(left + dx, top + dy)) for dx, dy in ((3.5, 3.5), (7.5, 3.5), (3.5, 7.5))
            )
            for part in range(3):
                level = round(8 * (middle[part] - 128) / _QUANTUM)
                # The first basis function falls from left to right: a slope up is negative.
                across = round(-4.55 * (right[part] - middle[part]) / _QUANTUM)
                down = round(-4.55 * (low[part] - middle[part]) / _QUANTUM)
                bits.append(_coded(level - before[part], dc, 0))
                bits.append(_run(across, down, ac))
                before[part] = level
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def _sky(x: float, y: float) -> tuple[float, float, float]:
    """Return the colour at a point."""
    horizon = 0.68 * _JPEG_HEIGHT
    glow = math.exp(-(((x - 0.62 * _JPEG_WIDTH) / 190) ** 2) - ((y - horizon) / 95) ** 2)
    high = min(1.0, abs(horizon - y) / horizon)
    if y < horizon:
        red, green, blue = 238 - 190 * high, 146 - 70 * high, 118 + 10 * high
    else:
        ripple = 10 * math.sin(y / 5) * math.cos((x - 0.62 * _JPEG_WIDTH) / 90)
        red, green, blue = 96 - 110 * high + ripple, 96 - 20 * high + ripple, 120 + ripple
    return red + 90 * glow, green + 85 * glow, blue + 10 * glow


def _ycc(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = (min(255.0, max(0.0, part)) for part in colour)
    level = 0.299 * red + 0.587 * green + 0.114 * blue
    return level, 128 + (blue - level) / 1.772, 128 + (red - level) / 1.402


def _codes(counts: bytes, symbols: bytes) -> dict[int, str]:
    """Return the code of each symbol, as a table that lists them by length defines it."""
    codes, code, following = {}, 0, iter(symbols)
    for length, count in enumerate(counts, start=1):
        for _ in range(count):
            codes[next(following)] = f"{code:0{length}b}"
            code += 1
        code <<= 1
    return codes


def _coded(value: int, codes: Mapping[int, str], zeros: int) -> str:
    size = abs(value).bit_length()
    bits = value if value > 0 else value + (1 << size) - 1
    return codes[zeros << 4 | size] + (f"{bits:0{size}b}" if size else "")


def _run(across: int, down: int, codes: Mapping[int, str]) -> str:
    """Return the coefficients of the two slopes, then the end of the block."""
    text = _coded(across, codes, 0) if across else ""
    if down:
        text += _coded(down, codes, 0 if across else 1)
    return text + codes[0]
