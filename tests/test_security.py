"""What keeps attackers out: headers, cookies, forged requests, redirects, hostile hosts and encodings.

Guessing is in test_guessing.py, and what is too large in test_uploads.py.
"""

import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client
from structlog.stdlib import ProcessorFormatter

from karenpanel import logs
from karenpanel.wsgi import application
from securitygroups.models import Project, SecurityGroup, User
from tests.conftest import SignIn
from tests.factories import NEW_PASSWORD, PASSWORD, make_user
from tests.test_access import RIGHTS, SESSION, Stage, make_stage
from tests.test_settings import PRODUCTION, run

CSP = {
    *(f"{what} 'none'" for what in ("default-src", "object-src", "base-uri", "frame-ancestors")),
    *(f"{what}-src 'self'" for what in ("script", "style", "img", "font", "connect")),
    "form-action 'self'",
}
EVIL = (
    "//evil.example",
    "///evil.example",
    "https://evil.example",
    "https:evil.example",
    "https:///evil.example",
    "http:\\\\evil.example",
    "\\\\evil.example",
    "/\\evil.example",
    "\t//evil.example",
    " //evil.example",
    "//testserver@evil.example",
    "http://testserver.evil.example",
    "http://localhost:99999/",
    "javascript:alert(1)",
    "data:text/html,x",
    "http://[",
    "http://[::1",
)


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Stage:
    return make_stage(request)


