"""The dev workspace as a whole: its page's server, its gateway process, its command."""

import asyncio
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError

from tests.dev.objects_client import botocore_client
from tests.ports import free_ports
from tidegate_dev import command, configuration, shell
from tidegate_dev.bucket import FolderRefusedError
from tidegate_dev.configuration import Ports, Secrets
from tidegate_dev.faults import AT_THE_EDGE, FAULTS
from tidegate_dev.listener import LOOPBACK, PortInUseError, bind
from tidegate_dev.objects import AccessKey
from tidegate_dev.program import ProgramFailedError
from tidegate_dev.workspace import DevWorkspace

SMALL_GATEWAY = (sys.executable, str(Path(__file__).parent / "small_gateway.py"))
SMALL_AGENT = (sys.executable, str(Path(__file__).parent / "small_agent.py"))
#: As many as the workspace may take in a row.
PORTS = 9


def make(**options: Any) -> DevWorkspace:
    options.setdefault("port", free_ports(PORTS))
    options.setdefault("user", "U0ADA")
    options.setdefault("faults", ())
    options.setdefault("environment", dict(os.environ))
    return DevWorkspace(gateway_command=SMALL_GATEWAY, agent_command=SMALL_AGENT, **options)


@pytest.fixture
async def workspace() -> AsyncIterator[DevWorkspace]:
    workspace = make()
    try:
        await workspace.start()
        yield workspace
    finally:
        await workspace.stop()


class Page:
    """What a browser does with the page's server."""

    def __init__(self, session: aiohttp.ClientSession, workspace: DevWorkspace) -> None:
        self.session = session
        self.url = workspace.url

    async def state(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}dev/state") as response:
            found: dict[str, Any] = await response.json()
            return found

    async def post(self, what: str, **body: Any) -> tuple[int, dict[str, Any]]:
        async with self.session.post(f"{self.url}dev/{what}", json=body) as response:
            return response.status, await response.json()

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        async with self.session.get(f"{self.url}{path}", headers=headers) as response:
            await response.read()
            return response

    async def deploy(self, **more: Any) -> dict[str, Any]:
        first = (await self.state())["messages"]["C0OPS"][0]
        place = {"channel": "C0OPS", "ts": first["ts"], "block_id": "staging"}
        _, answer = await self.post("click", **place, action_id="k8s_deploy", wait=True, **more)
        delivery: dict[str, Any] = answer["delivery"]
        return delivery


@pytest.fixture
async def page(workspace: DevWorkspace) -> AsyncIterator[Page]:
    async with aiohttp.ClientSession() as session:
        yield Page(session, workspace)


