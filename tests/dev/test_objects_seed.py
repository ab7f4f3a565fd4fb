"""The seed: files that are what a bucket would hold, and two that are not what they say."""

import re
import struct
import zlib
from pathlib import Path

import pytest

from tests.dev.objects_client import BUCKET, staged
from tidegate_dev.objects import write_seed
from tidegate_dev.objects.seed import SEED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seed(tmp_path_factory.mktemp("root"), BUCKET)


def test_what_is_there_already_stays(folder: Path) -> None:
    path = folder / "q3" / "deploys.csv"
    before = path.read_bytes()
    path.write_bytes(b"mine")
    write_seed(folder.parent, BUCKET)
    assert path.read_bytes() == b"mine"
    path.write_bytes(before)


@pytest.mark.parametrize("name", ["deploys.png", "latency.png"])
def test_a_png_is_one_from_end_to_end(folder: Path, name: str) -> None:
    content = (folder / "q3/charts" / name).read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        data = content[place + 8 : place + 8 + length]
        [sum_] = struct.unpack(">I", content[place + 8 + length : place + 12 + length])
        assert sum_ == zlib.crc32(kind + data)
        chunks[kind] = data
        place += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert (width, height) == (640, 360)
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == height * (1 + 3 * width)
    assert len(set(zip(*[iter(pixels[1 : 3 * width * 200])] * 3, strict=False))) > 10


def test_a_jpeg_has_its_size_and_every_block(folder: Path) -> None:
    content = (folder / "q3/charts/sunset.jpg").read_bytes()
    assert content.startswith(b"\xff\xd8\xff\xe0")
    assert content.endswith(b"\xff\xd9")
    frame = content.index(b"\xff\xc0")
    assert struct.unpack(">HH", content[frame + 5 : frame + 9]) == (400, 640)
    assert blocks_in(content) == 3 * (640 // 8) * (400 // 8)


def blocks_in(content: bytes) -> int:
    """Return how many blocks the scan of a JPEG holds, by decoding it."""
    tables: dict[int, dict[tuple[int, int], int]] = {}
    place = 2
    while content[place + 1] != 0xDA:
        [length] = struct.unpack(">H", content[place + 2 : place + 4])
        if content[place + 1] == 0xC4:
            counts, symbols = content[place + 5 : place + 21], iter(content[place + 21 :])
            codes, code = {}, 0
            for length_of_code, count in enumerate(counts, start=1):
                for _ in range(count):
                    codes[length_of_code, code] = next(symbols)
                    code += 1
                code <<= 1
            tables[content[place + 4] >> 4] = codes
        place += 2 + length
    scan = content[place + 14 : -2].replace(b"\xff\x00", b"\xff")
    bits = "".join(f"{octet:08b}" for octet in scan)
    at = blocks = 0

    def symbol(codes: dict[tuple[int, int], int]) -> int | None:
        nonlocal at
        for length in range(1, 17):
            found = codes.get((length, int(bits[at : at + length] or "0", 2)))
            if found is not None and at + length <= len(bits):
                at += length
                return found
        return None

    while len(bits) - at >= 8 or "0" in bits[at:]:
        size = symbol(tables[0])
        assert size is not None
        at += size
        coefficient = 1
        while (found := symbol(tables[1])) != 0:
            assert found is not None
            coefficient += (found >> 4) + 1
            assert coefficient <= 64
            at += found & 15
        blocks += 1
    return blocks


def test_a_gif_holds_a_whole_picture_in_each_frame(folder: Path) -> None:
    content = (folder / "q3/charts/tide.gif").read_bytes()
    assert content[:6] == b"GIF89a"
    width, height = struct.unpack("<HH", content[6:10])
    assert width >= 320
    place = 13 + 3 * 8 + 19
    frames = 0
    while content[place] != 0x3B:
        place += 8 + 10
        bits = content[place]
        place += 1
        data = b""
        while content[place]:
            data += content[place + 1 : place + 1 + content[place]]
            place += 1 + content[place]
        place += 1
        assert len(unpacked(data, bits)) == width * height
        frames += 1
    assert frames == 8


def unpacked(data: bytes, bits: int) -> bytes:
    """Return the pixels of a GIF's frame."""
    clear, at = 1 << bits, 0
    text = "".join(f"{octet:08b}"[::-1] for octet in data)
    table: dict[int, bytes] = {}
    pixels, before, width, following = bytearray(), b"", bits + 1, clear + 2
    while True:
        code = int(text[at : at + width][::-1], 2)
        at += width
        if code == clear + 1:
            return bytes(pixels)
        if code == clear:
            table = {number: bytes([number]) for number in range(clear)}
            following, before, width = clear + 2, b"", bits + 1
            continue
        run = table[code] if code in table else before + before[:1]
        if before:
            table[following] = before + run[:1]
            following += 1
            if following == 1 << width and width < 12:
                width += 1
        pixels += run
        before = run


def test_a_pdf_has_every_object_where_its_table_says(folder: Path) -> None:
    content = (folder / "q3/report.pdf").read_bytes()
    assert content.startswith(b"%PDF-1.4")
    assert content.endswith(b"%%EOF\n")
    found = re.search(rb"startxref\n(\d+)\n", content)
    assert found is not None
    table = content[int(found[1]) :]
    assert table.startswith(b"xref\n0 6\n")
    for number, place in enumerate(re.findall(rb"(\d{10}) 00000 n ", table), start=1):
        assert content[int(place) :].startswith(b"%d 0 obj" % number)
    stream = re.search(rb"/Length (\d+) >>\nstream\n(.*)\nendstream", content, re.DOTALL)
    assert stream is not None
    assert int(stream[1]) == len(stream[2])


def test_one_file_lies_about_what_it_is_and_one_is_what_scanners_look_for(folder: Path) -> None:
    assert (folder / "q3/invoice.pdf").read_bytes().startswith(b"\x7fELF\x02\x01\x01")
    eicar = (folder / "q3/eicar.txt").read_bytes()
    assert len(eicar) == 68
    assert zlib.crc32(eicar) == 0x6851CF3C


def test_the_source_does_not_hold_what_scanners_look_for(folder: Path) -> None:
    eicar = (folder / "q3/eicar.txt").read_bytes()
    root = Path(__file__).parents[2]
    for path in [*root.glob("src/tidegate_dev/**/*.py"), *root.glob("tests/dev/*.py")]:
        assert eicar[30:60] not in path.read_bytes(), path


async def test_the_seed_is_a_bucket_with_the_types_that_its_names_say(folder: Path) -> None:
    async with staged(folder.parent) as stage:
        assert await stage.keys() == sorted(SEED)
        types = {key: (await stage.get(key))["ContentType"] for key in SEED}
    assert types["q3/charts/sunset.jpg"] == "image/jpeg"
    assert types["q3/charts/tide.gif"] == "image/gif"
    assert types["q3/deploys.csv"] == "text/csv"
    assert types["q3/invoice.pdf"] == "application/pdf"
