"""Invitations into projects, and the record of what happened to accounts."""

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from securitygroups.fields import LineField, RecordField, plain_address
from securitygroups.models.people import Project, Role
from securitygroups.models.records import append_only


class Invitation(models.Model):
    """An e-mail address is asked into a project. Whoever reads its mail decides: until then nobody is a member.

    The link in the mail holds a secret of which only the hash is kept: who reads this table cannot accept anything.
    """

    project = models.ForeignKey(Project, models.PROTECT, related_name="invitations")
    email = models.EmailField("E-mail address", validators=[plain_address])
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    # SHA-256 of the secret in the link, in hexadecimal.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    by_name = LineField(max_length=254)
    at = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            # Inviting the same address again replaces the invitation; two would be two secrets for one place.
            models.UniqueConstraint("project", Lower("email"), name="invited_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="invitation_role"),
        ]
        indexes = [
            models.Index(fields=["until"], name="invitation_until"),
            models.Index(OpClass(Lower("email"), "varchar_pattern_ops"), name="invitation_lower_email"),
            models.Index(fields=["role", "id"], name="invitation_by_role"),
        ]

    def __str__(self) -> str:
        return f"{self.email} into {self.project}"


class AccountEvent(models.Model):
    """One line of what happened to accounts: who came in, who was refused, who changed what. Append-only.

    `user` is the account that it is about; empty where nobody has the name that was typed, which is not kept: people
    type passwords there. `actor` is who did it, where that was somebody else. Hosts come in too, and are no accounts: what
    is about one has its ID and name in `detail`.
    """

    class Verb(models.TextChoices):
        SIGNED_IN = "signed.in", "Signed in"
        SIGN_IN_FAILED = "signed.failed", "Sign-in failed"
        SIGNED_OUT = "signed.out", "Signed out"
        SESSION_ENDED = "session.ended", "Session ended"
        LIMITED = "limited", "Too many attempts"
        ACCESS_REFUSED = "access.refused", "Access refused"
        ACCOUNT_MADE = "account.made", "Account made"
        ACCOUNT_CHANGED = "account.changed", "Account changed"
        RIGHTS_CHANGED = "rights.changed", "Rights changed"
        LINK_SENT = "link.sent", "Link to set a password sent"
        PASSWORD_CHANGED = "password.changed", "Password changed"
        PASSWORD_RESET = "password.reset", "Password set by a link"
        ADDRESS_CHANGED = "address.changed", "E-mail address changed"
        FACTOR_ADDED = "factor.added", "Second factor added"
        FACTOR_REMOVED = "factor.removed", "Second factor removed"
        CODES_MADE = "codes.made", "Recovery codes made"
        CONNECTED = "connected", "Single sign-on connected"
        DISCONNECTED = "disconnected", "Single sign-on taken off"
        TOKEN_MADE = "token.made", "API token made"
        TOKEN_REVOKED = "token.revoked", "API token revoked"
        SEARCHED = "support.searched", "Support searched"
        HOST_MADE = "host.made", "Host made"
        HOST_CHANGED = "host.changed", "Host changed"
        HOST_OFFERED = "host.offered", "Host may be enrolled"
        HOST_ENROLLED = "host.enrolled", "Host enrolled"
        HOST_REFUSED = "host.refused", "Host refused"
        HOST_REVOKED = "host.revoked", "Host revoked"

    at = models.DateTimeField(auto_now_add=True)
    verb = models.CharField(max_length=20, choices=Verb.choices)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="account_events", db_index=False
    )
    user_name = LineField(max_length=254, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    actor_name = LineField(max_length=254, blank=True)
    project = models.ForeignKey(Project, models.PROTECT, null=True, related_name="+")
    address = models.GenericIPAddressField(null=True)
    # The name that the browser or program gives itself.
    agent = LineField(max_length=200, blank=True)
    detail = RecordField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["user", "-id"], name="account_event_by_user"),
            models.Index(fields=["verb", "id"], name="account_event_by_verb"),
            models.Index(fields=["address"], name="account_event_by_address"),
            # Asked at each refusal, of which an attacker makes many.
            models.Index(fields=["user", "project", "at"], name="refused_lately", condition=Q(verb="access.refused")),
        ]
        triggers = append_only()

    def __str__(self) -> str:
        return f"{self.get_verb_display()}: {self.user_name or self.detail.get('host_name') or 'nobody'}"
