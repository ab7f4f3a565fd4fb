"""A stand-in for the dev workspace: serves the real page, and a state that a test writes."""

import copy
import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tidegate_dev

Json = dict[str, Any]

PAGE = Path(tidegate_dev.__file__).parent / "page"
NOW = 1_800_000_000.0
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
    "hgGAWjR9awAAAABJRU5ErkJggg=="
)


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text, "emoji": True}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str, **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(text: str, action_id: str, **more: Any) -> Json:
    return {"type": "button", "action_id": action_id, "text": plain(text), **more}


def option(text: str, value: str, **more: Any) -> Json:
    return {"text": plain(text), "value": value, **more}


def message(ts: str, *blocks: Json, channel: str = "C0OPS", **more: Any) -> Json:
    fields = {
        "ts": ts,
        "channel": channel,
        "bot_id": "B0TIDE",
        "text": "",
        "blocks": list(blocks),
        "edited": False,
        "thread_ts": None,
        "ephemeral_for": None,
        "at": float(ts),
    }
    return {**fields, **more}


def file(name: str, kind: str, size: int, **more: Any) -> Json:
    fields = {
        "id": f"F0{name.upper()}",
        "name": name,
        "title": name,
        "size": size,
        "mimetype": "",
        "type": kind,
        "alt_text": "",
        "is_picture": False,
        "width": None,
        "height": None,
        "src": f"/files/F0/{name}",
        "download": f"/files/F0/download/{name}",
        "seen_by": ["U0ADA", "U0GRACE"],
    }
    return {**fields, **more}


def picture_file(name: str, width: int, height: int, **more: Any) -> Json:
    return file(name, "PNG", 48_211, is_picture=True, width=width, height=height, **more)


def image(src: str, alt_text: str, width: int | None, height: int | None, **more: Any) -> Json:
    picture = {"src": src, "width": width, "height": height}
    return {"type": "image", "alt_text": alt_text, "picture": picture, **more}


def said(ts: str, user: str, text: str, channel: str = "C0OPS", **more: Any) -> Json:
    return message(ts, channel=channel, text=text, user=user, bot_id=None, **more)


def ts(seconds: int) -> str:
    return f"{NOW + seconds:.6f}"


CARD_TS = ts(60)
CONFIRM = {
    "title": plain("Deploy to staging?"),
    "text": mrkdwn("*web 2.4.1* replaces what runs now."),
    "confirm": plain("Yes, deploy"),
    "deny": plain("Not now"),
}
SCALE = {
    "type": "static_select",
    "action_id": "k8s_scale",
    "placeholder": plain("Scale"),
    "options": [option("2 replicas", "2"), option("3 replicas", "3"), option("5 replicas", "5")],
}
CARD = message(
    CARD_TS,
    {"type": "header", "block_id": "h", "text": plain("web 2.4.1")},
    section("*Deploy web 2.4.1 to staging?*\nBuilt from `main` by <@U0GRACE>.", block_id="s"),
    {
        "type": "actions",
        "block_id": "a",
        "elements": [
            button("Deploy", "k8s_deploy", value="{}", style="primary", confirm=CONFIRM),
            button("Status", "k8s_status", value="{}"),
            SCALE,
        ],
    },
)


def step(key: str, value: str = "", ms: float | None = None, status: str = "done") -> Json:
    details = {"headers": {"X-Slack-Signature": "v0=…"}, "bytes": 812} if status == "done" else None
    label = {"sent": "signed", "told": "told in Slack", "progress": "rolling out"}.get(key, key)
    return {
        "key": key,
        "label": label,
        "value": value,
        "ms": ms,
        "status": status,
        "details": details,
    }


def journey(name: str = "J1", state: str = "running", **more: Any) -> Json:
    fields = {
        "id": name,
        "title": "Deploy · web → staging",
        "user": "U0ADA",
        "channel": "C0OPS",
        "at": NOW,
        "delivery": "D1",
        "run": "01J9Z",
        "state": state,
        "acked_ms": 1.1,
        "steps": [
            step("verified", ms=0.2),
            step("matched", "deploy-staging", 0.1),
            step("allowed", "@deployers", 0.1),
            step("recorded", "run 01J9ZK3M5T", 0.6),
            step("acked", "200", 1.1),
            step("sent", "SigV4 → edge 202", 14.2),
            step("progress", "2 of 3", status="active"),
            step("told", status="waiting"),
        ],
    }
    return {**fields, **more}


