"""Programs of the cast: each shows a token."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from securitygroups import operations
from securitygroups.models import Project, Scope, User
from securitygroups.operations import By, NewToken
from tests.conftest import WatchedClient

ALL = tuple(scope for scope in Scope.values if scope != Scope.UNASKED)


class Program:
    """A client that shows one token and speaks JSON."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self._client = WatchedClient()

    def ask(self, method: str, path: str, sent: Any = None, **headers: str) -> Any:
        """`path` is below /api/v1; `headers` are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {} if sent is None else {"data": json.dumps(sent), "content_type": "application/json"}
        if self.secret:
            named.setdefault("Authorization", f"Bearer {self.secret}")
        return self._client.generic(method, f"/api/v1{path}", headers=named, **content)  # type: ignore[arg-type]

    def get(self, path: str, **headers: str) -> Any:
        return self.ask("GET", path, **headers)

    def post(self, path: str, sent: Any = None, **headers: str) -> Any:
        return self.ask("POST", path, sent, **headers)

    def put(self, path: str, sent: Any = None, **headers: str) -> Any:
        return self.ask("PUT", path, sent, **headers)


MakeProgram = Callable[..., Program]


def secret_of(user: User, *scopes: str, project: Project | None = None, **fields: Any) -> str:
    """Of a new token of the person, or of the project."""
    new = NewToken(name="ci", scopes=scopes or ALL, expires_at=fields.pop("expires_at", None), **fields)
    return operations.make_token(new=new, project=project, by=By(user))[1]


@pytest.fixture
def program() -> MakeProgram:
    def make(user: User, *scopes: str, **fields: Any) -> Program:
        return Program(secret_of(user, *scopes, **fields))

    return make
