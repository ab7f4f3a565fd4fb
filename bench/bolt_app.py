"""The peer: slack_bolt's async app on Starlette and uvicorn. It acknowledges and stores nothing."""

import logging
import os
import sys

import uvicorn
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def authorize(**_: object) -> AuthorizeResult:
    """Know the workspace without asking Slack, so that the peer is not slowed by it."""
    return AuthorizeResult(
        enterprise_id=None, team_id="T0BENCH", bot_id="B0BENCH", bot_user_id="U0BOT", bot_token="x"
    )


app = AsyncApp(signing_secret=os.environ["SLACK_SIGNING_SECRET"], authorize=authorize)
handler = AsyncSlackRequestHandler(app)


@app.action("k8s_deploy")
async def deploy(ack: AsyncAck) -> None:
    """Acknowledge, as the framework's first example does."""
    await ack()


async def actions(request: Request) -> Response:
    """Hand the request to the framework."""
    return await handler.handle(request)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    uvicorn.run(
        Starlette(routes=[Route("/slack/actions", actions, methods=["POST"])]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_config=None,
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
