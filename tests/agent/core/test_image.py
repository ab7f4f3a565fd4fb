"""What a reference names, what a short one means, and which may run here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_agent.core import image
from tidegate_agent.core.image import Image
from tidegate_agent.errors import InputError, NotAllowedError

NOW = "registry.example.com:5000/team/web:2.4.0"
DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2.4.1", "registry.example.com:5000/team/web:2.4.1"),
        (":stable", "registry.example.com:5000/team/web:stable"),
        ("v2", "registry.example.com:5000/team/web:v2"),
        (f"@{DIGEST}", f"registry.example.com:5000/team/web@{DIGEST}"),
        (f":2.4.1@{DIGEST}", f"registry.example.com:5000/team/web:2.4.1@{DIGEST}"),
        ("web:2.4.1", "registry.example.com:5000/team/web:2.4.1"),
        (f"web@{DIGEST}", f"registry.example.com:5000/team/web@{DIGEST}"),
        ("team/web:2.4.1", "registry.example.com:5000/team/web:2.4.1"),
        ("quay.io/other/api:1", "quay.io/other/api:1"),
        ("localhost/api:1", "localhost/api:1"),
        ("localhost:5000/api:1", "localhost:5000/api:1"),
        (NOW, NOW),
    ],
)
def test_a_short_name_keeps_the_repository_that_the_container_has(text: str, meant: str) -> None:
    assert image.resolve(text, now=NOW).reference == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("web", "says no version"),
        ("stable", "says no version"),
        ("quay.io/team/web", "says no version"),
        ("api:2.4.1", "write it with its registry"),
        ("team2/web:1", "write it with its registry"),
        ("eam/web:1", "write it with its registry"),
        ("Web:1", "not a reference"),
        ("web:", "not a reference"),
        ("web:1:2", "not a reference"),
        ("web@sha256:abc", "not a reference"),
        ("https://registry.example.com/web:1", "not a reference"),
        ("web: 1", "not a reference"),
        ("web:1\n", "not a reference"),
        ("../web:1", "not a reference"),
        ("", "not a reference"),
        ("-", "not a reference"),
    ],
)
def test_what_nobody_can_know_the_meaning_of_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        image.resolve(text, now=NOW)
    assert refused.value.field == "image"


def test_a_repository_whose_name_has_digits_is_not_taken_for_a_tag() -> None:
    with pytest.raises(InputError, match="no version"):
        image.resolve("web2", now="registry.example.com/web2:1")
    found = image.resolve(f"web2@{DIGEST}", now="registry.example.com/web2:1")
    assert found.reference == f"registry.example.com/web2@{DIGEST}"


def test_the_hub_is_a_registry_like_any_other_when_it_is_what_the_container_has() -> None:
    assert image.resolve("nginx:1.29", now="nginx:1.27").reference == "nginx:1.29"


def may(text: str, *registries: str, now: str = NOW, digest_required: bool = False) -> bool:
    found = image.parse(text)
    assert found is not None
    try:
        image.check(found, now=now, registries=registries, digest_required=digest_required)
    except NotAllowedError:
        return False
    return True


def test_images_come_from_the_registries_that_are_listed_and_parts_of_them() -> None:
    assert may("registry.example.com/team/web:1", "registry.example.com")
    assert may("registry.example.com/team/web:1", "registry.example.com/team")
    assert may("quay.io/x/y:1", "*")
    assert not may("registry.example.com/team2/web:1", "registry.example.com/team")
    assert not may("registry.example.com.evil.org/team/web:1", "registry.example.com")
    assert not may("registry.example.com:5000/web:1", "registry.example.com")
    assert not may("nginx:1", "registry.example.com")
    assert may("nginx:1", "docker.io/library")
    assert not may("someone/nginx:1", "docker.io/library")


def test_without_a_list_only_the_containers_own_repository_may() -> None:
    assert may("registry.example.com:5000/team/web:9")
    assert not may("registry.example.com:5000/team/api:9")
    assert not may("registry.example.com:5000/team/web/evil:9"), "what is below it is another"


def test_where_a_digest_is_required_a_tag_is_not_enough() -> None:
    assert may(f"quay.io/x@{DIGEST}", "quay.io", digest_required=True)
    with pytest.raises(InputError, match="needs a digest"):
        may("quay.io/x:1", "quay.io", digest_required=True)


COMPONENT = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8})?", fullmatch=True)
IMAGES = st.builds(
    Image,
    registry=st.sampled_from(["", "quay.io", "localhost", "localhost:5000", "r.example.com:1"]),
    path=st.lists(COMPONENT, min_size=1, max_size=3).map("/".join),
    tag=st.just("") | st.from_regex(r"[\w][\w.-]{0,20}", fullmatch=True).filter(str.isascii),
    digest=st.sampled_from(["", DIGEST]),
)


@given(IMAGES)
def test_a_reference_is_read_as_it_was_written(written: Image) -> None:
    first, slash, _ = written.path.partition("/")
    if not written.registry and slash and ("." in first or first == "localhost"):
        return  # such a path begins with what reads as a registry
    assert image.parse(written.reference) == written


@given(st.text(max_size=80))
def test_nothing_that_is_typed_becomes_a_reference_with_anything_odd_in_it(text: str) -> None:
    try:
        found = image.resolve(text, now=NOW)
    except InputError:
        return
    assert set(found.reference) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@"
    )
    assert image.parse(found.reference) == found
