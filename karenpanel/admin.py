"""The admin site of the platform's operators."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.views.decorators.http import require_http_methods


class PanelAdminSite(admin.AdminSite):
    site_header = "karenpanel administration"
    site_title = "karenpanel"
    index_title = "Platform"
    site_url = "/"

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        # One sign-in page with one set of rate limits, and a 403 in words for people who are not staff.
        self.login: Any = secure_admin_login(self.login)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Django's, for the methods that its pages are made for: to it, whatever is not POST is a GET, TRACE too."""
        return require_http_methods(["GET", "HEAD", "POST"])(super().admin_view(view, cacheable))
