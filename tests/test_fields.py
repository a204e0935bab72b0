"""The CIDR column: networks go in, come back, are found by what they contain, and are refused in words."""

import pytest
from django.core.exceptions import ValidationError
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securitygroups.fields import NetworkFormField
from securitygroups.firewall.values import BITS, Network, parse_network
from securitygroups.models import Project, Rule, SecurityGroup
from tests.factories import make_group


@pytest.fixture
def empty(project: Project) -> SecurityGroup:
    return make_group(project, "empty")


NETWORKS = ["10.0.0.0/8", "10.0.0.0/24", "10.0.0.5/32", "0.0.0.0/0", "2001:db8::/32", "2001:db8::5/128", "::/0"]


@pytest.fixture
def sources(project: Project) -> SecurityGroup:
    """A rule from each of NETWORKS, and one from anywhere."""
    return make_group(project, "sources", [*(f"accept in tcp from {network}" for network in NETWORKS), "drop in all"])


def found(**lookup: str) -> list[str]:
    return [str(row.source) for row in Rule.objects.filter(**{f"source__{k}": v for k, v in lookup.items()}).in_order()]


@pytest.mark.parametrize(
    ("value", "overlaps"),
    [
        ("10.0.0.5", "10.0.0.0/8 10.0.0.0/24 10.0.0.5/32 0.0.0.0/0"),
        ("10.0.0.0/24", "10.0.0.0/8 10.0.0.0/24 10.0.0.5/32 0.0.0.0/0"),
        ("10.0.0.6", "10.0.0.0/8 10.0.0.0/24 0.0.0.0/0"),
        ("192.0.2.0/24", "0.0.0.0/0"),
        ("0.0.0.0/0", "10.0.0.0/8 10.0.0.0/24 10.0.0.5/32 0.0.0.0/0"),
        ("2001:db8::5", "2001:db8::/32 2001:db8::5/128 ::/0"),
        ("::/0", "2001:db8::/32 2001:db8::5/128 ::/0"),
        # ::10.0.0.5 has the number of 10.0.0.5, and is not in 10.0.0.0/8.
        ("::a00:5", "::/0"),
    ],
)
def test_networks_are_found_by_what_they_share_and_never_across_families(
    sources: SecurityGroup, value: str, overlaps: str
) -> None:
    assert found(overlaps=value) == overlaps.split()


def test_a_lookup_takes_a_network_value_and_another_column(project: Project) -> None:
    make_group(
        project, "two", ["accept out ip from 10.0.0.0/8 to 10.1.0.0/16", "drop out ip from 10.0.0.0/8 to 9.9.9.9/32"]
    )

    assert Rule.objects.filter(source__overlaps=Network(4, 10 << 24, 32)).count() == 2
    assert [r.position for r in Rule.objects.filter(source__overlaps=F("destination"))] == [1]


@pytest.mark.parametrize("lookup", ["overlaps", "exact"])
@pytest.mark.parametrize("garbage", ["garbage", "10.0.0.0/33", "fe80::1%eth0", "10.0.0.1; DROP TABLE", "\x00"])
def test_a_lookup_of_no_address_is_refused_before_the_database_is_asked(db: None, lookup: str, garbage: str) -> None:
    with pytest.raises(ValidationError):
        Rule.objects.filter(**{f"source__{lookup}": garbage})


@st.composite
def networks(draw: st.DrawFn) -> Network:
    version = draw(st.sampled_from((4, 6)))
    prefix = draw(st.integers(0, BITS[version]))
    number = draw(st.integers(0, (1 << BITS[version]) - 1))
    return Network(version, number >> (BITS[version] - prefix) << (BITS[version] - prefix), prefix)


@pytest.mark.django_db
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(network=networks())
def test_every_network_comes_back_as_it_went_in(empty: SecurityGroup, network: Network) -> None:
    row = Rule.objects.create(group=empty, position=1, protocol="ip", source=network)
    try:
        again = Rule.objects.get(pk=row.pk)
        assert again.source == network
        assert isinstance(again.source, Network)
        assert Rule.objects.get(source=network) == row
        assert Rule.objects.get(source__overlaps=network) == row
    finally:
        row.delete()


@pytest.mark.parametrize(
    ("text", "words", "suggestions"),
    [
        ("10.0.0.5/24", "Type 10.0.0.5/32 for that one address, or 10.0.0.0/24", ("10.0.0.5/32", "10.0.0.0/24")),
        ("010.0.0.1", "leading zero", ("10.0.0.1",)),
        ("fe80::1%eth0", "zone id (%…)", ("fe80::1",)),
        ("10.0.0.0/33", "/33 is too long for IPv4", ()),
        ("::ffff:10.0.0.1", "IPv4 address written as IPv6", ("10.0.0.1",)),
        ("example.com", "This is a name", ()),
        ("100%", "“100” is not an IP address or network", ()),
    ],
)
def test_what_is_no_network_is_refused_in_words_with_what_to_type_instead(
    text: str, words: str, suggestions: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as refusal:
        NetworkFormField().clean(text)

    assert words in refusal.value.messages[0]
    assert refusal.value.params["suggestions"] == suggestions  # type: ignore[index]


def test_an_empty_field_means_any_address() -> None:
    assert NetworkFormField().clean("") is None
    assert NetworkFormField().clean("  ") is None
    assert NetworkFormField().prepare_value(None) == ""
    assert NetworkFormField().prepare_value(parse_network("::/0")) == "::/0"
    assert not NetworkFormField().has_changed(parse_network("::/0"), "::/0")
    assert NetworkFormField().has_changed(None, "::/0")
