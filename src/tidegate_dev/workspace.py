"""The dev workspace: every far end, the real gateway between them, and the page that shows it."""

import asyncio
import contextlib
import functools
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import aiohttp

from tidegate_dev import agent, bucket, configuration, shell, view
from tidegate_dev.bucket import Listing
from tidegate_dev.cluster import Cluster
from tidegate_dev.configuration import Ports, Secrets
from tidegate_dev.edge import Edge, EdgeConfig, Exchange, edge_app
from tidegate_dev.events import EventHub
from tidegate_dev.faults import AT_THE_EDGE, Switchboard
from tidegate_dev.journey import Journey
from tidegate_dev.journeys import Journeys
from tidegate_dev.listener import Listener, PortInUseError, bind
from tidegate_dev.masking import Masking
from tidegate_dev.objects import AccessKey, S3FarEnd, S3Faults, Served
from tidegate_dev.objects.seed import BUCKET
from tidegate_dev.program import Program
from tidegate_dev.scanner import ScannerFarEnd
from tidegate_dev.server import BadRequestError, PageServer
from tidegate_dev.sigv4_check import IssuedKeys
from tidegate_dev.slack.deliveries import Delivery
from tidegate_dev.slack.far_end import NotThereError, SlackFarEnd
from tidegate_dev.slack.faults import SHARING
from tidegate_dev.slack.files import File
from tidegate_dev.slack.messages import Message
from tidegate_dev.slack.state import Change
from tidegate_dev.slack.web_api import ApiCall
from tidegate_dev.welcome import CHARTS, HINT, post_welcome

Json = dict[str, Any]

GATEWAY_COMMAND: Final = (sys.executable, "-m", "tidegate", "serve")
AGENT_COMMAND: Final = (sys.executable, "-m", "tidegate", "agent")
SHOWN_DELIVERIES: Final = 50
BROKEN_OFF_BYTES: Final = 400  # less than any object of the seed has
# The gateway reads. A policy that lets it do more would be wrong in earnest as well.
_WRITES: Final = frozenset(
    f"s3:{verb}Object{what}"
    for verb in ("Put", "Delete")
    for what in ("", "Version", "Tagging", "VersionTagging")
)
_ADMIN_SECONDS: Final = 3.0


