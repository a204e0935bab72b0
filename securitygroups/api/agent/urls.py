"""The addresses for agents, as the site names them."""

from django.urls import path

from securitygroups.api.agent import views

app_name = "agent"
urlpatterns = [
    path("enrol", views.enrol, name="enrol"),
    path("state", views.state, name="state"),
    path("report", views.report, name="report"),
]