def delivery(status: str = "waiting", **more: Any) -> Json:
    fields = {
        "id": "D1",
        "kind": "block_actions",
        "channel": "C0OPS",
        "message_ts": CARD_TS,
        "block_id": "a",
        "action_id": "k8s_status",
        "user": "U0ADA",
        "at": NOW + 61,
        "status": status,
        "http_status": None,
        "ack_ms": None,
        "note": None,
    }
    return {**fields, **more}


def pod(name: str, phase: str = "Running", *, ready: bool = True, version: str = "2.4.1") -> Json:
    image = f"registry.example/shop/web:{version}"
    return {"name": name, "image": image, "phase": phase, "ready": ready, "age_seconds": 12}


def cluster(*pods: Json) -> Json:
    workload = {
        "namespace": "staging",
        "kind": "Deployment",
        "name": "web",
        "image": "registry.example/shop/web:2.4.1",
        "replicas": 3,
        "ready": sum(one["ready"] for one in pods),
        "revision": 7,
        "state": "rolling out",
        "pods": list(pods),
        "revisions": [
            {"number": 7, "tag": "2.4.1", "at": NOW, "cause": "deploy by slack:T0TIDE:U0ADA"},
            {"number": 6, "tag": "2.4.0", "at": NOW, "cause": ""},
        ],
        "events": [{"at": NOW, "text": "Scaled up replica set web-7c to 1", "level": "info"}],
    }
    line = f"KUBECONFIG=/tmp/{'tidegate-dev-' * 5}/kubeconfig kubectl get pods -n staging"
    return {"workloads": [workload], "kubectl": line, "operations": 2}


def object_(key: str, kind: str, size: int, **more: Any) -> Json:
    version = "486b6b8eeb86421a5b1ca7cf951516d1"
    return {"key": key, "size": size, "type": kind, "version": version, "at": NOW, **more}


def bucket(*objects: Json, **more: Any) -> Json:
    fields = {
        "name": "acme-reports",
        "alias": "reports",
        "folder": "/tmp/tidegate-dev-x/buckets/acme-reports",
        "count": len(objects),
        "objects": list(objects),
    }
    return {**fields, **more}


def first_state() -> Json:
    return {
        "workspace": {"name": "Tidegate workspace", "team_id": "T0TIDE"},
        "me": "U0ADA",
        "users": [
            person("U0ADA", "Ada", "dev · @deployers", "#2f6f5e"),
            person("U0GRACE", "Grace", "sre · @sre", "#7a4fa3"),
            person("U0GUEST", "Guest", "guest", "#8a6d3b"),
        ],
        "bots": [{"id": "B0TIDE", "user_id": "U0TIDE", "name": "Tidegate"}],
        "channels": [
            channel("C0OPS", "ops", "Deploys and the health of what runs"),
            channel("C0REPORTS", "reports", "What went out", unread=2),
            channel("C0INCIDENTS", "incidents", "When something is on fire"),
        ],
        "messages": {
            "C0OPS": [said(ts(0), "U0GRACE", "Good morning :wave:"), copy.deepcopy(CARD)],
            "C0REPORTS": [said(ts(5), "U0GRACE", "Numbers are in", "C0REPORTS")],
            "C0INCIDENTS": [],
        },
        "commands": [
            command("/deploy", "web 2.4.1", "Deploy a version to staging"),
            command("/status", "web", "Show how a service is doing"),
            command("/scale", "web 3", "Change the number of replicas"),
        ],
        "deliveries": [],
        "journeys": [],
        "faults": [
            fault("service_slow", "service slow", "The service takes five seconds to answer."),
            fault("service_down", "service down", "The service answers nothing at all."),
            fault("slack_429", "Slack 429", "Slack asks the gateway to slow down."),
            fault("slack_hang", "Slack hangs", "Slack takes calls and does not answer them."),
            fault("edge_throttle", "edge throttles", "The edge answers 429."),
            fault("rollout_fails", "rollout fails", "New pods never become ready."),
            fault("s3_breaks_off", "S3 breaks off", "S3 ends every download early."),
            fault("s3_asks_to_wait", "S3 asks to wait", "S3 is asked too often."),
            fault("slack_loses_upload", "Slack loses the upload", "Slack shows no file."),
        ],
        "gateway": {"state": "up", "pid": 4242, "restarts": 0},
        "agent": {"state": "up", "pid": 4343, "restarts": 0},
        "cluster": cluster(pod("web-7c-x2v9p"), pod("web-7c-lm4kd"), pod("web-5f-9qwer")),
        "bucket": bucket(object_("q3/report.pdf", "application/pdf", 1338)),
        "hint": "Press Deploy. Then press it again, or be Guest.",
    }