async def until(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - it is another process that changes
            await asyncio.sleep(0.01)


class Events:
    """The event stream, read as a browser reads it."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def next(self) -> tuple[str, dict[str, Any]]:
        name, data = "", ""
        async with asyncio.timeout(10):
            while True:
                line = (await self._content.readline()).decode().rstrip("\r\n")
                if not line and data:
                    return name, json.loads(data)
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    data = value

    async def named(self, wanted: str) -> dict[str, Any]:
        while True:
            name, data = await self.next()
            if name == wanted:
                return data


# What a person sees and does


async def test_the_state_tells_everything_the_page_needs(
    workspace: DevWorkspace, page: Page
) -> None:
    state = await page.state()
    assert state["me"] == "U0ADA"
    assert [user["role"] for user in state["users"]] == [
        "dev · @deployers",
        "sre · @sre · @deployers",
        "guest",
    ]
    assert [channel["name"] for channel in state["channels"]] == ["ops", "reports", "incidents"]
    assert [channel["unread"] for channel in state["channels"]] == [0, 3, 1]
    assert state["gateway"]["state"] == "up"
    assert state["hint"] == "Press Deploy. Then press it again, or be Guest."
    assert {fault["name"] for fault in state["faults"]} == {
        "service_slow",
        "service_down",
        "slack_429",
        "slack_hang",
        "edge_throttle",
        "edge_not_permitted",
        "edge_clock_skew",
        "edge_wrong_region",
        "edge_wrong_stage",
        "edge_link_inactive",
        "edge_gives_up",
        "rollout_fails",
        "s3_breaks_off",
        "s3_asks_to_wait",
        "scanner_down",
        "slack_loses_upload",
    }
    commands = [command["command"] for command in state["commands"]]
    assert commands == ["/deploy", "/status", "/share"]
    workloads = state["cluster"]["workloads"]
    told = {"namespace", "kind", "name", "image", "replicas", "ready", "revision", "state"}
    assert told <= set(workloads[0])
    assert {workload["kind"] for workload in workloads} == {
        "DaemonSet",
        "Deployment",
        "StatefulSet",
    }
    assert state["cluster"]["kubectl"].endswith("kubectl get pods -n staging")
    assert state["cluster"]["url"] == f"http://127.0.0.1:{workspace.ports.cluster}"
    assert state["agent"]["state"] == "up"


async def test_the_welcome_is_the_gateway_s_own_and_another_message_is_not(page: Page) -> None:
    state = await page.state()
    ours = state["bots"][0]["id"]
    assert {message["bot_id"] for message in state["messages"]["C0OPS"]} == {ours}
    assert [message["bot_id"] for message in state["messages"]["C0REPORTS"]] != [ours]


async def test_a_click_is_answered_with_its_delivery_and_ends_the_hint(page: Page) -> None:
    delivery = await page.deploy()
    assert (delivery["status"], delivery["http_status"]) == ("acked", 200)
    state = await page.state()
    assert state["hint"] is None
    assert [found["id"] for found in state["deliveries"]] == [delivery["id"]]
    assert state["journeys"][0]["delivery"] == delivery["id"]


async def test_the_events_begin_with_the_state_and_go_on_with_every_change(
    workspace: DevWorkspace, page: Page
) -> None:
    async with page.session.get(f"{page.url}dev/events") as response:
        events = Events(response.content)
        name, first = await events.next()
        assert (name, first["me"]) == ("state", "U0ADA")
        await page.deploy()
        waiting = await events.named("delivery")
        acked = await events.named("delivery")
        assert [waiting["delivery"]["status"], acked["delivery"]["status"]] == ["waiting", "acked"]
        while (await events.named("journey"))["journey"]["state"] != "succeeded":
            pass
        await page.post("user", user="U0GRACE")
        assert (await events.named("user"))["me"] == "U0GRACE"
        await page.post("fault", name="slack_429", on=True)
        faults = (await events.named("faults"))["faults"]
        assert [fault["name"] for fault in faults if fault["on"]] == ["slack_429"]
        await page.post("message", channel="C0OPS", text="hello")
        said = (await events.named("message"))["message"]
        assert (said["user"], said["text"]) == ("U0GRACE", "hello")
        assert said.keys() >= {"ts", "channel", "blocks", "edited", "thread_ts", "at"}


async def test_the_person_at_the_page_is_who_clicks(page: Page) -> None:
    assert (await page.post("user", user="U0GUEST"))[0] == 200
    assert (await page.deploy())["user"] == "U0GUEST"
    assert (await page.deploy(user="U0GRACE"))["user"] == "U0GRACE"
    assert (await page.post("user", user="U0TIDEGATE"))[0] == 404


async def test_a_command_is_delivered_and_one_that_does_not_exist_is_not(page: Page) -> None:
    status, answer = await page.post(
        "command", channel="C0OPS", text="/deploy web 2.4.1", wait=True
    )
    assert (status, answer["delivery"]["status"]) == (200, "acked")
    status, answer = await page.post("command", channel="C0OPS", text="/undo web")
    assert status == 404
    assert "/deploy" in answer["error"]


async def test_reading_a_channel_clears_its_mark(page: Page) -> None:
    await page.post("read", channel="C0REPORTS")
    assert [channel["unread"] for channel in (await page.state())["channels"]] == [0, 0, 1]


async def test_a_menu_sends_the_choice(page: Page) -> None:
    first = (await page.state())["messages"]["C0OPS"][0]
    block = next(block for block in first["blocks"] if block["block_id"] == "staging")
    value = block["elements"][2]["options"][0]["value"]
    place = {"channel": "C0OPS", "ts": first["ts"], "action_id": "k8s_scale", "wait": True}
    assert (await page.post("click", **place, value=value))[0] == 200
    state = await page.state()
    assert state["journeys"][0]["title"] == "Scale · 1 replica · web → staging"
    assert (await page.post("click", **place, value="9"))[0] == 400


async def test_a_journey_can_be_opened_down_to_the_run_s_record(page: Page) -> None:
    delivery = await page.deploy()
    async with page.session.get(f"{page.url}dev/journey/{delivery['id']}") as response:
        journey = await response.json()
    assert journey["run_row"] == {"id": journey["run"]}
    assert journey["audit"] == [{"what": "recorded"}]
    assert journey["request"]["payload"]["type"] == "block_actions"
    assert (await page.get("dev/journey/none")).status == 404


async def test_no_secret_of_the_workspace_is_in_what_the_page_is_told(
    workspace: DevWorkspace, page: Page
) -> None:
    delivery = await page.deploy()
    async with page.session.get(f"{page.url}dev/journey/{delivery['id']}") as response:
        shown = await response.text() + json.dumps(await page.state())
    identity = workspace.slack.workspace.identity
    far_end = workspace.cluster.far_end
    tokens = (*workspace._secrets.all(), identity.verification_token, far_end.admin_token)
    for secret in tokens:
        assert secret not in shown


SENSELESS: list[tuple[str, dict[str, Any], int]] = [
    ("click", {"channel": "C0OPS", "ts": "1.000000", "action_id": "x"}, 404),
    ("click", {"channel": "C0OPS"}, 400),
    ("click", {"channel": 5, "ts": "1.0", "action_id": "x"}, 400),
    ("command", {"channel": "C0NONE", "text": "/deploy"}, 404),
    ("command", {"channel": "C0OPS", "text": " "}, 400),
    ("message", {"channel": "C0NONE", "text": "x"}, 404),
    ("message", {"channel": "C0OPS", "text": "x" * 4001}, 400),
    ("fault", {"name": "earthquake", "on": True}, 404),
    ("fault", {"name": "slack_429", "on": "yes"}, 400),
    ("read", {"channel": "C0NONE"}, 404),
]


async def test_what_makes_no_sense_is_answered_in_plain_words(page: Page) -> None:
    for what, body, status in SENSELESS:
        found, answer = await page.post(what, **body)
        assert (what, found, answer["ok"]) == (what, status, False)
        assert answer["error"].endswith(".")
    json_headers = {"Content-Type": "application/json"}
    half = b'{"channel": "C0OPS", "text": "half \\ud83d"}'
    for raw in (b"{", b"[]", b"[" * 50_000, b" " * 70_000, half):
        url = f"{page.url}dev/read"
        async with page.session.post(url, data=raw, headers=json_headers) as response:
            assert response.status == 400
    assert (await page.get("dev/state")).status == 200


# The bucket


async def test_a_file_that_is_dropped_is_told_to_the_page(
    workspace: DevWorkspace, page: Page
) -> None:
    folder = workspace.listing.folder
    assert folder is not None
    async with page.session.get(f"{page.url}dev/events") as response:
        events = Events(response.content)
        _, first = await events.next()
        assert first["bucket"]["folder"] == str(folder)
        before = {one["key"] for one in first["bucket"]["objects"]}
        assert {"q3/report.pdf", "q3/deploys.csv", "q3/invoice.pdf", "q3/eicar.txt"} <= before
        (folder / "notes.txt").write_text("Ship it.")
        found = (await events.named("bucket"))["bucket"]
        (new,) = (one for one in found["objects"] if one["key"] not in before)
        assert (new["key"], new["size"], new["type"]) == ("notes.txt", 8, "text/plain")
        (folder / "notes.txt").unlink()
        found = (await events.named("bucket"))["bucket"]
        assert {one["key"] for one in found["objects"]} == before


async def test_s3_lets_in_the_gateway_s_keys_and_lets_nobody_write(
    workspace: DevWorkspace,
) -> None:
    url = f"http://127.0.0.1:{workspace.ports.objects}"
    aws = workspace._secrets.aws
    key = AccessKey(
        access_key=aws.access_key, secret_key=aws.secret_key, session_token=aws.session_token
    )
    there = {"Bucket": "acme-reports", "Key": "q3/report.pdf"}

    def read_and_write() -> tuple[bytes, str]:
        with contextlib.closing(botocore_client(url, key)) as client:
            with contextlib.closing(client.get_object(**there)["Body"]) as body:
                found = body.read()
            with pytest.raises(ClientError) as refused:
                client.put_object(**there, Body=b"new")
        return found, refused.value.response["Error"]["Code"]

    found, code = await asyncio.to_thread(read_and_write)
    assert found.startswith(b"%PDF")
    assert code == "AccessDenied"
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/acme-reports/q3/report.pdf") as response,
    ):
        assert response.status == 403


async def test_the_folder_goes_with_the_workspace_and_one_s_own_stays(tmp_path: Path) -> None:
    for own in (None, tmp_path / "own"):
        workspace = make(bucket_folder=own)
        await workspace.start()
        folder = workspace.listing.folder
        await workspace.stop()
        assert folder is not None
        assert folder.exists() == (own is not None)


async def test_a_folder_with_other_things_in_it_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "holidays").mkdir()
    workspace = make(bucket_folder=tmp_path)
    with pytest.raises(FolderRefusedError, match="holidays"):
        await workspace.start()
    await workspace.stop()
    assert not (tmp_path / "acme-reports").exists()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    workspace = make(bucket_folder=tmp_path / "file")
    with pytest.raises(FolderRefusedError, match="cannot hold the bucket"):
        await workspace.start()
    await workspace.stop()


def test_the_line_for_a_shell_brings_its_own_keys_and_only_its_owner_can_read_them(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    made = {"AWS_ACCESS_KEY_ID": "ASIA1", "SLACK_BOT_TOKEN": "xo'xb", "PATH": "/none", "HOME": "/x"}
    script = shell.write(folder, config=folder / "tidegate.yaml", environment=made)
    assert stat.S_IMODE(script.stat().st_mode) == 0o700
    line = shell.gallery_line(script, bucket="reports", prefix="q3/", channel="C0REPORTS")
    words = line.replace(" --mode gallery", " --help")
    theirs = {"PATH": os.environ["PATH"], "AWS_PROFILE": "prod"}
    done = subprocess.run(words, shell=True, capture_output=True, text=True, env=theirs, check=True)
    assert "Share an object of S3" in done.stdout
    content = script.read_text()
    assert "unset AWS_PROFILE" in content
    assert "/none" not in content


# The scanner


async def pinged(port: int) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b"zPING\0")
    said = await reader.read()
    writer.close()
    return said


async def test_the_bucket_is_scanned_by_the_workspace_s_own_scanner(
    workspace: DevWorkspace,
) -> None:
    assert workspace._folder is not None
    document = json.loads((workspace._folder / "tidegate.yaml").read_text())
    address = f"127.0.0.1:{workspace.ports.scanner}"
    assert document["s3"]["buckets"]["reports"]["scan"] == {"clamd": address}
    assert await pinged(workspace.ports.scanner) == b"PONG\0"


async def test_a_clamd_that_is_given_is_used_and_cannot_be_taken_down() -> None:
    workspace = make(clamd="unix:/run/clamav/clamd.ctl")
    with bind(workspace.ports.scanner):  # nothing of ours needs it
        try:
            await workspace.start()
            assert workspace._folder is not None
            document = json.loads((workspace._folder / "tidegate.yaml").read_text())
            scan = {"clamd": "unix:/run/clamav/clamd.ctl"}
            assert document["s3"]["buckets"]["reports"]["scan"] == scan
            names = {fault["name"] for fault in workspace.state()["faults"]}
            assert workspace.state()["bucket"]["clamd"] == "unix:/run/clamav/clamd.ctl"
            assert "slack_loses_upload" in names
            assert "scanner_down" not in names
        finally:
            await workspace.stop()


# Who may come in


async def test_the_page_comes_with_a_policy_against_foreign_scripts(page: Page) -> None:
    response = await page.get("")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/html")
    policy = response.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert (await page.get("page/app.js")).headers["Content-Type"].startswith("text/javascript")


async def test_only_the_page_s_own_files_are_served(page: Page) -> None:
    outside = ["page/none.js", "page/%2e%2e/server.py", "page/..%2fserver.py", "page/", "page/%00"]
    assert [(await page.get(path)).status for path in outside] == [404] * len(outside)


STRANGERS: list[dict[str, str]] = [
    {"Host": "evil.example"},
    {"Host": "127.0.0.1:1"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
]


async def test_strangers_are_turned_away(page: Page) -> None:
    for headers in STRANGERS:
        assert (await page.get("dev/state", **headers)).status == 403, headers


async def test_the_page_s_own_requests_and_a_link_to_it_are_let_in(
    workspace: DevWorkspace, page: Page
) -> None:
    port = workspace.ports.page
    for name in (LOOPBACK, "localhost"):
        own = {"Host": f"{name}:{port}", "Origin": f"http://{name}:{port}"}
        assert (await page.get("dev/state", **own)).status == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await page.get("", **link)).status == 200
    assert (await page.get("dev/state", **link)).status == 403


async def test_what_a_form_could_send_is_not_taken(page: Page) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        headers = {"Content-Type": kind}
        async with page.session.post(f"{page.url}dev/kill", data=b"{}", headers=headers) as answer:
            assert answer.status == 415


# The gateway process


async def test_a_killed_gateway_is_started_again_under_another_process_id(
    workspace: DevWorkspace, page: Page
) -> None:
    before = (await page.state())["gateway"]
    status, answer = await page.post("kill")
    assert (status, answer["pid"]) == (200, before["pid"])
    gateway = workspace._gateway
    assert gateway is not None
    await until(lambda: gateway.restarts == 1 and gateway.state == "up")
    after = (await page.state())["gateway"]
    assert after["pid"] != before["pid"]
    assert (await page.deploy())["status"] == "acked"


async def test_the_agent_is_ended_while_the_service_is_down_and_comes_back_at_once(
    workspace: DevWorkspace, page: Page
) -> None:
    before = (await page.state())["agent"]
    assert (before["state"], before["restarts"]) == ("up", 0)
    async with page.session.get(f"{page.url}dev/events") as response:
        events = Events(response.content)
        await page.post("fault", name="service_down", on=True)
        assert (await events.named("agent"))["agent"]["state"] == "down"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, workspace.ports.agent)
        await page.post("fault", name="service_down", on=False)
        after = (await events.named("agent"))["agent"]
    assert (after["state"], after["restarts"]) == ("up", 1)
    assert after["pid"] != before["pid"]


async def test_an_agent_that_dies_while_it_is_started_again_is_not_left_dead(
    workspace: DevWorkspace,
) -> None:
    program = workspace._agent
    assert program is not None
    program.kill()
    await until(lambda: program.state == "restarting")
    program.hold(True)
    await until(lambda: program.state == "down")
    program.hold(False)
    await until(lambda: program.state == "up")
    assert program.restarts == 1


async def test_the_agent_is_told_where_everything_is_and_gets_nothing_of_this_machine_s(
    workspace: DevWorkspace,
) -> None:
    program = workspace._agent
    assert program is not None
    await until(lambda: len(program.lines) > 0)
    said = json.loads(program.lines[0])
    given = {"PATH", "PYTHONPATH", "LANG", "TZ", "HOME", "TMPDIR", "PYTHONUNBUFFERED"}
    assert set(said["environment"]) - {"LC_CTYPE"} <= given
    config = said["config"]
    assert config["listen"]["port"] == workspace.ports.agent == workspace.ports.page + 5
    assert config["roles"]["deployer"] == {
        "groups": ["S0DEPLOYERS"],
        "namespaces": ["staging", "production"],
    }
    assert workspace.edge.config.integration_url.endswith(f":{workspace.ports.agent}")


async def test_a_click_while_the_gateway_is_away_is_marked(
    workspace: DevWorkspace, page: Page
) -> None:
    await page.post("kill")
    gateway = workspace._gateway
    assert gateway is not None
    await until(lambda: gateway.state == "restarting")
    delivery = await page.deploy()
    assert delivery["status"] == "unreachable"
    assert delivery["note"]


async def test_the_gateway_gets_nothing_of_this_machine_s_accounts(
    workspace: DevWorkspace,
) -> None:
    gateway = workspace._gateway
    assert gateway is not None
    await until(lambda: len(gateway.lines) > 0)
    names = set(json.loads(gateway.lines[0])["environment"])
    assert "KUBECONFIG" not in names
    assert names - {"LC_CTYPE"} <= {
        *("PATH", "PYTHONPATH", "LANG", "TZ", "HOME", "TMPDIR", "PYTHONUNBUFFERED"),
        *("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "TIDEGATE_API_TOKEN"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"),
        "AWS_CREDENTIAL_EXPIRATION",
        *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED"),
    }


def test_the_environment_names_no_file_of_the_machine(tmp_path: Path) -> None:
    made = Secrets(bot_token="t", signing_secret="s")
    ours = {"PATH": "/bin", "HOME": "/home/ada", "KUBECONFIG": "/home/ada/k", "AWS_PROFILE": "prod"}
    environment = configuration.environment(tmp_path, made=made, ours=ours)
    assert environment["HOME"] == str(tmp_path)
    assert environment["AWS_CONFIG_FILE"] == "/dev/null"
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert not {"KUBECONFIG", "AWS_PROFILE"} & set(environment)


def test_the_configuration_holds_no_secret_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    made = Secrets(bot_token="xoxb-one", signing_secret="two-two-two")
    path = configuration.write(
        tmp_path, ports=Ports(page=8700), made=made, api_url="http://127.0.0.1:8700/api/"
    )
    content = path.read_text()
    assert not any(secret in content for secret in made.all())
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    document = json.loads(content)
    assert document["slack"]["api_url"] == "http://127.0.0.1:8700/api/"
    assert document["pathways"]["cluster"]["type"] == "api_gateway"
    assert document["s3"]["endpoint_url"] == "http://127.0.0.1:8703"
    assert document["s3"]["buckets"]["reports"]["scan"] == {"clamd": "127.0.0.1:8707"}


def test_every_start_has_its_own_secrets() -> None:
    one, two = make(), make()
    assert not set(one._secrets.all()) & set(two._secrets.all())


def test_a_rule_is_shown_by_the_group_that_it_lets_in() -> None:
    assert configuration.admitted("deploy-staging", 0) == "@deployers"
    assert configuration.admitted("deploy-production", 0) == "@sre"
    assert configuration.admitted("scale-production", 0) == "@deployers"
    assert configuration.admitted("share-link", 0) == "@deployers"
    assert configuration.admitted("status", 0) == "anyone in the workspace"
    assert configuration.admitted("unknown", 0) == ""
    assert configuration.admitted("deploy-staging", 7) == ""


async def test_a_gateway_that_does_not_start_says_why_and_leaves_nothing_behind() -> None:
    workspace = make(environment={"PATH": os.environ["PATH"], "TZ": "FAIL"})
    with pytest.raises(ProgramFailedError, match="the configuration has problems"):
        await workspace.start()
    folder = workspace._folder
    await workspace.stop()
    assert folder is not None
    assert not folder.exists()
    bind(workspace.ports.page).close()


async def test_an_agent_that_does_not_start_says_why() -> None:
    workspace = make(environment={"PATH": os.environ["PATH"], "TZ": "LOST"})
    with pytest.raises(ProgramFailedError, match="the key set is empty") as failed:
        await workspace.start()
    assert failed.value.name == "the agent"
    await workspace.stop()
    bind(workspace.ports.cluster).close()


async def test_a_port_in_use_is_named() -> None:
    workspace = make()
    with bind(workspace.ports.edge), pytest.raises(PortInUseError) as refused:
        await workspace.start()
    await workspace.stop()
    assert refused.value.port == workspace.ports.edge


async def test_faults_can_be_on_from_the_start() -> None:
    sharing = ("s3_breaks_off", "s3_asks_to_wait", "slack_loses_upload", "scanner_down")
    workspace = make(faults=("service_slow", "edge_throttle", *sharing))
    try:
        await workspace.start()
        on = {fault["name"] for fault in workspace.state()["faults"] if fault["on"]}
        assert on == {"service_slow", "edge_throttle", *sharing}
        assert workspace.s3_faults.slow_down
        breaks_off_after = workspace.s3_faults.drop_after_bytes
        assert breaks_off_after is not None
        assert workspace.slack.faults.next_for("sharing") == "lost"
        workspace.switch("s3_breaks_off", on=False)
        assert workspace.s3_faults.drop_after_bytes is None
        assert "integration_slow" in workspace.edge.faults
        assert "throttle" in workspace.edge.faults
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, workspace.ports.scanner)
        workspace.switch("scanner_down", on=False)
        assert await pinged(workspace.ports.scanner) == b"PONG\0"
    finally:
        await workspace.stop()


def test_each_fault_of_the_edge_is_one_that_it_has() -> None:
    workspace = make()
    for name, fault in AT_THE_EDGE.items():
        workspace.switch(name, on=True)
        assert workspace.edge.faults == {fault}
        workspace.switch(name, on=False)
        assert workspace.edge.faults == set()
        assert name in FAULTS


# The command


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--help"]) == 0
    assert "tidegate dev --user grace --fault service_slow" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        ["--port", "80"],
        ["--port", "x"],
        ["--user", "eve"],
        ["--fault", "fire"],
        ["--bucket-folder", ""],
        ["--clamd", "clamd.ctl"],
        ["--clamd", "localhost"],
        ["extra"],
    ],
)
def test_wrong_usage_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(argv) == 2
    assert "usage:" in capsys.readouterr().err


def test_a_clamd_of_somebody_else_s_is_not_taken_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--clamd", "127.0.0.1:3310", "--fault", "scanner_down"]) == 2
    assert "leave out --clamd" in capsys.readouterr().err


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert command.main(["--no-browser"]) == 2
    assert "pip install 'tidegate[dev]'" in capsys.readouterr().err


def test_a_folder_that_is_not_taken_is_said_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "holidays").mkdir()
    argv = ["--no-browser", "--port", str(free_ports(PORTS)), "--bucket-folder", str(tmp_path)]
    assert command.main(argv) == 1
    assert "Name a folder that is empty" in capsys.readouterr().err


def test_a_port_in_use_is_said_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    first = free_ports(PORTS)
    with bind(first + 5):
        assert command.main(["--no-browser", "--port", str(first)]) == 1
    said = capsys.readouterr().err
    assert f"port {first + 5} is in use" in said
    assert "--port" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_everything_with_exit_code_0(number: signal.Signals) -> None:
    first = free_ports(PORTS)
    program = (
        "import sys; from tidegate_dev import command, workspace; "
        "defaults = workspace.DevWorkspace.__init__.__kwdefaults__; "
        f"defaults['gateway_command'] = {SMALL_GATEWAY!r}; "
        f"defaults['agent_command'] = {SMALL_AGENT!r}; "
        f"sys.exit(command.main(['--no-browser', '--port', '{first}']))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = await process.stdout.readline()
    assert line.decode().strip() == f"Tidegate workspace: http://127.0.0.1:{first}/"
    events = f"http://127.0.0.1:{first}/dev/events"
    # A browser that looks on must not hold it up.
    async with aiohttp.ClientSession() as session, session.get(events) as stream:
        await stream.content.readline()
        process.send_signal(number)
        async with asyncio.timeout(30):
            _, errors = await process.communicate()
    assert process.returncode == 0
    assert errors == b""
    for offset in range(PORTS):
        bind(first + offset).close()
