"""The admin with the panel's own sign-in (see accounts.py) instead of a second one without rate limits."""

from django.contrib.admin.apps import AdminConfig


class PanelAdminConfig(AdminConfig):
    default_site = "karenpanel.admin.PanelAdminSite"
