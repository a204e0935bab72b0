"""Every address of the panel: the admin, signing in, and the app's own."""

from allauth.account.views import LogoutView
from django.contrib import admin
from django.urls import include, path

from karenpanel.accounts import METHODS, AgainView, PasswordView, SignInView

urlpatterns = [
    path("admin/", admin.site.urls),
    # Of allauth just what the panel uses: what is not routed cannot be attacked.
    path("sign-in/", SignInView.as_view(), name="account_login"),
    path("sign-out/", LogoutView.as_view(http_method_names=METHODS), name="account_logout"),
    path("password/", PasswordView.as_view(), name="account_change_password"),
    path("sign-in/again/", AgainView.as_view(), name="account_reauthenticate"),
    path("", include("securitygroups.web.urls")),
]

handler400 = "karenpanel.errors.bad_request"
handler403 = "karenpanel.errors.forbidden"
handler404 = "karenpanel.errors.not_found"
handler500 = "karenpanel.errors.server_error"
