"""A flow log replayed against a group's list, and against another one."""

import gzip
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.answers import replay as answers
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES, write_group
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import make_machine, rule

LOG = b"""direction,protocol,source,destination,port
in,tcp,198.51.100.7,10.0.1.11,443
in,tcp,198.51.100.8,10.0.1.11,443
in,tcp,198.51.100.9,10.0.1.11,22
out,udp,10.0.1.11,198.51.100.9,53
"""
VPC = b"""version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status
2 1 eni-1 198.51.100.7 10.0.1.11 40000 443 6 9 900 1600000000 1600000060 ACCEPT OK
2 1 eni-1 10.0.1.11 198.51.100.7 443 40000 6 9 900 1600000001 1600000061 ACCEPT OK
2 1 eni-1 - - - - - - - 1600000000 1600000060 - NODATA
"""
PROPOSED = """action,direction,protocol,source,destination,port_start,port_end,description,enabled
accept,in,tcp,198.51.100.0/24,,22,22,SSH,true
"""


def url(group: SecurityGroup) -> str:
    return f"{group.get_absolute_url()}replay/"


def post(client: Client, group: SecurityGroup, log: bytes | None = LOG, status: int = 200, **fields: Any) -> str:
    """The page's own words, blanks as one."""
    files = {} if log is None else {"log": SimpleUploadedFile("flows.log", log)}
    response = client.post(url(group), {**files, **fields})
    assert response.status_code == status, response
    return " ".join(response.content.decode().split())


def test_the_form_knows_the_vms_own_addresses(as_bob: Client, machine: VirtualMachine, group: SecurityGroup) -> None:
    page = as_bob.get(url(group)).content.decode()
    assert "10.0.1.11, 2001:db8:10:1::11" in page
    assert 'enctype="multipart/form-data"' in page
    assert "csrfmiddlewaretoken" in page


def test_a_viewer_sees_verdicts_and_hits(as_bob: Client, group: SecurityGroup) -> None:
    page = post(as_bob, group)
    assert "flows judged of 4 records (CSV)" in page
    assert "Inbound TCP to port 443 (HTTPS) from anywhere" in page
    assert "No rule matches" in page
    assert "2 rules decided no flow of this log: 1, 3" in page
    assert "Newly denied" not in page


def test_a_pasted_list_shows_what_it_would_change(as_alice: Client, group: SecurityGroup) -> None:
    page = post(as_alice, group, text=PROPOSED)
    assert 'Newly denied <span class="count">3</span>' in page
    assert 'Newly allowed <span class="count">1</span>' in page
    assert "198.51.100.9" in page
    assert "Rule of the proposed list" in page


def test_an_uploaded_document_is_a_proposed_list(as_alice: Client, group: SecurityGroup) -> None:
    document = write_group("web", "", [rule("accept in tcp 443"), rule("accept out all")])
    page = post(as_alice, group, file=SimpleUploadedFile("web.json", document.encode()))
    assert "Nothing that was in the log would newly be denied." in page
    assert "Nothing that was in the log would newly be allowed." in page


def test_an_earlier_revision_is_a_proposed_list(as_alice: Client, alice: User, group: SecurityGroup) -> None:
    operations.commit_rules(group=group, rules=[rule("drop in all")], base=1, by=By(alice))
    page = post(as_alice, group, revision="1")
    assert "accepted by revision 1" in page
    assert 'Newly allowed <span class="count">3</span>' in page


def test_nothing_is_written(as_bob: Client, group: SecurityGroup) -> None:
    with CaptureQueriesContext(connection) as queries:
        post(as_bob, group, text=PROPOSED)
    assert not [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    group.refresh_from_db()
    assert group.revision == 1


def test_addresses_tell_the_direction_and_replies_are_passed_over(as_bob: Client, group: SecurityGroup) -> None:
    page = post(as_bob, group, VPC, local="10.0.1.11")
    assert "flow judged of 3 records (VPC flow log)" in page
    assert "Reply within a flow" in page
    assert "Log line without data" in page


def test_a_log_without_direction_asks_for_the_addresses(as_bob: Client, group: SecurityGroup) -> None:
    assert "name the local addresses" in post(as_bob, group, VPC, status=422)


def test_gzip_is_read(as_bob: Client, group: SecurityGroup) -> None:
    assert "flows judged of 4 records (CSV)" in post(as_bob, group, gzip.compress(LOG))


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (None, "Choose a flow log."),
        (b"", "The file is empty."),
        (b"\xd0\xcf\x11\xe0\x00\x00 nothing of the kind\x00", "binary file of no kind that is known here"),
        (LOG + b"in,tcp,198.51.100.7,10.0.1.11,70000\n", "line 6, port: “70000” is not a port"),
        (LOG + b"in,tcp,198.51.100.300,10.0.1.11,80\n", "line 6, source"),
        (LOG + b"in,tcp\n", "line 6: It has 2 fields instead of 5."),
        (b"a,b,c\n1,2,3\n", "there is no column protocol"),
        (gzip.compress(LOG, mtime=0)[:40], "The gzip data is damaged or cut short."),
    ],
)
def test_a_bad_log_is_refused_with_its_line(
    as_bob: Client, group: SecurityGroup, log: bytes | None, words: str
) -> None:
    page = post(as_bob, group, log, status=422)
    assert words in page
    assert "<title> Error:" in page or "<title>Error:" in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"local": "10.0.0.5/24"}, "10.0.0.0/24"),
        ({"local": " ".join(["10.0.0.1"] * 1001)}, "up to 1000 are taken"),
        ({"text": "action,direction\n"}, "There is no column for the protocol"),
        ({"text": PROPOSED.replace("22,22", "22,9")}, "line 2, "),
        ({"text": "{"}, "Or paste it"),
        ({"revision": "99"}, "Select a valid choice"),
    ],
)
def test_other_fields_are_refused_in_words(
    as_bob: Client, group: SecurityGroup, fields: dict[str, str], words: str
) -> None:
    assert words in post(as_bob, group, LOG, 422, **fields)


