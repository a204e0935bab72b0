import pytest

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]
def test_debug(browse, alice, group):
    page = browse(alice)
    page.goto(f"{group.get_absolute_url()}rules/new/")
    page.on("request", lambda r: print("REQ", (r.post_data or "")[-260:]) if r.method=="POST" else None)
    p = page.get_by_label("Protocol", exact=True)
    p.focus()
    print("focus"); page.keyboard.press("u"); print(p.input_value())
    page.wait_for_timeout(1500)
    print(p.input_value(), page.locator("#protocol-help").text_content(), page.evaluate("document.activeElement.id"))
    page.get_by_label("Start port").focus(); page.keyboard.type("53")
    page.wait_for_timeout(1500)
    print(p.input_value())