def person(user_id: str, name: str, role: str, color: str) -> Json:
    return {
        "id": user_id,
        "name": name,
        "handle": name.lower(),
        "role": role,
        "guest": name == "Guest",
        "initials": name[0],
        "color": color,
    }


def channel(channel_id: str, name: str, topic: str, unread: int = 0) -> Json:
    return {"id": channel_id, "name": name, "topic": topic, "unread": unread}


def command(name: str, usage: str, description: str) -> Json:
    return {"command": name, "usage": usage, "description": description}


def fault(name: str, label: str, words: str) -> Json:
    return {"name": name, "label": label, "on": False, "help": words}


class Workspace:
    """Serves the page, its state and its stream; keeps what the page asked for."""

    def __init__(self) -> None:
        self.state = first_state()
        self.asked: queue.Queue[tuple[str, Json]] = queue.Queue()
        self.answers: dict[str, tuple[int, Json]] = {}
        self.journeys: dict[str, Json] = {}
        self.pictures: dict[str, bytes] = {}
        self.refuses_streams = False
        self._seq = 0
        self._streams: list[queue.Queue[bytes | None]] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"workspace": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop_streams(refuse_new=True)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def emit(self, event: str, **data: Any) -> None:
        with self._lock:
            self._seq += 1
            line = _event(event, {"seq": self._seq, **data})
            for stream in self._streams:
                stream.put(line)

    def open_stream(self) -> queue.Queue[bytes | None]:
        stream: queue.Queue[bytes | None] = queue.Queue()
        with self._lock:
            stream.put(_event("state", self.state))
            self._streams.append(stream)
        return stream

    def drop_streams(self, *, refuse_new: bool = False) -> None:
        self.refuses_streams = refuse_new
        with self._lock:
            for stream in self._streams:
                stream.put(None)
            self._streams.clear()

    def next_request(self, path: str) -> Json:
        """Return the body of the next POST to *path*, passing over others."""
        while True:
            asked, body = self.asked.get(timeout=5)
            if asked == path:
                return body


def _event(name: str, data: Json) -> bytes:
    return f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n".encode()


class _Handler(BaseHTTPRequestHandler):
    workspace: Workspace

    def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]
        pass

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/dev/events":
            self._stream()
        elif path == "/dev/state":
            self._send(200, "application/json", json.dumps(self.workspace.state).encode())
        elif path.startswith("/dev/journey/"):
            found = self.workspace.journeys.get(path.rsplit("/", 1)[1])
            self._send(200 if found else 404, "application/json", json.dumps(found).encode())
        elif path in self.workspace.pictures:
            self._send(200, "image/png", self.workspace.pictures[path])
        else:
            self._file("index.html" if path == "/" else path.removeprefix("/page/"))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.workspace.asked.put((self.path, body))
        status, answer = self.workspace.answers.get(self.path, (200, {"ok": True}))
        self._send(status, "application/json", json.dumps(answer).encode())

    def _file(self, name: str) -> None:
        file = PAGE / name
        if not file.is_file():
            self._send(404, "text/plain", b"no such file")
            return
        self._send(200, TYPES[file.suffix], file.read_bytes())

    def _stream(self) -> None:
        if self.workspace.refuses_streams:
            self._send(503, "text/plain", b"not now")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        stream = self.workspace.open_stream()
        try:
            while (line := stream.get()) is not None:
                self.wfile.write(line)
                self.wfile.flush()
        except OSError:
            return  # the page has gone; there is nobody left to tell

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)
