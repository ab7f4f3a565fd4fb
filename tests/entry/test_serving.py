"""`tidegate serve` and `tidegate worker` as processes: ports, TLS, signals, probes, logs."""

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import pty
import re
import signal
import socket
import sqlite3
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.stand import GatewayProcess, Stand, stand
from tidegate_dev.slack.far_end import COMMANDS_PATH


def _taken(port: int) -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", port))
    sock.listen()
    return sock


async def _get(url: str, **options: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(url, **options) as answer:
        return answer.status, await answer.text()


async def _probe(found: Stand) -> tuple[int, dict[str, Any]]:
    status, text = await _get(f"{found.gateway.url}/readyz")
    return status, json.loads(text)


async def _until(condition: Callable[[], bool]) -> None:
    """Return once *condition* holds, which another process decides."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def _plain(gateway: GatewayProcess) -> str:
    """What a process that could not start has said: nothing but problems."""
    said = "\n".join(gateway.raw)
    assert "Traceback" not in said
    assert "Unclosed" not in said
    return said


# --- starting ------------------------------------------------------------------------------


async def test_a_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    async with stand(tmp_path, start=False) as found:
        port = found.gateway.config["server"]["port"]
        with _taken(port):
            await found.gateway.start(ready=False)
            assert await found.gateway.exited() == 2
        said = _plain(found.gateway)
        assert f"server: cannot listen on 127.0.0.1:{port}: Address already in use" in said
        assert "mend: stop what listens there, or set server.port" in said


async def test_missing_secrets_are_all_said_at_once(tmp_path: Path) -> None:
    def empty(config: dict[str, Any]) -> None:
        config["slack"]["bot_token"] = {"env": "NO_SUCH_TOKEN"}
        config["slack"]["signing_secrets"] += [{"env": "NO_SUCH_SECRET"}, {"file": "gone"}]

    async with stand(tmp_path, start=False, change=empty) as found:
        await found.gateway.start(ready=False)
        assert await found.gateway.exited() == 2
        said = _plain(found.gateway)
        assert [line.partition(":")[0] for line in said.splitlines()] == [
            "slack.bot_token",
            "slack.signing_secrets[1]",
            "slack.signing_secrets[2]",
        ]


async def test_an_admin_port_in_use_is_a_warning_and_clicks_are_taken(tmp_path: Path) -> None:
    async with stand(tmp_path, start=False) as found:
        port = found.gateway.config["admin"]["port"]
        with _taken(port):
            await found.gateway.start()
            ts = found.message()
            assert (await found.click(ts)).acked
            await found.told(ts, "all done")
        (warning,) = found.gateway.events("admin_off")
        assert (warning["level"], warning["port"]) == ("warning", port)
        assert "admin.port" in warning["mend"]


# --- TLS -----------------------------------------------------------------------------------


def _certificate(folder: Path, name: str = "tls") -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}-key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file


async def test_with_a_certificate_clicks_are_taken_over_https(tmp_path: Path) -> None:
    cert, _ = _certificate(tmp_path)

    def secure(config: dict[str, Any]) -> None:
        config["server"]["tls"] = {"cert": "tls.pem", "key": "tls-key.pem"}  # beside the file

    async with stand(tmp_path, start=False, change=secure) as found:
        await found.gateway.start(ready=False)
        url = found.gateway.url.replace("http:", "https:")
        trusting = ssl.create_default_context(cafile=cert)
        async with asyncio.timeout(20), aiohttp.ClientSession() as http:
            await _until(lambda: bool(found.gateway.events("started")))
            async with http.get(f"{url}/readyz", ssl=trusting) as answer:
                assert answer.status == 200
            delivery = found.slack.begin_click(
                channel="C0OPS", ts=found.message(), action_id="k8s_deploy"
            )
            async with http.post(
                f"{url}{delivery.path}", data=delivery.body, headers=delivery.headers, ssl=trusting
            ) as answer:
                assert answer.status == 200
                assert "X-Tidegate-Run" in answer.headers
            with pytest.raises(aiohttp.ClientError):  # and not without it
                await http.get(f"{found.gateway.url}/readyz")
        await found.service.wait_for(lambda: len(found.service.effects) == 1)
        assert not [line for line in found.gateway.lines if line["level"] == "error"]


@pytest.mark.parametrize("wrong", ["absent", "not a certificate", "another's key"])
async def test_a_certificate_that_cannot_be_used_is_said_plainly(
    tmp_path: Path, wrong: str
) -> None:
    if wrong != "absent":
        cert, key = _certificate(tmp_path)
        if wrong == "not a certificate":
            cert.write_text("hello")
        else:
            key.write_bytes(_certificate(tmp_path, "other")[1].read_bytes())

    def secure(config: dict[str, Any]) -> None:
        config["server"]["tls"] = {"cert": "tls.pem", "key": "tls-key.pem"}

    async with stand(tmp_path, start=False, change=secure) as found:
        await found.gateway.start(ready=False)
        assert await found.gateway.exited() == 2
        said = _plain(found.gateway)
        assert "server.tls: cannot be used: " in said
        assert "mend: name PEM files" in said


# --- stopping ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_0(tmp_path: Path, number: signal.Signals) -> None:
    async with stand(tmp_path) as found:
        ts = found.message()
        assert (await found.click(ts)).acked
        await found.told(ts, "all done")
        assert await found.gateway.end(number) == 0
        assert [line["event"] for line in found.gateway.lines[-1:]] == ["stopped"]
        for text in found.gateway.raw:  # JSON lines, from the first to the last
            line = json.loads(text)
            assert {"at", "level", "event"} <= line.keys()
        run = found.gateway.events("answered")[-1]["run"]
        assert {"answered", "authorised", "sending", "outcome"} <= {
            line["event"] for line in found.gateway.lines if line.get("run") == run
        }


async def test_where_a_person_looks_on_the_log_is_plain(tmp_path: Path) -> None:
    async with stand(tmp_path, start=False) as found:
        gateway = found.gateway
        gateway.file.write_text(json.dumps(gateway.config))  # YAML is a superset of it
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *gateway.module,
            "--config",
            str(gateway.file),
            env={**os.environ, **gateway.environment},
            stderr=theirs,
        )
        os.close(theirs)
        gateway.process = process
        await gateway.ready()
        assert await gateway.end() == 0
        said = b""
        with contextlib.suppress(OSError):  # how a terminal says that the other side is gone
            while chunk := os.read(ours, 65_536):
                said += chunk
        os.close(ours)
        text = re.sub(r"\x1b\[[0-9;]*m", "", said.decode())
        assert "listening" in text
        assert "listener=public" in text
        assert "stopped" in text
        assert '{"' not in text


# --- probes --------------------------------------------------------------------------------


async def test_a_store_that_cannot_be_written_is_not_ready_and_says_so_to_slack(
    tmp_path: Path,
) -> None:
    async with stand(tmp_path) as found:
        assert (await _get(f"{found.gateway.url}/healthz"))[0] == 200
        assert await _probe(found) == (200, {"ok": True})
        holder = sqlite3.connect(tmp_path / "tidegate.db", isolation_level=None)
        try:
            holder.execute("BEGIN IMMEDIATE")
            ts = found.message()
            (status, why), health, click, command = await asyncio.gather(
                _probe(found),
                _get(f"{found.gateway.url}/healthz"),
                found.click(ts),
                found.slack.command("/nothing", "here"),
            )
            assert (status, why) == (503, {"ok": False, "why": "the store cannot be written"})
            assert health[0] == 200
            assert click.http_status == 503
            assert click.ack_ms < 3000
            assert command.acked  # with a text, since Slack shows nothing of a 503
            assert command.path == COMMANDS_PATH
            assert command.answer_json()["response_type"] == "ephemeral"
            holder.execute("ROLLBACK")
        finally:
            holder.close()
        await found.gateway.ready()
        again = found.message()
        delivery = await found.click(again)
        assert delivery.acked
        await found.told(again, "all done")
        # What was refused has not happened, then or since.
        assert list(found.service.effects) == [delivery.run]


async def test_probes_take_get_and_head_only(tmp_path: Path) -> None:
    async with stand(tmp_path) as found, aiohttp.ClientSession() as http:
        for path in ("/healthz", "/readyz"):
            async with http.head(f"{found.gateway.url}{path}") as answer:
                assert (answer.status, await answer.read()) == (200, b"")
            async with http.post(f"{found.gateway.url}{path}", data=b"x") as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


# --- the worker alone ----------------------------------------------------------------------


async def test_a_worker_carries_out_what_a_serve_without_one_has_taken(tmp_path: Path) -> None:
    def no_worker(config: dict[str, Any]) -> None:
        config["worker"] = {"enabled": False}

    async with stand(tmp_path, change=no_worker) as found:
        ts = found.message()
        delivery = await found.click(ts)
        assert delivery.acked
        code, out, _ = await found.gateway.command("runs", "--json")
        assert code == 0
        assert [run["state"] for run in json.loads(out)["runs"]] == ["queued"]
        assert not found.service.seen
        assert not found.gateway.events("sending")
        worker = GatewayProcess(
            found.gateway.config,
            tmp_path,
            found.gateway.environment,
            module=("-m", "tidegate", "worker"),
        )
        await worker.start(ready=False)
        try:
            await found.told(ts, "all done")
            assert list(found.service.effects) == [delivery.run]
            second = found.message()
            delivery = await found.click(second)
            await found.told(second, "all done")
        finally:
            assert await worker.end() == 0
        assert [line["run"] for line in worker.events("sending")][-1] == delivery.run
        assert [line["listener"] for line in worker.events("listening")] == []
        assert worker.events("admin_off")  # the other process has that port
