"""A whole set-up that is well, on loopback: everything that a configuration can name.

Each far end is a real listener that can be made to fail by itself.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from tests.agent.app import stage as stages
from tests.agent.entry.door import door
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.identity import IdentitySigner
from tidegate.adapters.secrets import SecretReader
from tidegate.core.configuration import parse
from tidegate.core.diagnosis.finding import Diagnosis
from tidegate.entry.doctor.bench import Hidden
from tidegate.entry.doctor.wiring import diagnose
from tidegate.entry.wiring import Configuration
from tidegate_agent.core.identity import Keys
from tidegate_dev.edge import Edge, EdgeConfig, edge_app
from tidegate_dev.listener import Listener
from tidegate_dev.objects import AccessKey, S3FarEnd
from tidegate_dev.scanner import ScannerFarEnd
from tidegate_dev.sigv4_check import IssuedKeys, ReceivedRequest, check
from tidegate_dev.slack.far_end import SlackFarEnd
from tidegate_dev.sts import Role, StsConfig, StsFarEnd

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"
BUCKET: Final = "acme-reports"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/tidegate-invoke"
PRINCIPAL: Final = f"arn:aws:sts::{ACCOUNT}:assumed-role/tidegate-gateway/live"
SCOPES: Final = (
    "channels:history",
    "channels:read",
    "chat:write",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "usergroups:read",
    "users:read",
)


class MovedClock(SystemClock):
    """The machine's clock, so many seconds ahead."""

    def __init__(self, ahead: float) -> None:
        super().__init__()
        self._ahead = ahead

    @override
    def now(self) -> float:
        return super().now() + self._ahead


@dataclass
class Queues:
    """As much of SQS as tells of queues; signatures are verified.

    Attributes:
        attributes: What each queue says of itself, by its name.
        refusal: What every request is answered instead, as SQS names it.
        asked: The operations that were asked for.
    """

    keys: Mapping[str, IssuedKeys]
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    refusal: str = ""
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = self._answer(scope, body)
        content = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/x-amz-json-1.0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, scope: Scope, body: bytes) -> tuple[int, dict[str, Any]]:
        request = ReceivedRequest(
            method=scope["method"],
            raw_path=scope["raw_path"],
            raw_query=scope["query_string"],
            headers=scope["headers"],
            body=body,
        )
        found = check(
            request, issued=self.keys, region=REGION, service="sqs", now=datetime.now(UTC)
        )
        if not found.accepted:
            return 403, {"__type": f"com.amazon.coral.service#{found.error_type}"}
        target = b"".join(request.values(b"x-amz-target")).decode()
        self.asked.append(target.rpartition(".")[2])
        if self.refusal:
            return 400, {"__type": f"com.amazonaws.sqs#{self.refusal}"}
        name = json.loads(body)["QueueUrl"].rpartition("/")[2]
        if name not in self.attributes:
            return 400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist"}
        return 200, {"Attributes": self.attributes[name]}


@dataclass
class Live:
    """Everything, well."""

    folder: Path
    slack: SlackFarEnd
    edge: Edge
    edge_url: str
    agent: stages.Stage
    s3: S3FarEnd
    s3_keys: dict[str, AccessKey]
    scanner: ScannerFarEnd
    queues: Queues
    queues_url: str
    sts: StsFarEnd
    environ: dict[str, str]
    planted: tuple[str, ...]
    made: int = 0

    def config(self) -> dict[str, Any]:
        """Return a configuration that names all of it."""
        return {
            "slack": {
                "api_url": self.slack.api_url,
                "bot_token": {"env": "SLACK_BOT_TOKEN"},
                "signing_secrets": [{"env": "SLACK_SIGNING_SECRET"}],
            },
            "store": {"url": f"sqlite:///{self.folder}/tidegate.db"},
            "pathways": {
                "cluster": {
                    "type": "api_gateway",
                    "url": self.edge_url,
                    "region": REGION,
                    "timeout_seconds": 5,
                }
            },
            "actions": {
                "deploy": {
                    "use": "k8s_deploy",
                    "pathway": "cluster",
                    "allow": [
                        {"user_groups": ["S0SRE"], "channels": ["C0OPS"]},
                        {"users": ["U0ADA"], "channels": ["C0OPS"]},
                    ],
                }
            },
            "identity": {"signing_key": {"file": str(self.folder / "identity.pem")}},
            "s3": {
                "region": REGION,
                "endpoint_url": self.s3.url,
                "buckets": {
                    "reports": {
                        "name": BUCKET,
                        "prefix": "q3/",
                        "channels": ["C0REPORTS"],
                        "modes": ["link", "upload", "gallery"],
                        "scan": {"clamd": self.scanner.address, "max_bytes": 1_048_576},
                    }
                },
                "events": {
                    "queue_url": f"{self.queues_url}/{ACCOUNT}/arrivals",
                    "dead_letter_url": f"{self.queues_url}/{ACCOUNT}/arrivals-dead",
                    "rules": [
                        {
                            "name": "reports",
                            "bucket": "reports",
                            "channel": "C0REPORTS",
                            "mode": "link",
                        }
                    ],
                },
            },
        }

    async def diagnose(self) -> Diagnosis:
        """Return what the doctor finds when all is well."""
        return await self.diagnose_as(self.config())

    async def diagnose_as(
        self,
        config: Mapping[str, Any],
        *,
        environ: Mapping[str, str] | None = None,
        ahead: float = 0.0,
        within: float = 30.0,
    ) -> Diagnosis:
        """Return what the doctor finds, of another configuration or in another environment."""
        file = self.write(config)
        env = self.environ if environ is None else environ
        configuration = Configuration(
            file=file,
            settings=parse(file.read_text(), source="test"),
            secrets=SecretReader(env, file.parent),
        )
        return await diagnose(
            configuration, environ=env, hidden=Hidden(), clock=MovedClock(ahead), within=within
        )

    def write(self, config: Mapping[str, Any]) -> Path:
        """Return a file of its own that holds a configuration."""
        self.made += 1
        file = self.folder / f"tidegate-{self.made}.yaml"
        file.write_text(yaml.safe_dump(dict(config)))
        return file

    def effects(self) -> dict[str, int]:
        """Return how often something was done that is more than a look."""
        reading = ("conversations.", "auth.", "users.", "usergroups.", "api.test")
        return {
            "slack": sum(not call.method.startswith(reading) for call in self.slack.calls),
            "s3": sum(
                count
                for name, count in self.s3.counts.items()
                if name.startswith(("Put", "Delete", "Create", "Complete"))
            ),
            "sqs": sum(name != "GetQueueAttributes" for name in self.queues.asked),
            "edge": sum(exchange.method != "GET" for exchange in self.edge.exchanges),
        }

    def calm(self) -> None:
        """All is well again."""
        self.edge.faults.clear()
        self.slack.faults.calm()
        self.s3.faults.calm()
        self.scanner.calm()
        self.queues.refusal = ""


