"""The addresses of the API, as the site names them."""

from django.urls import path

from securitygroups.api.reference import reference
from securitygroups.api.schema import api

_operations, _, app_name = api.urls
urlpatterns = [path("", reference, name="reference"), *_operations]
