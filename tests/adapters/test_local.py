"""Files at hand, read as objects of S3 are."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tidegate.adapters.local import PIECE_BYTES, Local, gathered, incoming, known_length
from tidegate.core.content import HEAD_BYTES
from tidegate.errors import ObjectsError


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def read(local: Local, key: str) -> list[bytes]:
    found = await local.head("(local)", key)
    async with local.open(found) as reading:
        return [piece async for piece in reading.chunks()]


async def test_a_file_is_read_in_pieces_and_never_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "big.bin"
    with file.open("wb") as stream:
        stream.truncate(40 * PIECE_BYTES + 1)
    local = Local()
    key = local.add_path(file)
    sizes = [len(piece) for piece in await read(local, key)]
    assert max(sizes) == PIECE_BYTES
    assert sum(sizes) == 40 * PIECE_BYTES + 1
    assert len(await local.first(await local.head("", key), 100)) == 100


async def test_the_event_loop_goes_on_while_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "big.bin"
    file.write_bytes(bytes(8 * PIECE_BYTES))
    local = Local()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await read(local, local.add_path(file))
    counting.cancel()
    assert turns > 8


@pytest.mark.parametrize("deed", ["longer", "shorter", "replaced", "gone", "a pipe"])
async def test_a_file_in_another_state_is_refused(tmp_path: Path, deed: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"tide")
    local = Local()
    found = await local.head("", local.add_path(file))
    match deed:
        case "longer":
            file.write_bytes(b"tide high")
        case "shorter":
            file.write_bytes(b"t")
        case "replaced":
            other = tmp_path / "b.txt"
            other.write_bytes(b"edit")
            other.replace(file)
        case "gone":
            file.unlink()
        case _:
            file.unlink()
            os.mkfifo(file)
    with pytest.raises(ObjectsError) as caught:
        async with local.open(found):
            pass
    codes = {"gone": "no_file", "a pipe": "not_a_file"}
    assert caught.value.code == codes.get(deed, "changed")


async def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(bytes(4 * PIECE_BYTES))
    local = Local()
    found = await local.head("", local.add_path(file))

    async def cut() -> None:
        async with local.open(found) as reading:
            async for _ in reading.chunks():
                os.truncate(file, PIECE_BYTES)

    with pytest.raises(ObjectsError, match="changed"):
        await cut()


async def test_a_name_that_leads_elsewhere_is_made_harmless() -> None:
    local = Local()
    key = local.add_bytes(b"x", "../../etc/passwd")
    assert (await local.head("", key)).name == "passwd"
    assert (await local.head("", local.add_bytes(b"x", "a\udce9\nb"))).name == "a__b"


async def test_what_comes_in_can_be_begun_anew_until_more_than_its_head_has_gone() -> None:
    local = Local()
    small = local.add_stream(pieces(b"tide", b"high"), 8, "a.txt")
    assert await read(local, small) == await read(local, small) == [b"tide", b"high"]
    given = [bytes(HEAD_BYTES)] * 5
    large = local.add_stream(pieces(*given), 5 * HEAD_BYTES, "b.bin")
    found = await local.head("", large)
    assert await local.first(found, HEAD_BYTES) == given[0]
    assert await read(local, large) == given
    with pytest.raises(ObjectsError, match="spent"):
        await read(local, large)


@pytest.mark.parametrize("size", [7, 9])
async def test_the_last_piece_is_held_back_until_the_length_is_certain(size: int) -> None:
    local = Local()
    found = await local.head("", local.add_stream(pieces(b"tide", b"high"), size, "a.txt"))
    given: list[bytes] = []

    async def take() -> None:
        async with local.open(found) as reading:
            async for piece in reading.chunks():
                given.append(piece)

    with pytest.raises(ObjectsError, match="wrong_length"):
        await take()
    assert len(b"".join(given)) < 7


async def test_what_is_piped_in_is_read_to_its_end_and_not_beyond_the_limit() -> None:
    for most, whole in ((9, True), (8, True), (7, False)):
        reading, writing = os.pipe()
        os.write(writing, b"tidehigh")
        os.close(writing)
        assert known_length(reading) is None
        assert await gathered(incoming(reading), most) == (b"tidehigh" if whole else None)
        os.close(reading)


async def test_a_file_at_a_descriptor_has_the_length_that_is_left(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"tidehigh")
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    os.read(descriptor, 3)
    assert known_length(descriptor) == 5
    os.close(descriptor)
    with pytest.raises(ObjectsError, match="broken_off"):
        known_length(descriptor)


async def test_there_is_no_link_to_a_file_and_no_tag_on_it() -> None:
    local = Local()
    key = local.add_bytes(b"x", "a.txt")
    found = await local.head("", key)
    assert await local.tags(found) == {}
    assert await local.keys("", "1/", most=5) == [key]
    with pytest.raises(ObjectsError, match="no_link"):
        await local.link(found, seconds=60, name="a.txt")
    await local.close()
    with pytest.raises(ObjectsError, match="no_file"):
        await local.head("", key)
