import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tidegate.adapters.secrets import MAX_SECRET_BYTES, SecretReader
from tidegate.core.settings import EnvSecret, FileSecret, SecretsManagerSecret
from tidegate.errors import SecretError


def manager(name: str, key: str | None = None) -> SecretsManagerSecret:
    return SecretsManagerSecret.model_validate({"secretsmanager": name, "key": key})


def test_a_secret_is_read_from_the_environment_it_was_given() -> None:
    reader = SecretReader({"TOKEN": " xoxb-1 \n"}, Path("/"))
    assert reader.read(EnvSecret(env="TOKEN")) == "xoxb-1"


@pytest.mark.parametrize("environment", [{}, {"TOKEN": ""}, {"TOKEN": " \n"}])
def test_a_variable_that_is_not_set_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(SecretError, match="the environment variable TOKEN is not set or empty"):
        SecretReader(environment, Path("/")).read(EnvSecret(env="TOKEN"))


def test_a_variable_that_is_not_utf_8_is_named() -> None:
    reader = SecretReader({"TOKEN": "xoxb\udcff"}, Path("/"))
    with pytest.raises(SecretError, match="the environment variable TOKEN is not text"):
        reader.read(EnvSecret(env="TOKEN"))


def test_a_file_is_found_beside_the_configuration_or_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xoxb-2\n")
    reader = SecretReader({}, tmp_path)
    assert reader.read(FileSecret(file="token")) == "xoxb-2"
    whole = SecretReader({}, Path("/"))
    assert whole.read(FileSecret(file=str(tmp_path / "token"))) == "xoxb-2"


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file"), (b"\xff", "not text"), (b" ", "empty"), (b"a" * 70_000, "too long")],
)
def test_a_file_that_is_no_secret_is_named(content: bytes | None, why: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(SecretError, match=f"the file token .*{why}"):
        SecretReader({}, tmp_path).read(FileSecret(file="token"))


def test_the_longest_secret_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a" * MAX_SECRET_BYTES)
    assert len(SecretReader({}, tmp_path).read(FileSecret(file="token"))) == MAX_SECRET_BYTES


# --- Secrets Manager ------------------------------------------------------------------------


class SecretsManager:
    """Answers GetSecretValue on loopback."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.scopes: list[str] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.asked.append(body["SecretId"])
                endpoint.scopes.append(self.headers["Authorization"].split("/")[2])
                found = endpoint.secrets.get(body["SecretId"])
                status = 200 if found is not None else 400
                answer = found or {"__type": "ResourceNotFoundException", "message": "none"}
                raw = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:  # type: ignore[explicit-override]
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SecretsManager]:
    listening = SecretsManager()
    for name, value in {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": listening.url,
        "AWS_ACCESS_KEY_ID": "AK",
        "AWS_SECRET_ACCESS_KEY": "SK",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    yield listening
    listening.close()


def test_a_secret_is_fetched_once_for_all_its_keys(aws: SecretsManager) -> None:
    aws.secrets["slack"] = {"SecretString": json.dumps({"bot": "xoxb-3", "signing": "s3cret"})}
    reader = SecretReader({}, Path("/"))
    assert reader.read(manager("slack", "bot")) == "xoxb-3"
    assert reader.read(manager("slack", "signing")) == "s3cret"
    assert aws.asked == ["slack"]


def test_a_secret_that_is_one_text_needs_no_key(aws: SecretsManager) -> None:
    aws.secrets["token"] = {"SecretString": "xoxb-4\n"}
    assert SecretReader({}, Path("/")).read(manager("token")) == "xoxb-4"


def test_an_arn_says_its_region_itself(aws: SecretsManager) -> None:
    arn = "arn:aws:secretsmanager:us-east-2:123456789012:secret:slack-AbCdEf"
    aws.secrets[arn] = {"SecretString": "xoxb-5"}
    assert SecretReader({}, Path("/")).read(manager(arn)) == "xoxb-5"
    assert aws.scopes == ["us-east-2"]


def test_the_region_of_the_environment_is_asked_otherwise(aws: SecretsManager) -> None:
    aws.secrets["slack"] = {"SecretString": "xoxb-6"}
    reader = SecretReader({"AWS_REGION": "ap-south-1"}, Path("/"))
    assert reader.read(manager("slack")) == "xoxb-6"
    assert aws.scopes == ["ap-south-1"]


@pytest.mark.parametrize(
    ("stored", "key", "why"),
    [
        (None, None, "ClientError|ResourceNotFound"),
        ({"SecretBinary": "AAAA"}, None, "holds no text"),
        ({"SecretString": "top-secret"}, "bot", "is not JSON"),
        ({"SecretString": '["top-secret"]'}, "bot", "is not JSON"),
        ({"SecretString": '{"other": "top-secret"}'}, "bot", "no text under bot"),
        ({"SecretString": '{"bot": 5}'}, "bot", "no text under bot"),
        ({"SecretString": '{"bot": " "}'}, "bot", "not set or empty"),
    ],
)
def test_what_cannot_be_used_is_named_and_not_repeated(
    aws: SecretsManager, stored: dict[str, Any] | None, key: str | None, why: str
) -> None:
    if stored is not None:
        aws.secrets["slack"] = stored
    with pytest.raises(SecretError, match=why) as refused:
        SecretReader({}, Path("/")).read(manager("slack", key))
    assert "the secret slack in Secrets Manager" in str(refused.value)
    assert "top-secret" not in str(refused.value)


def test_a_manager_that_does_not_answer_is_named(
    aws: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")
    with pytest.raises(SecretError, match="EndpointConnectionError"):
        SecretReader({}, Path("/")).read(manager("slack"))


def test_a_secret_that_was_replaced_in_the_manager_is_read_anew(aws: SecretsManager) -> None:
    reader = SecretReader({}, Path("/"))
    aws.secrets["slack"] = {"SecretString": "old"}
    assert reader.read(manager("slack")) == "old"
    aws.secrets["slack"] = {"SecretString": "new"}
    assert reader.read(manager("slack")) == "old"
    assert reader.read_anew(manager("slack")) == "new"
    assert reader.read(manager("slack")) == "new"


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    reader = SecretReader({}, tmp_path)
    (tmp_path / "token").write_text("old")
    assert reader.read_anew(FileSecret(file="token")) == "old"
    (tmp_path / "token").write_text("new")
    assert reader.read_anew(FileSecret(file="token")) == "new"
