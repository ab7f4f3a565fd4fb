"""The PostgreSQL store beside procrastinate, and what claiming costs as the table grows.

Both take work over one server that syncs to disk, each from a process of its own. A run is
recorded with its keys and its audit row; to be drained it is leased, goes to `sending`, which is
committed, and to its end, which is committed too. procrastinate fetches a job and finishes it.
"""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
from processes import HERE

sys.path.append(str(HERE.parent))  # what the tests start as a server serves here as well

from tests.contract.drafts import a_draft
from tests.far_ends.postgres import Server
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.postgres import Address, PostgresStore
from tidegate.adapters.postgres.runs import LEASE
from tidegate.core.model import Change, Leased, Recorded, State

Rows = list[dict[str, Any]]

PEER: Final = "procrastinate==3.10.0"
BACKLOG: Final = 3000
CONCURRENCY: Final = 32
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
DURABLE: Final = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB"}


async def database(rounds: int) -> Rows:
    """Measure everything about the PostgreSQL store."""
    with server() as running, tempfile.TemporaryDirectory() as folder:
        rows = await rates(running, Path(folder), max(3, rounds // 2))
        return rows + await growth(running)


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Run a server that syncs to disk."""
    running = Server(**DURABLE)
    try:
        yield running.start()
    finally:
        running.remove()


# --- rates -------------------------------------------------------------------------------


async def rates(running: Server, folder: Path, rounds: int) -> Rows:
    """Record and drain a backlog, in turns with the peer where it can be installed."""
    commands = {}
    peer = await asyncio.to_thread(install, folder)
    if peer is not None:
        commands[PEER] = [str(peer), str(HERE / "procrastinate_app.py"), running.url]
    commands["tidegate, PostgreSQL"] = [sys.executable, __file__, running.url]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            done = await asyncio.to_thread(
                subprocess.run, command, stdout=subprocess.PIPE, text=True, check=True
            )
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    return [row for what in ("recorded", "drained") for row in _rates(what, found)]


def install(folder: Path) -> Path | None:
    """Return a Python that has the peer, or None where it cannot be had."""
    python = folder / "bin" / "python"
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
        pip = [python, "-m", "pip", "install", "--quiet", PEER, "psycopg[binary,pool]"]
        subprocess.run(pip, check=True, capture_output=True)
    except subprocess.CalledProcessError:
        print(f"{PEER} cannot be installed here: no peer", file=sys.stderr)
        return None
    return python


def _rates(what: str, found: dict[str, list[dict[str, float]]]) -> Rows:
    peer = statistics.median(one[what] for one in next(iter(found.values())))
    return [
        {
            "what": f"{what}/s, {CONCURRENCY} at once: {name}",
            "median": round(statistics.median(each := [one[what] for one in ones])),
            "min": round(min(each)),
            "max": round(max(each)),
            "ratio": round(statistics.median(each) / peer, 2),
        }
        for name, ones in found.items()
    ]


async def one_turn(url: str) -> dict[str, float]:
    """Record a backlog, then drain it; return how many a second."""
    async with a_store(url) as store:
        clock = SystemClock()
        drafts = [a_draft(clock, effect_key=clock.entropy(8).hex()) for _ in range(BACKLOG)]
        began = time.perf_counter()
        await _at_once(CONCURRENCY, drafts, lambda draft: store.record(draft, within=30))
        recorded = BACKLOG / (time.perf_counter() - began)
        await store.probe()
        began = time.perf_counter()
        await drain(store)
        return {"recorded": recorded, "drained": BACKLOG / (time.perf_counter() - began)}


async def drain(store: PostgresStore) -> None:
    """Carry out everything, a step that does nothing in each run's middle."""
    free = asyncio.Semaphore(CONCURRENCY)
    left = BACKLOG
    done = asyncio.Event()
    tasks = set()

    async def work(mine: Leased) -> None:
        nonlocal left
        sending = Change(state=State.SENDING, keep_lease=True, attempt=True)
        run = await store.advance(mine, sending)
        await store.advance(Leased(run=run, token=mine.token), Change(state=State.SUCCEEDED))
        free.release()
        left -= 1
        if not left:
            done.set()

    while not done.is_set():
        await free.acquire()
        room = 1
        while room < CONCURRENCY and not free.locked():
            await free.acquire()
            room += 1
        got = await store.lease(slots={"cluster": room}, polls=0, seconds=30)
        for _ in range(room - len(got)):
            free.release()
        for mine in got:
            task = asyncio.create_task(work(mine))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if not got:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), 0.05)