def test_one_list_at_a_time(as_alice: Client, alice: User, group: SecurityGroup) -> None:
    operations.commit_rules(group=group, rules=[], base=1, by=By(alice))
    assert "not both" in post(as_alice, group, status=422, revision="1", text=PROPOSED)


def test_what_was_typed_survives(as_bob: Client, group: SecurityGroup) -> None:
    page = post(as_bob, group, None, status=422, local="10.77.0.0/16", text="action")
    assert "10.77.0.0/16" in page
    assert ">action" in page.replace("> action", ">action")


def test_too_large_says_how_large_it_may_be(as_bob: Client, group: SecurityGroup, settings: Any) -> None:
    settings.REPLAY_MAX_MB = 1
    page = post(as_bob, group, LOG + b"in,tcp,198.51.100.7,10.0.1.11,443\n" * 40_000, status=422)
    assert "up to 1 MiB." in page
    assert "The file has 1.3 MiB, up to 1 MiB are replayed here: compress it with gzip" in page
    # Between a million and 2**20 bytes: a MiB is one everywhere.
    post(as_bob, group, LOG + b"in,tcp,198.51.100.7,10.0.1.11,443\n" * 30_000)


def test_a_log_beyond_its_limit_is_told_by_the_form_up_to_what_the_panel_reads(
    as_bob: Client, group: SecurityGroup, settings: Any
) -> None:
    settings.REPLAY_MAX_MB = 1
    page = post(as_bob, group, LOG + b"in,tcp,198.51.100.7,10.0.1.11,443\n" * 300_000, status=422, local="10.77.0.0/16")
    assert "The file has 9.7 MiB" in page
    assert "10.77.0.0/16" in page
    refused = as_bob.post(url(group), {"log": SimpleUploadedFile("flows.csv", b"x" * (14 * 2**20))})
    assert refused.status_code == 413
    assert "A flow log may have 1 MiB: compress it with gzip" in refused.content.decode()


def test_a_proposed_list_beyond_its_limit_says_how_large_it_may_be(as_bob: Client, group: SecurityGroup) -> None:
    text = PROPOSED + "#" * MAX_DOCUMENT_BYTES
    assert "The file is larger than 8 MiB." in post(as_bob, group, text=text, status=422)


def test_out_of_time_says_how_far_it_came(as_bob: Client, group: SecurityGroup, settings: Any) -> None:
    settings.REPLAY_SECONDS = 0
    # The stream's own limit would end this before the first block.
    log = LOG + b"in,tcp,198.51.100.7,10.0.1.11,443\n" * 10
    ticks = iter(range(10**6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "_Timed", lambda stream, until: stream)
        patch.setattr(answers, "monotonic", lambda: next(ticks))
        page = post(as_bob, group, log)
    assert "Only the beginning of the log was read" in page


def test_compressed_nothing_ends_in_time(as_bob: Client, group: SecurityGroup, settings: Any) -> None:
    settings.REPLAY_SECONDS = 0.2
    log = gzip.compress(LOG.splitlines(keepends=True)[0] + b"\n" * 30_000_000, 9)
    assert "There is no flow to judge in what could be read" in post(as_bob, group, log, status=422)


def test_strangers_find_nothing(as_charlie: Client, group: SecurityGroup) -> None:
    assert as_charlie.get(url(group)).status_code == 404
    assert as_charlie.post(url(group), {"log": SimpleUploadedFile("x", LOG)}).status_code == 404


def test_support_may_replay_during_a_visit(
    sign_in: SignIn, staff: User, project: Project, group: SecurityGroup
) -> None:
    operations.open_visit(project=project, staff=staff, reason="Customer asked", ticket="T-1")
    assert "flows judged" in post(sign_in(staff), group)


def test_more_vms_need_no_more_queries(as_bob: Client, project: Project, group: SecurityGroup) -> None:
    counts = []
    for first, last in ((1, 2), (3, 60)):
        for number in range(first, last + 1):
            make_machine(project, f"vm-{number}", [group], ipv4=f"10.9.0.{number}")
        with CaptureQueriesContext(connection) as queries:
            assert as_bob.get(url(group)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
