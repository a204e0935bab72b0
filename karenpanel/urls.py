"""Every address of the panel: the admin, signing in, and the app's own."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("securitygroups.accounts.urls")),
    path("", include("securitygroups.web.urls")),
]

handler400 = "karenpanel.errors.bad_request"
handler403 = "karenpanel.errors.forbidden"
handler404 = "karenpanel.errors.not_found"
handler500 = "karenpanel.errors.server_error"
