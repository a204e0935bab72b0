"""Lists to start a group from, each explained. Values only; a project's own and the platform's are GroupTemplate rows."""

from dataclasses import dataclass

from securitygroups.firewall.notation import rule
from securitygroups.firewall.values import Rule


@dataclass(frozen=True, slots=True)
class Starter:
    """A list with a name; `about` says in a sentence what it is for and what to adapt."""

    key: str
    name: str
    about: str
    rules: tuple[Rule, ...]


STARTERS = (
    Starter(
        "web",
        "Web server",
        "HTTP and HTTPS from anywhere; out only what a server needs: HTTPS, HTTP and names.",
        (
            rule("accept in tcp 443", "HTTPS"),
            rule("accept in tcp 80", "HTTP"),
            rule("accept out tcp 443", "HTTPS out"),
            rule("accept out tcp 80", "HTTP out"),
            rule("accept out udp 53", "Names"),
        ),
    ),
    Starter(
        "database",
        "Database behind a web tier",
        "PostgreSQL from one network of application servers. Put your own network in place of 10.0.0.0/24.",
        (rule("accept in tcp 5432 from 10.0.0.0/24", "From the application servers"),),
    ),
    Starter(
        "bastion",
        "Bastion",
        "SSH from one office network, and SSH on from here to anywhere. Put your own network in place of 203.0.113.0/24.",
        (
            rule("accept in tcp 22 from 203.0.113.0/24", "Office"),
            rule("accept out tcp 22", "On to the other VMs"),
        ),
    ),
    Starter(
        "mail",
        "Mail server",
        "SMTP from other servers, submission and IMAP for people, SMTP and names out.",
        (
            rule("accept in tcp 25", "SMTP"),
            rule("accept in tcp 465", "Submission over TLS"),
            rule("accept in tcp 587", "Submission"),
            rule("accept in tcp 993", "IMAP over TLS"),
            rule("accept out tcp 25", "SMTP to other servers"),
            rule("accept out udp 53", "Names"),
        ),
    ),
    Starter(
        "deny",
        "Deny all",
        "Drops everything, both ways. As the last group of a VM it says in writing what would happen anyway.",
        (rule("drop in all", "Everything in"), rule("drop out all", "Everything out")),
    ),
)
