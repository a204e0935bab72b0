"""Which mail server the panel hands its mails to: `EMAIL_URL` as Django's SMTP backend takes it, and what is checked of it."""

from collections.abc import Sequence
from email.utils import parseaddr
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings as chosen
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

FORM = "submission://user:password@mail.example.net:587"
# Port, STARTTLS, TLS from the first byte.
SCHEMES = {"smtp": (25, False, False), "submission": (587, True, False), "smtps": (465, False, True)}
YES = {"1", "true", "yes", "on"}
NO = {"0", "false", "no", "off"}


def settings(url: str) -> dict[str, Any]:
    """What Django's SMTP backend takes (host, port, …) from EMAIL_URL; nothing when it is empty.

    Raises ImproperlyConfigured, whose words show no piece of the address, for it holds a password.
    """
    if not url:
        return {}
    try:
        parts = urlsplit(url)
        port, options = parts.port, dict(parse_qsl(parts.query.lower(), keep_blank_values=True))
    except ValueError:
        raise unreadable() from None
    # A # or a ? in a password that is not written as %XX would make the front of it a host.
    if parts.scheme not in SCHEMES or not parts.hostname or parts.path.strip("/") or "#" in url:
        raise unreadable()
    usual, starttls, tls = SCHEMES[parts.scheme]
    if not options.keys() <= {"tls", "ssl"} or not set(options.values()) <= YES | NO:
        raise unreadable()
    starttls, tls = options.get("tls", str(int(starttls))) in YES, options.get("ssl", str(int(tls))) in YES
    return {
        "host": parts.hostname,
        "port": port or usual,
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_tls": starttls and not tls,
        "use_ssl": tls,
    }


def unreadable() -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"EMAIL_URL cannot be read: {FORM} is its form. submission:// and smtp://…?tls=1 turn to TLS after the greeting, "
        "smtps:// speaks it from the start, smtp:// not at all. Special characters in the user or the password are "
        "written as %XX (/ is %2F, @ is %40, # is %23, ? is %3F, % is %25)"
    )


def sender(hosts: Sequence[str]) -> str:
    """The address that mails come from where none is set: at the first host of the panel that has a name."""
    names = [host.lstrip(".") for host in hosts if host.strip(".*") and host.strip(".0123456789") and "[" not in host]
    return f"karenpanel@{names[0] if names else 'localhost'}"


def check(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Mails come from an address, and the demo's, which everybody can read, are no installation's."""
    found: list[CheckMessage] = []
    for name in ("DEFAULT_FROM_EMAIL", "SERVER_EMAIL"):
        try:
            validate_email(parseaddr(getattr(chosen, name))[1])
        except ValidationError:
            hint = "Set EMAIL_FROM to an address, with a name before it or without: Panel <panel@example.net>."
            found.append(Error("EMAIL_FROM is no e-mail address.", hint=hint, id="karenpanel.E010"))
            break
    if chosen.DEMO_MAILS and not chosen.INSECURE_HTTP:
        hint = "Remove DEMO_MAILS and set EMAIL_URL: whoever reaches the panel reads the mails of a demo."
        found.append(Error("DEMO_MAILS is set for an installation.", hint=hint, id="karenpanel.E011"))
    return found


def check_server(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """For installations: there is a mail server, and the password for it does not travel in the open."""
    server = chosen.MAIL_SERVER
    if not server and not chosen.DEMO_MAILS:
        hint = f"Set EMAIL_URL, as in {FORM}. Without it nobody gets invitations or links for forgotten passwords."
        return [Warning("No mail server is set: no mail is sent.", hint=hint, id="karenpanel.W010")]
    open_password = server and server["password"] and not server["use_tls"] and not server["use_ssl"]
    if open_password and server["host"] not in ("localhost", "127.0.0.1", "::1"):
        hint = "Write submission:// or smtps:// instead of smtp:// in EMAIL_URL, or add ?tls=1 to it."
        return [Warning("The mail server's password is sent unencrypted.", hint=hint, id="karenpanel.W011")]
    return []
