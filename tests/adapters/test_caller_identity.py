"""Whom STS takes keys for, over real requests."""

import pytest

from tests.far_ends.live import black_hole
from tests.ports import free_port
from tidegate.adapters import caller_identity
from tidegate.adapters.caller_identity import CallerIdentity
from tidegate.adapters.clock import SystemClock
from tidegate.core.sigv4 import Credentials
from tidegate_dev.sigv4_check import IssuedKeys
from tidegate_dev.sts import StsConfig, StsFarEnd

KEYS = IssuedKeys(access_key="ASIASTS", secret_key="secret", session_token="token")
OURS = Credentials(access_key="ASIASTS", secret_key="secret", token="token")


def asking(url: str | None, region: str = "eu-west-1") -> CallerIdentity:
    return CallerIdentity(region=region, endpoint=url, clock=SystemClock())


async def test_keys_are_somebody_s_or_refused_by_name() -> None:
    async with StsFarEnd(StsConfig(keys={KEYS.access_key: KEYS})) as sts:
        found = await asking(sts.url).ask(OURS)
        assert found is not None
        assert (found.arn, found.refusal) == (KEYS.principal, "")
        assert found.date is not None
        wrong = Credentials(access_key="ASIASTS", secret_key="other", token="token")
        refused = await asking(sts.url).ask(wrong)
        assert refused is not None
        assert (refused.arn, refused.refusal) == ("", "SignatureDoesNotMatch")
        unknown = await asking(sts.url).ask(Credentials(access_key="ASIANO", secret_key="x"))
        assert unknown is not None
        assert unknown.refusal == "InvalidClientTokenId"


async def test_without_an_answer_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await asking(f"http://127.0.0.1:{free_port()}").ask(OURS) is None
    monkeypatch.setattr(caller_identity, "SECONDS", 0.05)
    async with black_hole() as place:
        assert await asking(f"http://{place}").ask(OURS) is None


def test_each_region_has_an_sts_of_its_own() -> None:
    assert asking(None)._url == "https://sts.eu-west-1.amazonaws.com/"
    assert asking(None, "cn-north-1")._url == "https://sts.cn-north-1.amazonaws.com.cn/"
