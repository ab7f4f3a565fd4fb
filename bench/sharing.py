"""What sharing costs: beside a pipe, beside what a script does, and with a scanner in between.

S3 is rclone over a folder, Slack is `sink.py`: both processes of their own, on loopback.
"""

import asyncio
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import boto3
from botocore.config import Config
from processes import HERE, Run, free_port, server, timed
from sink import CHANNEL

from tidegate.core.bucket import Address
from tidegate.core.share import disposition
from tidegate.core.sigv4 import Credentials, Signer

BIN = Path(sys.executable).parent
REGION, BUCKET = "eu-west-1", "acme-reports"
KEYS = Credentials(access_key="AKIDBENCH", secret_key="bench-secret")
MIB = 1_048_576
LARGE, MEDIUM = ("large.pdf", 1024 * MIB), ("medium.pdf", 64 * MIB)
SMALL = [f"small-{number:03d}.pdf" for number in range(100)]
SMALL_BYTES = 102_400
SAVED_AS = disposition("revenue.pdf")
PRESIGN_SECONDS = 0.2
SLOW_MILLISECONDS = 20  # for each of Slack's answers, and the real one takes longer

Rows = list[dict[str, Any]]


async def sharing(rounds: int) -> Rows:
    """Measure sharing, in turns beside its peers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await asyncio.to_thread(fill, folder / BUCKET)
        async with far_ends(folder) as environment:
            rows = await one_large(environment, max(3, rounds // 2))
            rows += await many_small(environment, rounds, "")
            async with slack(SLOW_MILLISECONDS) as slow:
                answers = f", Slack answers after {SLOW_MILLISECONDS} ms"
                rows += await many_small({**environment, **slow}, max(3, rounds // 2), answers)
            rows += await scanned(environment, folder, max(3, rounds // 2))
    return rows + await asyncio.to_thread(presigned, rounds)


def fill(bucket: Path) -> None:
    """Make the objects: their size counts, and that they look like what they are named."""
    bucket.mkdir()
    block = random.Random(0).randbytes(MIB)
    for key, size in (LARGE, MEDIUM):
        with (bucket / key).open("wb") as stream:
            stream.write(b"%PDF-1.7\n" + block[9:])
            for _ in range(size // MIB - 1):
                stream.write(block)
    for number, key in enumerate(SMALL):
        (bucket / key).write_bytes(b"%%PDF-1.7\n%%%d\n" % number + block[: SMALL_BYTES - 20])


@contextlib.asynccontextmanager
async def far_ends(folder: Path) -> AsyncIterator[dict[str, str]]:
    """An S3 and a Slack while the block runs; yields the environment that leads to them."""
    port = free_port()
    rclone = [str(BIN / "rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    rclone += ["--auth-key", f"{KEYS.access_key},{KEYS.secret_key}"]
    rclone += ["--config", str(folder / "rclone.conf"), str(folder)]
    environment = {
        "AWS_ACCESS_KEY_ID": KEYS.access_key,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": "127.0.0.1",
        "SLACK_BOT_TOKEN": "xoxb-bench",
        "TMPDIR": str(folder),
    }
    async with server(rclone, port, environment), slack() as address:
        yield {**environment, **address}


@contextlib.asynccontextmanager
async def slack(milliseconds: int = 0) -> AsyncIterator[dict[str, str]]:
    """A Slack that takes so long for each answer."""
    port = free_port()
    sink = [sys.executable, str(HERE / "sink.py"), str(port), str(milliseconds)]
    async with server(sink, port, {}):
        yield {"SLACK_API_URL": f"http://127.0.0.1:{port}/api/"}


# --- one large object ----------------------------------------------------------------------


async def one_large(environment: dict[str, str], rounds: int) -> Rows:
    """A gigabyte: whole processes, from their start to their end."""
    key, size = LARGE
    ways: dict[str, Callable[[], list[str]]] = {
        "curl → curl": lambda: pipe(environment, key, size),
        "boto3 → file → urllib3": lambda: way("plain", key),
        "boto3 → file → slack_sdk": lambda: way("sdk", key),
        "s3-to-slack": lambda: [str(BIN / "s3-to-slack"), BUCKET, key, CHANNEL],
    }
    if shutil.which("curl") is None:
        del ways["curl → curl"]
    # Whoever came first would wait for the checksum that rclone makes once.
    await timed(way("tidegate", key), environment)
    found = await in_turns(ways, environment, rounds)
    return _run_rows("1 GiB, s", found, [[run.seconds for run in runs] for runs in found.values()])


def way(name: str, *keys: str, more: Sequence[str] = ()) -> list[str]:
    """Return the command for one of `ways.py`."""
    return [sys.executable, str(HERE / "ways.py"), name, BUCKET, CHANNEL, *keys, *more]


def pipe(environment: Mapping[str, str], key: str, size: int) -> list[str]:
    """Return the shortest way there is: two programs that only pass bytes on."""
    source = _presign(environment["AWS_ENDPOINT_URL_S3"], key, Signer())
    query = urlencode({"filename": key, "length": size})
    with urlopen(f"{environment['SLACK_API_URL']}files.getUploadURLExternal?{query}") as answer:
        target = json.load(answer)["upload_url"]
    headers = [f"Content-Length: {size}", "Transfer-Encoding:", "Expect:"]
    options = "".join(f" -H '{each}'" for each in headers)
    script = f'curl -sf "$0" | curl -sf -X POST{options} -T - "$1"'
    return ["sh", "-c", script, source, target]


def _presign(endpoint: str, key: str, signer: Signer) -> str:
    address = Address(bucket=BUCKET, region=REGION, endpoint=endpoint)
    return signer.presign(
        url=address.url(key),
        query=[("response-content-disposition", SAVED_AS)],
        seconds=3600,
        credentials=KEYS,
        region=REGION,
        now=datetime.now(tz=UTC),
    )


# --- many small ones -----------------------------------------------------------------------


async def many_small(environment: dict[str, str], rounds: int, answers: str) -> Rows:
    """A hundred small files: the work alone, without imports."""
    ways: dict[str, Callable[[], list[str]]] = {
        "boto3 → file → urllib3, one by one": lambda: way("plain", *SMALL),
        "tidegate, one share": lambda: way("tidegate", *SMALL),
    }
    found = await in_turns(ways, environment, rounds)
    rates = [[len(SMALL) / _work(run)[0] for run in runs] for runs in found.values()]
    return _run_rows(f"100 files of 100 KiB{answers}, files/s", found, rates)


# --- with a scanner ------------------------------------------------------------------------


async def scanned(environment: dict[str, str], folder: Path, rounds: int) -> Rows:
    """The same object with and without a scanner; no rows where there is none."""
    program = await asyncio.to_thread(clamd_program)
    if program is None:
        return []
    key, size = MEDIUM
    async with clamd(program, folder) as address:
        ways: dict[str, Callable[[], list[str]]] = {
            "no scanner": lambda: way("tidegate", key, more=["--times", "2"]),
            "clamd": lambda: way("tidegate", key, more=["--times", "2", "--clamd", address]),
        }
        found = await in_turns(ways, environment, rounds)
    plain, scan = found.values()
    first = "clamd, first of its process: its limits are tried"
    shown = {"no scanner": plain, "clamd": scan, first: scan}
    turns = (plain, 1), (scan, 1), (scan, 0)
    seconds = [[_work(run)[turn] for run in runs] for runs, turn in turns]
    return _run_rows(f"{size // MIB} MiB, s", shown, seconds)


def clamd_program() -> str | None:
    """Return the path of a clamd, or None if none can be had."""
    found = subprocess.run(
        [HERE.parent / "scripts" / "clamd"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return found.stdout.strip() if found.returncode == 0 else None


@contextlib.asynccontextmanager
async def clamd(program: str, folder: Path) -> AsyncIterator[str]:
    """A scanner with one signature, which reads to the end; yields its address."""
    signatures = folder / "signatures"
    signatures.mkdir()
    # The one by which Tidegate tries how far it reads; the file's name says what it is.
    (signatures / "test.ndb").write_text(f"Bench.EICAR:0:*:{_EICAR.hex()}\n")
    port = free_port()
    settings = {
        "AlertExceedsMax": "yes",
        "DatabaseDirectory": signatures,
        "Foreground": "yes",
        "TCPAddr": "127.0.0.1",
        "TCPSocket": port,
        "TemporaryDirectory": folder,
        "StreamMaxLength": "1024M",
        "MaxFileSize": "1024M",
        "MaxScanSize": "1024M",
    }
    if os.geteuid() == 0:
        settings["User"] = "root"  # else it becomes the user that its package was built for
    file = folder / "clamd.conf"
    file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    async with server([program, "--config-file", str(file)], port, {}):
        yield f"127.0.0.1:{port}"


# The test file of all scanners, in parts: else this one would be taken for it.
_EICAR = b"".join(
    (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", b"-STANDARD-ANTIVIRUS", b"-TEST-FILE!$H+H*")
)


# --- links ---------------------------------------------------------------------------------


def presigned(rounds: int) -> Rows:
    """Presigned URLs per second, from a bucket and a key."""
    client = boto3.client(
        "s3",
        region_name=REGION,
        aws_access_key_id=KEYS.access_key,
        aws_secret_access_key=KEYS.secret_key,
        endpoint_url=f"https://s3.{REGION}.amazonaws.com",
        config=Config(signature_version="s3v4"),
    )
    asked = {"Bucket": BUCKET, "ResponseContentDisposition": SAVED_AS}
    signer = Signer()
    ways: dict[str, Callable[[str], str]] = {
        "boto3": lambda key: client.generate_presigned_url("get_object", {**asked, "Key": key}),
        "tidegate": lambda key: _presign(f"https://s3.{REGION}.amazonaws.com", key, signer),
    }
    rates: dict[str, list[float]] = {title: [] for title in ways}
    for turn in range(rounds + 1):
        for title, make in ways.items():
            rate = _rate(make)
            if turn:  # the first round warms up
                rates[title].append(rate)
    return [_row("presigned URLs/s", *each, next(iter(rates.values()))) for each in rates.items()]


def _rate(make: Callable[[str], str]) -> float:
    began, count = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < PRESIGN_SECONDS:
        for _ in range(50):
            make(f"q3/revenue-{count}.pdf")
            count += 1
    return count / took


# --- starts --------------------------------------------------------------------------------


async def starts(rounds: int) -> Rows:
    """Whole-process time of the command lines, beside AWS's own where it can be installed."""
    with tempfile.TemporaryDirectory() as name:
        aws = await asyncio.to_thread(install_aws, Path(name))
        commands = {
            "aws --version": [str(aws), "--version"],
            "python -c pass": [sys.executable, "-c", "pass"],
            "tidegate --help": [str(BIN / "tidegate"), "--help"],
            "s3-to-slack --help": [str(BIN / "s3-to-slack"), "--help"],
        }
        if aws is None:
            del commands["aws --version"]
        ways = {title: (lambda each=each: each) for title, each in commands.items()}
        found = await in_turns(ways, {}, rounds + 1)
    times = [[run.seconds for run in runs[1:]] for runs in found.values()]
    return _run_rows("start, s", found, times)


