"""What `manage.py demo` keeps on this machine: settings for one machine talking to itself, and its secrets.

The secrets are drawn once and kept beside the database, readable by their owner alone, so that sessions and the printed
passwords survive a restart. Nothing of this is used by an installation that others can reach.
"""

import os
import secrets
from pathlib import Path

from karenpanel import database

# Without the letters and digits that are taken for one another.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def prepare() -> None:
    """Set the environment that the settings read. Call it before they are imported. Raises OSError, StartError."""
    folder = database.private_folder()
    static = folder / "static"
    static.mkdir(mode=0o700, exist_ok=True)
    mails = folder / "mails"
    mails.mkdir(mode=0o700, exist_ok=True)
    os.environ |= {
        "DEBUG": "0",
        "SECRET_KEY": _kept(folder / "secret-key", secrets.token_urlsafe(50)),
        "INSECURE_HTTP": "1",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,[::1]",
        "CSRF_TRUSTED_ORIGINS": "",
        "PROXY_COUNT": "0",
        "STATIC_ROOT": str(static),
        "EMAIL_URL": "",
        "OIDC_URL": "",
        "OIDC_CLIENT_ID": "",
        "OIDC_CLIENT_SECRET": "",
        "EMAIL_FROM": "",
        "DEMO_MAILS": str(mails),
    }


def password(chosen: str | None = None) -> str:
    """The password of the people of the demo: the chosen one, which is kept from then on, or the one that is kept."""
    path = database.private_folder() / "demo-password"
    if chosen:
        path.unlink(missing_ok=True)
    words = ("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(3))
    return _kept(path, chosen or "-".join(words))


def _kept(path: Path, fresh: str) -> str:
    """The text of a private file, which is made of `fresh` where there is none. Two processes get the same text."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(fresh)
    try:
        # Unlike a rename, a link never replaces what another process was quicker to make.
        os.link(new, path)
    except FileExistsError:
        return path.read_text(encoding="utf-8")
    finally:
        new.unlink()
    return fresh