@contextlib.asynccontextmanager
async def a_store(url: str) -> AsyncIterator[PostgresStore]:
    """Open a store over tables of its own, which are dropped afterwards."""
    store = await PostgresStore.open(Address(url=f"{url}?search_path=bench"), clock=SystemClock())
    try:
        yield store
    finally:
        await store.close()
        admin = await asyncpg.connect(url)
        await admin.execute("SET client_min_messages = error; DROP SCHEMA bench CASCADE")
        await admin.close()


async def _at_once(most: int, items: Sequence[Any], do: Any) -> None:
    left = iter(items)

    async def take() -> None:
        for item in left:
            assert isinstance(await do(item), Recorded)

    await asyncio.gather(*(take() for _ in range(most)))


# --- growth ------------------------------------------------------------------------------

_FILL: Final = """
INSERT INTO bench.runs (id, action, pathway, state, user_id, sure, created_at, updated_at,
    start_by, next_at, finished_at, facts, target_state)
SELECT $3 || n, 'deploy', 'cluster', $4, 'U1', true, n, n, 1e12,
    CASE WHEN $4 = 'queued' THEN n::float8 END, CASE WHEN $4 <> 'queued' THEN n::float8 END,
    $5, 'queued' FROM generate_series($1::int, $2::int) AS n
"""


async def growth(running: Server) -> Rows:
    """What it costs to lease ten runs, by how many there are: ended, or waiting."""
    rows: Rows = []
    for state in ("succeeded", "queued"):
        async with a_store(running.url) as store:
            rows += await _growth(running.url, store, state)
    return rows


async def _growth(url: str, store: PostgresStore, state: str) -> Rows:
    sample = await store.record(a_draft(SystemClock()), within=10)
    assert isinstance(sample, Recorded)
    await store.probe()
    admin = await asyncpg.connect(url)
    facts = await admin.fetchval("SELECT facts FROM bench.runs LIMIT 1")
    rows: Rows = []
    have = 0
    for size in SIZES:
        await admin.execute(_FILL, have + 1, size, f"{state}-", state, facts, timeout=900)
        waiting = f"waiting-{size}-"
        await admin.execute(_FILL, 1, 4000, waiting, "queued", facts, timeout=900)
        await admin.execute("VACUUM (ANALYZE) bench.runs", timeout=900)
        have = size
        times = [await _lease_ten(store) for _ in range(300)][50:]
        rows.append(
            {
                "what": f"a lease of 10, beside {size:,} runs that are {state}",
                "p50_ms": round(statistics.median(times) * 1000, 2),
                "p99_ms": round(sorted(times)[int(len(times) * 0.99)] * 1000, 2),
                "pages": await _pages(admin),
            }
        )
    await admin.close()
    return rows


async def _pages(admin: Any) -> int:
    """How many pages of the table and its indexes a lease of ten touches: no noise in that."""
    values = (["cluster"], [10], ["cluster"], 1e11, 10, 10, "token", 1e12)
    async with admin.transaction():
        await admin.execute("SET LOCAL search_path = bench")
        plan = await admin.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {LEASE}", *values)
    top = json.loads(plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


async def _lease_ten(store: PostgresStore) -> float:
    began = time.perf_counter()
    got = await store.lease(slots={"cluster": 10}, polls=10, seconds=3600)
    took = time.perf_counter() - began
    assert len(got) == 10
    return took


if __name__ == "__main__":
    print(json.dumps(asyncio.run(one_turn(sys.argv[1]))))
