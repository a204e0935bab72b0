"""The admin with the panel's own sign-in (see accounts.py) instead of a second one without rate limits, and the checks
of what the site itself reads from its settings."""

from django.contrib.admin.apps import AdminConfig
from django.core.checks import Tags, register

from karenpanel import mailserver


class PanelAdminConfig(AdminConfig):
    default_site = "karenpanel.admin.PanelAdminSite"

    def ready(self) -> None:
        super().ready()
        register(mailserver.check, Tags.security)
        register(mailserver.check_server, Tags.security, deploy=True)
