"""Slack as a real server on loopback: for the dev workspace, and as a test double.

async with SlackFarEnd(gateway_url="http://127.0.0.1:3000") as slack:
    ts = slack.post_as_bot("C0OPS", "Deploy?", blocks=[...])
    delivery = await slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy")
    assert delivery.acked
    await slack.wait_for(lambda: "done" in slack.message("C0OPS", ts).text)
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from typing_extensions import override

from tidegate_dev.listener import Listener
from tidegate_dev.running import Running
from tidegate_dev.slack import blocks as block_kit
from tidegate_dev.slack import command_answers, payloads
from tidegate_dev.slack.deliveries import ACK_SECONDS, Courier, Delivery, Kind, signed_headers
from tidegate_dev.slack.downloads import Downloads
from tidegate_dev.slack.faults import SlackFaults
from tidegate_dev.slack.file_store import PROCESSING_SECONDS, FileStore
from tidegate_dev.slack.file_types import guess
from tidegate_dev.slack.files import File
from tidegate_dev.slack.loop_thread import LoopThread
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.payloads import Json, Press
from tidegate_dev.slack.people import Channel, User
from tidegate_dev.slack.pictures import FETCH_SECONDS, Pictures
from tidegate_dev.slack.rate_limits import RateLimits
from tidegate_dev.slack.response_urls import ResponseCall, ResponseUrls
from tidegate_dev.slack.seed import seeded_workspace
from tidegate_dev.slack.state import Change, Workspace
from tidegate_dev.slack.triggers import Triggers
from tidegate_dev.slack.uploads import Upload, Uploads
from tidegate_dev.slack.web_api import ApiCall, WebApi

Result = TypeVar("Result")

ACTIONS_PATH: Final = "/slack/actions"
COMMANDS_PATH: Final = "/slack/commands"
OPTIONS_PATH: Final = "/slack/options"
_KEPT: Final = 20_000


class NotThereError(Exception):
    """What was to be clicked or addressed does not exist; the text says what."""


class SlackFarEnd(Running):
    """A Slack workspace with one app, the gateway at `gateway_url`.

    As an async context manager it serves in the running loop, as a plain one in a thread
    of its own (then `call` runs its coroutines there). `routes` serve it from another
    application; then `serve_at` says where.
    """

    def __init__(
        self,
        *,
        gateway_url: str = "",
        workspace: Workspace | None = None,
        ack_seconds: float = ACK_SECONDS,
        limits_enabled: bool = True,
        port: int = 0,
        keep_bytes: bool = True,
        processing_seconds: float = PROCESSING_SECONDS,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self.workspace = workspace or seeded_workspace()
        self.faults = SlackFaults()
        clock = self.workspace.clock
        self.limits = RateLimits(now=clock.now, enabled=limits_enabled)
        self.triggers = Triggers(clock.now, team=self.workspace.identity.team_id)
        self.files = FileStore(
            self.workspace,
            self.faults,
            keep_bytes=keep_bytes,
            processing_seconds=processing_seconds,
        )
        self.pictures = Pictures(self.files, fetch_seconds=fetch_seconds)
        self.uploads = Uploads(self.files, self.faults, now=clock.now, cut=self._cut)
        self.viewer: str | None = None
        self.downloads = Downloads(self.workspace, self.files, viewer=lambda: self.viewer)
        self.response_urls = ResponseUrls(self.workspace, self.faults, self.pictures)
        self.courier = Courier(ack_seconds=ack_seconds)
        self.courier.gateway_url = gateway_url
        self.web_api = WebApi(
            self.workspace,
            faults=self.faults,
            limits=self.limits,
            triggers=self.triggers,
            files=self.files,
            pictures=self.pictures,
            cut=self._cut,
        )
        self.deliveries: deque[Delivery] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)
        self._selections: dict[tuple[str, str, str], dict[tuple[str, str], Any]] = {}
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._tasks: set[asyncio.Task[Delivery]] = set()
        self._port = port
        self._listener: Listener | None = None
        self._thread: LoopThread | None = None
        self.workspace.listeners.append(self._notice)

    # Who the app is

    @property
    def api_url(self) -> str:
        """Return the Web API's base address, as `slack.api_url` takes it."""
        return f"{self.response_urls.base_url}/api/"

    @property
    def gateway_url(self) -> str:
        """Return where deliveries go."""
        return self.courier.gateway_url

    @gateway_url.setter
    def gateway_url(self, url: str) -> None:
        self.courier.gateway_url = url.rstrip("/")

    @property
    def bot_token(self) -> str:
        """Return the token of the app's bot user."""
        return self.workspace.identity.bot_token

    @property
    def signing_secret(self) -> str:
        """Return the secret that deliveries are signed with."""
        return self.workspace.identity.signing_secret

    @property
    def team_id(self) -> str:
        """Return the workspace's id."""
        return self.workspace.identity.team_id

    @property
    def bot_id(self) -> str:
        """Return the id of the app's bot, as auth.test gives it."""
        return self.workspace.identity.bot_id

    # What is there

    @property
    def calls(self) -> list[ApiCall]:
        """Return the Web API calls so far, oldest first."""
        return list(self.web_api.calls)

    @property
    def response_calls(self) -> list[ResponseCall]:
        """Return what was sent to response URLs so far, oldest first."""
        return list(self.response_urls.calls)

    @property
    def uploads_made(self) -> list[Upload]:
        """Return the uploads to upload URLs so far, oldest first."""
        return list(self.uploads.made)

    def file(self, file_id: str) -> File:
        """Return one file, in whatever state it is.

        Raises:
            NotThereError: There is none.
        """
        found = self.files.get(file_id)
        if found is None:
            raise NotThereError(f"There is no file {file_id}.")
        return found

    def messages(self, channel: str) -> list[Message]:
        """Return the channel's messages, oldest first, without the ephemeral ones."""
        return self.workspace.history(channel)

    def message(self, channel: str, ts: str) -> Message:
        """Return one message.

        Raises:
            NotThereError: There is none.
        """
        found = self.workspace.message(channel, ts)
        if found is None:
            raise NotThereError(f"There is no message {ts} in {channel}.")
        return found

    def ephemerals(self, user: str) -> list[Message]:
        """Return what only *user* sees, oldest first."""
        return self.workspace.ephemerals(user)

    def add_user(self, id: str, **fields: Any) -> User:
        """Return a new member of the workspace who is in every public channel."""
        fields.setdefault("handle", id.lower())
        fields.setdefault("name", id)
        user = self.workspace.add_user(User(id=id, **fields))
        for channel in self.workspace.channels.values():
            if channel.kind == "public_channel":
                channel.members.add(user.id)
        return user

    def add_channel(self, id: str, **fields: Any) -> Channel:
        """Return a new channel with everyone in it, the bot included."""
        fields.setdefault("name", id.lower())
        fields.setdefault("members", set(self.workspace.users))
        return self.workspace.add_channel(Channel(id=id, **fields))

    def post_as_bot(
        self,
        channel: str,
        text: str,
        blocks: list[Json] | None = None,
        *,
        metadata: Json | None = None,
        thread_ts: str | None = None,
    ) -> str:
        """Post with the app's own identity and return the message's ts."""
        message = self.workspace.bot_message(
            channel,
            text=text,
            blocks=block_kit.accepted(blocks or []),
            metadata=metadata,
            thread_ts=thread_ts,
        )
        return self.workspace.post(message).ts

    def post_as_other(
        self,
        channel: str,
        text: str,
        blocks: list[Json] | None = None,
        *,
        bot_id: str = "B0WEBHOOK",
    ) -> str:
        """Post as the app's incoming webhook does: same app, another `bot_id`; return the ts."""
        message = self.workspace.bot_message(
            channel, text=text, blocks=block_kit.accepted(blocks or [])
        )
        message.bot_id = bot_id
        return self.workspace.post(message).ts

    def say(self, channel: str, user: str, text: str) -> str:
        """Post what a person writes and return the message's ts."""
        message = Message(channel=channel, ts=self.workspace.clock.ts(), user=user, text=text)
        return self.workspace.post(message).ts

    def say_with_file(
        self, channel: str, user: str, name: str, content: bytes, text: str = ""
    ) -> File:
        """Post what a person writes with a file of theirs, and return that."""
        file = self.files.add(name, content, user=user, type_=guess(name, content))
        ts = self.workspace.clock.ts()
        self.files.share(Message(channel=channel, ts=ts, user=user, text=text), [file])
        return file

    # What a person does

    async def click(
        self,
        *,
        channel: str,
        ts: str,
        action_id: str,
        block_id: str | None = None,
        choice: str | list[str] | None = None,
        user: str = "U0ADA",
    ) -> Delivery:
        """Use an element of a message and return the delivery when it has its outcome.

        Args:
            channel: The channel's id.
            ts: The message.
            action_id: The element, together with *block_id* when that is not enough.
            block_id: The element's block.
            choice: The value (or values) chosen in a select, overflow menu or checkboxes.
            user: Who does it.
        """
        delivery = self.begin_click(
            channel=channel, ts=ts, action_id=action_id, block_id=block_id, choice=choice, user=user
        )
        return await self.finish(delivery)

    def begin_click(
        self,
        *,
        channel: str,
        ts: str,
        action_id: str,
        block_id: str | None = None,
        choice: str | list[str] | None = None,
        user: str = "U0ADA",
    ) -> Delivery:
        """Return the delivery of a click, not yet sent; `finish` or `launch` sends it."""
        press = self._press(channel, ts, action_id, block_id, choice, user)
        place = (press.block["block_id"], press.element["action_id"])
        chosen = payloads.chosen(press.element, choice)
        selections = self._selections.setdefault((user, channel, ts), {})
        if press.element["type"] not in ("button", "overflow"):
            selections[place] = chosen
        payload = payloads.block_actions(
            self.workspace,
            press,
            trigger_id=self.triggers.make(),
            response_url=self.response_urls.make(channel=channel, user=user, source=ts),
            state=payloads.message_state(press.message, selections),
        )
        return self._delivery(
            "block_actions",
            ACTIONS_PATH,
            payloads.form(payload),
            user=user,
            channel=channel,
            message_ts=ts,
            block_id=place[0],
            action_id=place[1],
            title=_label(press.element, chosen),
        )

    async def command(
        self, name: str, text: str = "", *, channel: str = "C0OPS", user: str = "U0ADA"
    ) -> Delivery:
        """Run a slash command and return the delivery when it has its outcome."""
        return await self.finish(self.begin_command(name, text, channel=channel, user=user))

    def begin_command(
        self, name: str, text: str = "", *, channel: str = "C0OPS", user: str = "U0ADA"
    ) -> Delivery:
        """Return the delivery of a slash command, not yet sent."""
        body = payloads.command(
            self.workspace,
            user=self._user(user),
            channel=self._channel(channel),
            name=name,
            text=text,
            trigger_id=self.triggers.make(),
            response_url=self.response_urls.make(channel=channel, user=user, source=None),
        )
        return self._delivery(
            "command", COMMANDS_PATH, body, user=user, channel=channel, title=name
        )

    async def options(
        self,
        *,
        channel: str,
        ts: str,
        action_id: str,
        typed: str,
        block_id: str | None = None,
        user: str = "U0ADA",
    ) -> Delivery:
        """Ask for the options of an external select; the answer is in `answer_json()`."""
        press = self._press(channel, ts, action_id, block_id, None, user)
        body = payloads.form(payloads.block_suggestion(self.workspace, press, typed=typed))
        delivery = self._delivery(
            "block_suggestion",
            OPTIONS_PATH,
            body,
            user=user,
            channel=channel,
            message_ts=ts,
            block_id=press.block["block_id"],
            action_id=action_id,
            title=action_id,
        )
        return await self.finish(delivery)

    async def redeliver(self, delivery: Delivery) -> Delivery:
        """Send the very same bytes and headers again and return that delivery."""
        again = self._delivery(
            delivery.kind,
            delivery.path,
            delivery.body,
            user=delivery.user,
            channel=delivery.channel,
            message_ts=delivery.message_ts,
            block_id=delivery.block_id,
            action_id=delivery.action_id,
            title=delivery.title,
        )
        again.headers = dict(delivery.headers)
        return await self.finish(again)

    async def deliver_payload(self, payload: Json, *, path: str = ACTIONS_PATH) -> Delivery:
        """Sign *payload*, whatever it is, send it and return the delivery."""
        return await self.deliver_body(path, payloads.form(payload))

    async def deliver_body(
        self,
        path: str,
        body: bytes,
        *,
        secret: str | None = None,
        timestamp: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Delivery:
        """Send *body* as it is and return the delivery.

        Args:
            path: Where to, on the gateway.
            body: Any bytes.
            secret: Sign with this instead of the app's signing secret.
            timestamp: Sign for this time (seconds since the epoch) instead of now.
            headers: Replace headers of the same name, spelt as Slack spells them.
        """
        delivery = self._delivery("raw", path, body)
        stamp = int(delivery.at) if timestamp is None else timestamp
        signed = signed_headers(body, secret=secret or self.signing_secret, timestamp=stamp)
        delivery.headers = {**signed, **(headers or {})}
        return await self.finish(delivery)

    def launch(self, delivery: Delivery) -> None:
        """*delivery* is on its way; its outcome comes as a change."""
        task = asyncio.get_running_loop().create_task(self.finish(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, delivery: Delivery) -> Delivery:
        """Send *delivery* and return it with its outcome."""
        self.workspace.tell(Change(kind="delivery", subject=delivery))
        await self.courier.send(delivery)
        if delivery.kind == "command":
            message = await command_answers.shown(self.workspace, self.pictures, delivery)
            if message is not None:
                self.workspace.post(message)
        self.workspace.tell(Change(kind="delivery", subject=delivery))
        return delivery

    async def wait_for(self, condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
        """Return as soon as *condition* holds; it is looked at after every change.

        Raises:
            TimeoutError: It did not hold within *seconds*.
        """
        if condition():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (condition, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(seconds):
                await future
        finally:
            self._waiting.remove(entry)

    # Serving

    def routes(self) -> list[Route]:
        """Return what Slack answers itself, to be served by any application."""
        return [
            Route("/api/{method}", self.web_api.endpoint, methods=["GET", "POST"]),
            Route("/response/{secret}", self.response_urls.endpoint, methods=["POST"]),
            Route("/upload/v1/{secret}", self.uploads.endpoint, methods=["POST"]),
            Route("/files/{file}/{name}", self.downloads.inline, methods=["GET"]),
            Route("/files/{file}/download/{name}", self.downloads.attachment, methods=["GET"]),
            Route("/files/{user}/{file}/{name}", self.downloads.permalink, methods=["GET"]),
            Route("/signin", self.downloads.sign_in, methods=["GET"]),
            Route("/proxy/{picture}", self.pictures.endpoint, methods=["GET"]),
        ]

    def serve_at(self, listener: Listener) -> None:
        """The routes are served by *listener*, and addresses point there."""
        self._listener = listener
        self.response_urls.base_url = self.files.base_url = listener.url

    @override
    async def start(self) -> None:
        """The Web API answers."""
        listener = Listener(Starlette(routes=self.routes()), port=self._port)
        self.serve_at(listener)
        await listener.start()

    @override
    async def stop(self) -> None:
        """Nothing is served or sent any more."""
        self.faults.calm()
        await self.close_deliveries()
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None
        self.files.close()

    async def close_deliveries(self) -> None:
        """No delivery is on its way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __enter__(self) -> Self:
        """Start in a thread."""
        self._thread = LoopThread()
        self.call(self.start())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and end the thread."""
        self.call(self.stop())
        if self._thread is not None:
            self._thread.close()
            self._thread = None

    def call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run *coroutine* in the far end's own thread and return its result."""
        if self._thread is None:
            coroutine.close()
            raise RuntimeError("only for `with SlackFarEnd()`; else await the coroutine")
        return self._thread.run(coroutine)

    # Inside

    def _press(
        self,
        channel: str,
        ts: str,
        action_id: str,
        block_id: str | None,
        choice: str | list[str] | None,
        user: str,
    ) -> Press:
        message = self.message(channel, ts)
        if message.ephemeral_for not in (None, user):
            raise NotThereError(f"{user} does not see the message {ts}.")
        found = block_kit.find(message.blocks, action_id=action_id, block_id=block_id)
        if found is None:
            raise NotThereError(f"The message {ts} has no element {action_id}.")
        return Press(
            user=self._user(user),
            channel=self._channel(channel),
            message=message,
            block=found[0],
            element=found[1],
            action_ts=self.workspace.clock.ts(),
            choice=choice,
        )

    def _user(self, id: str) -> User:
        user = self.workspace.users.get(id)
        if user is None:
            raise NotThereError(f"There is no user {id}.")
        return user

    def _channel(self, id: str) -> Channel:
        channel = self.workspace.channels.get(id)
        if channel is None:
            raise NotThereError(f"There is no channel {id}.")
        return channel

    def _delivery(self, kind: Kind, path: str, body: bytes, **fields: Any) -> Delivery:
        now = self.workspace.clock.now()
        delivery = Delivery(
            id=f"d{next(self._numbers)}", kind=kind, path=path, body=body, at=now, **fields
        )
        delivery.headers = signed_headers(body, secret=self.signing_secret, timestamp=int(now))
        self.deliveries.append(delivery)
        return delivery

    def _notice(self, _change: Change) -> None:
        for condition, future in tuple(self._waiting):
            if not future.done() and condition():
                future.set_result(None)

    def _cut(self, request: Request) -> Response:
        client = request.client
        if self._listener is not None:
            self._listener.drop((client.host, client.port) if client is not None else None)
        return Response(status_code=500)


def _label(element: Json, chosen: Any) -> str:
    """Return what the person pressed, in the words they saw."""
    text = element.get("text")
    label = text.get("text") if isinstance(text, dict) else None
    if label is None and isinstance(element.get("placeholder"), dict):
        label = element["placeholder"].get("text")
    option = chosen.get("text", {}).get("text") if isinstance(chosen, dict) else None
    named = str(label or element.get("action_id"))
    return f"{named} · {option}" if option else named
