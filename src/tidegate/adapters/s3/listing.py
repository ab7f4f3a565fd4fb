"""S3's answers in XML: listings and tags, read piece by piece and within bounds."""

import asyncio
import contextlib
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote_plus
from xml.etree.ElementTree import ParseError, XMLParser

import aiohttp

from tidegate.adapters.s3.stream import BrokenOffError, chunks
from tidegate.errors import ObjectsError

MAX_ANSWER_BYTES: Final = 8_388_608  # of a listing: a thousand keys of a kilobyte, encoded
MAX_TAGS: Final = 65_536  # of an answer, beginnings and ends: a thousand keys have some 30,000
MAX_RUN: Final = 16_384  # characters between two of them; a key has 3,072 when it is encoded
XML_BYTES: Final = 65_536


class Sieve:
    """Takes an answer's elements as they are parsed, and keeps the words that are asked for.

    Attributes:
        root: The name of its outermost element.
        words: What the elements in that one say; of a name that comes twice, the first.
        entries: The same of each element of one name.
    """

    def __init__(self, entry: str) -> None:
        self.root = ""
        self.words: dict[str, str] = {}
        self.entries: list[dict[str, str]] = []
        self._entry = entry
        self._open: list[dict[str, str] | None] = []
        self._saying: tuple[dict[str, str], str] | None = None

    def start(self, tag: str, _: Mapping[str, str]) -> None:
        """An element begins."""
        name = tag.rpartition("}")[2]  # without its namespace
        outer = self._open[-1] if self._open else None
        self._saying = (outer, name) if outer is not None and name not in outer else None
        if outer is not None:
            outer.setdefault(name, "")
        inside: dict[str, str] | None = None
        if not self._open:
            self.root, inside = name, self.words
        elif name == self._entry:
            inside = {}
            self.entries.append(inside)
        self._open.append(inside)

    def data(self, text: str) -> None:
        """There is text in it."""
        if self._saying is not None:
            words, name = self._saying
            words[name] += text

    def end(self, _: str) -> None:
        """It ends."""
        self._open.pop()
        self._saying = None


class Answer:
    """An answer's XML, piece by piece. S3's defines no entities, so what could is refused."""

    def __init__(self, entry: str) -> None:
        self.found = Sieve(entry)
        self._parser = XMLParser(target=self.found)  # noqa: S314 - no document type, no entities
        self._text = getincrementaldecoder("utf-8")()
        self._size = self._tags = self._run = 0
        self._last = ""

    def feed(self, piece: bytes) -> None:
        """Read on. Raises `ObjectsError`."""
        self._size += len(piece)
        # In another encoding the document type would not be seen, and UTF-16 is taken for what it
        # is whatever is said of it.
        with _understood():
            text = self._text.decode(piece)
            if "<!" in self._last + text or "\0" in text or not self._bounded(text):
                raise ObjectsError("not_understood")
            self._last = text[-1:] or self._last
            self._parser.feed(text)

    def end(self, root: str) -> Sieve:
        """Return what was found in it, if it is whole and called *root*."""
        with _understood():
            self._text.decode(b"", final=True)
            self._parser.close()
        if self.found.root != root:
            raise ObjectsError("not_understood")
        return self.found

    def _bounded(self, text: str) -> bool:
        """Return whether it stays within what S3 sends: an element takes memory, however short."""
        first, *others = text.split("<")
        longest = max(self._run + len(first), *map(len, others), 0)
        self._run = len(others[-1]) if others else self._run + len(first)
        self._tags += len(others)
        return self._size <= MAX_ANSWER_BYTES and self._tags <= MAX_TAGS and longest <= MAX_RUN


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, ParseError):
        raise ObjectsError("not_understood") from None


async def read(response: aiohttp.ClientResponse, root: str, entry: str) -> Sieve:
    """Return what an answer's XML says in its root, and in each entry. Raises `ObjectsError`."""
    answer = Answer(entry)
    try:
        async for piece in chunks(response, XML_BYTES):
            answer.feed(piece)
            await asyncio.sleep(0)  # others go on meanwhile
    except BrokenOffError:
        raise ObjectsError("broken_off", again=True) from None
    return answer.end(root)


def keys_of(listed: Sieve) -> list[str]:
    """Return a listing's keys. Not every S3 encodes them when it is asked to."""
    keys = [entry.get("Key", "") for entry in listed.entries]
    return list(map(unquote_plus, keys)) if listed.words.get("EncodingType") == "url" else keys
