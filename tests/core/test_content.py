"""What an object is: ordinary files pass with a sensible type, disguises do not."""

import bz2
import codecs
import gzip
import io
import json
import lzma
import random
import sqlite3
import struct
import tarfile
import time
import wave
import zipfile
import zlib
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tidegate.core.content import (
    EXECUTABLE,
    HEAD_BYTES,
    SLACK_IMAGES,
    TEXT,
    UNKNOWN,
    Content,
    is_text,
    judge,
    matches,
)

# --- real files, made here ------------------------------------------------------------------


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    pixels = zlib.compress(b"\0\xff\0\0")
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


class Pipe:
    """Where a ZIP file cannot go back to write how long an entry was."""

    def __init__(self, file: io.BytesIO) -> None:
        self.write, self.flush, self.close = file.write, file.flush, file.close


def zipped(entries: Mapping[str, bytes], *, packed: bool = True, streamed: bool = False) -> bytes:
    file = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(Pipe(file) if streamed else file, "w", kind) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def office(folder: str, *, first: str = "[Content_Types].xml") -> bytes:
    return zipped({first: b"<Types/>", "_rels/.rels": b"<R/>", f"{folder}/main.xml": b"<x/>"})


def open_document(kind: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", kind)  # stored, as the format demands
        archive.writestr("content.xml", b"<x/>")
    return file.getvalue()


def tarred(*, old: bool = False) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    content = file.getvalue()
    if old:  # as before there was a magic to it
        blank = content[:148] + b" " * 8 + content[156:257] + bytes(255) + content[512:]
        said = f"{sum(blank[:512]):06o}\0 ".encode()
        content = blank[:148] + said + blank[156:]
    return content


def waved() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16))
    return file.getvalue()


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table a (b)")
        content = connection.serialize()
    connection.close()
    return content


def noise(size: int = 4096) -> bytes:
    return b"\x00\x01\x02\x03" + random.Random(7).randbytes(size)


PNG = png()
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\0\0\x01\0\x01\0\0\xff\xdb\0C\0" + bytes(64)
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
WEBP = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
PLAIN_PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n"
MP4 = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2\0\0\0\x08free\0\0\0\x10mdat" + bytes(8)
BITMAP = b"BM" + struct.pack("<IHHIIiiHH", 58, 0, 0, 54, 40, 1, 1, 1, 24) + bytes(28)
TIFF = b"II*\0\x08\0\0\0\x01\0\0\x01\x03\0\x01\0\0\0\x01\0\0\0" + bytes(4)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + b"\x3e\0\x03\0\xfe\xff\x09\0" + bytes(480)
RTF = b"{\\rtf1\\ansi Hello}"
MP3 = b"\xff\xfb\x90\x64" + bytes(413) + b"\xff\xfb\x90\x64" + bytes(413)
TAGGED_MP3 = b"ID3\x03\0\0\0\0\x0fvTIT2" + bytes(40)
PARQUET = b"PAR1\x15\x04\x15\x1c\x15\x20L\x15\x02\x15\0\x12\0\0\x0e4" + bytes(40)
MKV = b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\xf7\x81\x01" + bytes(30)
OGG = b"OggS\0\x02" + bytes(20)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(20)
AVIF = b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(20)
DOCX = office("word")
XLSX = office("xl")
PPTX = office("ppt")
JAR = zipped({"META-INF/MANIFEST.MF": b"Main-Class: A\n", "A.class": b"\xca\xfe\xba\xbe"})
APK = zipped({"AndroidManifest.xml": b"\3\0\x08\0", "classes.dex": b"dex\n035\0"})

ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0>\0" + bytes(44)
PE = (
    b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\xb8"
    + bytes(43)
    + b"\x80\0\0\0"
    + bytes(64)
    + b"PE\0\0"
)
MACHO = b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0" + bytes(16)
FAT_MACHO = b"\xca\xfe\xba\xbe\0\0\0\x02\x01\0\0\x07" + bytes(32)
CLASS = b"\xca\xfe\xba\xbe\0\0\0\x41\0\x10" + bytes(16)
SCRIPT = b"#!/bin/sh\nrm -rf ~\n"
SHORTCUT = b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F" + bytes(56)
WASM = b"\0asm\x01\0\0\0"
DEX = b"dex\n035\0" + bytes(32)
PROGRAMS = {
    "elf": ELF,
    "pe": PE,
    "macho": MACHO,
    "fat macho": FAT_MACHO,
    "macho 32": b"\xce\xfa\xed\xfe\x07\0\0\0" + bytes(20),
    "macho big": b"\xfe\xed\xfa\xcf\x01\0\0\x12" + bytes(20),
    "class": CLASS,
    "script": SCRIPT,
    "env script": b"#! /usr/bin/env python3\nprint()\n",
    "shortcut": SHORTCUT,
    "wasm": WASM,
    "dex": DEX,
    "jar": JAR,
    "jar, streamed": zipped({"A.class": CLASS, "META-INF/MANIFEST.MF": b"x"}, streamed=True),
    "jar, in small letters": zipped({"meta-inf/manifest.mf": b"x"}),
    "jar, its manifest not first": zipped({"A.class": CLASS, "META-INF/MANIFEST.MF": b"x"}),
    "jar, as if it were a document": zipped({"word/a.xml": b"", "META-INF/MANIFEST.MF": b"x"}),
    "apk": APK,
    "deb": b"!<arch>\ndebian-binary   1410122664  0     0     100644  4         `\n2.0\n",
    "rpm": b"\xed\xab\xee\xdb\x03\0" + bytes(90),
    "a program before a zip": PE + zipped({"a.txt": b"a"}),
    "a script before a zip": SCRIPT + zipped({"a.txt": b"a"}),
    "a program that holds a pdf": ELF + PDF,
}

