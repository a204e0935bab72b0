"""The admin site of the platform's operators, without the doors of its own that the panel has already."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

OURS = "securitygroups."


class PanelAdminSite(admin.AdminSite):
    site_header = "karenpanel administration"
    site_title = "karenpanel"
    index_title = "Platform"
    site_url = "/"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Only what the app itself shows. Libraries register their models by themselves, and would let staff read the
        seeds of authenticator apps and write a verified address onto any account."""
        if admin_class is not None and admin_class.__module__.startswith(OURS):
            super().register(model_or_iterable, admin_class, **options)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Django's, for the methods that its pages are made for: to it, whatever is not POST is a GET, TRACE too."""
        return require_http_methods(["GET", "HEAD", "POST"])(super().admin_view(view, cacheable))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        urls: list[URLPattern | URLResolver] = super().get_urls()
        # Leads to the page of any object whatever, and so tells whoever may see nothing what there is.
        nothing = path("r/<path:content_type_id>/<path:object_id>/", self.admin_view(_nothing), name="view_on_site")
        return [nothing if getattr(url, "name", "") == "view_on_site" else url for url in urls]

    @method_decorator(never_cache)
    @login_not_required
    @method_decorator(secure_admin_login)
    def login(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """One sign-in page with one set of rate limits, and a 403 in words for people who are not staff. Django's own
        would take names and passwords from whoever is staff already, as many as they like."""
        return redirect("admin:index")

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The panel's, with what was sent to here: who clicked on "Log out" is not asked again."""
        return HttpResponseRedirect(reverse("account_logout"), preserve_request=True)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The panel's, with its rules and its limits."""
        return redirect("account_change_password")

    password_change_done = password_change


def _nothing(request: HttpRequest, **what: str) -> HttpResponse:
    raise Http404
