"""As whom a request is made: never the system, never a header of somebody's own making."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_agent.adapters.kubernetes.impersonation import headers_of
from tidegate_agent.core.access import Impersonation
from tidegate_agent.errors import NotAllowedError


def test_a_person_goes_along_in_the_extra_headers() -> None:
    who = Impersonation(
        user="tidegate",
        groups=("tidegate:deployers", "tidegate:viewers"),
        extra={"tidegate.dev/Person": ("slack:T0:U0ADA",), "a%b": ("1", "2")},
    )
    assert headers_of(who) == [
        ("Impersonate-User", "tidegate"),
        ("Impersonate-Group", "tidegate:deployers"),
        ("Impersonate-Group", "tidegate:viewers"),
        ("Impersonate-Extra-tidegate.dev%2Fperson", "slack:T0:U0ADA"),
        ("Impersonate-Extra-a%25b", "1"),
        ("Impersonate-Extra-a%25b", "2"),
    ]


@pytest.mark.parametrize("name", ["system:admin", "system:masters", "SYSTEM:masters", " system:x"])
def test_a_name_of_the_systems_own_is_never_taken_on(name: str) -> None:
    with pytest.raises(NotAllowedError):
        headers_of(Impersonation(user=name))
    with pytest.raises(NotAllowedError):
        headers_of(Impersonation(user="tidegate", groups=("tidegate:x", name)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " a",
        "a ",
        "a\r\nImpersonate-Group: system:masters",
        "a\n",
        "ä",
        "\x00",
        "\x7f",
        "x" * 513,
    ],
)
def test_what_no_header_can_carry_is_refused(text: str) -> None:
    for who in (
        Impersonation(user=text),
        Impersonation(user="u", groups=(text,)),
        Impersonation(user="u", extra={"tidegate.dev/person": (text,)}),
    ):
        with pytest.raises(NotAllowedError):
            headers_of(who)


@given(key=st.text(min_size=1, max_size=40), value=st.text(max_size=40))
def test_whatever_the_names_no_header_begins_in_another(key: str, value: str) -> None:
    try:
        headers = headers_of(Impersonation(user="u", extra={key: (value,)}))
    except (NotAllowedError, UnicodeEncodeError):
        return
    for name, said in headers:
        assert name.isascii()
        assert not set(name + said) & set("\r\n\x00")
        assert ":" not in name
        assert " " not in name
