"""allauth's views, answering as every other page of the panel does."""

from typing import Any

from allauth.account import views
from allauth.account.models import EmailAddress
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.mfa.webauthn.internal import auth
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy

from securitygroups.accounts import browsers, limits
from securitygroups.models import User


class _Words:
    """An invalid form is answered like every other of the panel; attempts beyond the limit get the page that says so."""

    request: HttpRequest

    def form_invalid(self, form: Any) -> HttpResponse:
        if any(form.has_error(name, "too_many_login_attempts") for name in (*form.fields, "__all__")):
            return limits.too_many(self.request)
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        if response.status_code == 200:
            response.status_code = 422
        return response


class _Change:
    """A change of how an account is got into: counted, and made together with its line on record or not at all."""

    request: HttpRequest

    def form_valid(self, form: Any) -> HttpResponse:
        if isinstance(self.request.user, User):
            limits.changes(self.request, self.request.user)
        with transaction.atomic():
            return super().form_valid(form)  # type: ignore[misc,no-any-return]


# ── Signing in ────────────────────────────────────────────────────────────────


class SignInView(_Words, views.LoginView):  # type: ignore[misc]
    pass


class SecondFactorView(_Words, mfa.AuthenticateView):  # type: ignore[misc]
    pass


class PasskeySignInView(_Words, webauthn.LoginWebAuthnView):  # type: ignore[misc]
    pass


class SignOutView(views.LogoutView):  # type: ignore[misc]
    pass


# ── Showing once more who one is ──────────────────────────────────────────────


class AgainView(_Words, views.ReauthenticateView):  # type: ignore[misc]
    pass


class AgainByCodeView(_Words, mfa.ReauthenticateView):  # type: ignore[misc]
    pass


class AgainByPasskeyView(_Words, webauthn.ReauthenticateWebAuthnView):  # type: ignore[misc]
    pass


# ── Password and address ──────────────────────────────────────────────────────


class PasswordView(_Change, _Words, views.PasswordChangeView):  # type: ignore[misc]
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if isinstance(request.user, User) and not request.user.has_usable_password():
            messages.info(request, "You have no password yet: have a link sent to you, and choose one.")
            return redirect("account_reset_password")
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        browsers.remember(response, form.user)
        return response


class ForgottenView(_Words, views.PasswordResetView):  # type: ignore[misc]
    pass


class ForgottenSentView(views.PasswordResetDoneView):  # type: ignore[misc]
    pass


class NewPasswordView(_Change, _Words, views.PasswordResetFromKeyView):  # type: ignore[misc]
    """By the link of a mail. Whoever follows it has shown to read the mails of that address."""

    success_url = reverse_lazy("account_login")

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        verified(self.reset_user)
        browsers.remember(response, self.reset_user)
        return response

    def render_to_response(self, context: Any, **kwargs: Any) -> HttpResponse:
        # A link that is used up or too old is an answer too, and not one of success.
        status = 410 if context.get("token_fail") else kwargs.pop("status", 200)
        response: HttpResponse = super().render_to_response(context, status=status, **kwargs)
        return response


class AddressView(_Change, _Words, views.EmailView):  # type: ignore[misc]
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        # To allauth an address without a row of its own is one that waits, and gives way to the next: this one holds.
        verified(request.user)
        return super().dispatch(request, *args, **kwargs)


class ConfirmAddressView(views.ConfirmEmailView):  # type: ignore[misc]
    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                return super().post(*args, **kwargs)  # type: ignore[no-any-return]
        except IntegrityError:
            # Told only to who reads the mails of that address.
            messages.error(self.request, "This address belongs to another account already: sign in to that one.")
            return redirect("account_login")


@transaction.atomic
def verified(user: Any) -> None:
    """The account's address is the person's: they have shown to read its mails, or staff who made the account said so.

    No two accounts have the same (the constraint user_email), so what other accounts have rows of is out of date.
    """
    locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    email = locked.email.lower()
    if not email:
        return
    rows = EmailAddress.objects.filter(email=email)
    rows.exclude(user=locked).delete()
    if not rows.filter(verified=True, primary=True).exists():
        EmailAddress.objects.filter(user=locked, primary=True).delete()
        rows.delete()
        EmailAddress.objects.create(user=locked, email=email, verified=True, primary=True)


# ── Second factors ────────────────────────────────────────────────────────────


class FactorsView(mfa.IndexView):  # type: ignore[misc]
    pass


class AppView(_Change, _Words, totp.ActivateTOTPView):  # type: ignore[misc]
    pass


class RemoveAppView(_Change, _Words, totp.DeactivateTOTPView):  # type: ignore[misc]
    pass


class CodesView(codes.ViewRecoveryCodesView):  # type: ignore[misc]
    pass


class NewCodesView(_Change, _Words, codes.GenerateRecoveryCodesView):  # type: ignore[misc]
    pass


class AddPasskeyView(_Change, _Words, webauthn.AddWebAuthnView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        # Always one that signs in by itself: the device asks for a finger, a face or a PIN.
        context["js_data"] = {"creation_options": auth.begin_registration(self.request.user, True)}
        return context


class RemovePasskeyView(_Change, webauthn.RemoveWebAuthnView):  # type: ignore[misc]
    success_url = reverse_lazy("mfa_index")
