"""What a file is: told by its first bytes, and by its name where those say nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 256 * 1024  # a photograph's size may stand behind a preview of 64 KiB and more
PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif"})

Size = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileType:
    """A file's type in Slack's words; pictures have their size in pixels where it can be read."""

    mimetype: str
    filetype: str
    pretty: str
    size: Size | None = None

    @property
    def is_picture(self) -> bool:
        """Whether it can be shown in a message."""
        return self.mimetype in PICTURES

    @property
    def is_text(self) -> bool:
        """Whether it is text that a person reads."""
        return self.mimetype.startswith("text/") or self.filetype in ("json", "svg", "yaml")


BINARY: Final = FileType(mimetype="application/octet-stream", filetype="binary", pretty="Binary")

# Types that are told by their content are not among these: a name alone makes nothing a picture.
_BY_SUFFIX: Final = {
    suffix: FileType(mimetype=mimetype, filetype=filetype, pretty=pretty)
    for suffix, mimetype, filetype, pretty in (
        ("csv", "text/csv", "csv", "CSV"),
        ("diff", "text/plain", "diff", "Diff"),
        ("doc", "application/msword", "doc", "Word Document"),
        ("gz", "application/gzip", "gzip", "Gzip"),
        ("htm", "text/html", "html", "HTML"),
        ("html", "text/html", "html", "HTML"),
        ("js", "text/javascript", "javascript", "JavaScript"),
        ("json", "application/json", "json", "JSON"),
        ("log", "text/plain", "text", "Plain Text"),
        ("md", "text/markdown", "markdown", "Markdown"),
        ("mp4", "video/mp4", "mp4", "MPEG 4 Video"),
        ("parquet", "application/vnd.apache.parquet", "parquet", "Parquet"),
        ("py", "text/x-python", "python", "Python"),
        ("sh", "text/x-shellscript", "shell", "Shell"),
        ("svg", "image/svg+xml", "svg", "SVG"),
        ("tar", "application/x-tar", "tar", "Tarball"),
        ("tsv", "text/tab-separated-values", "tsv", "TSV"),
        ("txt", "text/plain", "text", "Plain Text"),
        ("webp", "image/webp", "webp", "WebP"),
        ("xml", "text/xml", "xml", "XML"),
        (
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "xlsx",
            "Excel Spreadsheet",
        ),
        ("yaml", "application/yaml", "yaml", "YAML"),
        ("yml", "application/yaml", "yaml", "YAML"),
        ("zip", "application/zip", "zip", "Zip"),
    )
}


def by_content(head: bytes) -> FileType | None:
    """Return the type that the first bytes of a file tell, or None."""
    for magic, mimetype, filetype, pretty, size in _BY_MAGIC:
        if head.startswith(magic):
            found = size(head) if size is not None else None
            return FileType(mimetype=mimetype, filetype=filetype, pretty=pretty, size=found)
    return None


def guess(name: str, head: bytes) -> FileType:
    """Return the type of the file *name* that begins with *head*."""
    suffix = name.rpartition(".")[2].lower()
    return by_content(head) or _BY_SUFFIX.get(suffix, BINARY)


def _png_size(head: bytes) -> Size | None:
    if len(head) < 24:
        return None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _gif_size(head: bytes) -> Size | None:
    if len(head) < 10:
        return None
    return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")


def _jpeg_size(head: bytes) -> Size | None:
    """Return the size from the first frame header; the segments before it are passed over."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(head[at + 5 : at + 7], "big")
            return int.from_bytes(head[at + 7 : at + 9], "big"), height
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


_Row = tuple[bytes, str, str, str, Callable[[bytes], Size | None] | None]

_BY_MAGIC: Final[tuple[_Row, ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png", "png", "PNG", _png_size),
    (b"\xff\xd8\xff", "image/jpeg", "jpg", "JPEG", _jpeg_size),
    (b"GIF87a", "image/gif", "gif", "GIF", _gif_size),
    (b"GIF89a", "image/gif", "gif", "GIF", _gif_size),
    (b"%PDF-", "application/pdf", "pdf", "PDF", None),
)
