"""S3's XML: small documents, written and read.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Types.html
"""

import re
from datetime import UTC, datetime
from typing import Final
from xml.parsers import expat

NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"

_SPECIAL: Final = re.compile('[&<>"\x00-\x08\x0b\x0c\r\x0e-\x1f]')
_NAMED: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


class NotXmlError(Exception):
    """What came is not the XML that was expected."""


def leaf(name: str, text: str | int | bool) -> str:
    """Return an element that holds text.

    A control character becomes a reference, as S3 writes it: XML 1.0 has no way to say it, which
    is what `encoding-type=url` is for.
    """
    if isinstance(text, bool):
        text = "true" if text else "false"
    return f"<{name}>{_SPECIAL.sub(_reference, str(text))}</{name}>"


def element(name: str, *inner: str, namespace: str = "") -> str:
    """Return an element that holds elements."""
    attribute = f' xmlns="{namespace}"' if namespace else ""
    return f"<{name}{attribute}>{''.join(inner)}</{name}>"


def render(root: str) -> bytes:
    """Return the document as it goes out."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}'.encode()


def timestamp(seconds: float) -> str:
    """Return a moment as S3's documents have it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def read_tagging(document: bytes) -> list[tuple[str, str]]:
    """Return keys and values of a `Tagging` document, in order.

    Raises:
        NotXmlError: It is something else.
    """
    reader = _TaggingReader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse  # with no DTD there are no entities to expand
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise NotXmlError("not well-formed") from error
    return reader.tags


class _TaggingReader:
    def __init__(self) -> None:
        self.tags: list[tuple[str, str]] = []
        self._path: list[str] = []
        self._tag: dict[str, str] = {}

    def start(self, name: str, _: dict[str, str]) -> None:
        self._path.append(name.rpartition(" ")[2])
        path = "/".join(self._path)
        allowed = ("Tagging", "Tagging/TagSet", "Tagging/TagSet/Tag")
        if path in allowed:
            self._tag = {}
        elif path in ("Tagging/TagSet/Tag/Key", "Tagging/TagSet/Tag/Value"):
            self._tag[self._path[-1]] = ""
        else:
            raise NotXmlError("an element that does not belong there")

    def end(self, _: str) -> None:
        if self._path.pop() == "Tag":
            if self._tag.keys() != {"Key", "Value"}:
                raise NotXmlError("a tag has a key and a value")
            self.tags.append((self._tag["Key"], self._tag["Value"]))

    def text(self, text: str) -> None:
        if self._path and self._path[-1] in ("Key", "Value"):
            self._tag[self._path[-1]] += text
        elif text.strip():
            raise NotXmlError("text where there is none")

    def refuse(self, *_: object) -> None:
        raise NotXmlError("a document type declaration")


def _reference(found: re.Match[str]) -> str:
    return _NAMED.get(found[0]) or f"&#x{ord(found[0]):x};"