def install_aws(folder: Path) -> Path | None:
    """Install AWS's command line into an environment of its own; None if it cannot be had."""
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    make = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    quick = ["--retries", "0", "--timeout", "10", "--disable-pip-version-check"]
    for command in (make, [*install, *quick, "awscli"]):
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode:
            return None
    return folder / "bin" / "aws"


# --- rows ----------------------------------------------------------------------------------


async def in_turns(
    ways: Mapping[str, Callable[[], list[str]]], environment: dict[str, str], rounds: int
) -> dict[str, list[Run]]:
    """Run each way once in every round."""
    found: dict[str, list[Run]] = {title: [] for title in ways}
    for _ in range(rounds):
        for title, command in ways.items():
            found[title].append(await timed(command(), environment))
    return found


def _work(run: Run) -> list[float]:
    return [float(line) for line in run.said.splitlines()]


def _run_rows(
    what: str, found: Mapping[str, Sequence[Run]], figures: Sequence[Sequence[float]]
) -> Rows:
    rows = []
    for (title, runs), each in zip(found.items(), figures, strict=True):
        row = _row(what, title, each, figures[0])
        row["cpu_s"] = round(statistics.median(run.cpu_seconds for run in runs), 2)
        row["peak_mib"] = round(max(run.peak_bytes for run in runs) / MIB)
        rows.append(row)
    return rows


def _row(what: str, title: str, figures: Sequence[float], peer: Sequence[float]) -> dict[str, Any]:
    middle = statistics.median(figures)
    return {
        "what": f"{what}: {title}",
        "median": _short(middle),
        "min": _short(min(figures)),
        "max": _short(max(figures)),
        "ratio": round(middle / statistics.median(peer), 2),
    }


def _short(figure: float) -> float:
    return round(figure, 3) if figure < 10 else round(figure)
