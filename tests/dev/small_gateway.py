"""A program that looks like the gateway from outside: for tests of what starts and watches it.

It answers readiness and deliveries, logs as the gateway logs, and calls the service when it is
told to by nothing but a click. `FAIL=1` makes it end at once with a complaint.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tidegate_dev.listener import Listener

number = 0


def log(event: str, **fields: object) -> None:
    print(
        json.dumps({"at": time.time(), "level": "info", "event": event, **fields}), file=sys.stderr
    )


async def ready(_request: Request) -> Response:
    return PlainTextResponse("ready")


async def take(request: Request) -> Response:
    global number
    number += 1
    form = parse_qs((await request.body()).decode())
    user = form["user_id"][0] if "user_id" in form else json.loads(form["payload"][0])["user"]["id"]
    line = {"request": f"r{number}", "endpoint": request.url.path, "status": 200}
    times = {"verify_ms": 0.1, "decide_ms": 0.2, "record_ms": 0.5, "total_ms": 1.0}
    headers = {"X-Request-Id": f"r{number}"}
    if user == "U0GUEST":
        log("answered", **line, outcome="refused", reason="denied: guest", action="a", **times)
        return Response(headers=headers)
    run = f"run{number}"
    log("answered", **line, outcome="recorded", run=run, action="deploy-staging", **times)
    asyncio.get_running_loop().call_later(0.05, carry_out, run)
    return Response(headers={**headers, "X-Tidegate-Run": run})


def carry_out(run: str) -> None:
    log("authorised", run=run, action="deploy-staging", rule="user_groups")
    log("sending", run=run, attempt=1, pathway="cluster", method="POST", auth="sigv4")
    log("outcome", run=run, state="running", status=202, ms=4.0)
    log("progress", run=run, phase="running", done=2, total=3)
    log("outcome", run=run, state="succeeded", status=200, ms=9.0)
    log("told", run=run, state="succeeded", method="chat.update", ms=3.0)


async def runs(request: Request) -> Response:
    if request.headers.get("authorization") != f"Bearer {os.environ['TIDEGATE_API_TOKEN']}":
        return JSONResponse({"error": "no"}, status_code=401)
    run = request.path_params["run"]
    return JSONResponse({"run": {"id": run}, "audit": [{"what": "recorded"}]})


async def main(config: dict[str, dict[str, int]]) -> None:
    public = [
        Route("/readyz", ready),
        Route("/slack/{name}", take, methods=["POST"]),
    ]
    admin = [Route("/api/v1/runs/{run}", runs)]
    async with (
        Listener(Starlette(routes=public), port=config["server"]["port"]),
        Listener(Starlette(routes=admin), port=config["admin"]["port"]),
    ):
        log("serving", environment=sorted(os.environ))
        await asyncio.Event().wait()


if __name__ == "__main__":
    if "FAIL" in os.environ.get("TZ", ""):
        sys.exit("tidegate: the configuration has problems")
    asyncio.run(main(json.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())))