def key_files(folder: Path) -> IdentitySigner:
    """Return the signer whose key was written into *folder*."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "identity.pem"
    file.write_bytes(pem)
    file.chmod(0o600)
    return IdentitySigner(pem)


@contextlib.asynccontextmanager
async def live(folder: Path) -> AsyncIterator[Live]:
    """Everything is there while the block runs."""
    issued = IssuedKeys(
        access_key="ASIALIVE00000000TEST",
        secret_key="planted-secret-key-of-aws-0123456789",
        session_token="planted-session-token-of-aws-0123456789",
        principal=PRINCIPAL,
    )
    keys = {issued.access_key: issued}
    access = AccessKey(
        access_key=issued.access_key,
        secret_key=issued.secret_key,
        session_token=issued.session_token,
    )
    s3_keys = {access.access_key: access}
    signer = key_files(folder)
    queues = Queues(keys=keys)
    queues.attributes = {
        "arrivals": {"VisibilityTimeout": "60", "ApproximateNumberOfMessages": "0"},
        "arrivals-dead": {"ApproximateNumberOfMessages": "0"},
    }
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(SlackFarEnd(limits_enabled=False))
        slack.workspace.scopes = set(SCOPES)
        agent = await stack.enter_async_context(stages.stage())
        at = await stack.enter_async_context(door(agent, keys=Keys(signer.jwks())))
        edge = edge_app(EdgeConfig(integration_url=at.url, keys=keys, region=REGION))
        front = await stack.enter_async_context(Listener(edge))
        stack.push_async_callback(edge.aclose)
        s3 = await stack.enter_async_context(
            S3FarEnd(folder / "buckets", region=REGION, keys=s3_keys)
        )
        bucket = s3.add_bucket(BUCKET)
        assert bucket is not None
        report = folder / "buckets" / BUCKET / "q3" / "report.csv"
        report.parent.mkdir()
        report.write_text("a,b\n1,2\n")
        await s3.look()
        scanner = await stack.enter_async_context(ScannerFarEnd())
        queue = await stack.enter_async_context(Listener(queues))
        role = Role(arn=ROLE, trusted=[PRINCIPAL])
        sts = await stack.enter_async_context(
            StsFarEnd(StsConfig(keys=keys, roles=[role], region=REGION))
        )
        environ = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
            "AWS_ACCESS_KEY_ID": issued.access_key,
            "AWS_SECRET_ACCESS_KEY": issued.secret_key,
            "AWS_SESSION_TOKEN": issued.session_token or "",
            "AWS_CREDENTIAL_EXPIRATION": time.strftime(
                "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400)
            ),
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_STS": sts.url,
        }
        planted = (
            slack.bot_token,
            slack.signing_secret,
            issued.secret_key,
            issued.session_token or "",
        )
        yield Live(
            folder=folder,
            slack=slack,
            edge=edge,
            edge_url=front.url,
            agent=agent,
            s3=s3,
            s3_keys=s3_keys,
            scanner=scanner,
            queues=queues,
            queues_url=queue.url,
            sts=sts,
            environ=environ,
            planted=planted,
        )


@contextlib.asynccontextmanager
async def black_hole() -> AsyncIterator[str]:
    """A listener that takes connections, and says nothing; yields its HOST:PORT."""
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in held:
            writer.transport.abort()
