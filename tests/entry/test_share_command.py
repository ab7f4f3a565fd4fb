"""`s3-to-slack` and `tidegate share` as they are typed, against a real S3 and a real Slack."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.app.sharer import CHANNEL, KEY, PDF, TEMPORARY, Sharer, sharer
from tests.core.test_settings import SMALLEST
from tests.dev.pictures import png
from tests.entry.commands import Said, python
from tests.forks import fork

SHARE = "from tidegate.entry.share_command import main; raise SystemExit(main())"


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Sharer]:
    async with sharer(tmp_path / "buckets") as found:
        yield found


def environment(gate: Sharer) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "SLACK_API_URL": gate.slack.api_url,
        "SLACK_BOT_TOKEN": gate.slack.bot_token,
        "AWS_ACCESS_KEY_ID": KEY.access_key,
        "AWS_SECRET_ACCESS_KEY": KEY.secret_key,
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_S3": gate.s3.url,
    }


async def typed(
    gate: Sharer, *words: str, given: Mapping[str, str] | None = None, command: str = "s3-to-slack"
) -> Said:
    """Run the command as a process of its own, and let the far ends serve meanwhile."""
    start = ("-c", SHARE) if command == "s3-to-slack" else ("-m", "tidegate", "share")
    process = await fork(*start, *words, environment=environment(gate) | dict(given or {}))
    out, err = await process.communicate()
    return Said(code=process.returncode or 0, out=out.decode(), err=err.decode())


def said_json(said: Said) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said.out)
    return found


def configured(gate: Sharer, folder: Path, **bucket: Any) -> str:
    """Write a configuration with one bucket."""
    config = yaml.safe_load(SMALLEST)
    config["slack"] |= {"api_url": gate.slack.api_url, "bot_token": {"env": "SLACK_BOT_TOKEN"}}
    config["s3"] = {
        "region": "eu-west-1",
        "endpoint_url": gate.s3.url,
        "buckets": {
            "reports": {
                "name": "acme-reports",
                "prefix": "q3/",
                "channels": [CHANNEL],
                "modes": ["upload", "link"],
            }
            | bucket
        },
    }
    file = folder / "tidegate.yaml"
    file.write_text(yaml.safe_dump(config))
    return str(file)


async def test_one_command_brings_a_file_into_a_channel(gate: Sharer) -> None:
    gate.put("q3/revenue.pdf", PDF)
    said = await typed(gate, "acme-reports", "q3/revenue.pdf", "reports", "Q3 revenue")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"q3/revenue.pdf: shared in {CHANNEL} as upload\n"
    [message] = gate.messages
    assert message.files[0].title == "Q3 revenue"
    assert message.files[0].sha256 == hashlib.sha256(PDF).hexdigest()


async def test_tidegate_share_is_the_same_command(gate: Sharer) -> None:
    gate.put("a.pdf", PDF)
    said = await typed(gate, "acme-reports", "a.pdf", CHANNEL, "--json", command="share")
    found = said_json(said)
    assert (said.code, found["ok"], found["mode"], found["channel"]) == (0, True, "upload", CHANNEL)
    assert found["file_id"] == gate.messages[0].files[0].id
    assert found["ts"] == gate.messages[0].ts


async def test_a_link_tells_its_address_and_when_it_ends(gate: Sharer) -> None:
    gate.put("a.pdf", PDF)
    said = await typed(
        gate, "acme-reports", "a.pdf", CHANNEL, "--mode", "link", "--expires", "24h", "--json"
    )
    found = said_json(said)
    assert "X-Amz-Expires=86400" in found["url"]
    assert abs(found["expires_at"] - gate.clock.now() - 86400) < 30
    assert found["version_id"] in found["url"]
    assert [block["type"] for block in found["blocks"]] == ["rich_text", "context"]
    assert found["url"] in json.dumps(gate.messages[0].blocks)


async def test_credentials_that_may_end_sooner_shorten_the_link_and_it_says_so(
    gate: Sharer,
) -> None:
    gate.put("a.pdf", PDF)
    keys = {
        "AWS_ACCESS_KEY_ID": TEMPORARY.access_key,
        "AWS_SECRET_ACCESS_KEY": TEMPORARY.secret_key,
        "AWS_SESSION_TOKEN": str(TEMPORARY.session_token),
    }
    words = ("acme-reports", "a.pdf", CHANNEL, "--mode", "link", "--expires", "7d")
    said = await typed(gate, *words, given=keys)
    assert said.code == 0, said
    assert "the AWS credentials in use end then" in said.out


@pytest.mark.parametrize("json_asked", [True, False])
async def test_a_refusal_exits_with_1_and_says_why(gate: Sharer, *, json_asked: bool) -> None:
    gate.put("invoice.pdf", b"\x7fELF" + bytes(100))
    flags = ["--json"] if json_asked else []
    said = await typed(gate, "acme-reports", "invoice.pdf", CHANNEL, *flags)
    assert said.code == 1
    if json_asked:
        error = said_json(said)["error"]
        assert error["code"] == "executable"
        assert "program" in error["message"]
    else:
        assert said.out == ""
        assert said.err.startswith("invoice.pdf: It is a program")
    assert gate.messages == []


async def test_a_dry_run_checks_all_and_shares_nothing(gate: Sharer) -> None:
    gate.put("charts/a.png", png(10, 10))
    said = await typed(
        gate, "acme-reports", "charts/", CHANNEL, "--mode", "gallery", "--dry-run", "--json"
    )
    found = said_json(said)
    assert (said.code, found["dry_run"]) == (0, True)
    assert found["blocks"][0]["type"] == "image"
    assert gate.messages == []
    assert gate.slack.uploads_made == []


async def test_without_a_token_it_says_what_to_set(gate: Sharer) -> None:
    said = await typed(gate, "b-b-b", "k", "c", given={"SLACK_BOT_TOKEN": ""})
    assert said.code == 2
    assert "SLACK_BOT_USER_OAUTH_TOKEN" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "url", ["http://slack.example.com/api/", "ftp://x", "https://evil.example"]
)
async def test_the_token_goes_to_slack_or_loopback_and_nowhere_else(gate: Sharer, url: str) -> None:
    said = await typed(gate, "b-b-b", "k", "c", given={"SLACK_API_URL": url})
    assert said.code == 2
    assert "SLACK_API_URL" in said.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("reports", "q3/a.pdf", CHANNEL), ""),
        (("acme-reports", "q3/a.pdf", "reports"), ""),
        (("reports", "other/a.pdf", CHANNEL), "key_outside_prefix"),
        (("reports", "q3/a.pdf", "C0OPS"), "channel_not_allowed"),
        (("reports", "q3/a.pdf", CHANNEL, "--mode", "image"), "mode_not_allowed"),
        (("another-bucket", "q3/a.pdf", CHANNEL), "bucket_not_allowed"),
        (("reports", "q3/a.pdf", CHANNEL, "--mode", "link", "--unversioned"), ""),
    ],
)
async def test_with_a_configuration_its_allow_lists_bind(
    gate: Sharer, tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    gate.put("q3/a.pdf", PDF)
    gate.put("other/a.pdf", PDF)
    said = await typed(gate, *words, "--json", "--config", configured(gate, tmp_path))
    found = said_json(said)
    assert found.get("error", {}).get("code", "") == code
    assert said.code == (1 if code else 0)


async def test_keys_do_nothing_to_a_terminal_and_forge_no_line(gate: Sharer) -> None:
    gate.put("g/\x1b]0;PWNED\x07\x1b[2J \u202egpj.png", png(10, 10))
    gate.put("g/z\x1b[31m\nadmin: all fine.png", b"\x7fELF" + bytes(50))
    words = ("acme-reports", "g/", CHANNEL, "--mode", "gallery")
    for said in (
        await typed(gate, *words),
        await typed(gate, *words, "--dry-run"),
        await typed(gate, "acme-reports", "\x1b[2J\n.pdf", CHANNEL),
    ):
        assert said.code == 1
        assert (said.out + said.err).replace("\n", "").isprintable(), said
        assert "admin: all fine.png: It is" not in said.err.splitlines()
        assert len(said.err.splitlines()) == 1
    whole = said_json(await typed(gate, *words, "--json"))
    assert any("\n" in item["key"] for item in whole["items"])


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pw@127.0.0.1:9",
        "http://127.0.0.1:9/#x",
        "http://127.0.0.1:9/?x",
        "http://127.0.0.1:9/ö",
        "http://127.0.0.1:9/a b",
        "http://127.0.0.1:99999",
        "http://[::1",
        "http://192.0.2.1:9",
        "http://minio:9000",
        "127.0.0.1:9",
    ],
)
async def test_an_s3_of_the_environment_is_held_to_what_a_configuration_may_name(
    gate: Sharer, url: str
) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        given = {"AWS_ENDPOINT_URL_S3": "", name: url}
        said = await typed(gate, "acme-reports", "k", CHANNEL, given=given)
        assert said.code == 2
        assert said.err.startswith(f"{name}: ")
        assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SLACK_BOT_TOKEN"]
)
@pytest.mark.parametrize("value", ["SECRET\udcff", "SECRETü", "SEC\nRET"])
async def test_a_secret_that_cannot_be_one_is_named_and_not_told(
    gate: Sharer, name: str, value: str
) -> None:
    said = await typed(gate, "acme-reports", "k", CHANNEL, given={name: value})
    assert said.code == 2
    assert said.err.startswith(f"{name}: it holds characters")
    assert "SECRET" not in said.err.removeprefix(name)
    assert "Traceback" not in said.err


async def test_secrets_and_links_are_in_no_output_but_where_they_were_asked_for(
    gate: Sharer,
) -> None:
    gate.put("a.pdf", PDF)
    said = await typed(gate, "acme-reports", "a.pdf", CHANNEL, "--mode", "link")
    assert said.code == 0
    for secret in (gate.slack.bot_token, KEY.secret_key, "X-Amz-Signature"):
        assert secret not in said.out + said.err


def test_help_is_there_without_loading_anything_heavy() -> None:
    script = (
        "import sys\nfrom tidegate.entry.share_command import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(any(m in sys.modules for m in "
        "('aiohttp', 'pydantic', 'slack_sdk', 'botocore', 'asyncio', 'puremagic')))\n"
    )
    done = python("-c", script)
    assert (done.code, done.err) == (0, "")
    assert "exit codes" in done.out
