"""Sign-in through allauth: accounts are made by the platform's staff, so sign-up is closed."""

from typing import Any

from allauth.account import views
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import ChangePasswordForm, LoginForm
from django.http import HttpRequest, HttpResponse

from karenpanel import errors

METHODS = ["get", "head", "post"]


class ClosedAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is switched off: ask your platform's support.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str | None) -> bool:
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False  # no address at all, such as "http://["

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        user = super().authenticate(request, **credentials)
        if user is not None and not user.is_active:
            # allauth would go to a page of its own, which is not routed here.
            raise self.validation_error("account_inactive")
        return user

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # Without the host name, of which the client chooses the port: each port would be a new set of attempts.
        return str(credentials.get("email", credentials.get("username", ""))).lower()


class SignInForm(LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "User name or e-mail address"
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
        self.fields["password"].help_text = ""


class PasswordForm(ChangePasswordForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in (
            ("oldpassword", "Current password"),
            ("password1", "New password"),
            ("password2", "New password, once more"),
        ):
            self.fields[name].label = label
            self.fields[name].widget.attrs.pop("placeholder", None)


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


class PasswordView(_InvalidIs422, views.PasswordChangeView):  # type: ignore[misc]
    pass


class AgainView(_InvalidIs422, views.ReauthenticateView):  # type: ignore[misc]
    pass