ORDINARY: Mapping[str, tuple[bytes, str]] = {
    "a.png": (PNG, "image/png"),
    "a.jpg": (JPEG, "image/jpeg"),
    "a.JPEG": (JPEG, "image/jpeg"),
    "a.gif": (GIF, "image/gif"),
    "a.webp": (WEBP, "image/webp"),
    "a.bmp": (BITMAP, "image/bmp"),
    "a.tiff": (TIFF, "image/tiff"),
    "a.heic": (HEIC, "image/heic"),
    "a.avif": (AVIF, "image/avif"),
    "a.pdf": (PDF, "application/pdf"),
    "plain.pdf": (PLAIN_PDF, "application/pdf"),
    "a.zip": (zipped({"a.txt": b"a"}), "application/zip"),
    "empty.zip": (zipped({}), "application/zip"),
    "jar-inside.zip": (zipped({"lib/a.jar": JAR}, packed=False), "application/zip"),
    "a.docx": (DOCX, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "a.xlsx": (XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "a.pptx": (PPTX, "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    "a.xlsm": (XLSX, "application/vnd.ms-excel.sheet.macroenabled.12"),
    "sheet-first.xlsx": (
        zipped({"xl/worksheets/sheet1.xml": b"<x/>"}),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "streamed.docx": (
        zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"}, streamed=True),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    "long-preamble.pptx": (
        zipped({"docProps/thumbnail.jpeg": noise(HEAD_BYTES), "ppt/a.xml": b""}, packed=False)[
            :HEAD_BYTES
        ],
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    # Three letters that happen to stand in packed bytes are no name.
    "by-chance.pptx": (
        zipped({"[Content_Types].xml": b" xl/ word/ ", "ppt/a.xml": b""}, packed=False),
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    "a.odt": (
        open_document("application/vnd.oasis.opendocument.text"),
        "application/vnd.oasis.opendocument.text",
    ),
    "a.epub": (open_document("application/epub+zip"), "application/epub+zip"),
    "a.doc": (OLE, "application/msword"),
    "a.xls": (OLE, "application/vnd.ms-excel"),
    "a.ppt": (OLE, "application/vnd.ms-powerpoint"),
    "rich.doc": (RTF, "application/msword"),
    "a.rtf": (RTF, "application/rtf"),
    "a.tar": (tarred(), "application/x-tar"),
    "old.tar": (tarred(old=True), "application/x-tar"),
    "a.tar.gz": (gzip.compress(b"a", mtime=0), "application/gzip"),
    "a.tgz": (gzip.compress(b"a", mtime=0), "application/gzip"),
    "a.svgz": (gzip.compress(b"<svg/>", mtime=0), "application/gzip"),
    "a.csv.gz": (gzip.compress(b"a,b\n", mtime=0), "application/gzip"),
    "a.tar.bz2": (bz2.compress(b"a"), "application/x-bzip2"),
    "a.xz": (lzma.compress(b"a"), "application/x-xz"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(24), "application/x-7z-compressed"),
    "a.rar": (b"Rar!\x1a\x07\x01\0" + bytes(24), "application/vnd.rar"),
    "a.mp4": (MP4, "video/mp4"),
    "a.mov": (b"\0\0\0\x14ftypqt  " + bytes(20), "video/quicktime"),
    "old.mov": (b"\0\0\0\x08wide\0\0\x10\0mdat" + bytes(20), "video/quicktime"),
    "a.m4a": (b"\0\0\0\x20ftypM4A " + bytes(20), "audio/mp4"),
    "a.mkv": (MKV, "video/matroska"),
    "a.webm": (MKV, "video/webm"),
    "a.mp3": (MP3, "audio/mpeg"),
    "tagged.mp3": (TAGGED_MP3, "audio/mpeg"),
    "a.ogg": (OGG, "audio/ogg"),
    "a.flac": (b"fLaC\0\0\0\x22" + bytes(34), "audio/flac"),
    "a.wav": (waved(), "audio/wav"),
    "a.avi": (b"RIFF\0\0\x01\0AVI LIST" + bytes(30), "video/x-msvideo"),
    "a.sqlite": (database(), "application/vnd.sqlite3"),
    "a.parquet": (PARQUET, "application/vnd.apache.parquet"),
    "a.csv": (b"day,deploys\nmonday,3\n", "text/csv"),
    "marked.csv": (codecs.BOM_UTF8 + "größe\n3\n".encode(), "text/csv"),
    "latin-1.csv": ("name;größe\nMüller;3\n".encode("latin-1"), "text/csv"),
    "windows.csv": ("price\n3 € “x”\n".encode("cp1252"), "text/csv"),
    "japanese.csv": ("名前,値\n".encode("shift-jis"), "text/csv"),
    "utf-16.csv": ("name;größe\n".encode("utf-16"), "text/csv"),
    "a.json": (json.dumps({"a": 1}).encode(), "application/json"),
    "a.jsonl": (b'{"a":1}\n{"a":2}\n', "application/x-ndjson"),
    "a.xml": (b'<?xml version="1.0"?><a/>', "application/xml"),
    "a.html": (b"<!DOCTYPE html><p>hello", "text/html"),
    "a.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
    "a.md": (b"# Hello\n", "text/markdown"),
    "a.yaml": (b"a: 1\n", "application/yaml"),
    "a.toml": (b"a = 1\n", "application/toml"),
    "a.py": (b"import os\n\nprint(os.name)\n", "text/x-python"),
    "a.sh": (b"set -eu\necho hello\n", "application/x-sh"),
    "a.txt": (b"hello\n", TEXT),
    "one-letter.txt": (b"a", TEXT),
    "one-line.txt": (b"\n", TEXT),
    "empty.txt": (b"", TEXT),
    "a.log": (b"12:00 \x1b[31merror\x1b[0m \x07\n", TEXT),
    "fix.log": (b"8=FIX.4.2\x019=65\x0135=A\x01", TEXT),
    "a.eml": ("Subject: Grüße\r\n\r\nHallo\r\n".encode("latin-1"), "message/rfc822"),
}


def told_apart(value: object) -> str:
    """Name a case by what is written in it: what is packed differs from run to run."""
    return value if isinstance(value, str) else "bytes"


# --- ordinary files -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_file_passes_as_what_it_is(name: str) -> None:
    head, media_type = ORDINARY[name]
    found = judge(head[:HEAD_BYTES], name)
    assert found.agrees
    assert not found.program
    assert found.media_type == media_type
    assert found.claimed in (None, media_type)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("key.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n"),
        ("key.crt", b"-----BEGIN CERTIFICATE-----\nMIIB\n"),
        ("key.crt", b"0\x82\x03\x3a0\x82" + noise(40)),
        ("graph.dot", b"digraph { a -> b }\n"),  # .dot is Word's as well
        ("messages.pot", b'msgid ""\n'),  # and .pot PowerPoint's
        ("paper.tex", b"\\documentclass{article}\n"),
        ("list.m3u8", b"#EXTM3U\n"),
        ("icon.xpm", b"/* XPM */\nstatic char *a[] = {\n"),
        ("image.ppm", b"P3\n1 1\n255\n0 0 0\n"),
        ("app.ts", b"export const a = 1;\n"),
        ("main.rs", b"#![allow(dead_code)]\nfn main() {}\n"),
        ("table.xls", b"<html><table><tr><td>1</table></html>"),  # as many reports come
        ("new.xls", XLSX),
        ("locked.docx", OLE),  # an encrypted document is inside an old one
        ("art.ai", PDF),
        ("art.ps", b"%!PS-Adobe-3.0\n"),
        ("map.kmz", zipped({"doc.kml": b"<kml/>"})),
        ("book.epub", zipped({"META-INF/container.xml": b"<x/>"})),
        ("a.whl", zipped({"a/__init__.py": b""})),
        ("model.bin", noise()),
        ("model.pt", noise()),
        ("dump.dat", noise()),
        ("sound.mp3", noise()),
        ("Makefile", b"all:\n"),
        ("README", b"Hello\n"),
        (".env.example", b"A=1\n"),
        ("report 2026-11", PDF),
    ],
    ids=told_apart,
)
def test_a_file_of_which_little_is_known_is_not_refused(name: str, head: bytes) -> None:
    found = judge(head, name)
    assert found.agrees
    assert not found.program


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (PNG, "image/png"),
        (PDF, "application/pdf"),
        (MP4, "video/mp4"),
        (JAR, EXECUTABLE),
        (DOCX, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (zipped({"[Content_Types].xml": b""}), "application/zip"),
        (b"<!DOCTYPE html><p>hello", "text/html"),
        (b"hello", TEXT),
        ("größe".encode("latin-1"), TEXT),
        (b"", TEXT),
        (noise(), UNKNOWN),
        (b"\x1cR" + noise(30), UNKNOWN),
    ],
    ids=told_apart,
)
def test_without_a_suffix_the_bytes_alone_decide(head: bytes, media_type: str) -> None:
    found = judge(head, "report")
    assert found.claimed is None
    assert found.agrees
    assert found.media_type == media_type


@pytest.mark.parametrize(
    "text",
    [
        b"BM is short for bitmap\n",
        b"MZ,Mozambique\nZM,Zambia\n",
        b"dex\nterity\n",
        b"PAR1 and PAR2\n",
        b"II. The second part\n",
        b"fLaC\n",
        b"RIFF    WEBP\n",
        b"    ftyp",
        b"ustar",
        b"IDs\n",
        b"# not a script\n",
        b" #!/bin/sh\n",
    ],
    ids=told_apart,
)
def test_a_text_may_begin_with_the_letters_of_a_magic(text: bytes) -> None:
    found = judge(text, "notes.txt")
    assert found == Content(media_type=TEXT, claimed=TEXT, agrees=True, program=False)


def test_a_character_that_is_cut_at_the_end_of_the_head_does_not_matter() -> None:
    for text in ("🚢" * 20_000, "é" * 40_000, "a" + "名" * 30_000):
        assert judge(text.encode()[:HEAD_BYTES], "a.csv").agrees
    for encoding in ("utf-16", "utf-16-be"):
        text = "\ufeff" + "🚢" * 20_000 if encoding == "utf-16-be" else "🚢" * 20_000
        for size in range(HEAD_BYTES - 4, HEAD_BYTES):
            assert judge(text.encode(encoding)[:size], "a.csv").agrees


# --- disguises ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["report", "a.pdf", "a.png", "a.csv", "a.txt", "a.docx", "a.bin"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_one_whatever_it_is_called(program: str, name: str) -> None:
    found = judge(PROGRAMS[program], name)
    assert found.program
    assert found.media_type == EXECUTABLE
    if found.claimed not in (None, UNKNOWN):
        assert not found.agrees


def test_a_large_program_that_reads_as_a_text_is_a_program() -> None:
    assert judge(b"MZ" + b"a" * (HEAD_BYTES - 2), "a.txt").program


@pytest.mark.parametrize(
    "name",
    [
        "a.exe",
        "a.EXE",
        "a.exe.",
        "a.exe . .",
        "a.exe ",
        "report.pdf.exe",
        "report.pdf" + " " * 100 + ".exe",
        "dir/a.scr",
        "dir.pdf/a.bat",
        "a.bat/",
        "a.js",
        "a.vbs",
        "a.ps1",
        "a.hta",
        "a.msi",
        "a.jar",
        "a.lnk",
        "a.url",
        "a.pif",
        "a.com",
        "a.cmd",
        "a.reg",
        "a.desktop",
        "a.command",
        "a.xll",
        "a.settingcontent-ms",
        "\u202efdp.exe",
        "名前.exe",
        "report.{3050F4D8-98B5-11CF-BB82-00AA00BDCE0B}",
    ],
)
@pytest.mark.parametrize("head", [b"hello\n", PDF, noise(), b""], ids=["text", "pdf", "?", "empty"])
def test_what_runs_by_its_name_is_a_program_whatever_it_holds(name: str, head: bytes) -> None:
    assert judge(head, name).program


@pytest.mark.parametrize(
    "suffix",
    [
        *("webloc", "inetloc", "fileloc", "website", "searchconnector-ms", "iso", "img", "vhd"),
        *("vhdx", "psm1", "appinstaller", "msu", "rdp", "iqy", "udl", "wsb", "mobileconfig"),
        *("theme", "themepack", "deskthemepack"),
    ],
)
def test_what_mounts_installs_or_leads_elsewhere_by_its_name_is_a_program(suffix: str) -> None:
    for head in (b"hello\n", noise()):
        assert judge(head, f"q3/Report.{suffix.upper()}").program


@pytest.mark.parametrize(
    "name", ["exe", ".exe", "a.exe.pdf", "a.exe_", "a.exec", "exe.a", "a.exe/b.txt", "a.com-2026"]
)
def test_what_only_looks_like_such_a_name_is_none(name: str) -> None:
    assert not judge(b"hello\n", name).program


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.pdf", PNG),
        ("a.png", PDF),
        ("a.png", JPEG),
        ("a.png", GIF),
        ("a.jpg", PNG),
        ("a.gif", b"hello\n"),
        ("a.png", b"<script>alert(1)</script>"),
        ("a.png", b""),
        ("a.png", noise()),
        ("a.png", PNG[1:]),
        ("a.jpg", b"\xff\xd8"),
        ("a.webp", b"RIFF\x10\0\0\0WAVEfmt " + bytes(8)),
        ("a.webp", noise(4) + b"WEBP" + noise(40)),
        ("a.bmp", b"BM" + noise(60)),
        ("a.pdf", b"<html>"),
        ("a.pdf", DOCX),
        ("a.pdf", zipped({"a.txt": PDF}, packed=False)),
        ("a.docx", zipped({"a.txt": b"a"})),
        ("a.docx", XLSX),
        ("a.xlsx", PDF),
        ("a.docx", b"hello\n"),
        ("a.odt", PDF),
        ("a.doc", PNG),
        ("a.xls", PDF),
        ("a.zip", b"hello\n"),
        ("a.zip", gzip.compress(b"a", mtime=0)),
        ("a.tar", gzip.compress(b"a", mtime=0)),
        ("a.tar", noise()),
        ("a.mp4", b"hello\n"),
        ("a.mp3", b"<html>"),
        ("a.mp3", PNG),
        ("a.heic", b"<html>"),
        ("a.csv", PNG),
        ("a.csv", GIF + b"\nday,deploys"),
        ("a.csv", zipped({"a.csv": b"a"})),
        ("a.csv", OLE),
        ("a.csv", gzip.compress(b"a", mtime=0)),
        ("a.txt", PDF),
        ("a.txt", noise()),
        ("a.json", noise()),
        ("a.svg", PNG),
        ("a.html", PDF),
        ("A.PDF. .", PNG),
    ],
    ids=told_apart,
)
def test_what_is_not_what_its_name_says_does_not_agree(name: str, head: bytes) -> None:
    found = judge(head, name)
    assert not found.agrees
    assert found.media_type != found.claimed


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "text/csv", "see evil.example"])
def test_a_zip_file_does_not_say_itself_what_it_is(kind: str) -> None:
    head = open_document(kind)
    assert judge(head, "a").media_type == "application/zip"
    for name in ("a.png", "a.pdf", "a.csv"):
        assert not judge(head, name).agrees


