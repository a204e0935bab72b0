"""allauth's forms in the panel's words. What they check and write is allauth's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from allauth.account import forms as account
from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.base import forms as mfa
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn import forms as webauthn
from cryptography.exceptions import InvalidSignature
from django import forms

from securitygroups.accounts import limits
from securitygroups.fields import begins_focused, plain_address
from securitygroups.models import User
from securitygroups.operations import TIME_ZONES


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
        begins_focused(self)  # type: ignore[arg-type]


RULE_OF_NEW = "At least 12 characters. Take three or four words that have nothing to do with each other."
AREAS = (
    *("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"),
)
LONGEST_CREDENTIAL = 20_000
NEW, ONCE_MORE = "New password", "New password, once more"
CODE = {"code": "Code of your authenticator app, or a recovery code"}


class SignInForm(_Worded, account.LoginForm):  # type: ignore[misc]
    labels: ClassVar = {"login": "User name or e-mail address", "password": "Password"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Browsers offer passkeys along with the names that they know.
        self.fields["login"].widget.attrs["autocomplete"] = "username webauthn"


def _zones() -> list[tuple[str, Any]]:
    """UTC, and the zones named after a place, by area."""
    areas: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(TIME_ZONES):
        area, _, place = name.partition("/")
        if place and area in AREAS:
            areas.setdefault(area, []).append((name, name.replace("_", " ")))
    return [("UTC", "UTC"), *areas.items()]


class TimeZoneForm(forms.Form):
    """Where the person reads."""

    time_zone = forms.ChoiceField(
        label="Time zone",
        help_text="Times on pages are told in it, and say so. Files that are exported keep UTC.",
        choices=_zones,
        error_messages={"invalid_choice": "This is no time zone: choose one such as Europe/Berlin."},
    )


class SignUpForm(_Worded, account.SignupForm):  # type: ignore[misc]
    """For whoever was invited: the address is the invitation's."""

    labels: ClassVar = {"username": "User name", "password1": "Password", "password2": "Password, once more"}
    helps: ClassVar = {"username": "Others in your projects see it.", "password1": RULE_OF_NEW}

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email
        del self.fields["email"]
        begins_focused(self)

    def clean(self) -> Any:
        # Not what was sent, if anything was: it is the address whose mail the person has shown to read.
        self.cleaned_data["email"] = self.email
        return super().clean()


class _Another:
    """The one that the person has is none that they choose now, least of all where somebody else typed it."""

    user: User | None
    """None where a link is used up: what is sent to its address comes here all the same."""
    cleaned_data: dict[str, Any]

    def clean_password1(self) -> str:
        chosen: str = self.cleaned_data["password1"]
        if self.user and self.user.check_password(chosen):
            raise forms.ValidationError("This is the password that you have: choose another one.")
        return chosen


class PasswordForm(_Worded, _Another, account.ChangePasswordForm):  # type: ignore[misc]
    labels: ClassVar = {"oldpassword": "Current password", "password1": NEW, "password2": ONCE_MORE}
    helps: ClassVar = {"password1": RULE_OF_NEW}

    def clean_oldpassword(self) -> str:
        """Asked for in the same way, and counted together with, wherever it is asked for again."""
        password: str = self.cleaned_data["oldpassword"]
        if not get_adapter().reauthenticate(self.user, password):
            raise get_adapter().validation_error("enter_current_password")
        return password


class NewPasswordForm(_Worded, _Another, account.ResetPasswordKeyForm):  # type: ignore[misc]
    labels: ClassVar = {"password1": NEW, "password2": ONCE_MORE}
    helps: ClassVar = {"password1": RULE_OF_NEW}


class _PlainAddress:
    cleaned_data: dict[str, Any]

    def clean_email(self) -> str:
        plain_address(self.cleaned_data["email"])
        return str(super().clean_email())  # type: ignore[misc]


class ForgottenForm(_Worded, _PlainAddress, account.ResetPasswordForm):  # type: ignore[misc]
    labels: ClassVar = {"email": "E-mail address of your account"}


class AddressForm(_Worded, _PlainAddress, account.AddEmailForm):  # type: ignore[misc]
    labels: ClassVar = {"email": "New e-mail address"}


class AgainForm(_Worded, account.ReauthenticateForm):  # type: ignore[misc]
    labels: ClassVar = {"password": "Password"}


class _Counted:
    """A code has six digits: without a limit it would be guessed."""

    user: User

    def clean_code(self) -> str:
        attempt = limits.code(context.request, self.user)
        code: str = super().clean_code()  # type: ignore[misc]
        if limits.used(self.user, code):
            raise get_mfa_adapter().validation_error("incorrect_code")
        attempt.give_back()
        return code


class CodeForm(_Worded, _Counted, mfa.AuthenticateForm):  # type: ignore[misc]
    labels = CODE


class CodeAgainForm(_Worded, _Counted, mfa.ReauthenticateForm):  # type: ignore[misc]
    labels = CODE


class AppForm(_Worded, _Counted, ActivateTOTPForm):  # type: ignore[misc]
    labels: ClassVar = {"code": "Code that the app shows"}


class Credential(forms.JSONField):
    """What a browser says of a passkey. allauth reads it by its keys, and would break on what anybody else may send."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        try:
            sent = super().to_python(value) if len(value or "") < LONGEST_CREDENTIAL else None
        except ValueError:  # a number of thousands of digits
            sent = None
        if not isinstance(sent, dict) or not isinstance(sent.get("response"), dict):
            raise forms.ValidationError("This is no passkey: try again.")
        return sent

    def bound_data(self, data: Any, initial: Any) -> Any:
        """A form that comes back asks for the passkey again."""
        return None


class _Ceremony:
    """allauth says "incorrect code" to a wrong signature; what is missing or of another kind it does not expect."""

    def clean(self) -> Any:
        with _as_refusal():
            return super().clean()  # type: ignore[misc]

    def clean_credential(self) -> Any:
        with _as_refusal():
            read = getattr(super(), "clean_credential", None)
            return read() if read else self.cleaned_data["credential"]  # type: ignore[attr-defined]


@contextmanager
def _as_refusal() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, InvalidSignature):
        raise forms.ValidationError("This passkey was not accepted: try again.") from None


class PasskeySignInForm(_Ceremony, webauthn.LoginWebAuthnForm):  # type: ignore[misc]
    credential = Credential()


class PasskeyUseForm(_Ceremony, webauthn.AuthenticateWebAuthnForm):  # type: ignore[misc]
    credential = Credential()


class PasskeyAgainForm(_Ceremony, webauthn.ReauthenticateWebAuthnForm):  # type: ignore[misc]
    credential = Credential()


class PasskeyForm(_Worded, _Ceremony, webauthn.AddWebAuthnForm):  # type: ignore[misc]
    """Always a passkey that can sign in by itself, which the device opens with a finger, a face or a PIN."""

    labels: ClassVar = {"name": "Name"}
    helps: ClassVar = {"name": "Such as the device that keeps it."}
    credential = Credential()
    passwordless = forms.BooleanField(required=True, initial=True, widget=forms.HiddenInput)

    def clean_name(self) -> str:
        return str(super().clean_name())[:60]
