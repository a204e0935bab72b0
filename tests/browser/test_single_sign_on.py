"""Single sign-on in a browser: over to the provider and back, under the panel's content security policy."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from securitygroups.models import User
from tests import provider as providers
from tests.browser.conftest import Browse, Look, said
from tests.browser.conftest import sign_in as by_password

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("script", [True, False])
def test_connect_then_sign_in_by_the_provider_and_disconnect(
    script: bool, browse: Browse, look: Look, trouble: list[str], bob: User, settings: Any, tmp_path: Path
) -> None:
    with providers.running(tmp_path / "provider") as provider:
        providers.use(settings, provider.url)
        provider.person("7", preferred_username="bob at work")
        page = browse(script=script)

        # Nobody knows the person yet.
        page.goto("/sign-in/")
        if script:
            look(page, "signing in by password or by a provider")
        page.get_by_role("button", name="Sign in with Example Login").click()
        page.get_by_placeholder("sub").fill("7")
        page.get_by_role("button", name="Authorize").click()
        expect(page.get_by_role("heading")).to_have_text("There is no account for you here")
        if script:
            look(page, "somebody whom only the provider knows")
        page.get_by_role("link", name="Go to the sign-in page").click()

        by_password(page, bob)
        page.goto("/account/single-sign-on/")
        if script:
            look(page, "an account without connection")
        page.get_by_role("button", name="Connect with Example Login").click()
        page.get_by_placeholder("sub").fill("7")
        page.get_by_role("button", name="Authorize", exact=True).click()
        said(page, "Your account is connected")
        expect(page.get_by_role("table")).to_contain_text("bob at work")
        if script:
            look(page, "an account with its connection")

        again = browse(script=script)
        again.goto("/help/")
        again.get_by_role("button", name="Sign in with Example Login").click()
        again.get_by_placeholder("sub").fill("7")
        again.get_by_role("button", name="Authorize", exact=True).click()
        expect(again.get_by_label("Account of bob")).to_be_visible()
        assert again.url.endswith("/help/"), "one comes back to where one wanted to go"

        page.get_by_role("button", name="Disconnect").click()
        said(page, "not connected any more")
        # The provider's own pages want a style from elsewhere, which is not there.
        trouble[:] = [problem for problem in trouble if not problem.startswith(provider.url)]
