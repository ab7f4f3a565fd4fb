"""What an object is, judged by its first bytes and held against what its name says.

A name is a claim. It is refused where the bytes are plainly something else, or lack the magic that
all such files begin with. Where neither can be told it is let pass, but not taken for the type.
What a computer would run is told by its bytes or by its name alone: either is enough.
"""

import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import puremagic

#: How much of an object is looked at. Tar archives say what they are after 257 bytes.
HEAD_BYTES: Final = 65_536
#: Images that Slack shows. Source: https://docs.slack.dev/reference/block-kit/blocks/image-block
SLACK_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif"})

TEXT: Final = "text/plain"
UNKNOWN: Final = "application/octet-stream"
EXECUTABLE: Final = "application/x-executable"

_PROGRAMS: Final = (
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",  # Mach-O, in both orders and both sizes
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",  # Mach-O for several processors, and Java classes
    b"\xca\xfe\xba\xbf",
    b"L\x00\x00\x00\x01\x14\x02\x00",  # a Windows shortcut
    b"\0asm",
    b"dex\n0",
    b"!<arch>\ndebian-binary",
    b"\xed\xab\xee\xdb",  # an RPM package
)
#: What runs, installs, mounts or starts something by its name alone, or leads somewhere: to whoever
#: double-clicks it, the bytes do not matter. The last is a name by which Windows picks the program
#: that opens it.
_RUNS: Final = re.compile(
    r"\.(?:apk|app|appimage|appinstaller|application|appref-ms|appx|appxbundle|bat|chm|cmd|com|"
    r"command|cpl|deb|deskthemepack|desktop|diagcab|dll|dmg|exe|fileloc|gadget|hta|img|inetloc|"
    r"iqy|iso|jar|jnlp|js|jse|library-ms|lnk|mobileconfig|msc|msi|msix|msixbundle|msp|mst|msu|ocx|"
    r"pif|pkg|ps1|psm1|pyz|pyzw|rdp|reg|rpm|scf|scr|sct|search-ms|searchconnector-ms|"
    r"settingcontent-ms|shb|terminal|theme|themepack|udl|url|vbe|vbs|vhd|vhdx|webloc|website|wll|"
    r"workflow|ws|wsb|wsc|wsf|wsh|xbap|xll"
    r"|\{[0-9a-f-]{36}\})"
)