@pytest.fixture
def broken_help(settings: Any, tmp_path: Path) -> None:
    """The help page's template is broken: a real error, for the page that is shown then."""
    (tmp_path / "securitygroups" / "help").mkdir(parents=True)
    (tmp_path / "securitygroups" / "help" / "page.html").write_text("{% broken %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]


def sign_in_with(client: Client, login: str = "alice", password: str = PASSWORD, **more: Any) -> Any:
    return client.post("/sign-in/", {"login": login, "password": password}, **more)


def pages(stage: Stage, client: Client, alice: User) -> Iterator[tuple[str, Any]]:
    """(name, answer) of every page, of each kind of error, and of the admin."""
    alices = stage.browsers["alice"]
    alices.raise_request_exception = False
    for name, rights in RIGHTS.items():
        who = "alice" if "alice" in (rights.get or ()) else "visitor"
        if rights.get:
            yield name, (client if rights.public else stage.browsers[who]).get(stage.url(name))
            yield f"{name} for htmx", stage.browsers[who].get(stage.url(name), headers={"HX-Request": "true"})
    test = "?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.1.11&port=22"
    yield "a trace", alices.get(stage.url("machine_test") + test)
    yield "400", client.get("/sign-in/?next=%00")
    yield "400 host", client.get("/", headers={"Host": "evil.example"})
    yield "403", stage.browsers["bob"].get(stage.url("rule_add"))
    yield "403 csrf", Client(enforce_csrf_checks=True).post("/sign-in/")
    yield "404", client.get("/nowhere")
    yield "healthz", client.get("/healthz")
    yield "readyz", client.get("/readyz")
    yield "405", client.delete("/sign-in/")
    yield "409", alices.post(stage.url("rule_delete"), {"base": 99})
    yield "413", client.post("/sign-in/", b"", content_type="text/plain", CONTENT_LENGTH=str(10**9))
    yield "422", alices.post(stage.url("rule_add"), {"base": 1, "protocol": "tcp", "source": "10.0.0.5/24"})
    yield "422 sign-in", sign_in_with(client, password="wrong")
    model = "/admin/securitygroups/"
    for url in ("", f"{model}", f"{model}project/", f"{model}securitygroup/", f"{model}event/", f"{model}user/add/"):
        yield f"admin {url}", stage.browsers["admin"].get(url or "/admin/")
    group = SecurityGroup.objects.get(name="web")
    for url in (f"securitygroup/{group.pk}/change/", f"project/{group.project_id}/change/", f"user/{alice.pk}/change/"):
        yield f"admin {url}", stage.browsers["admin"].get(f"{model}{url}")
    for _ in range(6):
        locked = sign_in_with(client, password="wrong")
    yield "429", locked


class Inline(HTMLParser):
    """Collects what a Content-Security-Policy without unsafe-* would not let run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names and ("type", "application/json") not in attrs):
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name == "style" or name.startswith(("on", "hx-on")) or (value or "").strip().startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value!r}>")


def inline(response: Any) -> list[str]:
    parser = Inline()
    parser.feed(response.content.decode())
    return parser.found


def test_the_parser_of_inline_code_finds_each_kind() -> None:
    bad = b'<script>x</script><style>x</style><p style="x" onclick="x" hx-on:click="x"><a href=" javascript:x">'
    assert len(inline(HttpResponse(bad))) == 6


def test_every_page_has_the_headers_that_protect_it_and_nothing_inline(
    stage: Stage, client: Client, alice: User, broken_help: None, settings: Any
) -> None:
    # The admin's page of a person reads that person and the one who looks.
    settings.ZEAL_ALLOWLIST = [*SESSION, {"model": "securitygroups.User"}]
    seen = set()
    for name, response in pages(stage, client, alice):
        seen.add(response.status_code)
        assert set(response["Content-Security-Policy"].split("; ")) == CSP, name
        assert response["X-Frame-Options"] == "DENY", name
        assert response["X-Content-Type-Options"] == "nosniff", name
        assert response["Referrer-Policy"] == "same-origin", name
        assert response["Cross-Origin-Opener-Policy"] == "same-origin", name
        assert response["Cross-Origin-Resource-Policy"] == "same-origin", name
        assert "Access-Control-Allow-Origin" not in response, name
        assert "camera=()" in response["Permissions-Policy"], name
        assert "no-store" in response["Cache-Control"], name
        assert re.fullmatch(r"[0-9a-f]{12}", response["X-Request-ID"]), name
        if response.status_code not in (302, 400, 405, 413) and name not in ("healthz", "readyz"):
            assert "HX-Request" in response["Vary"], name
        if response.get("Content-Type", "").startswith("text/"):
            assert response["Content-Type"].endswith("; charset=utf-8"), name
        if response.get("Content-Type", "").startswith("text/html") and response.content:
            assert inline(response) == [], name
    assert seen >= {200, 302, 400, 403, 404, 405, 409, 413, 422, 429, 500}


@pytest.mark.parametrize(
    ("path", "kind"),
    [("favicon.svg", "image/svg+xml"), ("theme.js", "text/javascript"), ("css/app.css", "text/css")],
)
def test_a_static_file_has_its_type_and_is_for_our_own_pages(path: str, kind: str, db: None, client: Client) -> None:
    response = client.get(f"/static/{path}")
    response.close()
    assert response.status_code == 200
    assert response["Content-Type"].replace('"', "") == f"{kind}; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in response


def test_error_pages_speak_in_words_and_name_the_request(stage: Stage, client: Client, broken_help: None) -> None:
    stage.browsers["alice"].raise_request_exception = False
    for response, words in (
        (client.get("/", headers={"Host": "evil.example"}), "could not be understood"),
        (client.get("/nowhere"), "There is nothing here"),
        (stage.browsers["bob"].get(stage.url("rule_add")), "You may not do this"),
        (Client(enforce_csrf_checks=True).post("/sign-in/"), "This page was open for too long"),
        (stage.browsers["alice"].get("/help/"), "Something broke on our side"),
    ):
        page = response.content.decode()
        assert words in page
        assert f"<code>{response['X-Request-ID']}</code>" in page
        assert "Traceback" not in page
        assert "broken" not in page


# ── Forged requests ───────────────────────────────────────────────────────────


def test_nothing_is_written_without_the_token_of_the_form(stage: Stage, group: SecurityGroup, project: Project) -> None:
    events = project.events.count()
    for name, rights in RIGHTS.items():
        if rights.post:
            who = "alice" if "alice" in rights.post else "visitor"
            browser = Client(enforce_csrf_checks=True)
            browser.cookies = stage.browsers[who].cookies
            response = browser.post(stage.url(name), {"base": 1, "rule": "x", "position": 1})
            assert response.status_code == 403, name
            assert "This page was open for too long" in response.content.decode(), name
    group.refresh_from_db()
    assert (group.revision, group.deleted_at) == (1, None)
    assert project.events.count() == events


def test_with_the_token_of_the_page_the_form_works(alice: User, project: Project) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    page = browser.get("/p/shop/groups/new/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    made = browser.post("/p/shop/groups/new/", {"name": "db", "csrfmiddlewaretoken": token[1]})
    assert made.status_code == 302
    assert project.groups.get().name == "db"


def test_a_form_of_another_origin_is_refused_even_with_a_token(alice: User, project: Project) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    page = browser.get("/p/shop/groups/new/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    sent = {"name": "db", "csrfmiddlewaretoken": token[1]}
    response = browser.post("/p/shop/groups/new/", sent, headers={"Origin": "https://evil.example"})
    assert response.status_code == 403
    assert not project.groups.exists()


# ── The log ───────────────────────────────────────────────────────────────────


def test_a_line_of_the_log_says_which_request_of_whom_it_is_about(
    as_alice: Client, client: Client, broken_help: None
) -> None:
    as_alice.raise_request_exception = False
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(ProcessorFormatter(processors=logs.PROCESSORS, foreign_pre_chain=logs.PRE_CHAIN))
    logging.getLogger("django").addHandler(handler)
    try:
        broken = as_alice.get("/help/")
        # In the same thread, as it is when a worker serves one person after another.
        refused = client.get("/", headers={"Host": "evil.example"})
    finally:
        logging.getLogger("django").removeHandler(handler)

    hers, nobodys = map(json.loads, written.getvalue().splitlines())
    assert (hers["request_id"], hers["by"], hers["level"]) == (broken["X-Request-ID"], "alice", "error")
    assert "TemplateSyntaxError" in hers["exception"]
    assert (nobodys["request_id"], nobodys["logger"]) == (refused["X-Request-ID"], "django.security.DisallowedHost")
    assert "by" not in nobodys
    for line in (hers, nobodys):
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


# ── Redirects and hosts ───────────────────────────────────────────────────────


@pytest.mark.parametrize("target", EVIL)
def test_signing_in_and_out_leads_nowhere_else(target: str, alice: User, settings: Any) -> None:
    settings.ZEAL_ALLOWLIST = SESSION
    client = Client()
    assert client.get("/sign-in/", {"next": target}).status_code == 200
    response = client.post("/sign-in/", {"login": "alice", "password": PASSWORD, "next": target})
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.get("/sign-in/", {"next": target})["Location"] == "/", "signed in already"
    response = client.post("/sign-out/", {"next": target})
    assert (response.status_code, response["Location"]) == (302, "/sign-in/")


def test_signing_in_leads_back_to_the_page_that_was_asked_for(alice: User) -> None:
    client = Client()
    door = client.get("/p/shop/groups/?q=a&page=2")["Location"]
    assert client.post(door, {"login": "alice", "password": PASSWORD})["Location"] == "/p/shop/groups/?q=a&page=2"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost:80@evil.example", "localhost/evil"]
)
def test_a_host_that_is_not_ours_gets_a_400_in_words(host: str, alice: User, client: Client) -> None:
    response = client.get("/sign-in/", headers={"Host": host})
    assert response.status_code == 400
    assert "evil" not in response.content.decode()


def test_a_forwarded_host_is_not_believed(as_alice: Client, project: Project, group: SecurityGroup) -> None:
    url = f"{group.get_absolute_url()}test/?test=1&direction=in&protocol=icmp&source=203.0.113.9&destination=10.0.0.5"
    page = as_alice.get(
        url, headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    ).content.decode()
    assert "http://testserver" in page
    assert "evil" not in page


def test_in_production_plain_http_is_turned_into_https_and_remembered() -> None:
    script = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "karenpanel.settings"
import django
from django.conf import settings
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.STATIC_ROOT = settings.STATICFILES_DIRS[0]
django.setup()
from django.test import Client
client = Client(SERVER_NAME="panel.example.com")
plain = client.get("/sign-in/")
assert (plain.status_code, plain["Location"]) == (301, "https://panel.example.com/sign-in/"), plain
assert not plain.cookies
assert "no-store" in plain["Cache-Control"]
wrong = client.get("/sign-in/", headers={"host": "evil.example"})
assert wrong.status_code == 400
assert "default-src 'none'" in wrong["Content-Security-Policy"]
secure = client.get("/sign-in/", secure=True)
assert secure.status_code == 200
assert secure["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
cookie = secure.cookies["__Host-csrftoken"]
assert cookie["secure"] and cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/"
assert not cookie["domain"]
assert client.get("/healthz").status_code == 200
assert client.get("/readyz").status_code in (200, 503)
assert client.get("/healthz", secure=True)["Strict-Transport-Security"] == secure["Strict-Transport-Security"]
"""
    done = run("-c", script, **PRODUCTION)
    assert done.returncode == 0, done.stderr


# ── Sessions ──────────────────────────────────────────────────────────────────


def test_signing_in_changes_the_session_so_that_a_planted_one_is_worth_nothing(alice: User) -> None:
    thief = Client()
    thief.force_login(make_user("thief"))
    planted = thief.cookies["session"].value
    victim = Client()
    victim.cookies["session"] = planted
    victim.post("/sign-out/")
    victim.cookies["session"] = planted
    assert sign_in_with(victim).status_code == 302
    assert victim.cookies["session"].value != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(alice: User) -> None:
    cookie = sign_in_with(Client()).cookies["session"]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")


def test_what_was_done_is_told_by_the_session_and_by_no_cookie(as_alice: Client, project: Project) -> None:
    made = as_alice.post("/p/shop/groups/new/", {"name": "db"})
    assert set(made.cookies) <= {"session"}
    assert "db was created." in as_alice.get(made["Location"]).content.decode()
    assert "db was created." not in as_alice.get(made["Location"]).content.decode()
    assert set(as_alice.cookies) <= {"session", "csrftoken"}


def test_signing_out_ends_the_session_on_the_server(alice: User, project: Project) -> None:
    browser, copy = Client(), Client()
    sign_in_with(browser)
    copy.cookies["session"] = browser.cookies["session"].value
    assert copy.get("/p/shop/").status_code == 200
    assert browser.post("/sign-out/").status_code == 302
    assert copy.get("/p/shop/").status_code == 302


def test_signing_out_takes_a_click_so_that_no_link_can_do_it(as_alice: Client, project: Project) -> None:
    assert "Sign out?" in as_alice.get("/sign-out/").content.decode()
    assert as_alice.get("/p/shop/").status_code == 200


def test_a_new_password_signs_out_every_other_browser(alice: User, project: Project, sign_in: SignIn) -> None:
    here, there = sign_in(alice), sign_in(alice)
    new = NEW_PASSWORD
    sent = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/password/", sent).status_code == 302
    assert here.get("/p/shop/").status_code == 200
    assert there.get("/p/shop/").status_code == 302
    assert sign_in_with(Client()).status_code == 422
    assert sign_in_with(Client(), password=new).status_code == 302


def test_nobody_can_make_an_account_without_an_invitation(db: None, client: Client) -> None:
    page = client.get("/sign-up/")
    assert "By invitation only" in page.content.decode()
    sent = {"username": "mallory", "email": "m@example.com", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    client.post("/sign-up/", sent)
    assert not User.objects.filter(username="mallory").exists()
    for path in (
        "/signup/",
        "/accounts/signup/",
        "/accounts/login/",
        "/password/reset/",
        "/accounts/",
        "/sign-in/code/",
    ):
        assert client.get(path).status_code == 404


# ── Encodings ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "unicode_escape", "raw_unicode_escape", "nonsense"])
def test_another_encoding_than_utf_8_is_refused(charset: str, as_alice: Client, project: Project) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n+2AA-\\ud800\r\n--x--\r\n'
    for content in (f"multipart/form-data; boundary=x; charset={charset}", f"text/plain; charset={charset}"):
        # As bytes with a type of its own: the test client would encode text by the name in it.
        response = as_alice.generic("POST", "/p/shop/groups/new/", part, content_type=content)
        assert response.status_code == 400
    assert as_alice.get("/p/shop/groups/?q=%2B2AA-", CONTENT_TYPE=f"text/plain; charset={charset}").status_code == 400
    assert not project.groups.exists()


@pytest.mark.parametrize(
    "content_type",
    [
        *(f"application/x-www-form-urlencoded; charset={name}" for name in ("hex", "rot13", "idna", "punycode", "x")),
        "text/plain; charset*=utf-8''hex",
        "text/plain; name*=nonsense''x",
    ],
)
def test_an_encoding_that_is_none_is_refused_by_a_web_server_too(content_type: str, db: None) -> None:
    """Django's test client builds its requests by itself: this one comes the way of a web server."""
    started: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/sign-in/",
        "QUERY_STRING": "a=%ff",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": "5",
        "HTTP_HOST": "testserver",
        "wsgi.input": BytesIO(b"a=%ff"),
    }
    setup_testing_defaults(environ)
    body = b"".join(application(environ, lambda status, headers, exc_info=None: started.append(status)))  # type: ignore[arg-type]
    assert started == ["400 Bad Request"]
    assert b"</html>" in body


def test_nul_is_refused_wherever_it_is_sent(stage: Stage, group: SecurityGroup) -> None:
    for name, rights in RIGHTS.items():
        browser = stage.browsers["alice" if "alice" in (rights.get or rights.post or ()) else "visitor"]
        if rights.get:
            assert browser.get(stage.url(name) + "?q=a%00b").status_code == 400, name
        if rights.post:
            assert browser.post(stage.url(name), {"reason": "a\0b", "base": 1}).status_code == 400, name
    group.refresh_from_db()
    assert group.revision == 1
