"""An AWS that others wrote: it verifies signatures, and does what the rights of its users allow.

Its root key would prove nothing: it is believed whatever the signature.
"""

import contextlib
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.config import Config

from tests.far_ends.process import started
from tidegate.core.sigv4 import Credentials

REGION: Final = "eu-west-1"
EMULATORS: Final = Path(__file__).parents[2] / ".venv-emulators"
#: For setting the scene, and for nothing that a test is about.
ROOT_KEY: Final = Credentials(access_key="test", secret_key="test")


@contextlib.contextmanager
def running(folder: Path, *services: str) -> Iterator[str]:
    """Run it while the block does, and yield its address; with some of its services, or all."""
    program = EMULATORS / "bin" / "ministack"
    assert program.exists(), "ministack is missing: run 'make setup'"
    environment = {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",  # all interfaces, if nothing is said
        "GATEWAY_PORT": "0",
        "IOT_MTLS_ENABLED": "0",  # another listener, on a fixed port
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "MINISTACK_REGION": REGION,
    }
    if services:
        environment["SERVICES"] = ",".join(services)
    ready = r"Running on (http://127\.0\.0\.1:\d+) "
    with started(program, ready=ready, folder=folder, environment=environment) as server:
        yield server.said[1]


def policy(actions: Iterable[str], resource: str | list[str] = "*") -> str:
    """Return a policy that allows *actions* on *resource*."""
    allowed = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


def user(url: str, name: str, policies: Mapping[str, str], *attached: str) -> Credentials:
    """Return the key of a new user with *policies*, by name, and those *attached*, by ARN."""
    iam = client("iam", url, ROOT_KEY)
    iam.create_user(UserName=name)
    for called, document in policies.items():
        iam.put_user_policy(UserName=name, PolicyName=called, PolicyDocument=document)
    for arn in attached:
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])


@functools.lru_cache(maxsize=1)
def _session() -> Any:
    return botocore.session.get_session()  # reads its model of S3 once, which takes a while


@functools.lru_cache(maxsize=8)
def client(service: str, url: str, key: Credentials, *, attempts: int = 1) -> Any:
    """Return a client that did not come from us, for setting the scene."""
    return _session().create_client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        aws_session_token=key.token,
        config=Config(
            signature_version="s3v4" if service == "s3" else "v4",
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": attempts},
            connect_timeout=10,
            read_timeout=20,
            max_pool_connections=32,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