def test_what_an_open_document_says_beyond_its_known_types_is_not_repeated() -> None:
    head = open_document("application/vnd.oasis.opendocument.visit-evil.example")
    assert judge(head, "a").media_type == "application/zip"
    longer = open_document("application/vnd.oasis.opendocument.text.visit-evil.example")
    assert "evil" not in judge(longer, "a").media_type


def test_only_the_first_entry_of_a_zip_file_says_what_it_is() -> None:
    entries = {"a.txt": b"a", "mimetype": b"application/epub+zip"}
    assert judge(zipped(entries, packed=False), "a").media_type == "application/zip"


def test_a_document_with_macros_is_not_taken_for_one_without() -> None:
    found = judge(DOCX, "a.docm")
    assert found.agrees
    assert found.media_type == "application/vnd.ms-word.document.macroenabled.12"


@pytest.mark.parametrize("name", ["a.mp3", "a.heic", "a.flac", "a.woff", "a.parquet", "a.sqlite"])
def test_a_claim_that_nothing_speaks_for_is_not_taken_for_the_type(name: str) -> None:
    found = judge(b"\0" * 64, name)
    assert found.agrees
    assert found.media_type == UNKNOWN


@pytest.mark.parametrize("name", ["a.ai", "a.ps", "a.doc", "a.m3u8"])
def test_a_text_is_not_taken_for_what_is_none(name: str) -> None:
    assert judge(b"hello\n", name).media_type == TEXT


