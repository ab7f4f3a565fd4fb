"""One running gateway, spoken to byte by byte from blocking sockets."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import yaml

from tests.service import Service, done
from tests.stand import BLOCKS, configuration
from tidegate_dev.slack.deliveries import sign
from tidegate_dev.slack.far_end import SlackFarEnd

#: Stands in everything that a test sends and the configuration does not name.
CANARY = "CANARY7Qx"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
ENDPOINTS = ("/slack/actions", "/slack/commands", "/slack/options", "/slack/events")

Headers = Sequence[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back on a connection, to its first answer's end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    rest: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


def parsed(data: bytes) -> Answer:
    """The first final answer in *data*; status 0 if there is none."""
    data = data.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 "):
        return Answer(status=0, headers={}, body=b"", rest=data)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    size = int(headers.get("content-length", "0"))
    return Answer(status=int(first.split()[1]), headers=headers, body=rest[:size], rest=rest[size:])


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def head(method: str, path: str, headers: Headers) -> bytes:
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: gate", b"Connection: close"]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def form(payload: object) -> bytes:
    """An interactivity body."""
    text = payload if isinstance(payload, str | bytes) else json.dumps(payload)
    return b"payload=" + quote_plus(text).encode()


@dataclass(slots=True)
class Gate:
    """`tidegate serve` between a Slack and a service, and what it has logged."""

    slack: SlackFarEnd = field(repr=False)
    service: Service = field(repr=False)
    port: int
    process: "subprocess.Popen[bytes]" = field(repr=False)
    log: Path
    _read: int = 0
    _asked: str = ""  # the id of the request that was answered last

    # --- speaking --------------------------------------------------------------------------

    def connect(self, *, timeout: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def exchange(self, data: bytes, *, timeout: float = 10.0, half_close: bool = False) -> bytes:
        """Send *data* and return all that comes until the other side closes."""
        with self.connect(timeout=timeout) as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(data)
                if half_close:
                    sock.shutdown(socket.SHUT_WR)
            return received(sock)

    def send(
        self, path: str, body: bytes = b"", headers: Headers = (), *, method: str = "POST"
    ) -> Answer:
        """Send one whole request and return its answer."""
        length = [("Content-Length", str(len(body)))]
        answer = parsed(self.exchange(head(method, path, [*headers, *length]) + body))
        self._asked = answer.headers.get("x-request-id", "")
        return answer

    def signature(self, body: bytes, *, at: float | None = None) -> list[tuple[str, str]]:
        stamp = int(time.time() if at is None else at)
        secret = self.slack.signing_secret
        return [
            ("X-Slack-Request-Timestamp", str(stamp)),
            ("X-Slack-Signature", sign(body, secret=secret, timestamp=stamp)),
        ]

    def signed(
        self, path: str, body: bytes, *, content_type: str | None = None, extra: Headers = ()
    ) -> Answer:
        """Send *body* as Slack would, with a signature that holds."""
        kind = content_type or (JSON if path == "/slack/events" else FORM)
        return self.send(path, body, [("Content-Type", kind), *self.signature(body), *extra])

    def act(self, payload: object, path: str = "/slack/actions") -> Answer:
        return self.signed(path, form(payload))

    def command(self, **fields: str) -> Answer:
        return self.signed("/slack/commands", urlencode(a_command() | fields).encode())

    def click(self) -> bool:
        """Press a good button and say whether the service has been called for it."""
        ts = self.slack.post_as_bot("C0OPS", "Deploy web?", BLOCKS)
        before = len(self.service.effects)
        clicked = self.slack.click(channel="C0OPS", ts=ts, action_id="k8s_deploy")
        delivery = self.slack.call(clicked)
        assert delivery.acked, delivery.note
        self.slack.call(self.service.wait_for(lambda: len(self.service.effects) > before))
        return True

    # --- looking at it ---------------------------------------------------------------------

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def logged(self) -> list[dict[str, Any]]:
        """The log lines since the last look, all of them fit to be kept by a log service."""
        with self.log.open("rb") as stream:
            stream.seek(self._read)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        text = whole.decode()
        assert CANARY.lower() not in text.lower(), text[-2000:]
        assert "Traceback" not in text, text[-4000:]
        assert not any(ord(c) < 32 and c != "\n" for c in text)
        lines = [json.loads(line) for line in text.splitlines()]
        assert all({"at", "level", "event"} <= line.keys() for line in lines)
        wrong = [line for line in lines if line["level"] == "error" or "error" in line]
        assert not wrong, wrong
        return lines

    def answered(self) -> dict[str, Any]:
        """The log line about the last request; it is written when the answer is out."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            for line in self.logged():
                if line["event"] == "answered" and self._asked in ("", line["request"]):
                    return line
            time.sleep(0.002)
        raise AssertionError("the request was not logged")


