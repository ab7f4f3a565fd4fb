"""Slack as far as files go, as fast as it can be: it counts the bytes of a file and lets them go.

python bench/sink.py PORT
"""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs

import uvloop

CHANNEL = "C0REPORTS"
TS = "1700000000.000100"
MAX_HEAD_BYTES = 65_536


class Slack:
    """The files it has named, and those it shows."""

    def __init__(self, port: int, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds
        self._port = port
        self._sizes: dict[str, int] = {}
        self._shown: set[str] = set()

    def takes(self, path: str, length: int) -> bool:
        """Tell whether a file was named, with that length."""
        return self._sizes.get(path.rpartition("/")[2]) == length

    def answer(self, method: str, given: dict[str, str]) -> dict[str, Any]:
        """Return what a method of the Web API finds."""
        match method:
            case "files.getUploadURLExternal":
                file_id = f"F{len(self._sizes):08d}"
                self._sizes[file_id] = int(given["length"])
                url = f"http://127.0.0.1:{self._port}/upload/{file_id}"
                return {"file_id": file_id, "upload_url": url}
            case "files.completeUploadExternal":
                files = json.loads(given["files"])
                self._shown.update(file["id"] for file in files)
                return {"files": files}
            case "files.info":
                shares = {"public": {CHANNEL: [{"ts": TS}]}} if given["file"] in self._shown else {}
                return {"file": {"id": given["file"], "mimetype": "text/plain", "shares": shares}}
            case _:
                flags = {"is_ext_shared": False, "is_pending_ext_shared": False}
                return {"channel": {"id": CHANNEL, **flags}}


class _Connection(asyncio.BufferedProtocol):
    """Reads requests into one buffer; the bytes of a file are overwritten by the next ones."""

    def __init__(self, slack: Slack) -> None:
        self._slack = slack
        self._buffer = memoryview(bytearray(1_048_576))
        self._head = b""  # and what of a short body came with it
        self._path = ""
        self._body = bytearray()
        self._left = 0  # of a body
        self._keeps = False  # it is a form, not a file

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        if self._left > count and not self._keeps:
            self._left -= count
            return
        data = bytes(self._buffer[:count])
        if self._left:
            self._take(data)
            return
        self._head += data
        head, gap, rest = self._head.partition(b"\r\n\r\n")
        if gap:
            self._head = b""
            self._begin(head.decode("latin-1"), rest)
        elif len(self._head) > MAX_HEAD_BYTES:
            self._transport.close()

    def _begin(self, head: str, rest: bytes) -> None:
        first, *lines = head.split("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        self._path = first.split(" ")[1]
        self._left = int(fields.get("content-length", "0"))
        self._keeps = self._path.startswith("/api/")
        self._body.clear()
        if not self._keeps and not self._slack.takes(self._path, self._left):
            self._transport.close()
            return
        if fields.get("expect"):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._take(rest)

    def _take(self, data: bytes) -> None:
        self._left -= len(data)
        if self._keeps:
            self._body += data
        if self._left > 0:
            return
        if not self._keeps:
            self._say(200, {"ok": True})
            return
        path, _, query = self._path.partition("?")
        given = parse_qs(f"{query}&{self._body.decode()}")
        found = self._slack.answer(path.rpartition("/")[2], {k: v[0] for k, v in given.items()})
        self._say(200, {"ok": True, **found})

    def _say(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
        answer = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        if self._slack.delay_seconds:
            later = asyncio.get_running_loop().call_later
            later(self._slack.delay_seconds, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve(port: int, milliseconds: float = 0) -> None:
    """Listen on loopback, for as long as the process lives."""
    slack = Slack(port, milliseconds / 1000)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(slack), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(*map(int, sys.argv[1:])))
