"""allauth's forms in the panel's words. What they check and write is allauth's."""

from typing import Any, ClassVar

from allauth.account import forms as account
from allauth.mfa.base import forms as mfa
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms
from django.contrib.auth.password_validation import password_validators_help_texts


class _Worded:
    """`labels`, and no placeholders, which vanish when somebody types."""

    labels: ClassVar[dict[str, str]] = {}
    helps: ClassVar[dict[str, str]] = {}
    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = self.labels.get(name, field.label)
            field.help_text = self.helps.get(name, "")


def _rules_of_passwords() -> str:
    return " ".join(password_validators_help_texts())


NEW, ONCE_MORE = "New password", "New password, once more"
CODE = {"code": "Code of your authenticator app, or a recovery code"}


class SignInForm(_Worded, account.LoginForm):  # type: ignore[misc]
    labels: ClassVar = {"login": "User name or e-mail address", "password": "Password"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Browsers offer passkeys along with the names that they know.
        self.fields["login"].widget.attrs["autocomplete"] = "username webauthn"


class SignUpForm(_Worded, account.SignupForm):  # type: ignore[misc]
    """For whoever was invited: the address is the invitation's."""

    labels: ClassVar = {"username": "User name", "password1": "Password", "password2": "Password, once more"}
    helps: ClassVar = {"username": "Others in your projects see it."}

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email
        del self.fields["email"]
        self.fields["password1"].help_text = _rules_of_passwords()

    def clean(self) -> Any:
        # Not what was sent, if anything was: it is the address whose mail the person has shown to read.
        self.cleaned_data["email"] = self.email
        return super().clean()


class PasswordForm(_Worded, account.ChangePasswordForm):  # type: ignore[misc]
    labels: ClassVar = {"oldpassword": "Current password", "password1": NEW, "password2": ONCE_MORE}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = _rules_of_passwords()


class NewPasswordForm(_Worded, account.ResetPasswordKeyForm):  # type: ignore[misc]
    labels: ClassVar = {"password1": NEW, "password2": ONCE_MORE}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = _rules_of_passwords()


class ForgottenForm(_Worded, account.ResetPasswordForm):  # type: ignore[misc]
    labels: ClassVar = {"email": "E-mail address of your account"}


class AddressForm(_Worded, account.AddEmailForm):  # type: ignore[misc]
    labels: ClassVar = {"email": "New e-mail address"}


class AgainForm(_Worded, account.ReauthenticateForm):  # type: ignore[misc]
    labels: ClassVar = {"password": "Password"}


class CodeForm(_Worded, mfa.AuthenticateForm):  # type: ignore[misc]
    labels = CODE


class CodeAgainForm(_Worded, mfa.ReauthenticateForm):  # type: ignore[misc]
    labels = CODE


class AppForm(_Worded, ActivateTOTPForm):  # type: ignore[misc]
    labels: ClassVar = {"code": "Code that the app shows"}


class PasskeyForm(_Worded, AddWebAuthnForm):  # type: ignore[misc]
    """Always a passkey that can sign in by itself, which the device opens with a finger, a face or a PIN."""

    labels: ClassVar = {"name": "Name"}
    helps: ClassVar = {"name": "Such as the device that keeps it."}
    passwordless = forms.BooleanField(required=True, initial=True, widget=forms.HiddenInput)

    def clean_name(self) -> str:
        return str(super().clean_name())[:60]
