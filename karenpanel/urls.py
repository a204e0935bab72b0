"""Every address of the panel: the admin, the mails of a demo, signing in, and the app's own."""

from django.contrib import admin
from django.urls import include, path

from karenpanel import demo_mails

urlpatterns = [
    path("admin/", admin.site.urls),
    path("mails/", demo_mails.mails_page, name="demo_mails"),
    path("mails/<slug:number>/", demo_mails.mail_page, name="demo_mail"),
    path("api/v1/", include("securitygroups.api.urls")),
    path("agent/v1/", include("securitygroups.api.agent.urls")),
    path("", include("securitygroups.accounts.urls")),
    path("", include("securitygroups.web.urls")),
]

handler400 = "karenpanel.errors.bad_request"
handler403 = "karenpanel.errors.forbidden"
handler404 = "karenpanel.errors.not_found"
# allauth's name for it, in the manner of Django's.
handler429 = "securitygroups.accounts.limits.too_many"
handler500 = "karenpanel.errors.server_error"
