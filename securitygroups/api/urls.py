"""The addresses of the API, as the site names them."""

from securitygroups.api.schema import api

urlpatterns, _, app_name = api.urls