def test_only_their_own_magic_makes_images_for_slack() -> None:
    # puremagic takes less for one.
    for head in (b"\xff\xd8" + noise(30), noise(30) + b"IEND\xaeB`\x82"):
        assert judge(head, "a").media_type not in SLACK_IMAGES


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "claimed"),
    [
        ("a.pdf", "application/pdf"),
        ("A.PDF", "application/pdf"),
        ("dir/a.b.pdf", "application/pdf"),
        ("a.pdf. . ", "application/pdf"),
        ("a.pdf/", "application/pdf"),
        ("a.csv.gz", "application/gzip"),
        ("a.unknown", None),
        ("a.pdf_", None),
        ("a", None),
        ("pdf", None),
        (".pdf", None),
        ("dir.pdf/a", None),
        ("a.", None),
        ("", None),
        ("/", None),
        ("data:text/html,x", None),
        ("http://x.pdf:80", None),
        ("名前.png", "image/png"),
        ("🚢.png", "image/png"),
        ("a.\uff50\uff4e\uff47", None),
        ("\udc80.png", "image/png"),
        ("a.\udc80", None),
    ],
)
def test_a_name_claims_what_its_last_suffix_stands_for(name: str, claimed: str | None) -> None:
    assert judge(b"", name).claimed == claimed


