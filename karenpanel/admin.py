"""The admin site of the platform's operators, without the doors of its own that the panel has already."""

from collections.abc import Callable, Sequence
from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

OURS = "securitygroups."


class Choices(AutocompleteJsonView):
    """What is chosen by typing, by more than its name where its list has more to say: many customers have a group “web”."""

    def get_queryset(self) -> Any:
        joined = self.model_admin.list_select_related
        rows = super().get_queryset()
        return rows.select_related(*joined) if isinstance(joined, tuple) else rows

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        choice = getattr(self.model_admin, "choice", str)
        return super().serialize_result(obj, to_field_name) | {"text": choice(obj)}


class PanelAdminSite(admin.AdminSite):
    site_header = "karenpanel administration"
    site_title = "karenpanel"
    index_title = "Administration"
    site_url = "/"
    empty_value_display = "–"
    # The frame has a list of its own, which needs no script.
    enable_nav_sidebar = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pages: list[tuple[str, Callable[..., HttpResponse], str]] = []
        """Pages of an app that belong to none of its models: route, view and name."""
        self.sections: Sequence[tuple[str, Sequence[str]]] = ()
        """In which order the lists are offered, by names of models, and under which headings."""

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
        pages = [path(route, self.admin_view(view), name=name) for route, view, name in self.pages]
        # Leads to the page of any object whatever, and so tells whoever may see nothing what there is.
        nothing = path("r/<path:content_type_id>/<path:object_id>/", self.admin_view(_nothing), name="view_on_site")
        return [*pages, *(nothing if getattr(url, "name", "") == "view_on_site" else url for url in urls)]

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        return Choices.as_view(admin_site=self)(request)  # type: ignore[return-value]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The lists by what they are about, and not by the packages that their tables came with."""
        apps = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        models = {each["object_name"]: each for app in apps for each in app["models"]}
        named = ((title, [models[name] for name in names if name in models]) for title, names in self.sections)
        return [
            {"name": title, "app_label": slugify(title), "app_url": reverse("admin:index"), "models": each}
            for title, each in named
            if each
        ]

    @method_decorator(never_cache)
    @login_not_required
    @method_decorator(secure_admin_login)
    def login(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """One sign-in page with one set of rate limits, and a 403 in words for people who are not staff. Django's own
        would take names and passwords from whoever is staff already, as many as they like."""
        return redirect("admin:index")

    def app_index(self, request: HttpRequest, app_label: str, extra_context: Any = None) -> Any:
        """The lists of one package: of no use beside the start page, which has all of them in their order."""
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
