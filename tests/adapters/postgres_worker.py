"""A worker process over a PostgreSQL store: prints `ready`, then the id of each run it carries out.

Usage: python -m tests.adapters.postgres_worker URL PAUSE_SECONDS
"""

import asyncio
import os
import sys

from tests.adapters.databases import carry_out
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.postgres import Address, PostgresStore
from tidegate.core.model import Leased

LEASE_SECONDS = 1.5


async def main(url: str, pause: str) -> None:
    store = await PostgresStore.open(Address(url=url), clock=SystemClock(), most_connections=3)
    os.write(1, b"ready\n")

    async def work(mine: Leased) -> None:
        await asyncio.sleep(float(pause))
        await carry_out(store, mine)
        os.write(1, f"{mine.run.id}\n".encode())

    while True:
        got = await store.lease(slots={"cluster": 10}, polls=0, seconds=LEASE_SECONDS)
        await asyncio.gather(*map(work, got))
        if not got:
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