@pytest.mark.parametrize(
    ("alias", "name", "head"),
    [
        ("image/jpg", "a.jpg", JPEG),
        ("text/xml", "a.xml", b"<?xml version='1.0'?><a/>"),
        ("application/x-gzip", "a.gz", gzip.compress(b"a", mtime=0)),
        ("IMAGE/PNG", "a.png", PNG),
        (" image/* ", "a.png", PNG),
        ("text/*", "a.csv", b"a,b\n"),
    ],
    ids=told_apart,
)
def test_types_are_matched_by_any_of_their_names(alias: str, name: str, head: bytes) -> None:
    assert matches(judge(head, name).media_type, (alias,))


@pytest.mark.parametrize(
    "head",
    [
        b"name,iban\nada,1\n",
        b"<html><body>svg</body></html>",
        b"<svgx/> <asvg/> svg",
        "name,iban\n".encode("utf-16"),
    ],
)
def test_no_other_text_is_taken_for_an_image_because_it_is_named_like_one(head: bytes) -> None:
    found = judge(head, "a.svg")
    assert not found.agrees
    assert not matches(found.media_type, ("image/*",))


@pytest.mark.parametrize(
    "head",
    [
        b"<svg>",
        b'<?xml version="1.0"?>\n<!-- Tide -->\n<svg\nxmlns="http://www.w3.org/2000/svg"/>',
        b'<svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>',
        "<?xml version='1.0' encoding='UTF-16'?><svg/>".encode("utf-16"),
        b"\xfe\xff" + "<svg/>".encode("utf-16-be"),
    ],
)
def test_what_has_an_svg_in_it_is_one_by_its_name(head: bytes) -> None:
    assert judge(head, "a.svg").media_type == "image/svg+xml"
    assert judge(head, "a.svg").agrees


