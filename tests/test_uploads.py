"""Nothing is read before it is known who sends it: bodies of any length, said in any way, in a real web server too."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from securitygroups.models import Project, SecurityGroup, User
from tests.conftest import SignIn
from tests.server import Server, Watch, running
from tests.test_access import ADDRESSES, RIGHTS, Stage, make_stage

MIB = 2**20
FORM = "multipart/form-data; boundary=x"
HEAD = b'--x\r\nContent-Disposition: form-data; name="log"; filename="log.csv"\r\nContent-Type: text/csv\r\n\r\n'
TAIL = b"\r\n--x--\r\n"
TAKE_FILES = {"group_import", "group_import_new", "group_replay", "machine_replay", "project_replay"}


class Body(BytesIO):
    """What is sent; tells whether anybody has looked at it."""

    looked_at = False

    def read(self, *size: Any) -> bytes:
        self.looked_at = True
        return super().read(*size)


def send(browser: Client, url: str, length: str | int, method: str = "POST", **more: Any) -> tuple[Any, bool]:
    """The answer to so long a form, and whether it was looked at. The form's token has to be looked for in it."""
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    strict.cookies["csrftoken"] = "a" * 32
    body = Body(HEAD)
    extra: dict[str, Any] = {"wsgi.input": body, "CONTENT_LENGTH": str(length), "CONTENT_TYPE": FORM, **more}
    return strict.generic(method, url, **extra), body.looked_at


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Stage:
    return make_stage(request)


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


# ── Who may send how much ─────────────────────────────────────────────────────


def test_nothing_of_a_visitor_is_read_but_a_small_form(stage: Stage, settings: Any) -> None:
    places = {name: stage.url(name) for name in RIGHTS} | {"admin": "/admin/", "nowhere": "/nowhere/"}
    for name, url in places.items():
        # Signing out needs nobody to be signed in either.
        public = name == "account_logout" or (name in RIGHTS and RIGHTS[name].public)
        response, looked_at = send(Client(), url, settings.VISITORS_FORM + 1)

        assert not looked_at, name
        assert response.status_code == (404 if name == "nowhere" else 413 if public else 302), name

    _, looked_at = send(Client(), "/sign-in/", settings.VISITORS_FORM)
    assert looked_at, "a form that is small enough is read, or this test shows nothing"


def test_a_session_that_has_ended_is_no_key(stage: Stage, alice: User, settings: Any) -> None:
    browser = stage.browsers["alice"]
    stolen = browser.cookies["session"].value
    browser.post("/sign-out/")
    browser.cookies["session"] = stolen

    response, looked_at = send(browser, stage.url("group_replay"), MIB * 20)

    assert (response.status_code, looked_at) == (302, False)


def test_a_member_sends_forms_everywhere_and_files_where_they_are_taken(stage: Stage, settings: Any) -> None:
    for name, url in {name: stage.url(name) for name in RIGHTS}.items():
        response, looked_at = send(stage.browsers["alice"], url, settings.MEMBERS_FORM + 1)

        assert looked_at == (name in TAKE_FILES), name
        assert (response.status_code == 413) != looked_at, name


def test_a_stranger_sends_no_files_and_is_told_nothing(stage: Stage, settings: Any) -> None:
    for name in TAKE_FILES:
        nothing = {"slug": "no-such-project"}
        for url in (stage.url(name), stage.url(name, **nothing)):
            response, looked_at = send(stage.browsers["charlie"], url, settings.MEMBERS_FORM + 1)

            assert (response.status_code, looked_at) == (413, False)
            assert "Shop" not in response.content.decode()


@pytest.mark.parametrize("who", ["bob", "visitor", "staff"])
def test_who_may_look_may_send_a_log(who: str, stage: Stage, settings: Any) -> None:
    _, looked_at = send(stage.browsers[who], stage.url("group_replay"), settings.MEMBERS_FORM + 1)

    assert looked_at


