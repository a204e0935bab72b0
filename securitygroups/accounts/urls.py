"""The pages of accounts. Of allauth just what the panel uses: what is not routed cannot be attacked."""

from django.urls import path

from securitygroups.accounts.views import AgainView, PasswordView, SignInView, SignOutView

urlpatterns = [
    path("sign-in/", SignInView.as_view(), name="account_login"),
    path("sign-out/", SignOutView.as_view(), name="account_logout"),
    path("password/", PasswordView.as_view(), name="account_change_password"),
    path("sign-in/again/", AgainView.as_view(), name="account_reauthenticate"),
]
