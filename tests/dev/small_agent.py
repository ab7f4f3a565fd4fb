"""A program that looks like the agent from outside: for tests of what starts and watches it.

It answers readiness, and tells its environment and its configuration in its first line.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate_dev.listener import Listener


async def ready(_request: Request) -> Response:
    return JSONResponse({"ok": True})


async def take(_request: Request) -> Response:
    return JSONResponse({"message": "taken", "status": "accepted"}, 202)


async def main(config: dict[str, dict[str, int]]) -> None:
    public = [Route("/api/v1/{verb}", take, methods=["POST"])]
    async with (
        Listener(Starlette(routes=public), port=config["listen"]["port"]),
        Listener(Starlette(routes=[Route("/readyz", ready)]), port=config["metrics"]["port"]),
    ):
        line = {"event": "started", "environment": sorted(os.environ), "config": config}
        print(json.dumps(line), file=sys.stderr)
        await asyncio.Event().wait()


if __name__ == "__main__":
    if "LOST" in os.environ.get("TZ", ""):
        sys.exit("agent.yaml: the key set is empty")
    asyncio.run(main(json.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())))
