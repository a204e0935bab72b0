"""allauth's views, answering as every other page of the panel does."""

from typing import Any

from allauth.account import views
from django.http import HttpRequest, HttpResponse

from karenpanel import errors

METHODS = ["get", "head", "post"]


class _InvalidIs422:
    """An invalid form is answered like every other of the panel; attempts beyond the limit get the page that says so."""

    request: HttpRequest
    http_method_names = METHODS

    def form_invalid(self, form: Any) -> HttpResponse:
        if form.has_error("__all__", "too_many_login_attempts"):
            return errors.page(self.request, 429)
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        response.status_code = 422
        return response


class SignInView(_InvalidIs422, views.LoginView):  # type: ignore[misc]
    pass


class SignOutView(views.LogoutView):  # type: ignore[misc]
    http_method_names = METHODS


class PasswordView(_InvalidIs422, views.PasswordChangeView):  # type: ignore[misc]
    pass


class AgainView(_InvalidIs422, views.ReauthenticateView):  # type: ignore[misc]
    pass
