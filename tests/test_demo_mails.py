"""The mails of a demo: kept in a folder, shown to whoever sits at the machine, and nowhere else."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.test import Client

from karenpanel import demo_mails, mail
from tests.web.pages import Page


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.DEMO_MAILS = str(tmp_path / "mails")
    return tmp_path / "mails"


def send(subject: str = "Hello", text: str = "A line.\n", to: str = "bob@example.com") -> None:
    mail.deliver(EmailMessage(subject, text, to=[to]))


def listed(client: Client) -> list[str]:
    response = client.get("/mails/")
    assert response.status_code == 200
    return re.findall(r'href="(/mails/[^"]+/)"', response.content.decode())


def test_a_mail_is_listed_and_read_without_signing_in(folder: Path, client: Client) -> None:
    assert "No mails yet" in Page(client.get("/mails/")).text
    send("Grüße aus dem “Shop”", "Zeile eins\n\nZeile zwei <b>\n", "Bob Ünal <bob@example.com>")

    [address] = listed(client)
    page = Page(client.get(address))

    assert page.title.startswith("Grüße aus dem “Shop”")
    assert "To Bob Ünal <bob@example.com>" in page.text
    assert "Zeile eins Zeile zwei <b>" in page.text


def test_the_newest_comes_first(folder: Path, client: Client) -> None:
    for number in range(3):
        send(f"Number {number}")

    assert re.findall(r"Number \d", Page(client.get("/mails/")).text) == ["Number 2", "Number 1", "Number 0"]


def test_links_to_this_panel_can_be_followed_and_no_others(folder: Path, client: Client) -> None:
    ours = "http://testserver/sign-in/?a=1&b=2"
    others = ["http://evil.example/", "http://testserver.evil.example/", "http://testserver@evil.example/"]
    others += ["javascript:alert(1)", "ftp://testserver/", "http://[", "//testserver/x"]
    send(text=f"Go to {ours}. Or to\n" + "\n".join(others) + '\nhttp://testserver/"onclick="x\n')

    page = client.get(listed(client)[0]).content.decode()

    links = re.findall(r'<a href="(http[^"]*|java[^"]*|ftp[^"]*)"', page)
    assert links == [ours.replace("&", "&amp;"), "http://testserver/"]
    assert "onclick=&quot;x" in page


def test_of_a_mail_with_html_the_text_is_shown(folder: Path, client: Client) -> None:
    message = EmailMultiAlternatives("Both", "As text", to=["bob@example.com"])
    message.attach_alternative("<p>As <script>alert(1)</script>", "text/html")
    mail.deliver(message)

    page = Page(client.get(listed(client)[0]))

    assert "As text" in page.text
    assert "alert" not in page.text


def test_only_its_owner_reads_the_folder_and_it_stays_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_mails, "MOST_KEPT", 5)

    for number in range(8):
        send(f"Number {number}")

    assert folder.stat().st_mode & 0o077 == 0
    assert {file.suffix for file in folder.iterdir()} == {".eml"}
    assert [file.stat().st_mode & 0o077 for file in folder.iterdir()] == [0] * 5
    assert [demo_mails.read(number).subject for number in demo_mails.numbers()] == [
        f"Number {n}" for n in range(7, 2, -1)
    ]


def test_many_at_once_lose_none(folder: Path) -> None:
    threads = [threading.Thread(target=send, args=(f"Number {number}",)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {demo_mails.read(number).subject for number in demo_mails.numbers()} == {f"Number {n}" for n in range(30)}


def test_a_long_list_is_cut(folder: Path, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_mails, "MOST_SHOWN", 2)
    for _ in range(3):
        send()

    assert len(listed(client)) == 2


@pytest.mark.parametrize("number", ["nothing", "..", "..%2F..%2Fsecret-key", "0" * 300])
def test_there_is_nothing_else_to_be_read(number: str, folder: Path, client: Client) -> None:
    folder.mkdir()
    (folder.parent / "secret-key.eml").write_text("Subject: secret\n\nsecret")

    assert client.get(f"/mails/{number}/").status_code == 404


def test_an_installation_has_no_such_pages(client: Client, tmp_path: Path) -> None:
    assert client.get("/mails/").status_code == 404
    assert client.get("/mails/1/").status_code == 404
    assert "Mails of this demo" not in Page(client.get("/sign-in/")).text


def test_the_sign_in_page_leads_to_the_mails(folder: Path, client: Client) -> None:
    assert 'href="/mails/"' in client.get("/sign-in/").content.decode()
