"""Write a bucket's folder with what a team would have there, and two files that lie."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tidegate_dev.objects import pictures

BUCKET: Final = "acme-reports"

_WEEKS: Final = (31, 38, 36, 44, 52, 49, 61, 58, 66, 72, 70, 79)
_SERVICES: Final = (("web", 128), ("checkout", 74), ("search", 53), ("billing", 31), ("mail", 12))


def write_seed(root: Path, bucket: str = BUCKET) -> Path:
    """Return the bucket's folder below *root*, with the seed in it; what is there stays."""
    folder = root / bucket
    for key, make in SEED.items():
        path = folder / key
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(make())
    return folder


def eicar() -> bytes:
    """Return the harmless text that every scanner calls malware, put together only here.

    Source: https://www.eicar.org/download-anti-malware-testfile/
    """
    head, tail = "X5O!P%@AP[4\\PZX54(P^)7CC)7}", "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    return f"{head}$EICAR-{tail}".encode("ascii")


def elf_header() -> bytes:
    """Return how a program for Linux begins: 64 bits, little-endian, x86-64, no more of it."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    machine = b"\x02\x00\x3e\x00\x01\x00\x00\x00" + (0x401000).to_bytes(8, "little")
    return (ident + machine).ljust(64, b"\0") + bytes(4096)


def deploys_csv() -> bytes:
    """Return deploys by week and service."""
    lines = ["week,service,deploys,failed"]
    for week, total in enumerate(_WEEKS, start=27):
        for place, (service, share) in enumerate(_SERVICES):
            lines.append(f"2026-W{week},{service},{total * share // 298},{(week + place) % 3}")
    return ("\r\n".join(lines) + "\r\n").encode()


def report_pdf() -> bytes:
    """Return one page with a heading, a few lines and a chart."""
    drawn = ["0.06 0.24 0.31 rg 0 752 595 90 re f", "1 1 1 rg", _line(48, 790, 26, "Q3 report")]
    drawn.append(_line(48, 768, 12, "Deploys by service, July to September"))
    for row, (service, deploys) in enumerate(_SERVICES):
        top = 680 - row * 44
        drawn.append(f"0.16 {0.45 + row * 0.08:.2f} 0.55 rg 150 {top} {deploys * 2.6:.0f} 24 re f")
        drawn.append("0.1 0.1 0.12 rg")
        drawn.append(_line(48, top + 7, 13, service))
        drawn.append(_line(158 + int(deploys * 2.6), top + 7, 13, str(deploys)))
    content = "\n".join(drawn).encode("ascii")
    return _pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]
    )


def _line(x: int, y: int, size: int, text: str) -> str:
    return f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET"


def _pdf(objects: list[bytes]) -> bytes:
    made, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, content in enumerate(objects, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        made += b"%010d 00000 n \n" % place
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        table,
    )
    return bytes(made)


SEED: Final[Mapping[str, Callable[[], bytes]]] = {
    "q3/report.pdf": report_pdf,
    "q3/deploys.csv": deploys_csv,
    "q3/charts/deploys.png": lambda: pictures.bar_chart_png(_WEEKS),
    "q3/charts/latency.png": lambda: pictures.area_chart_png([60 - w // 2 for w in _WEEKS]),
    "q3/charts/sunset.jpg": pictures.sky_jpeg,
    "q3/charts/tide.gif": pictures.tide_gif,
    # A name that says one thing, and a content that says another.
    "q3/invoice.pdf": elf_header,
    "q3/eicar.txt": eicar,
}