@pytest.mark.parametrize(
    "patterns",
    [(), ("image/jpeg",), ("application/*",), ("image",), ("*",), ("image/",), ("image/pn*",)],
)
def test_types_that_are_not_named_do_not_match(patterns: tuple[str, ...]) -> None:
    assert not matches("image/png", patterns)


# --- anything at all ------------------------------------------------------------------------

heads = st.one_of(
    st.binary(max_size=600),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.builds(
        lambda start, cut, more: start[:cut] + more,
        st.sampled_from([head for head, _ in ORDINARY.values()] + list(PROGRAMS.values())),
        st.integers(0, 600),
        st.binary(max_size=80),
    ),
)
names = st.one_of(
    st.text(max_size=40),
    st.sampled_from(sorted(ORDINARY)),
    st.builds(
        "{}.{}".format, st.text(max_size=8), st.text("abcdefghijklmnopqrstuvwxyz7", max_size=5)
    ),
)


@settings(max_examples=examples(400))
@given(head=heads, name=names)
@example(head=b"PK\x03\x04" + b"\xff" * 26, name="a.zip")
@example(head=b"PK\x07\x08PK\x03\x04", name="a.zip")
@example(head=b"\xff\xfe\x00", name="a.txt")
@example(head=b"\xff\xfe\x3d\xd8", name="a.txt")
@example(head=bytes(512), name="a.tar")
def test_any_bytes_under_any_name_are_judged(head: bytes, name: str) -> None:
    found = judge(head, name)
    assert found.agrees or found.claimed is not None
    if not found.agrees:
        assert found.media_type != found.claimed
    if found.media_type in SLACK_IMAGES:
        assert head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"))
    if found.media_type == EXECUTABLE:
        assert found.program
    assert matches(found.media_type, (found.media_type,))


