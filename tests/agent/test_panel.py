"""The agent believes its panel and nobody on the way to it."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from securitygroups.agent import panel as asking
from securitygroups.agent import places
from securitygroups.agent.enrolling import Offer, Unsuitable, enrol
from securitygroups.agent.panel import NotReached, Panel, Refused, address
from securitygroups.agent.places import Places
from securitygroups.signing.keys import Key
from securitygroups.signing.wire import MAX_BODY, SIGNATURE_HEADER
from tests.agent.panel import HOST, TOKEN, Changed, PanelServer, listener, serving

STATE = {"format": "karenpanel-state/1", "words": "what the panel says"}


def certificate_in(folder: Path) -> Path:
    """A certificate of nobody's for 127.0.0.1, in one file with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "panel")])
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
    )
    near = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = made.add_extension(near, critical=False).sign(key, hashes.SHA256())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = folder / "panel.pem"
    file.write_bytes(signed.public_bytes(Encoding.PEM) + secret)
    return file


@pytest.fixture
def server() -> Iterator[PanelServer]:
    with serving(PanelServer(state=STATE), listener()) as made:
        yield made


@pytest.fixture
def panel(server: PanelServer) -> Iterator[Panel]:
    """The way of a host that the server knows."""
    made = Panel(server.url, server.key.public, Key.new(), HOST)
    server.known = made.own.public
    yield made
    made.close()


def test_a_state_is_given_once_and_then_not_again(server: PanelServer, panel: Panel) -> None:
    answer = panel.ask("GET", "state")

    assert answer.value() == STATE
    assert panel.ask("GET", "state", etag=answer.etag).status == 304


def test_one_connection_serves_many_questions_and_one_that_was_closed_is_opened_again(
    server: PanelServer, panel: Panel
) -> None:
    panel.ask("GET", "state")
    first = panel._connection
    panel.ask("GET", "state")
    assert panel._connection is first is not None

    first.sock.shutdown(socket.SHUT_RDWR)

    assert panel.ask("GET", "state").value() == STATE


def test_what_was_cut_on_a_kept_connection_is_asked_once_more(server: PanelServer, panel: Panel) -> None:
    panel.ask("GET", "state")

    server.cut = 1
    assert panel.ask("GET", "state").value() == STATE
    server.cut = 2
    with pytest.raises(NotReached, match="does not answer"):
        panel.ask("GET", "state")

    assert len(server.asked) == 1 + 2 + 2
    assert server.refusals == [], "each has a nonce of its own"


def test_what_was_cut_on_a_new_connection_is_not_asked_again(server: PanelServer, panel: Panel) -> None:
    server.cut = 1

    with pytest.raises(NotReached, match="does not answer"):
        panel.ask("GET", "state")

    assert len(server.asked) == 1


@pytest.mark.parametrize("place", ["body", "signature", "status", "etag"])
def test_an_answer_with_one_byte_changed_is_none(server: PanelServer, panel: Panel, place: str) -> None:
    def change(answer: Changed) -> Changed:
        status, body, headers = answer
        if place == "body":
            return status, body.replace(b"what", b"That"), headers
        if place == "status":
            return 202, body, headers
        key = "ETag" if place == "etag" else SIGNATURE_HEADER
        flipped = headers[key][:5] + ("A" if headers[key][5] != "A" else "B") + headers[key][6:]
        return status, body, headers | {key: flipped}

    server.on_the_way = change

    with pytest.raises(NotReached, match="did not sign"):
        panel.ask("GET", "state")


def test_an_answer_to_another_question_is_none(server: PanelServer, panel: Panel) -> None:
    old: list[Changed] = []

    def replay(answer: Changed) -> Changed:
        old.append(answer)
        return old[0]

    server.on_the_way = replay
    panel.ask("GET", "state")

    with pytest.raises(NotReached, match="did not sign"):
        panel.ask("GET", "state")


def test_another_panel_is_none(server: PanelServer, panel: Panel) -> None:
    panel.key = Key.new().public

    with pytest.raises(NotReached, match="did not sign"):
        panel.ask("GET", "state")


