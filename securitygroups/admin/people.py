"""People and their accounts."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from securitygroups.admin.base import Panel
from securitygroups.admin.forms import PersonForm
from securitygroups.models import User


@admin.register(User)
class PersonAdmin(Panel, UserAdmin):  # type: ignore[type-arg]
    """People are switched off and never deleted: they are on record."""

    form = PersonForm

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