@given(name=names, cut=st.integers(1, 64))
def test_what_begins_like_a_program_is_never_let_pass(name: str, cut: int) -> None:
    for head in (ELF, MACHO, CLASS, SHORTCUT, SCRIPT):
        assert judge(head[: max(cut, 8)] + b"\n", name).program


@given(text=st.text())
def test_what_is_encoded_as_utf_8_without_nul_is_text(text: str) -> None:
    encoded = text.encode("utf-8", "ignore")
    assert is_text(encoded) == (b"\0" not in encoded)


@given(text=st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])))
def test_what_is_encoded_in_8_bits_without_controls_is_text(text: str) -> None:
    assert is_text(text.encode("latin-1"))


@pytest.mark.parametrize(
    "head",
    [
        b"a\0b",
        b"\xff\xfea\0\0\0",
        b"\xff\xfe\x01\0",
        b"\xff\xfe\x00\xdc\x00\xdca\0",  # halves of pairs without their others
        b"\xff\xfe" + noise(),
        "größe\x01".encode("latin-1"),
        noise()[4:],
    ],
    ids=told_apart,
)
def test_what_no_text_holds_is_not_text(head: bytes) -> None:
    assert not is_text(head)


ZIP_BOMBS = {
    "many entries": b"PK\x03\x04" + bytes(26),
    "many beginnings": b"PK\x03\x04",
    "sizes that follow": b"PK\x03\x04\x14\0\x08\0" + bytes(22),
}
HARD_HEADS = {
    "noise": random.Random(1).randbytes(HEAD_BYTES),
    "nul": bytes(HEAD_BYTES),
    "letters": b"a" * HEAD_BYTES,
    "latin-1": b"\xe9" * HEAD_BYTES,
    "utf-16": b"\xff\xfe" + b"a\0" * (HEAD_BYTES // 2 - 1),
    "digits": b"\x80" + b"7" * (HEAD_BYTES - 1),
    **{name: (head * HEAD_BYTES)[:HEAD_BYTES] for name, head in ZIP_BOMBS.items()},
}


@pytest.mark.parametrize("head", HARD_HEADS)
def test_a_full_head_is_judged_in_no_time(head: str) -> None:
    begun = time.process_time()
    judge(HARD_HEADS[head], "a.docx")
    assert time.process_time() - begun < 1
