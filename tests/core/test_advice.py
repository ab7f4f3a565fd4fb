"""What is valid and hardly meant."""

import pytest

from tests.core.test_settings import EVERYTHING, SMALLEST
from tidegate.core import document
from tidegate.core.advice import advise, references
from tidegate.core.configuration import parse
from tidegate.core.document import key_text
from tidegate.core.presets import SHARE_MODES


def advice(text: str) -> dict[str, str]:
    return {key_text(one.path): one.what for one in advise(parse(text, source="test"))}


def test_the_smallest_file_needs_no_advice() -> None:
    assert advice(SMALLEST) == {}


def test_an_action_without_allow_is_for_nobody() -> None:
    text = SMALLEST.replace("    allow: {users: [U0HELDOUT], channels: [C0HELDOUT]}\n", "")
    assert "nobody may use" in advice(text)["actions.deploy.allow"]


def test_a_rule_that_only_narrows_admits_nobody() -> None:
    text = SMALLEST.replace("users: [U0HELDOUT], ", "")
    assert "only narrow" in advice(text)["actions.deploy.allow[0]"]


def test_a_pathway_that_no_action_names_is_told() -> None:
    text = SMALLEST.replace(
        "pathways:\n", "pathways:\n  b: {type: direct, url: 'https://h', auth: {type: none}}\n"
    )
    assert list(advice(text)) == ["pathways.b"]


def test_a_certificate_that_is_never_shown_is_told() -> None:
    text = SMALLEST.replace("timeout_seconds: 20", "timeout_seconds: 20, client_cert: tls.pem")
    assert "no TLS over plain http" in advice(text)["pathways.cluster.client_cert"]
    assert advice(text.replace("http://127.0.0.1:9002", "https://svc.internal")) == {}


def test_a_file_without_actions_is_told() -> None:
    text = SMALLEST.split("actions:")[0].split("pathways:")[0]
    assert list(advice(text)) == ["actions"]


def test_a_segment_that_may_be_missing_is_told() -> None:
    text = SMALLEST.replace("/api/v1/deploy", "'/v1/{params.namespace}'")
    assert advice(text) == {}
    loose = text.replace("namespace: {required: true}", "namespace: {}")
    assert list(advice(loose)) == ["actions.deploy.params.namespace"]


def test_a_pattern_that_can_take_very_long_is_told() -> None:
    def told(pattern: str) -> list[str]:
        rule = f"namespace: {{required: true, pattern: '{pattern}'}}"
        return list(advice(SMALLEST.replace("namespace: {required: true}", rule)))

    assert told("(a+)+") == ["actions.deploy.params.namespace.pattern"]
    assert told("(x|a*b){9}") == ["actions.deploy.params.namespace.pattern"]
    assert told("[a-z]+(-[a-z])*") == []
    assert told(r"(a\+)+") == []


@pytest.mark.parametrize("mode", ["link", "image", "gallery", "upload"])
def test_a_way_to_share_that_no_bucket_allows_is_told(mode: str) -> None:
    use = next(use for use, shared in SHARE_MODES.items() if shared == mode)
    action = f"  share: {{use: {use}, allow: {{users: [U1]}}}}\n"
    buckets = "s3:\n  buckets:\n    a: {name: aaa, channels: [C1], modes: [MODES]}\n"
    text = SMALLEST + action + buckets
    others = ", ".join(other for other in SHARE_MODES.values() if other != mode)
    told = advice(text.replace("MODES", others))
    assert list(told) == ["actions.share.use"]
    assert f"as {mode}" in told["actions.share.use"]
    second = "    b: {name: bbb, modes: [" + mode + "]}\n"
    assert advice(text.replace("MODES", others) + second) == {}


def test_what_this_version_does_not_carry_out_is_told() -> None:
    found = advice(EVERYTHING)
    not_yet = [key for key, what in found.items() if "not carry this out yet" in what]
    assert not_yet == ["slack.app_token"]


def test_every_reference_to_a_secret_is_found() -> None:
    found = [key_text(path) for path, _ in references(document.read(EVERYTHING).value)]
    assert found == [
        "slack.bot_token",
        "slack.app_token",
        "identity.signing_key",
        "slack.signing_secrets[0]",
        "slack.signing_secrets[1]",
        "api.tokens[0].secret",
    ]


def test_references_are_looked_for_in_any_shape() -> None:
    for text in ("slack: 1", "slack: {signing_secrets: {a: b}}", "api: {tokens: [1]}", "api: []"):
        assert list(references(document.read(text).value)) == []
