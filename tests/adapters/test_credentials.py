"""AWS credentials from the real chain, against real listeners on loopback."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from botocore.utils import ContainerMetadataFetcher

from tidegate.adapters.credentials import (
    UNKNOWN_LIFETIME_SECONDS,
    AssumedRole,
    ChainCredentials,
)
from tidegate.adapters.journal import EventJournal
from tidegate.core.sigv4 import Credentials
from tidegate.errors import CredentialsError
from tidegate_dev.sigv4_check import IssuedKeys
from tidegate_dev.sts import Role, StsConfig, StsFarEnd


class Endpoint:
    """Hands out credentials over HTTP as a container's endpoint and as STS do."""

    def __init__(self) -> None:
        self.issued = 0
        self.generation = 1
        self.lives_seconds = 3600.0
        self.broken = False
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.forms: list[dict[str, list[str]]] = []
        self.authorizations: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/credentials"

    def close(self) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _end(self) -> str:
        return datetime.fromtimestamp(time.time() + self.lives_seconds, UTC).isoformat()

    def _issue(self) -> bytes:
        if self.broken:
            return b'{"token": "half-a-secret'
        self.issued += 1
        keys = {
            "AccessKeyId": f"AK{self.generation}",
            "SecretAccessKey": f"secret-{self.generation}",
        }
        return json.dumps(
            {**keys, "Token": f"tok-{self.generation}", "Expiration": self._end()}
        ).encode()

    def _assume(self) -> bytes:
        self.issued += 1
        return (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            "<AssumeRoleResult><Credentials>"
            f"<AccessKeyId>ROLE{self.generation}</AccessKeyId>"
            "<SecretAccessKey>role-secret</SecretAccessKey><SessionToken>role-token</SessionToken>"
            f"<Expiration>{self._end()}</Expiration></Credentials><AssumedRoleUser>"
            "<Arn>arn:aws:sts::1:assumed-role/gate/tidegate</Arn><AssumedRoleId>A:t</AssumedRoleId>"
            "</AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
        ).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.asked.set()
                endpoint.may_answer.wait(20)
                self._answer(endpoint._issue(), "application/json")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.forms.append(parse_qs(body.decode()))
                endpoint.authorizations.append(self.headers["Authorization"])
                self._answer(endpoint._assume(), "text/xml")

            def _answer(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # type: ignore[explicit-override]
                return

        return Handler


class Watch:
    """A clock that stands beside the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0.01)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    listening = Endpoint()
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", listening.url)
    yield listening
    listening.close()


def chained(stream: io.StringIO | None = None, **options: Any) -> ChainCredentials:
    journal = EventJournal(stream if stream is not None else io.StringIO())
    return ChainCredentials(journal=journal, **options)


async def renewed(chain: ChainCredentials) -> None:
    """Wait for the renewal that is under way."""
    assert chain._flight is not None
    await asyncio.wait([chain._flight])
    await asyncio.sleep(0)


async def test_a_caller_is_served_by_the_last_good_copy_while_a_renewal_hangs(
    endpoint: Endpoint,
) -> None:
    endpoint.lives_seconds = 90
    chain = chained(timeout_seconds=2.0)
    await chain.current()
    endpoint.may_answer.clear()
    assert (await chain.current()).access_key == "AK1"


async def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    chain = chained()
    assert await chain.current() == Credentials(
        access_key="AKENV", secret_key="secret", token="token"
    )
    # Keys with a token are temporary, and do not say for how long: ten minutes are certain.
    assert chain.expires_in_seconds == pytest.approx(UNKNOWN_LIFETIME_SECONDS, abs=5)


async def test_a_shared_profile_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = tmp_path / "credentials"
    shared.write_text("[ops]\naws_access_key_id = AKOPS\naws_secret_access_key = shh\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    monkeypatch.setenv("AWS_PROFILE", "ops")
    assert await chained().current() == Credentials(access_key="AKOPS", secret_key="shh")


async def test_a_container_endpoint_is_asked_once_for_many_calls(endpoint: Endpoint) -> None:
    chain = chained()
    first = await asyncio.gather(*(chain.current() for _ in range(50)))
    again = await chain.current()
    assert {keys.access_key for keys in [*first, again]} == {"AK1"}
    assert again.token == "tok-1"
    assert endpoint.issued == 1
    assert chain.expires_in_seconds == pytest.approx(3600, abs=30)


async def test_within_a_minute_no_thread_is_asked(endpoint: Endpoint) -> None:
    watch = Watch()
    chain = chained(now=watch)
    await chain.current()
    watch.ahead = 50
    await chain.current()
    assert chain._flight is None


async def test_rotated_credentials_arrive_without_anyone_waiting(endpoint: Endpoint) -> None:
    endpoint.lives_seconds = 500  # inside botocore's mandatory window: it renews when asked
    watch = Watch()
    chain = chained(now=watch)
    assert (await chain.current()).access_key == "AK1"
    watch.ahead = 61
    endpoint.generation = 2
    endpoint.may_answer.clear()
    assert (await chain.current()).access_key == "AK1"
    endpoint.may_answer.set()
    await renewed(chain)
    assert await chain.current() == Credentials(
        access_key="AK2", secret_key="secret-2", token="tok-2"
    )


async def test_a_clock_set_back_does_not_keep_old_credentials_for_ever(endpoint: Endpoint) -> None:
    endpoint.lives_seconds = 500
    watch = Watch()
    chain = chained(now=watch)
    await chain.current()
    endpoint.generation = 2
    watch.ahead = -86_400
    await chain.current()
    await renewed(chain)
    assert (await chain.current()).access_key == "AK2"


async def test_credentials_about_to_expire_are_renewed_first(endpoint: Endpoint) -> None:
    endpoint.lives_seconds = 90
    chain = chained()
    assert (await chain.current()).access_key == "AK1"
    endpoint.generation = 2
    assert (await chain.current()).access_key == "AK2"


async def test_a_failed_renewal_keeps_the_old_ones_and_says_so_without_secrets(
    endpoint: Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    endpoint.lives_seconds = 500
    watch, log = Watch(), io.StringIO()
    chain = chained(log, now=watch)
    await chain.current()
    endpoint.broken = True
    watch.ahead = 61
    assert (await chain.current()).access_key == "AK1"
    await renewed(chain)
    assert (await chain.current()).access_key == "AK1"
    assert chain._flight is None, "the next attempt waits a little"
    events = {json.loads(line)["event"] for line in log.getvalue().splitlines()}
    assert events == {"credentials_not_read"}
    seen = log.getvalue() + "".join(capfd.readouterr())
    assert "half-a-secret" not in seen
    assert "secret-1" not in seen
    assert "tok-1" not in seen


async def test_a_renewal_that_botocore_puts_off_is_told_too(endpoint: Endpoint) -> None:
    endpoint.lives_seconds = 800  # where botocore would like new ones, and can do without
    watch, log = Watch(), io.StringIO()
    chain = chained(log, now=watch)
    await chain.current()
    endpoint.broken = True
    watch.ahead = 61
    await chain.current()
    await renewed(chain)
    [line] = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (line["event"], line["level"]) == ("credentials_not_renewed", "warning")
    assert "half-a-secret" not in log.getvalue()


async def test_a_renewal_is_tried_again_after_a_failure(endpoint: Endpoint) -> None:
    endpoint.lives_seconds = 500
    watch = Watch()
    chain = chained(now=watch)
    await chain.current()
    endpoint.broken = True
    watch.ahead = 61
    await chain.current()
    await renewed(chain)
    endpoint.broken = False
    endpoint.generation = 2
    watch.ahead = 75
    await chain.current()
    await renewed(chain)
    assert (await chain.current()).access_key == "AK2"


async def test_old_credentials_serve_until_their_last_second_when_renewal_fails(
    endpoint: Endpoint,
) -> None:
    endpoint.lives_seconds = 90
    watch = Watch()
    chain = chained(now=watch)
    await chain.current()
    endpoint.broken = True
    assert (await chain.current()).access_key == "AK1"
    watch.ahead = 91
    with pytest.raises(CredentialsError, match="could not be read"):
        await chain.current()


async def test_no_credentials_anywhere_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(CredentialsError, match="Give the gateway a role"):
        await chained().current()


async def test_credentials_that_appear_later_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = chained()
    with pytest.raises(CredentialsError):
        await chain.current()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKLATE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert (await chain.current()).access_key == "AKLATE"


async def test_the_event_loop_runs_while_the_endpoint_hangs(endpoint: Endpoint) -> None:
    endpoint.may_answer.clear()
    waiting = asyncio.create_task(chained().current())
    await asyncio.to_thread(endpoint.asked.wait)
    lags = []
    for _ in range(50):
        begin = time.monotonic()
        await asyncio.sleep(0)
        lags.append(time.monotonic() - begin)
    assert not waiting.done()
    assert max(lags) < 0.5
    endpoint.may_answer.set()
    assert (await waiting).access_key == "AK1"


async def test_a_hanging_endpoint_is_given_up_in_time(endpoint: Endpoint) -> None:
    endpoint.may_answer.clear()
    with pytest.raises(CredentialsError, match=r"did not arrive within 0\.2 s"):
        await chained(timeout_seconds=0.2).current()


async def test_a_caller_that_leaves_does_not_take_the_renewal_with_it(endpoint: Endpoint) -> None:
    endpoint.may_answer.clear()
    chain = chained()
    gone, stays = (asyncio.create_task(chain.current()) for _ in range(2))
    await asyncio.to_thread(endpoint.asked.wait)
    gone.cancel()
    endpoint.may_answer.set()
    assert (await stays).access_key == "AK1"
    assert gone.cancelled()
    assert endpoint.issued == 1


async def test_a_role_is_assumed_on_top_of_the_chain(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKSOURCE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint.url.removesuffix("/credentials"))
    role = AssumedRole(arn="arn:aws:iam::1:role/gate", region="eu-west-1", external_id="acme-42")
    chain = chained(role=role)
    keys = await chain.current()
    assert keys == Credentials(access_key="ROLE1", secret_key="role-secret", token="role-token")
    [form] = endpoint.forms
    assert form["RoleArn"] == ["arn:aws:iam::1:role/gate"]
    assert form["RoleSessionName"] == ["tidegate"]
    assert form["ExternalId"] == ["acme-42"]
    assert "Credential=AKSOURCE/" in endpoint.authorizations[0]
    assert "/eu-west-1/sts/" in endpoint.authorizations[0]
    assert chain.expires_in_seconds == pytest.approx(3600, abs=30)


async def test_an_assumed_role_is_renewed(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKSOURCE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint.url.removesuffix("/credentials"))
    endpoint.lives_seconds = 90
    chain = chained(role=AssumedRole(arn="arn:aws:iam::1:role/gate", region="eu-west-1"))
    assert (await chain.current()).access_key == "ROLE1"
    endpoint.generation = 2
    assert (await chain.current()).access_key == "ROLE2"


def test_importing_the_adapter_does_not_import_botocore() -> None:
    import subprocess
    import sys

    code = "import sys, tidegate.adapters.credentials; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_credentials_that_were_refused_are_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKOLD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    chain = chained()
    old = await chain.current()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKNEW")
    assert (await chain.current()).access_key == "AKOLD"
    chain.discard(old)
    assert (await chain.current()).access_key == "AKNEW"
    chain.discard(old)  # told late, by a request that was under way
    assert chain._copy is not None, "the new ones were not refused"


async def test_who_refuses_all_credentials_does_not_have_aws_asked_each_time(
    endpoint: Endpoint,
) -> None:
    watch = Watch()
    chain = ChainCredentials(journal=EventJournal(stream=io.StringIO()), now=watch)
    for generation in range(2, 5):
        chain.discard(await chain.current())
        endpoint.generation = generation
    assert (await chain.current()).access_key == "AK2"
    assert endpoint.issued == 2
    watch.ahead = 11.0
    chain.discard(await chain.current())
    assert (await chain.current()).access_key == "AK4"


async def test_a_role_that_may_not_be_assumed_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {
        "AKGATE": IssuedKeys(
            access_key="AKGATE",
            secret_key="secret",
            session_token=None,
            principal="arn:aws:iam::123456789012:user/gate",
        )
    }
    arn = "arn:aws:iam::123456789012:role/gate"
    role = Role(arn=arn, trusted=["arn:aws:iam::123456789012:root"], external_id="acme-42")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKGATE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    async with StsFarEnd(StsConfig(keys=keys, roles=[role])) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        given = AssumedRole(arn=arn, region="eu-west-1", external_id="acme-42")
        assert (await chained(role=given).current()).token
        for wrong in (None, "acme-43"):
            log = io.StringIO()
            other = AssumedRole(arn=arn, region="eu-west-1", external_id=wrong)
            with pytest.raises(CredentialsError, match=r"could not be assumed \(AccessDenied\)"):
                await chained(log, role=other).current()
            [line] = [json.loads(line) for line in log.getvalue().splitlines()]
            assert "trust policy" in line["mend"]
            assert "acme-4" not in log.getvalue()
