"""The pages of accounts. Of allauth just what the panel uses: what is not routed cannot be attacked."""

from collections.abc import Callable
from typing import Any

from django.urls import path, re_path
from django.views.decorators.http import require_http_methods, require_safe

from securitygroups.accounts import pages, sso_views, views


def _form(view: Any) -> Callable[..., Any]:
    """Before all that allauth's views do first: some lead on whatever the method is."""
    only: Callable[..., Any] = require_http_methods(["GET", "HEAD", "POST"])(view.as_view())
    return only


def _read(view: Any) -> Callable[..., Any]:
    only: Callable[..., Any] = require_safe(view.as_view())
    return only


urlpatterns = [
    path("sign-in/", _form(views.SignInView), name="account_login"),
    path("sign-in/second/", _form(views.SecondFactorView), name="mfa_authenticate"),
    path("sign-in/passkey/", _form(views.PasskeySignInView), name="mfa_login_webauthn"),
    path("sign-in/again/", _form(views.AgainView), name="account_reauthenticate"),
    path("sign-in/again/code/", _form(views.AgainByCodeView), name="mfa_reauthenticate"),
    path("sign-in/again/passkey/", _form(views.AgainByPasskeyView), name="mfa_reauthenticate_webauthn"),
    # Single sign-on, by the names that allauth asks for; 404 unless there is a provider.
    path("sign-in/provider/", sso_views.to_provider, name="openid_connect_login"),
    path("sign-in/provider/back/", sso_views.from_provider, name="openid_connect_callback"),
    path("signed-in/", pages.signed_in, name="signed_in"),
    path("typed/", pages.typed, name="typed"),
    path("sign-out/", _form(views.SignOutView), name="account_logout"),
    path("sign-up/", _form(pages.SignUpView), name="account_signup"),
    path("invitation/<slug:secret>/", pages.invitation, name="invitation"),
    path("password/", _form(views.PasswordView), name="account_change_password"),
    path("password/forgotten/", _form(views.ForgottenView), name="account_reset_password"),
    path("password/forgotten/sent/", _read(views.ForgottenSentView), name="account_reset_password_done"),
    re_path(
        r"^password/new/(?P<uidb36>[0-9A-Za-z]{1,13})-(?P<key>[-0-9A-Za-z]{1,100})/\Z",
        _form(views.NewPasswordView),
        name="account_reset_password_from_key",
    ),
    path("account/", pages.account, name="account"),
    path("account/time-zone/", pages.time_zone, name="account_time_zone"),
    path("account/address/", _form(views.AddressView), name="account_email"),
    re_path(
        r"^account/address/(?P<key>[-:\w]{1,200})/\Z", _form(views.ConfirmAddressView), name="account_confirm_email"
    ),
    path("account/single-sign-on/", sso_views.Connections.as_view(), name="socialaccount_connections"),
    path("account/sessions/", pages.sessions, name="usersessions_list"),
    path("account/sessions/<int:pk>/end/", pages.session_end, name="session_end"),
    path("account/factors/", _read(views.FactorsView), name="mfa_index"),
    path("account/factors/app/", _form(views.AppView), name="mfa_activate_totp"),
    path("account/factors/app/remove/", _form(views.RemoveAppView), name="mfa_deactivate_totp"),
    path("account/factors/codes/", _read(views.CodesView), name="mfa_view_recovery_codes"),
    path("account/factors/codes/new/", _form(views.NewCodesView), name="mfa_generate_recovery_codes"),
    path("account/factors/passkeys/new/", _form(views.AddPasskeyView), name="mfa_add_webauthn"),
    path("account/factors/passkeys/<int:pk>/remove/", _form(views.RemovePasskeyView), name="mfa_remove_webauthn"),
]