def test_a_large_file_of_a_member_still_arrives(as_alice: Client, group: SecurityGroup, settings: Any) -> None:
    big = BytesIO(b"in,tcp,198.51.100.7,10.0.1.11,443\n" * 100_000)
    big.name = "flows.csv"
    assert len(big.getvalue()) > settings.MEMBERS_FORM

    response = as_alice.post(f"{group.get_absolute_url()}replay/", {"log": big, "local": "10.0.0.0/8"})

    assert response.status_code == 422, "it has no first line with names, and the form says so"
    assert "This is too much at once" not in response.content.decode()


def test_every_view_that_takes_files_is_in_a_project() -> None:
    """The mark asks whether somebody may come into the project, so there has to be one."""
    assert all("slug" in ADDRESSES[name] for name in TAKE_FILES)


# ── How the length is written ─────────────────────────────────────────────────


@pytest.mark.parametrize(
    "length",
    [
        "209715312",
        "000000000000000000000209715312",
        "0" * 5000 + "209715312",
        "9" * 18,
        "9" * 19,
        "9" * 5000,
        "1" + "0" * 30,
    ],
)
@pytest.mark.parametrize("url", ["/sign-in/", "/p/shop/", "/nowhere/", "/"])
def test_a_length_beyond_all_limits_is_refused_however_it_is_written(length: str, url: str, as_alice: Client) -> None:
    for browser in (Client(), as_alice):
        response, looked_at = send(browser, url, length)

        assert (response.status_code, looked_at) == (413, False)
        assert "This is too much at once" in response.content.decode()


@pytest.mark.parametrize(
    "length",
    [
        *(
            "many",
            "-1",
            "+5",
            " 5",
            "5 ",
            "5, 5",
            "5,5",
            "0x10",
            "1e3",
            "5.0",
            "1_000",
            "٥",
            "５",
            "²",
            "½",
            "5\x00",
            "--5",
        ),
        *("-209715312", "+209715312", "209_715_312", "٢٠٩٧١٥٣١٢"),
    ],
)
def test_a_length_that_is_not_digits_is_refused_in_words(length: str, as_alice: Client) -> None:
    for browser in (Client(), as_alice):
        for url in ("/sign-in/", "/nowhere/"):
            response, looked_at = send(browser, url, length)

            assert (response.status_code, looked_at) == (400, False), url
            assert "could not be understood" in response.content.decode()


@pytest.mark.parametrize("length", ["", "0", "00", "0000000000000000000000000000000000"])
def test_no_length_is_nothing_sent(length: str, client: Client) -> None:
    assert client.get("/sign-in/", CONTENT_LENGTH=length).status_code == 200


@pytest.mark.parametrize("coding", ["chunked", "gzip, chunked", "identity", ""])
def test_what_comes_without_a_length_is_asked_for_one(coding: str, as_alice: Client) -> None:
    for browser in (Client(), as_alice):
        for method in ("POST", "PUT", "GET"):
            response, looked_at = send(browser, "/sign-in/", "", method, HTTP_TRANSFER_ENCODING=coding)

            assert (response.status_code, looked_at) == (411, False)
            assert "Content-Length" in response.content.decode()


def test_a_length_holds_for_every_method(as_alice: Client, project: Project, settings: Any) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        response, looked_at = send(as_alice, "/p/shop/", settings.MEMBERS_FORM + 1, method)

        assert (response.status_code, looked_at) == (413, False), method


# ── In a real web server ──────────────────────────────────────────────────────


