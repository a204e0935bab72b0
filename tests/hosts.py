"""An agent as the panel sees one: its own key, real signatures on what it sends, and nothing believed that the panel did not
sign."""

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.test import Client

from securitygroups import operations
from securitygroups.enforcement import keys
from securitygroups.models import Host
from securitygroups.operations import By


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def nonce() -> str:
    return encoded(secrets.token_bytes(16))


@dataclass
class Agent:
    """Of one host. `panel_key` is what it pinned when it was enrolled."""

    host: str
    panel_key: str
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))

    @property
    def public(self) -> str:
        return encoded(self.private.public_key().public_bytes_raw())

    def headers(self, method: str, path: str, body: bytes = b"", /, **other: Any) -> dict[str, str]:
        """Those of a request. `other` is said instead of what is true, and signed so: host, time, nonce, path, body, method."""
        said: dict[str, Any] = {
            "host": self.host,
            "time": int(time.time()),
            "nonce": nonce(),
            "path": path,
            "body": body,
            "method": method,
        }
        said |= other
        lines = ["karenpanel-agent-1", said["method"], said["path"], sha256(said["body"]).hexdigest()]
        lines += [str(said["time"]), said["nonce"], said["host"]]
        signed = "".join(f"{line}\n" for line in lines).encode()
        return {
            "Karenpanel-Host": said["host"],
            "Karenpanel-Time": str(said["time"]),
            "Karenpanel-Nonce": said["nonce"],
            "Karenpanel-Signature": encoded(self.private.sign(signed)),
        }

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        return self.client.generic(method, path, body, content_type="application/json", headers=headers)

    def ask(self, method: str, name: str, value: Any = None, *, etag: str = "", **other: Any) -> Any:
        """The answer, of which it was made sure that the panel has signed it for this question."""
        path, body = f"/agent/v1/{name}", b"" if value is None else json.dumps(value).encode()
        headers = self.headers(method, path, body, **other)
        response = self.send(method, path, body, headers | ({"If-None-Match": etag} if etag else {}))
        assert self.believes(response, headers["Karenpanel-Nonce"], headers["Karenpanel-Host"])
        return response

    def believes(self, response: Any, asked: str, host: str = "", **changed: Any) -> bool:
        """Whether the answer, or what it was `changed` into, is the panel's to the question with this nonce."""
        said = {"status": response.status_code, "body": response.content, "etag": response.get("ETag", "")} | changed
        lines = ["karenpanel-panel-1", str(said["status"]), sha256(said["body"]).hexdigest(), said["etag"], asked]
        signed = "".join(f"{line}\n" for line in [*lines, host or self.host]).encode()
        try:
            key = Ed25519PublicKey.from_public_bytes(decoded(self.panel_key))
            key.verify(decoded(response.get("Karenpanel-Signature", "")), signed)
        except (InvalidSignature, ValueError):
            return False
        return True

    def enrol(self, secret: str, **other: Any) -> Any:
        sent = {"token": secret, "key": self.public, "agent": "0.1.0"} | other.pop("sent", {})
        return self.ask("POST", "enrol", sent, **other)

    def state(self, etag: str = "") -> Any:
        return self.ask("GET", "state", etag=etag)

    def report(self, **said: Any) -> Any:
        plain = {
            "format": "karenpanel-report/1",
            "agent": "0.1.0",
            "kernel": "6.1.0",
            "time": int(time.time()),
            "state": "",
        }
        plain |= {"vms": [], "taps": None, "counters": [], "samples": [], "missed": 0, "clock": "synchronised"}
        return self.ask("POST", "report", plain | said)

    def applies(self) -> Any:
        """Fetches the state, and reports of all VMs that they have it."""
        answer = self.state()
        vms = [
            {"id": one["id"], "vector": one["vector"], "since": int(time.time()), "hash": "a" * 64}
            for one in answer.json()["vms"]
        ]
        return self.report(state=answer["ETag"], vms=vms)


def enrolled(name: str = "kvm-1", **fields: Any) -> tuple[Host, Agent]:
    """A host, and its agent, which has come to the door with the line that it was given."""
    host, secret = operations.make_host(fields={"name": name, **fields}, by=By())
    agent = Agent(host.public_id, keys.public())
    assert agent.enrol(secret).status_code == 200
    host.refresh_from_db()
    return host, agent
