"""The admin with the panel's own sign-in instead of a second one without rate limits, the rights of the web's role, and
the checks of what the site itself reads from its settings."""

from typing import Any

from django.contrib.admin.apps import AdminConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate

from karenpanel import checks, mailserver, roles, scrapers, single_sign_on


class PanelAdminConfig(AdminConfig):
    default_site = "karenpanel.admin.PanelAdminSite"

    def ready(self) -> None:
        super().ready()
        register(mailserver.check, Tags.security)
        register(single_sign_on.check, Tags.security)
        register(mailserver.check_server, Tags.security, deploy=True)
        register(scrapers.check, Tags.security, deploy=True)
        register(checks.check, Tags.database)
        # Sent for each app when all of them are migrated, and so for this one once.
        post_migrate.connect(after_migrate, sender=self)


def after_migrate(using: str, **kwargs: Any) -> None:
    roles.grant(using)
