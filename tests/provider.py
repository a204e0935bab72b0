"""A provider of OpenID Connect for tests: a process on loopback that signs anybody in, and can be made to lie.

    with running(tmp_path) as provider:
        provider.url                                  for OIDC_URL
        provider.person("7", email="bob@…")           whom it knows, by their number there, and what it says of them
        provider.fault = "audience"                   see FAULTS; "" is an honest provider again

As a program (`python -m tests.provider FOLDER`) it is that provider: it says its port, and ends with its standard input.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

ROOT = Path(__file__).parents[1]
CLIENT, SECRET = "karenpanel", "only-between-us"
# What is wrong about the ID token or the user information; "down" answers 500 to everything, "words" with no JSON.
FAULTS = (
    "",
    "audience",
    "issuer",
    "nonce",
    "signature",
    "expired",
    "unsigned",
    "no token",
    "somebody else",
    "down",
    "words",
)


class ProviderOfTests:
    """The provider as a test sees it."""

    def __init__(self, folder: Path, port: int, process: "subprocess.Popen[str]") -> None:
        self.folder, self.process = folder, process
        # Browsers and cookies take localhost for one host whatever the port, so it has a name of its own.
        self.url = f"http://127.0.0.1:{port}"

    def person(self, number: str, **claims: Any) -> str:
        """Let it know somebody. Returns the number."""
        request = urllib.request.Request(
            f"{self.url}/users/{number}",
            json.dumps(claims).encode(),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(request, timeout=20).close()
        return number

    @property
    def fault(self) -> str:
        return (self.folder / "fault").read_text()

    @fault.setter
    def fault(self, fault: str) -> None:
        assert fault in FAULTS
        (self.folder / "fault").write_text(fault)

    @property
    def asked(self) -> list[dict[str, str]]:
        """What was sent to its token endpoint so far."""
        lines = (self.folder / "asked").read_text().splitlines()
        return [{name: values[0] for name, values in parse_qs(line).items()} for line in lines]

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)


def use(settings: Any, url: str) -> None:
    """Let the panel of a test, whose settings these are, sign in by the provider at that address."""
    from karenpanel import single_sign_on

    settings.OIDC_URL, settings.OIDC_NAME = url, "Example Login"
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT, SECRET
    settings.SOCIALACCOUNT_PROVIDERS = single_sign_on.providers(url, CLIENT, SECRET, settings.OIDC_NAME)
    # Machines of tests are busy.
    settings.SOCIALACCOUNT_REQUESTS_TIMEOUT = 20


@contextmanager
def running(folder: Path) -> Iterator[ProviderOfTests]:
    folder.mkdir(exist_ok=True)
    for name in ("fault", "asked"):
        (folder / name).write_text("")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.provider", str(folder)],
        cwd=ROOT,
        env=os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        provider = ProviderOfTests(folder, int(process.stdout.readline()), process)
        yield provider
    finally:
        provider.stop()
        process.stdout.close()


def serve(folder: Path) -> None:
    import io

    import werkzeug.serving
    from authlib import jose
    from oidc_provider_mock import _app as mock

    def fault() -> str:
        return (folder / "fault").read_text()

    honest = mock.OpenIDCode.get_jwt_config
    other = jose.RSAKey.generate_key(is_private=True)

    def config(self: Any, grant: Any, client: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = honest(self, grant, client)
        if fault() == "issuer":
            found["iss"] = "http://evil.example"
        elif fault() == "expired":
            found["exp"] = -3600
        elif fault() == "signature":
            found["key"] = other.as_dict(is_private=True)
        elif fault() == "unsigned":
            found |= {"alg": "none", "key": None}
        return found

    def audiences(self: Any, request: Any) -> list[str]:
        return ["somebody-else"] if fault() == "audience" else [CLIENT]

    def nonce(self: Any) -> str:
        return "of-another-time" if fault() == "nonce" else str(self.nonce)

    mock.OpenIDCode.get_jwt_config = config
    mock.OpenIDCode.get_audiences = audiences
    mock.AuthorizationCode.get_nonce = nonce
    app = mock.app()

    def watched(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, kind = environ["PATH_INFO"], fault()
        if kind == "down":
            start_response("500 Internal Server Error", [])
            return [b"down"]
        if kind == "words":
            start_response("200 OK", [("Content-Type", "text/html")])
            return [b"<p>Please wait"]
        if path == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            with (folder / "asked").open("a") as file:
                file.write(body.decode() + "\n")
        said: list[Any] = []
        answer = b"".join(app(environ, lambda *head: said.extend(head)))
        status, headers = said[0], dict(said[1])
        if status.startswith("200") and (path, kind) in {("/oauth2/token", "no token"), ("/userinfo", "somebody else")}:
            changed = json.loads(answer)
            changed.pop("id_token", None)
            answer = json.dumps(changed | ({"sub": "1"} if kind == "somebody else" else {})).encode()
            headers["Content-Length"] = str(len(answer))
        start_response(status, list(headers.items()))
        return [answer]

    server = werkzeug.serving.make_server("127.0.0.1", 0, watched, threaded=True)
    print(server.server_port, flush=True)  # noqa: T201
    import threading

    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