class DevWorkspace:
    """Everything that `tidegate dev` starts; an instance is started once and stopped once."""

    def __init__(
        self,
        *,
        port: int,
        user: str,
        faults: tuple[str, ...],
        environment: Mapping[str, str],
        bucket_folder: Path | None = None,
        clamd: str | None = None,
        gateway_command: tuple[str, ...] = GATEWAY_COMMAND,
        agent_command: tuple[str, ...] = AGENT_COMMAND,
    ) -> None:
        self.ports = Ports(page=port)
        self.hub = EventHub()
        self.slack = SlackFarEnd(gateway_url=f"http://127.0.0.1:{self.ports.gateway}")
        self.slack.workspace.scopes = set(configuration.SCOPES)
        self._secrets = Secrets(
            bot_token=self.slack.bot_token, signing_secret=self.slack.signing_secret
        )
        masking = Masking((*self._secrets.all(), self.slack.workspace.identity.verification_token))
        self.journeys = Journeys(
            masking=masking,
            on_change=self._journey_changed,
            rule_words=configuration.admitted,
        )
        self.cluster = Cluster(
            on_change=self._cluster_changed, on_request=self.journeys.asked_of_cluster
        )
        self.edge = self._edge()
        self.listing = Listing(on_change=self._listing_changed, clamd=clamd)
        self.s3_faults = S3Faults()
        self._clamd = clamd
        self._switches = self._switchboard()
        self._me = self.slack.viewer = user
        self._first_faults = faults
        self._environment = environment
        self._gateway_command = gateway_command
        self._agent_command = agent_command
        self._hint: str | None = HINT
        self._folder: Path | None = None
        self._bucket_folder = bucket_folder
        self._s3: S3FarEnd | None = None
        self._scanner: ScannerFarEnd | None = None
        self._script: Path | None = None
        self._listeners: list[Listener] = []
        self._gateway: Program | None = None
        self._agent: Program | None = None
        self._bucket_told = False

    @property
    def gallery_line(self) -> str:
        """Return the line that shares a gallery from a shell, as it is typed."""
        if self._script is None:
            return ""
        return shell.gallery_line(
            self._script, bucket=configuration.ALIAS, prefix=CHARTS, channel="C0REPORTS"
        )

    @property
    def check_line(self) -> str:
        """Return the line that looks at all of the workspace from a shell, as it is typed."""
        return "" if self._script is None else shell.check_line(self._script)

    @property
    def url(self) -> str:
        """Return the page's address."""
        return f"http://127.0.0.1:{self.ports.page}/"

    def _edge(self) -> Edge:
        aws = self._secrets.aws
        keys = IssuedKeys(
            access_key=aws.access_key,
            secret_key=aws.secret_key,
            session_token=aws.session_token,
        )
        return edge_app(
            EdgeConfig(
                integration_url=f"http://127.0.0.1:{self.ports.agent}",
                keys={aws.access_key: keys},
                region=configuration.REGION,
                on_exchange=self._exchanged,
            )
        )

    def _switchboard(self) -> Switchboard:
        slack = self.slack.faults
        # A clamd of somebody else's is not ours to take down.
        ours = {"scanner_down": self._scanner_down} if self._clamd is None else {}
        return Switchboard.over(
            {
                **ours,
                **{
                    name: functools.partial(self.edge.set_fault, fault)
                    for name, fault in AT_THE_EDGE.items()
                },
                "service_down": self._agent_down,
                "slack_429": lambda on: setattr(slack, "rate_limited", on),
                "slack_hang": lambda on: setattr(slack, "hanging", on),
                "rollout_fails": self.cluster.fail_rollouts,
                "s3_breaks_off": lambda on: setattr(
                    self.s3_faults, "drop_after_bytes", BROKEN_OFF_BYTES if on else None
                ),
                "s3_asks_to_wait": lambda on: setattr(self.s3_faults, "slow_down", on),
                "slack_loses_upload": lambda on: slack.always(SHARING, "lost" if on else None),
            }
        )

    def _scanner_down(self, on: bool) -> None:
        if self._scanner is not None:
            self._scanner.set_fault("down", on)

    def _agent_down(self, on: bool) -> None:
        if self._agent is not None:
            self._agent.hold(on)

    # Starting and stopping

    async def start(self) -> None:
        """Everything answers, the gateway included.

        Raises:
            PortInUseError: Another program has one of the ports.
            ProgramFailedError: The gateway or the agent did not come up.
            FolderRefusedError: The folder that was named cannot hold the bucket.
        """
        self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="tidegate-dev-"))
        buckets = self._bucket_folder or self._folder / "buckets"
        await asyncio.to_thread(bucket.prepare, buckets)
        sockets = self._take_ports()
        page = PageServer(self).app(self.slack.routes(), port=self.ports.page)
        main = Listener(page, sock=sockets[0])
        self._listeners = [main, Listener(self.edge, sock=sockets[1])]
        for listener in self._listeners:
            await listener.start()
        await self._start_s3(buckets, sockets[2])
        token = await self.cluster.start(sockets[3], self._folder / "kubeconfig")
        for sock in sockets[4:]:
            self._scanner = ScannerFarEnd(sock=sock)
            await self._scanner.start()
        self.slack.serve_at(main)
        gateway = self._made_gateway(self._folder)
        in_cluster = self._made_agent(self._folder / "agent", token)
        post_welcome(self.slack, gallery_line=self.gallery_line)
        self.slack.workspace.listeners.append(self._workspace_changed)
        await asyncio.gather(gateway.start(), in_cluster.start())
        for fault in self._first_faults:
            self._switches.switch(fault, on=True)

    def _take_ports(self) -> list[socket.socket]:
        """Return sockets for our own ports, once the programs' are known to be free too."""
        taken: list[socket.socket] = []
        try:
            ours = (self.ports.page, self.ports.edge, self.ports.objects, self.ports.cluster)
            scanner = (self.ports.scanner,) if self._clamd is None else ()
            for port in (*ours, *scanner):
                taken.append(bind(port))
            for port in self.ports.of_programs():
                bind(port).close()
        except PortInUseError:
            for sock in taken:
                sock.close()
            raise
        return taken

    async def _start_s3(self, root: Path, sock: socket.socket) -> None:
        """S3 answers, and what lies in the bucket is known."""
        aws = self._secrets.aws
        key = AccessKey(
            access_key=aws.access_key,
            secret_key=aws.secret_key,
            session_token=aws.session_token,
            expires_at=aws.expires_at,
            buckets={BUCKET},
            denied=_WRITES,
        )
        self._s3 = s3 = S3FarEnd(
            root,
            region=configuration.REGION,
            keys={key.access_key: key},
            sock=sock,
            faults=self.s3_faults,
        )
        s3.changes(self.listing.changed)
        s3.requests(self._served)
        kept = await asyncio.to_thread(s3.add_bucket, BUCKET)
        await s3.start()
        found = await asyncio.to_thread(kept.objects)
        self.listing.begin(s3.store.root / BUCKET, found)

    def _made_gateway(self, folder: Path) -> Program:
        """Return the gateway, not yet started, with everything it reads in *folder*."""
        config = configuration.write(
            folder,
            ports=self.ports,
            made=self._secrets,
            api_url=self.slack.api_url,
            clamd=self._clamd,
        )
        environment = configuration.environment(folder, made=self._secrets, ours=self._environment)
        self._script = shell.write(folder, config=config, environment=environment)
        self._gateway = Program(
            name="the gateway",
            command=(*self._gateway_command, "--config", str(config)),
            folder=folder,
            environment=environment,
            ready_url=f"{self.slack.gateway_url}/readyz",
            on_line=self.journeys.logged,
            on_change=self._gateway_changed,
        )
        return self._gateway

    def _made_agent(self, folder: Path, token: str) -> Program:
        """Return the agent, not yet started, with everything it reads in *folder*."""
        config = agent.write(folder, ports=self.ports, jwks=self._secrets.jwks(), token=token)
        self._agent = Program(
            name="the agent",
            command=(*self._agent_command, "--config", str(config)),
            folder=folder,
            environment=agent.environment(folder, self._environment),
            ready_url=f"http://127.0.0.1:{self.ports.agent_metrics}/readyz",
            on_line=self.journeys.agent_logged,
            on_change=self._agent_changed,
        )
        return self._agent

    async def stop(self) -> None:
        """No process of ours runs, no port is taken, and the folder is gone."""
        self.hub.close()
        self.slack.faults.calm()
        self.s3_faults.calm()
        programs = (program for program in (self._gateway, self._agent) if program is not None)
        await asyncio.gather(*(program.stop() for program in programs))
        await self.slack.close_deliveries()
        self.slack.files.close()
        await asyncio.gather(*(listener.stop() for listener in self._listeners))
        if self._s3 is not None:
            await self._s3.stop()
        if self._scanner is not None:
            await self._scanner.stop()
        await self.edge.aclose()
        await self.cluster.stop()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    # What the page asks

    def state(self) -> Json:
        """Return everything, as `GET /dev/state` tells it."""
        workspace = self.slack.workspace
        recent = list(self.slack.deliveries)[-SHOWN_DELIVERIES:]
        return {
            "workspace": {
                "name": workspace.identity.team_name,
                "team_id": workspace.identity.team_id,
            },
            "me": self._me,
            "users": view.people(workspace),
            "bots": view.bots(workspace),
            "channels": view.channels(workspace),
            "messages": view.messages(self.slack),
            "commands": workspace.commands,
            "deliveries": [view.delivery(delivery) for delivery in recent],
            "journeys": [journey.as_json() for journey in self.journeys.latest()],
            "faults": self._switches.as_json(),
            "gateway": _program_json(self._gateway),
            "agent": _program_json(self._agent),
            "cluster": view.cluster(self.cluster.state()),
            "bucket": self.listing.as_json(),
            "hint": self._hint,
        }

    async def journey(self, journey_id: str) -> Json | None:
        """Return one journey with the request, the run's row and its audit entries."""
        found = self.journeys.get(journey_id)
        if found is None:
            return None
        full = self.journeys.full(found)
        if found.run is not None:
            record = await self._record(found.run)
            full["run_row"] = record.get("run")
            full["audit"] = record.get("audit")
        return full

    async def click(self, request: Json) -> Delivery:
        """Press an element; with `wait` return when Slack has its answer."""
        delivery = self.slack.begin_click(
            channel=_word(request, "channel"),
            ts=_word(request, "ts"),
            action_id=_word(request, "action_id"),
            block_id=_optional(request, "block_id"),
            choice=_choice(request),
            user=_optional(request, "user") or self._me,
        )
        self._hint = None
        return await self._send(delivery, wait=bool(request.get("wait")))

    async def command(self, request: Json) -> Delivery:
        """Run a slash command; with `wait` return when Slack has its answer."""
        name, _, text = _word(request, "text").strip().partition(" ")
        if name not in {command["command"] for command in self.slack.workspace.commands}:
            known = ", ".join(command["command"] for command in self.slack.workspace.commands)
            raise NotThereError(f"{name[:40]} is not a command here. There are {known}.")
        delivery = self.slack.begin_command(
            name,
            text.strip(),
            channel=_word(request, "channel"),
            user=_optional(request, "user") or self._me,
        )
        self._hint = None
        return await self._send(delivery, wait=bool(request.get("wait")))

    def say(self, channel: str, text: str) -> None:
        """Write a message as the person who is at the page."""
        self._known_channel(channel)
        self.slack.say(channel, self._me, text)

    def become(self, user: str) -> None:
        """Be another person."""
        found = self.slack.workspace.users.get(user)
        if found is None or found.is_bot:
            raise NotThereError(f"There is nobody called {user[:40]} here.")
        self._me = self.slack.viewer = user
        self.hub.tell("user", {"me": user})

    def read(self, channel: str) -> None:
        """Nothing in the channel is unread any more."""
        self._known_channel(channel)
        self.slack.workspace.read(channel)

    def switch(self, name: str, *, on: bool) -> None:
        """Switch a fault."""
        self._switches.switch(name, on=on)
        self.hub.tell("faults", {"faults": self._switches.as_json()})

    def kill(self) -> int | None:
        """Kill the gateway and return its process id; it is started again."""
        pid = self._gateway.kill() if self._gateway is not None else None
        if pid is not None:
            self.journeys.interrupted()
        return pid

    def shown_delivery(self, delivery: Delivery) -> Json:
        """Return a delivery as the page takes it."""
        return view.delivery(delivery)

    async def _send(self, delivery: Delivery, *, wait: bool) -> Delivery:
        if wait:
            return await self.slack.finish(delivery)
        self.slack.launch(delivery)
        return delivery

    def _known_channel(self, channel: str) -> None:
        if channel not in self.slack.workspace.channels:
            raise NotThereError(f"There is no channel {channel[:40]} here.")

    async def _record(self, run: str) -> Json:
        """Return what the gateway's admin listener says about *run*, or nothing."""
        limits = aiohttp.ClientTimeout(total=_ADMIN_SECONDS)
        headers = {"Authorization": f"Bearer {self._secrets.api_token}"}
        url = f"http://127.0.0.1:{self.ports.admin}/api/v1/runs/{run}"
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with (
                aiohttp.ClientSession(timeout=limits, trust_env=False) as session,
                session.get(url, headers=headers) as response,
            ):
                found = await response.json()
                if isinstance(found, dict):
                    return found
        return {}

    # What the far ends tell

    def _workspace_changed(self, change: Change) -> None:
        match change.kind, change.subject:
            case "message", Message() as message:
                shown = view.message(self.slack, message)
                self.hub.tell("message", {"channel": change.channel, "message": shown})
            case "message_deleted", _:
                self.hub.tell("message_deleted", {"channel": change.channel, "ts": change.ts})
            case "delivery", Delivery() as delivery:
                self.journeys.delivered(delivery)
                self.hub.tell("delivery", {"delivery": view.delivery(delivery)})
            case "call", ApiCall() as call:
                self._called(call)
            case "file", File() as file:
                self._file_changed(file)
            case _:
                pass

    def _called(self, call: ApiCall) -> None:
        if call.method.startswith(("chat.", "files.")):
            told = {
                "arguments": call.arguments,
                "status": call.status,
                "error": call.error,
                "file": call.answer.get("file_id"),
            }
            self.journeys.called(call.method, told)

    def _file_changed(self, file: File) -> None:
        known = file.known_type
        self.journeys.file_changed(
            {
                "id": file.id,
                "state": file.state,
                "size": file.size,
                "type": known.pretty if known else "",
                "shared": bool(file.shares),
            }
        )

    def _served(self, request: Served) -> None:
        found = self.listing.find(request.key)
        about = {} if found is None else {"size": found.size, "type": found.type}
        self.journeys.served({**asdict(request), **about})

    def _exchanged(self, exchange: Exchange) -> None:
        self.journeys.exchanged(exchange.to_dict())

    def _journey_changed(self, journey: Journey) -> None:
        self.hub.tell("journey", {"journey": journey.as_json()})

    def _gateway_changed(self) -> None:
        self.hub.tell("gateway", {"gateway": _program_json(self._gateway)})

    def _agent_changed(self) -> None:
        self.hub.tell("agent", {"agent": _program_json(self._agent)})

    def _cluster_changed(self) -> None:
        if self.hub.is_heard:
            self.hub.tell("cluster", {"cluster": view.cluster(self.cluster.state())})

    def _listing_changed(self) -> None:
        """Tell once for all that changes in this turn of the loop."""
        if self._bucket_told:
            return
        self._bucket_told = True
        asyncio.get_running_loop().call_soon(self._tell_bucket)

    def _tell_bucket(self) -> None:
        self._bucket_told = False
        self.hub.tell("bucket", {"bucket": self.listing.as_json()})


def _program_json(program: Program | None) -> Json:
    if program is None:
        return {"state": "starting", "pid": None, "restarts": 0}
    return program.as_json()


def _word(request: Json, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequestError(f"`{name}` is missing.")
    return value


def _optional(request: Json, name: str) -> str | None:
    value = request.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequestError(f"`{name}` must be text.")
    return value or None


def _choice(request: Json) -> str | list[str] | None:
    value = request.get("value")
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise BadRequestError("`value` must be text, or a list of texts.")