def received(sock: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    chunks = []
    with contextlib.suppress(ConnectionError):
        while chunk := sock.recv(65_536):
            chunks.append(chunk)
    return b"".join(chunks)


# --- what Slack sends ----------------------------------------------------------------------


def envelope(**fields: Any) -> dict[str, Any]:
    return {
        "user": {"id": f"U{CANARY}", "username": CANARY, "name": CANARY, "team_id": "T0TIDEGATE"},
        "api_app_id": f"A{CANARY}",
        "token": CANARY,
        "trigger_id": f"{time.time_ns()}.{CANARY}",
        "team": {"id": "T0TIDEGATE", "domain": CANARY},
        "enterprise": None,
        "is_enterprise_install": False,
        **fields,
    }


def block_actions(action: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    now = f"{time.time():.6f}"
    pressed = {
        "type": "button",
        "action_id": f"unknown_{CANARY}",
        "block_id": f"block_{CANARY}",
        "text": {"type": "plain_text", "text": CANARY, "emoji": True},
        "value": CANARY,
        "style": "primary",
        "action_ts": f"{time.time_ns() / 1e9:.6f}",
    }
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": CANARY}}]
    message = {"type": "message", "bot_id": "B0TIDEGATE", "ts": now, "text": CANARY}
    found = envelope(
        type="block_actions",
        container={
            "type": "message",
            "message_ts": now,
            "channel_id": "C0OPS",
            "is_ephemeral": False,
        },
        channel={"id": "C0OPS", "name": CANARY},
        message={**message, "blocks": blocks, "metadata": {"event_type": CANARY}},
        state={"values": {f"b{CANARY}": {f"a{CANARY}": {"type": "datepicker"}}}},
        actions=[pressed | dict(action or {})],
    )
    return found | fields


def view(**fields: Any) -> dict[str, Any]:
    return {
        "id": f"V{CANARY}",
        "team_id": "T0TIDEGATE",
        "type": "modal",
        "callback_id": f"view_{CANARY}",
        "private_metadata": CANARY,
        "blocks": [{"type": "input", "block_id": "blk", "element": {"action_id": "act"}}],
        "state": {"values": {"blk": {"act": {"type": "plain_text_input", "value": CANARY}}}},
        "hash": f"{time.time_ns()}.{CANARY}",
        "root_view_id": f"V{CANARY}",
        "previous_view_id": None,
        "app_installed_team_id": "T0TIDEGATE",
        **fields,
    }


def a_command() -> dict[str, str]:
    return {
        "token": CANARY,
        "team_id": "T0TIDEGATE",
        "team_domain": CANARY,
        "channel_id": "C0OPS",
        "channel_name": CANARY,
        "user_id": f"U{CANARY}",
        "user_name": CANARY,
        "command": f"/{CANARY.lower()}",
        "text": CANARY,
        "api_app_id": f"A{CANARY}",
        "is_enterprise_install": "false",
        "trigger_id": f"{time.time_ns()}.{CANARY}",
    }


def an_event(**fields: Any) -> dict[str, Any]:
    return {
        "token": CANARY,
        "team_id": "T0TIDEGATE",
        "api_app_id": f"A{CANARY}",
        "event": {"type": CANARY, "user": f"U{CANARY}", "event_ts": "1.2", "text": CANARY},
        "type": "event_callback",
        "event_id": f"Ev{CANARY}",
        "event_time": 123,
        "authorizations": [
            {"enterprise_id": None, "team_id": "T0TIDEGATE", "is_enterprise_install": False}
        ],
        **fields,
    }


#: By name, what is not pressed on a message: official shapes.
SHAPES: dict[str, dict[str, Any]] = {
    "view_submission": envelope(type="view_submission", view=view(), response_urls=[]),
    "view_closed": envelope(type="view_closed", view=view(), is_cleared=False),
    "shortcut": envelope(type="shortcut", callback_id=CANARY, action_ts="1581106241.371594"),
    "message_action": envelope(
        type="message_action",
        callback_id=CANARY,
        channel={"id": "C0OPS", "name": CANARY},
        message={"type": "message", "user": f"U{CANARY}", "ts": "1548261231.000200"},
        message_ts="1548261231.000200",
    ),
    "block_suggestion": envelope(
        type="block_suggestion",
        container={"type": "message", "message_ts": "1548261231.000200", "channel_id": "C0OPS"},
        action_id=CANARY,
        block_id=CANARY,
        value=CANARY,
        channel={"id": "C0OPS", "name": CANARY},
    ),
    "interactive_message": envelope(
        type="interactive_message",
        actions=[{"name": CANARY, "type": "button", "value": CANARY}],
        callback_id=CANARY,
        original_message={"text": CANARY},
    ),
    "dialog_submission": envelope(
        type="dialog_submission", submission={"a": CANARY}, callback_id=CANARY, state=CANARY
    ),
    "of a later time": envelope(type=f"new_{CANARY}", view=[CANARY], message=CANARY),
}


# --- the gate ------------------------------------------------------------------------------


def _actions() -> dict[str, Any]:
    common = {"pathway": "cluster", "request": {"method": "POST", "path": "/api/v1/other"}}
    return {
        "typed": {
            **common,
            "match": {"action_id": ["typed"]},
            "params": {
                "count": {"type": "integer"},
                "flag": {"type": "boolean"},
                "word": {"pattern": "[a-z]+"},
                "free": {},
                "hidden": {"secret": True},
                "picked": {"from": "selected"},
                "filled": {"from": "state.b.a"},
            },
            "allow": {"users": ["any"]},
            "repeat": "allow",
        },
        "plain": {
            **common,
            "match": {"action_id": ["wild_*"]},
            "allow": {"users": ["U0ADA"]},
            "repeat": "allow",
            "idempotent": True,
        },
        "by-command": {
            **common,
            "match": {"command": ["/deploy"]},
            "params": {"which": {"from": "text[0]"}, "namespace": {"enum": ["staging"]}},
            "allow": {"users": ["U0ADA"]},
        },
        "by-shortcut": {
            **common,
            "match": {"shortcut": ["deploy_shortcut"]},
            "allow": {"users": ["U0ADA"]},
        },
        "by-view": {
            **common,
            "match": {"view": ["deploy_view"]},
            "params": {"name": {"from": "state.blk.act", "pattern": "[a-z]+"}},
            "allow": {"users": ["U0ADA"]},
        },
    }


@contextlib.contextmanager
def gate(folder: Path) -> Iterator[Gate]:
    """A gate while the block runs; at its end it must stop by itself, with a clean log."""
    with SlackFarEnd() as slack:
        slack.limits.enabled = False
        service = Service(answer=done)
        slack.call(service.start())
        config = configuration(slack, service.url, folder)
        config["actions"] |= _actions()
        file, log = folder / "tidegate.yaml", folder / "log"
        file.write_text(yaml.safe_dump(config))
        slack.gateway_url = f"http://127.0.0.1:{config['server']['port']}"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "tidegate", "serve", "--config", str(file)],
                env={
                    **os.environ,
                    "SLACK_BOT_TOKEN": slack.bot_token,
                    "SLACK_SIGNING_SECRET": slack.signing_secret,
                },
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        found = Gate(slack, service, config["server"]["port"], process, log)
        try:
            _await_ready(found)
            yield found
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            found.logged()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            slack.call(service.stop())


def _await_ready(found: Gate) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert found.process.poll() is None, found.log.read_text()
        with contextlib.suppress(OSError):
            if found.send("/readyz", method="GET").status == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the gate did not open")