def test_a_page_of_a_proxy_is_no_answer(server: PanelServer, panel: Panel) -> None:
    server.on_the_way = lambda _: (502, b"<h1>Bad gateway</h1>", {})

    with pytest.raises(NotReached, match="502"):
        panel.ask("GET", "state")


def test_a_host_that_the_panel_does_not_know_hears_so(server: PanelServer, panel: Panel) -> None:
    server.known = Key.new().public

    with pytest.raises(Refused) as refused:
        panel.ask("GET", "state")

    assert (refused.value.status, refused.value.code) == (401, "unknown-key")


@pytest.mark.parametrize("ahead", [3600, -86_400])
def test_a_clock_that_is_wrong_keeps_no_host_from_its_rules(server: PanelServer, panel: Panel, ahead: int) -> None:
    server.ahead = ahead

    assert panel.ask("GET", "state").value() == STATE
    assert abs(panel.ahead - ahead) < 5
    assert panel.ask("GET", "state").value() == STATE
    assert server.refusals == ["clock"]


def test_nobody_is_there(panel: Panel, server: PanelServer) -> None:
    server.broken = True

    with pytest.raises(NotReached, match="does not answer"):
        panel.ask("GET", "state")


def test_what_is_too_long_is_neither_sent_nor_taken(server: PanelServer, panel: Panel) -> None:
    with pytest.raises(NotReached, match="takes"):
        panel.ask("POST", "report", {"long": "x" * MAX_BODY})

    server.state = {"long": "x" * MAX_BODY}
    with pytest.raises(NotReached, match="more than 4 MiB"):
        panel.ask("GET", "state")


def test_who_sends_a_byte_now_and_then_is_not_waited_for(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LONGEST", 0.5)
    slow = listener()
    panel.url = f"http://127.0.0.1:{slow.getsockname()[1]}"

    def drip() -> None:
        talker, _ = slow.accept()
        with talker:
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
                try:
                    talker.send(bytes([byte]))
                except OSError:
                    return
                time.sleep(0.05)

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    begun = time.monotonic()

    with pytest.raises(NotReached):
        panel.ask("GET", "state")

    assert time.monotonic() - begun < 5
    thread.join(5)
    slow.close()


@pytest.mark.parametrize(
    "url", ["panel.example.com", "ftp://panel.example.com", "https://", "https://a:b@x", "https://x/?q", "https://x:y"]
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(ValueError, match="write it as https"):
        address(url)


def test_a_machine_becomes_a_host_once(server: PanelServer, tmp_path: Path) -> None:
    where = Places(tmp_path / "lasting", tmp_path / "passing")
    offer = Offer(server.key.public, HOST, TOKEN)

    host = enrol(where, server.url, offer)

    assert (host.name, server.known) == ("kvm-3", host.key.public)
    assert places.enrolled(where).key.public == host.key.public
    with pytest.raises(Refused, match="not good any more"):
        enrol(where, server.url, offer)
    assert places.enrolled(where).key.public == host.key.public


@pytest.mark.parametrize(
    ("url", "key", "host", "words"),
    [
        ("http://panel.example.com", "", HOST, "https"),
        ("https://panel.example.com", "short", HOST, "key"),
        ("https://panel.example.com", "", "host 1", "ID"),
    ],
)
def test_what_cannot_enrol_is_said_before_anything_is_sent(
    tmp_path: Path, url: str, key: str, host: str, words: str
) -> None:
    with pytest.raises(Unsuitable, match=words):
        enrol(Places(tmp_path, tmp_path), url, Offer(key or Key.new().public, host, TOKEN))


def test_a_panel_of_another_authority_is_trusted_where_its_file_is_named(tmp_path: Path) -> None:
    certificate = certificate_in(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    plain = listener()
    with serving(PanelServer(state=STATE), context.wrap_socket(plain, server_side=True)) as server:
        server.url = server.url.replace("http:", "https:")
        where = Places(tmp_path / "lasting", tmp_path / "passing")
        offer = Offer(server.key.public, HOST, TOKEN)
        with pytest.raises(NotReached):
            enrol(where, server.url, offer)

        host = enrol(where, server.url, offer, str(certificate))

    assert host.authorities == str(certificate)
