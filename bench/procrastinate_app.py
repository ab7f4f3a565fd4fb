"""The peer of the PostgreSQL store: records a backlog of jobs that do nothing, and drains it.

Runs in an environment of its own. Prints one JSON object.
"""

import asyncio
import json
import sys
import time

import procrastinate
import psycopg

BACKLOG = 3000
CONCURRENCY = 32


async def main(url: str) -> dict[str, float]:
    """Record and drain once, in tables that are made for it."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("DROP SCHEMA IF EXISTS peer CASCADE")
        admin.execute("CREATE SCHEMA peer")
    pool = {"conninfo": url, "kwargs": {"options": "-c search_path=peer"}, "max_size": 10}
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(**pool))

    @app.task(name="nothing")
    async def nothing(key: str) -> None:
        pass

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        keys = iter(range(BACKLOG))

        async def take() -> None:
            for key in keys:
                await nothing.configure(queueing_lock=f"key-{key}").defer_async(key=str(key))

        began = time.perf_counter()
        await asyncio.gather(*(take() for _ in range(CONCURRENCY)))
        recorded = BACKLOG / (time.perf_counter() - began)
        began = time.perf_counter()
        await app.run_worker_async(wait=False, concurrency=CONCURRENCY, listen_notify=False)
        drained = BACKLOG / (time.perf_counter() - began)
    return {"recorded": recorded, "drained": drained}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))
