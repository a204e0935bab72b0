"""The pages of single sign-on: on to the provider, back from it, and what an account is connected with."""

from typing import Any

import requests
import structlog
from allauth.account.utils import get_next_redirect_url
from allauth.core import ratelimit
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.views import ConnectionsView
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from karenpanel import errors
from securitygroups.accounts.sso import refused

logger = structlog.get_logger()

# What comes of an answer that is not as the standard has it: parts are missing, or are of another kind.
NOT_UNDERSTOOD = (AttributeError, IndexError, KeyError, TypeError, ValueError, ImproperlyConfigured, DataError)


def provider_of(request: HttpRequest) -> Any:
    try:
        return get_adapter(request).get_provider(request, "openid_connect")
    except SocialApp.DoesNotExist:
        raise Http404 from None


def down(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("The provider of single sign-on does not answer as it should", said=str(error)[:300])
    return refused(request, "down")


@login_not_required
@require_POST
def to_provider(request: HttpRequest) -> HttpResponse:
    """On to the provider, to sign in or to connect the account of who is signed in.

    By a page that goes on by itself, and not by a redirect: after a form was sent, browsers hold redirects to form-action
    of the content security policy, through all hosts that the provider may lead over.
    """
    provider = provider_of(request)
    if not ratelimit.consume(request, action="single_sign_on"):
        return errors.page(request, 429)
    connect = request.user.is_authenticated and request.POST.get("process") == "connect"
    process, after = "connect" if connect else "login", get_next_redirect_url(request)
    try:
        # Nothing of what the form's address says goes along.
        there = provider.redirect(request, process=process, next_url=after)
    except (requests.RequestException, OAuth2Error, *NOT_UNDERSTOOD) as error:
        return down(request, error)
    return render(request, "account/sso_go.html", {"address": there["Location"]})


@login_not_required
@require_GET
def from_provider(request: HttpRequest) -> HttpResponseBase:
    """Back from the provider, with a code that the panel changes for what it says of the person."""
    provider = provider_of(request)
    view = OAuth2CallbackView.adapter_view(provider.get_oauth2_adapter(request))
    try:
        with transaction.atomic():
            answer: HttpResponseBase = view(request)
            return answer
    except (requests.RequestException, OAuth2Error) as error:
        return down(request, error)
    except NOT_UNDERSTOOD:
        logger.exception("What the provider of single sign-on said was not understood")
        return refused(request, "disbelieved")


class Connections(ConnectionsView):  # type: ignore[misc]
    """What the account is connected with. Connecting and disconnecting ask for the password again."""

    http_method_names = ["get", "head", "post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.SOCIALACCOUNT_PROVIDERS:
            raise Http404
        with transaction.atomic():
            answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
            return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        accounts = context["form"].accounts
        return context | {"connected": any(account.provider == settings.OIDC_URL for account in accounts)}

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        response.status_code = 422
        return response
