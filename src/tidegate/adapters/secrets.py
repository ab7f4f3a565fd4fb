"""Secrets by reference: from the environment, a file, or AWS Secrets Manager."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tidegate.core.settings import EnvSecret, FileSecret, SecretRef, SecretsManagerSecret
from tidegate.core.text import is_whole
from tidegate.errors import SecretError

MAX_SECRET_BYTES: Final = 65_536


class SecretReader:
    """Reads what references name. Blocking: used while starting, off the event loop."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._fetched: dict[str, str] = {}

    def read(self, ref: SecretRef) -> str:
        """Return the secret; an error names the reference, never a value.

        Raises:
            SecretError: It is not there, empty, or too long.
        """
        where, value = self._look_up(ref)
        if not value.strip():
            raise SecretError(f"{where} is not set or empty")
        if not is_whole(value):
            raise SecretError(f"{where} is not text")
        if len(value) > MAX_SECRET_BYTES:
            raise SecretError(f"{where} is too long for a secret")
        return value.strip()

    def read_anew(self, ref: SecretRef) -> str:
        """Return the secret as it is kept now, though it was fetched before.

        Raises:
            SecretError: It is not there, empty, or too long.
        """
        if isinstance(ref, SecretsManagerSecret):
            self._fetched.pop(ref.secretsmanager, None)
        return self.read(ref)

    def _look_up(self, ref: SecretRef) -> tuple[str, str]:
        match ref:
            case EnvSecret():
                where = f"the environment variable {ref.env}"
                return where, self._environment.get(ref.env, "")
            case FileSecret():
                return f"the file {ref.file}", self._from_file(ref.file)
            case SecretsManagerSecret():
                where = f"the secret {ref.secretsmanager} in Secrets Manager"
                return where, self._from_manager(ref.secretsmanager, ref.key)

    def _from_file(self, path: str) -> str:
        try:
            with (self._folder / path).open("rb") as file:
                return file.read(MAX_SECRET_BYTES + 1).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise SecretError(f"the file {path} cannot be read: {_why(error)}") from None

    def _from_manager(self, name: str, key: str | None) -> str:
        if name not in self._fetched:
            self._fetched[name] = _fetch(name, self._environment.get("AWS_REGION"))
        text = self._fetched[name]
        if key is None:
            return text
        try:
            value: Any = json.loads(text).get(key)
        except (ValueError, AttributeError):
            raise SecretError(f"the secret {name} in Secrets Manager is not JSON") from None
        if not isinstance(value, str):
            raise SecretError(f"the secret {name} in Secrets Manager has no text under {key}")
        return value


def _fetch(name: str, named: str | None) -> str:
    """Fetch a secret's current version, from the region that its ARN or AWS_REGION says.

    botocore itself reads AWS_DEFAULT_REGION alone; AWS's other tools set and read AWS_REGION.

    Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
    """
    # botocore takes half a second to import, which only those pay who keep secrets there.
    import botocore.session
    from botocore.exceptions import BotoCoreError, ClientError

    whole = name.startswith("arn:") and name.count(":") >= 6
    region = name.split(":")[3] if whole else named or None
    try:
        client = botocore.session.Session().create_client("secretsmanager", region_name=region)
        found = client.get_secret_value(SecretId=name)
    except (BotoCoreError, ClientError) as error:
        kind = type(error).__name__
        raise SecretError(f"the secret {name} in Secrets Manager: {kind}") from None
    text = found.get("SecretString")
    if not isinstance(text, str):
        raise SecretError(f"the secret {name} in Secrets Manager holds no text")
    return text


def _why(error: Exception) -> str:
    return error.strerror or "unreadable" if isinstance(error, OSError) else "not text"