def post(url: str, length: str, **headers: str) -> bytes:
    lines = [f"POST {url} HTTP/1.1", "Host: localhost", f"Content-Type: {FORM}", f"Content-Length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def in_pieces(url: str, **headers: str) -> bytes:
    return post(url, "0", **headers).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def cookies(browser: Client) -> str:
    """The session's, and one with which the form's token is worth looking for."""
    return "; ".join([*(f"{name}={cookie.value}" for name, cookie in browser.cookies.items()), f"csrftoken={'a' * 32}"])


def test_no_large_body_of_a_stranger_reaches_the_disk(
    transactional_db: None, server: Server, group: SecurityGroup, charlie: User, sign_in: SignIn
) -> None:
    megabyte = b"x" * MIB
    size = len(HEAD) + 200 * MIB + len(TAIL)
    nobodys, theirs = cookies(Client()), cookies(sign_in(charlie))
    replay = f"{group.get_absolute_url()}replay/"
    with Watch(server.temporary) as watch:
        for length in (str(size), f"{'0' * 18}{size}", str(30 * MIB)):
            for url, cookie in (("/sign-in/", nobodys), (replay, nobodys), (replay, theirs), ("/nowhere/", theirs)):
                server.send(post(url, length, Cookie=cookie), HEAD, *[megabyte] * (int(length) // MIB), TAIL)
        server.send(in_pieces("/sign-in/", Cookie=nobodys), *[b"100000\r\n%b\r\n" % megabyte] * 50, b"0\r\n\r\n")

    assert (watch.files, watch.most) == (set(), 0)


def test_the_disk_is_used_for_a_file_of_a_member_so_that_the_test_above_can_see_it(
    transactional_db: None, server: Server, group: SecurityGroup, alice: User, sign_in: SignIn
) -> None:
    url = f"{group.get_absolute_url()}replay/"
    length = str(len(HEAD) + 15 * MIB + len(TAIL))
    with Watch(server.temporary) as watch:
        answer = server.send(
            post(url, length, Cookie=cookies(sign_in(alice)), Connection="close"), HEAD, *[b"x" * MIB] * 15, TAIL
        )

    assert status_of(answer) == 403, "the form has no token"
    assert watch.most > MIB
    assert list(server.temporary.iterdir()) == []


def test_a_refusal_is_a_page_in_words_that_arrives(server: Server) -> None:
    for request, status, words in (
        (post("/sign-in/", str(200 * MIB)), 413, b"This is too much at once"),
        (post("/sign-in/", "0" * 30 + str(200 * MIB)), 413, b"This is too much at once"),
        (post("/sign-in/", str(100_000)) + b"x" * 100_000, 413, b"This is too much at once"),
        (in_pieces("/sign-in/") + b"5\r\nhello\r\n0\r\n\r\n", 411, b"does not say how long it is"),
    ):
        answer = server.send(request)

        assert status_of(answer) == status
        assert words in answer


@pytest.mark.parametrize(
    "length", ["-5", "+5", "5, 5", "5\r\nContent-Length: 5", "1_0", "0x5", "²", "5\r\nTransfer-Encoding: chunked"]
)
def test_a_length_in_doubt_ends_the_connection(length: str, server: Server) -> None:
    hidden = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

    answer = server.send(post("/sign-in/", length) + b"hello" + hidden)

    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1, "the request that was hidden in the body is not answered"


@pytest.mark.parametrize("size", [70_000, 200_000, 2 * MIB])
def test_what_was_not_read_is_never_taken_for_the_next_request(size: int, server: Server) -> None:
    """A form that is refused unread holds what looks like further requests; behind it comes a real one."""
    hidden = b"GET /healthz?hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = (hidden * (size // len(hidden) + 1))[:size]
    behind = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    answer = server.send(post("/sign-in/", str(size)) + body + behind)

    assert status_of(answer) == 413
    assert len(re.findall(rb"HTTP/1\.1 \d+", answer)) <= 2
    assert answer.count(b"HTTP/1.1 200") <= 1
    assert b"HTTP/1.1 400" not in answer


def test_what_comes_in_pieces_is_never_taken_for_the_next_request(server: Server) -> None:
    hidden = b"GET /healthz?hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
    behind = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    answer = server.send(in_pieces("/sign-in/") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden) + behind)

    assert status_of(answer) == 411
    assert len(re.findall(rb"HTTP/1\.1 \d+", answer)) == 2, "the one behind is answered, the hidden one is not"
    assert answer.count(b"HTTP/1.1 200") == 1
