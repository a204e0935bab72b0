"""The mails of a demo, as somebody reads them who cannot sign in yet."""

from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage
from playwright.sync_api import expect
from pytest_django.live_server_helper import LiveServer

from karenpanel import mail
from tests.browser.conftest import Browse, Look

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

LONG = "a-name-without-an-end-" * 11


@pytest.mark.parametrize("script", [True, False])
def test_from_the_sign_in_page_to_a_mail_and_through_its_link(
    script: bool, browse: Browse, look: Look, live_server: LiveServer, tmp_path: Path, settings: Any
) -> None:
    settings.DEMO_MAILS = str(tmp_path)
    mail.deliver(EmailMessage(LONG, f"{LONG}\n{live_server.url}/help/?{LONG}\n", to=[f"{LONG[:60]}@example.com"]))
    text = f"Open this page to choose a password:\n\n{live_server.url}/password/?key=1\n\nIt works for an hour.\n"
    mail.deliver(EmailMessage("A new password for karenpanel", text, to=["bob@example.com"]))

    page = browse(script=script)
    page.goto("/sign-in/")
    page.get_by_role("link", name="Mails of this demo").click()
    if script:
        look(page, "the mails of a demo")
    page.get_by_role("link", name="A new password for karenpanel").click()
    expect(page.get_by_role("heading")).to_have_text("A new password for karenpanel")
    if script:
        look(page, "a mail of a demo")
    page.get_by_role("link", name="key=1").click()
    expect(page).to_have_url(f"{live_server.url}/sign-in/?next=/password/%3Fkey%3D1")

    page.get_by_role("link", name="Mails of this demo").click()
    page.get_by_role("link", name=LONG).click()
    if script:
        look(page, "a mail with long words")