_GZIP: Final = "application/gzip"
_TAR: Final = "application/x-tar"
_ZIP: Final = "application/zip"
_OPEN_XML: Final = "application/vnd.openxmlformats-officedocument."
_WORD: Final = (
    f"{_OPEN_XML}wordprocessingml.document",
    f"{_OPEN_XML}wordprocessingml.template",
    "application/vnd.ms-word.document.macroenabled.12",
    "application/vnd.ms-word.template.macroenabled.12",
)
_SHEET: Final = (
    f"{_OPEN_XML}spreadsheetml.sheet",
    f"{_OPEN_XML}spreadsheetml.template",
    "application/vnd.ms-excel.sheet.macroenabled.12",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "application/vnd.ms-excel.template.macroenabled.12",
    "application/vnd.ms-excel.addin.macroenabled.12",
)
_SLIDES: Final = (
    f"{_OPEN_XML}presentationml.presentation",
    f"{_OPEN_XML}presentationml.slideshow",
    f"{_OPEN_XML}presentationml.template",
    "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    "application/vnd.ms-powerpoint.slideshow.macroenabled.12",
    "application/vnd.ms-powerpoint.template.macroenabled.12",
)
_OFFICE: Final = (*_WORD, *_SHEET, *_SLIDES)
#: How names in a ZIP file begin that tell what it is beyond that; the first that fits decides.
_INSIDE_ZIP: Final = (
    (b"meta-inf/manifest.mf", (EXECUTABLE,)),
    (b"androidmanifest.xml", (EXECUTABLE,)),
    (b"classes.dex", (EXECUTABLE,)),
    (b"word/", (*_WORD, _ZIP)),
    (b"xl/", (*_SHEET, _ZIP)),
    (b"ppt/", (*_SLIDES, _ZIP)),
    (b"[content_types].xml", (_ZIP, *_OFFICE)),
    (b"_rels/", (_ZIP, *_OFFICE)),
    (b"docprops/", (_ZIP, *_OFFICE)),
)
_IN_MIMETYPE: Final = re.compile(
    rb"application/(?:epub\+zip|vnd\.(?:oasis\.opendocument\.(?:text|spreadsheet|presentation|"
    rb"graphics|chart|formula|image|base)(?:-template|-master|-web)?|"
    rb"sun\.xml\.(?:writer|calc|impress|draw|math)(?:\.template|\.global)?))"
)
_OLE: Final = (
    "application/x-ole-storage",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-outlook",
    "application/vnd.ms-powerpoint",
    "application/vnd.ms-project",
    "application/vnd.visio",
    "application/x-mspublisher",
)
_FILMS: Final = (
    "video/mp4",
    "video/quicktime",
    "video/3gpp",
    "video/3gpp2",
    "video/x-m4v",
    "audio/mp4",
    "audio/3gpp",
    "audio/3gpp2",
    "audio/x-m4a",
)
_STILLS: Final = {b"avi": ("image/avif",), b"hei": ("image/heic", "image/heif")}
#: Magic that no text begins with, where it stands, and what it may be, the likeliest first.
_CERTAIN: Final[tuple[tuple[int, bytes, tuple[str, ...]], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", ("image/png",)),
    (0, b"\xff\xd8\xff", ("image/jpeg",)),
    (0, b"GIF87a", ("image/gif",)),
    (0, b"GIF89a", ("image/gif",)),
    (0, b"%PDF-", ("application/pdf", "application/postscript")),  # .ai files are both
    (0, b"{\\rtf", ("application/rtf", "application/msword")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLE),
    (0, b"\x1f\x8b", (_GZIP,)),
    (0, b"\x28\xb5\x2f\xfd", ("application/zstd",)),
    (0, b"7z\xbc\xaf\x27\x1c", ("application/x-7z-compressed",)),
    (0, b"\xfd7zXZ\0", ("application/x-xz",)),
    (0, b"Rar!\x1a\x07", ("application/vnd.rar",)),
    (0, b"SQLite format 3\0", ("application/vnd.sqlite3",)),
    (0, b"\x1a\x45\xdf\xa3", ("video/matroska", "video/webm", "audio/webm")),
    (0, b"OggS\0", ("application/ogg", "audio/ogg", "audio/opus", "video/ogg")),
    (0, b"II*\0", ("image/tiff",)),
    (0, b"MM\0*", ("image/tiff",)),
    (0, b"II+\0", ("image/tiff",)),
    (0, b"MM\0+", ("image/tiff",)),
    (257, b"ustar", (_TAR,)),
)
_SVG: Final = "image/svg+xml"
#: The one image that is a text: any other text would pass for one by its name alone.
_SVG_BEGINS: Final = re.compile(rb"<(?:[\w.-]+:)?svg[\s/>]")
#: Magic of plain letters: a text can begin so, and is not that.
_LETTERS: Final = {b"PAR1": "application/vnd.apache.parquet", b"fLaC": "audio/flac"}
_RIFF_HEADS: Final = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_FILM_BOXES: Final = (b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide")
_BITMAP_HEADERS: Final = frozenset({12, 40, 52, 56, 64, 108, 124})
#: A name that stands for one of these is not believed while its magic is missing.
_HAVE_MAGIC: Final = frozenset(
    {
        *_OFFICE,
        *SLACK_IMAGES,
        _GZIP,
        _TAR,
        _ZIP,
        "application/pdf",
        "application/vnd.rar",
        "application/x-7z-compressed",
        "application/x-xz",
        "audio/wav",
        "image/bmp",
        "image/tiff",
        "image/webp",
        "video/mp4",
    }
)
_NEVER_A_GUESS: Final = _HAVE_MAGIC | {EXECUTABLE}
#: Many formats are one of these with a name of their own.
_CONTAINERS: Final = frozenset({_GZIP, _ZIP})
_TEXTS: Final = frozenset(
    {
        "application/json",
        "application/javascript",
        "application/sql",
        "application/toml",
        "application/x-ndjson",
        "application/x-sh",
        "application/xml",
        "application/yaml",
        _SVG,
        "message/rfc822",
    }
)
_SEEN_OR_HEARD: Final = ("audio/", "font/", "image/", "video/")
#: Of these some are written in letters, or share a suffix with a kind of text, as .ts does.
_MAYBE_TEXT: Final = (
    "audio/x-mpegurl",
    "image/x-portable-",
    "image/x-xbitmap",
    "image/x-xpixmap",
    "video/mp2t",
)
_SAME: Final = {
    "application/x-bzip": "application/x-bzip2",
    "application/x-gzip": _GZIP,
    "application/x-rar": "application/vnd.rar",
    "application/x-rar-compressed": "application/vnd.rar",
    "application/x-sqlite3": "application/vnd.sqlite3",
    "application/x-yaml": "application/yaml",
    "application/x-zip-compressed": _ZIP,
    "audio/mp3": "audio/mpeg",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-icon": "image/vnd.microsoft.icon",
    "image/x-ms-bmp": "image/bmp",
    "text/javascript": "application/javascript",
    "text/rtf": "application/rtf",
    "text/xml": "application/xml",
    "video/avi": "video/x-msvideo",
    "video/x-matroska": "video/matroska",
}
_MORE_SUFFIXES: Final = {
    ".7z": "application/x-7z-compressed",
    ".docm": _WORD[2],
    ".docx": _WORD[0],
    ".dotm": _WORD[3],
    ".dotx": _WORD[1],
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".gz": _GZIP,
    ".jsonl": "application/x-ndjson",
    ".log": TEXT,
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mkv": "video/matroska",
    ".ndjson": "application/x-ndjson",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ogg": "audio/ogg",
    ".parquet": "application/vnd.apache.parquet",
    ".potm": _SLIDES[5],
    ".potx": _SLIDES[2],
    ".ppsm": _SLIDES[4],
    ".ppsx": _SLIDES[1],
    ".pptm": _SLIDES[3],
    ".pptx": _SLIDES[0],
    ".rar": "application/vnd.rar",
    ".sqlite": "application/vnd.sqlite3",
    ".svg": _SVG,
    ".toml": "application/toml",
    ".webp": "image/webp",
    ".xlam": _SHEET[5],
    ".xlsb": _SHEET[3],
    ".xlsm": _SHEET[2],
    ".xlsx": _SHEET[0],
    ".xltm": _SHEET[4],
    ".xltx": _SHEET[1],
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": _ZIP,
}
#: A suffix such as .tgz or .svgz stands for what is inside and for what that is packed with.
_PACKED: Final = {"bzip2": "application/x-bzip2", "gzip": _GZIP, "xz": "application/x-xz"}
# The machine's own tables are left out: what a name says must not differ from host to host.
_BY_NAME: Final = mimetypes.MimeTypes(filenames=())
#: What no text has in it, in whichever 8-bit encoding it is.
_NO_TEXT: Final = frozenset({*range(32), 127}.difference(b"\a\b\t\n\v\f\r\x1a\x1b"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What an object is.

    Attributes:
        media_type: The type it is taken for: by its bytes, and among texts by its name.
        claimed: The type its name stands for, or None.
        agrees: Whether the bytes can be what the name says.
        program: Whether it is something that a computer runs.
    """

    media_type: str
    claimed: str | None
    agrees: bool
    program: bool


def judge(head: bytes, name: str) -> Content:
    """Return what an object is whose first bytes are *head* (all, if it is shorter)."""
    claimed, suffix = _claim(name)
    readable = is_text(head)
    certain = _certain(head, readable)
    text = readable and not certain
    found = certain or _candidates(head)
    agrees = claimed is None or _can_be(claimed, certain, text, head)
    if claimed is not None and agrees and (claimed in found or (text and _textual(claimed))):
        media_type = claimed
    elif text:
        media_type = next(filter(_textual, found), TEXT)
    else:
        media_type = next(iter(found), UNKNOWN)
    program = EXECUTABLE in certain or _RUNS.fullmatch(suffix) is not None
    return Content(media_type=media_type, claimed=claimed, agrees=agrees, program=program)


def is_text(head: bytes) -> bool:
    """Tell whether bytes read as text, up to a character cut at the end.

    It is UTF-8, UTF-16 with its mark, or one of the encodings in which every byte from 128 on
    stands for something; of those, which one does not matter here.
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        whole = head[: len(head) // 2 * 2]
        text = _decoded(whole, "utf-16", 0, 2)
        return text is not None and _NO_TEXT.isdisjoint(map(ord, text))
    if b"\0" in head:
        return False
    return _decoded(head, "utf-8", 0, 1, 2, 3) is not None or _NO_TEXT.isdisjoint(head)


def matches(media_type: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a type is among *patterns*, of which each is `a/b` or `a/*`."""
    kind = media_type.partition("/")[0]
    return any(_plain(each) in (media_type, f"{kind}/*") for each in patterns)


# --- the name ------------------------------------------------------------------------------


def _claim(name: str) -> tuple[str | None, str]:
    """Return the type that a name stands for, and its suffix in small letters."""
    base = name.rstrip("/").rpartition("/")[2].lower()
    # Windows leaves dots and spaces at the end of a name out.
    stem, dot, ending = base.rstrip(". ").rpartition(".")
    suffix = f".{ending}" if dot and stem else ""
    known = _MORE_SUFFIXES.get(suffix)
    if known is None:
        known, packed = _BY_NAME.guess_type(f"x{suffix}", strict=False)
        if packed is not None:
            known = _PACKED.get(packed)
    return _plain(known) if known else None, suffix


def _can_be(claimed: str, certain: tuple[str, ...], text: bool, head: bytes) -> bool:
    """Tell whether bytes can be what a name says."""
    if claimed == UNKNOWN or claimed in certain:
        return True
    if certain:
        # An encrypted document has its old form around the new one.
        encrypted = certain is _OLE and claimed in _OFFICE
        return encrypted or (not _CONTAINERS.isdisjoint(certain) and _is_own_format(claimed))
    if claimed in _HAVE_MAGIC:
        return False
    if claimed == _SVG:  # in UTF-16, every other byte is zero
        return text and _SVG_BEGINS.search(head.replace(b"\0", b"")) is not None
    if _textual(claimed):
        return text
    if text and claimed.startswith(_SEEN_OR_HEARD):
        return claimed.startswith(_MAYBE_TEXT)
    return True


def _is_own_format(claimed: str) -> bool:
    """Tell whether a type may be a container with a name of its own."""
    if claimed in _HAVE_MAGIC or _textual(claimed):
        return False
    return claimed.startswith(("application/", "model/")) or claimed.endswith("+zip")


def _textual(kind: str) -> bool:
    return kind.startswith("text/") or kind in _TEXTS or kind.endswith(("+xml", "+json"))


def _plain(kind: str) -> str:
    lower = kind.partition(";")[0].strip().lower()
    return _SAME.get(lower, lower)


# --- the bytes -----------------------------------------------------------------------------


def _certain(head: bytes, readable: bool) -> tuple[str, ...]:
    """Return what bytes are whose magic leaves no doubt, the likeliest first."""
    if _is_program(head, readable):
        return (EXECUTABLE,)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _of_zip(head)
    for at, magic, kinds in _CERTAIN:
        if head.startswith(magic, at):
            return kinds
    if readable:
        return ()
    lettered = _LETTERS.get(head[:4])
    if head.startswith(_RIFF_HEADS):
        lettered = _RIFF.get(head[8:12])
    if lettered is not None:
        return (lettered,)
    if head.startswith(_FILM_BOXES, 4):
        return _STILLS.get(head[8:11], _FILMS)
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return ("image/bmp",)
    return (_TAR,) if _is_old_tar(head) else ()


def _is_program(head: bytes, readable: bool) -> bool:
    if head.startswith(b"#!"):
        return not head.startswith(b"#![")  # Rust begins so
    if head.startswith(b"MZ"):
        # The header of a program that reads as a text begins 16 MiB on or later.
        return not readable or len(head) >= HEAD_BYTES
    return head.startswith(_PROGRAMS)


def _is_old_tar(head: bytes) -> bool:
    """Tell whether bytes are a tar archive from before they had magic, by its checksum."""
    header = head[:512]
    try:
        said = int(header[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    return len(header) == 512 and said == sum(header) - sum(header[148:156]) + 8 * ord(" ")


def _of_zip(head: bytes) -> tuple[str, ...]:
    """Return what a ZIP file may be, by what it begins with; ZIP itself is always among it."""
    names: list[bytes] = []
    for name, at in _zip_entries(head):
        # OpenDocument and EPUB put their type first, uncompressed.
        inside = _IN_MIMETYPE.match(head, at) if name == b"mimetype" and not names else None
        if inside is not None:
            return (inside[0].decode(), _ZIP)
        names.append(name)
    for beginning, kinds in _INSIDE_ZIP:
        if any(name.startswith(beginning) for name in names):
            return kinds
    return (_ZIP,)


def _zip_entries(head: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the names in a ZIP file, in small letters, each with where its content begins.

    Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, section 4.3.7
    """
    at = head.find(b"PK\x03\x04")
    while 0 <= at <= len(head) - 30:
        name_size, extra_size = _number(head, at + 26, 2), _number(head, at + 28, 2)
        content_at = at + 30 + name_size + extra_size
        yield head[at + 30 : at + 30 + name_size].lower().replace(b"\\", b"/"), content_at
        if _number(head, at + 6, 2) & 8:  # how long it is stands behind it
            at = head.find(b"PK\x03\x04", content_at)
        else:
            following = content_at + _number(head, at + 18, 4)
            at = following if head.startswith(b"PK\x03\x04", following) else -1


def _number(head: bytes, at: int, size: int) -> int:
    return int.from_bytes(head[at : at + size], "little")


def _candidates(head: bytes) -> tuple[str, ...]:
    """Return what bytes without certain magic may be, the likeliest first."""
    kinds = ["audio/mpeg"] if _is_mpeg_audio(head) else []
    try:
        listed = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):  # nothing is known of it, or it is empty
        listed = []
    kinds += [_plain(match.mime_type) for match in listed if match.mime_type]
    # What has certain magic would have been told by it.
    return tuple(kind for kind in dict.fromkeys(kinds) if kind not in _NEVER_A_GUESS)


def _is_mpeg_audio(head: bytes) -> bool:
    """Tell whether bytes begin like MP3: with a tag, or with a frame of layer III."""
    if head.startswith(b"ID3"):
        return True
    return (
        len(head) >= 4
        and head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[2] >> 4 not in (0, 15)
        and head[2] >> 2 & 3 != 3
    )


def _decoded(head: bytes, encoding: str, *cuts: int) -> str | None:
    """Return a text whose last character may be cut; None if it is none."""
    for cut in cuts:
        try:
            return head[: len(head) - cut].decode(encoding)
        except UnicodeDecodeError:
            continue
    return None
