"""The pages that stand between what was sent to the admin and its being written, what is said afterwards, and Undo."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, cast

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from karenpanel.sent_again import sent_fields
from securitygroups import operations
from securitygroups.admin.asking import OWN_FIELDS, Asked, Overtaken, by, group_name
from securitygroups.admin.looks import OnRecord
from securitygroups.firewall import lists
from securitygroups.firewall.values import whole_number
from securitygroups.models import Project
from securitygroups.said import MOST_REVISIONS, reason_in

MOST_UNDONE = 100
"""So many things are taken back at once."""
UNDONE = "Taken back."
"""The reason on record for an Undo."""
OFFERED = timedelta(days=1)
"""So long an Undo that was offered can be clicked."""


class Questions(OnRecord):
    """Turns what a write raises into a page or a message. What is shown on the way is a look, and on record."""

    undoes: ClassVar[frozenset[str]] = frozenset()
    """What `undo` can take back, as its address says it."""

    def told(self, request: HttpRequest, view: Callable[[], Any], *, form: bool = False) -> HttpResponse:
        """The view's answer, or the page or message for what it raises. From a `form` one comes back to it."""
        try:
            return view()  # type: ignore[no-any-return]
        except Asked as asked:
            return self._question(request, asked, form=form)
        except Overtaken as overtaken:
            return self._overtaken(request, overtaken)
        except (operations.Conflict, lists.NoSuchPlace) as gone:
            # No field of a form is to blame, and what it shows is out of date.
            messages.error(request, str(gone))
        except ValidationError as refusal:
            for message in refusal.messages:
                messages.error(request, message)
        return HttpResponseRedirect(request.get_full_path())

    def _question(self, request: HttpRequest, asked: Asked, *, form: bool) -> HttpResponse:
        plan = asked.plan
        own = {*dict(plan.hidden), *(plan.form.fields if plan.form else ())}
        context = {
            **self.page_context(request, plan.title),
            "plan": plan,
            "preview": plan.shown() if plan.shown else None,
            "hidden": [*sent_fields(request, OWN_FIELDS | own), *plan.hidden] or [("post", "yes")],
            "media": self.media + plan.form.media if plan.form else self.media,
            "reason": reason_in(request.POST)[:255],
            "problem": asked.problem,
            "back": "" if form else re.sub(r"(delete|move)/\Z", "change/", request.path),
        }
        self._look(request, plan.looks)
        operations.record_staff_looks(looks=plan.also, page=request.path, by=by(request))
        status = 422 if asked.problem else 409 if plan.obstacles or plan.overtaken else 200
        return TemplateResponse(request, "admin/question.html", context, status=status)

    def _overtaken(self, request: HttpRequest, overtaken: Overtaken) -> HttpResponse:
        group = overtaken.group
        context = {
            **self.page_context(request, f"{group} was changed in the meantime"),
            "overtaken": overtaken,
            "newest": group.revisions.filter(number=group.revision).without_lists().first(),
            "hidden": [*sent_fields(request, OWN_FIELDS | {"base"}), ("base", overtaken.base)],
        }
        self._look(request, [(group.project, group_name(group))])
        return TemplateResponse(request, "admin/overtaken.html", context, status=409)

    def page_context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        """What each page of a question has."""
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "action": request.get_full_path(),
            "is_popup": "_popup" in request.POST,
        }

    def _look(self, request: HttpRequest, looks: Sequence[tuple[Project, str]]) -> None:
        """Put on record what a question shows: these rows, or where they are still to be made, what they are about."""
        rows = getattr(request, "rows_shown", ())
        if rows:
            self.looked_at(request, rows)
        else:
            operations.record_staff_looks(looks=looks, page=request.path, by=by(request))

    def done(self, request: HttpRequest, words: str, *undo: object) -> None:
        """What is said instead of Django's words. `undo` is what can be taken back, and its numbers."""
        address = ""
        if undo and self.has_change_permission(request):
            what, keys = str(undo[0]), "-".join(map(str, undo[1:]))
            signed = self._offer(request, what).sign(keys)
            address = f"undo:{reverse(f'admin:{self.opts.app_label}_{self.opts.model_name}_undo', args=[what, signed])}"
        request.said_done = (words, address)  # type: ignore[attr-defined]

    def message_user(
        self, request: HttpRequest, message: Any, level: Any = messages.INFO, *rest: Any, **more: Any
    ) -> None:
        if level == messages.SUCCESS and hasattr(request, "said_done"):
            words, address = request.said_done
            messages.success(request, words, extra_tags=address)
            return
        super().message_user(request, message, level, *rest, **more)

    # ── Undo ──

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.undo_view))
        name = f"{self.opts.app_label}_{self.opts.model_name}_undo"
        ours = [path("undo/<slug:what>/<str:keys>/", view, name=name)] if self.undoes else []
        return [*ours, *super().get_urls()]

    def _offer(self, request: HttpRequest, what: str) -> signing.TimestampSigner:
        """What is taken back was asked about when it was made, by the same person: no other address is an Undo."""
        return signing.TimestampSigner(salt=f"{self.opts.label_lower}.undo.{what}.{request.user.pk}")

    def undo_view(self, request: HttpRequest, what: str, keys: str) -> HttpResponse:
        """Take back what a message offered to take back."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if what not in self.undoes:
            raise Http404
        try:
            offered = self._offer(request, what).unsign(keys, max_age=OFFERED)
            numbers = [whole_number(text, MOST_REVISIONS) for text in offered.split("-")[: 2 * MOST_UNDONE]]
            with transaction.atomic():
                words = self.undo(request, what, cast(list[int], numbers))
        except signing.SignatureExpired:
            messages.error(request, "Nothing was undone: this was offered more than a day ago. Change it on its page.")
        except signing.BadSignature:
            raise Http404 from None
        except operations.Conflict:
            messages.error(request, "Nothing was undone: it has been changed again in the meantime.")
        except ValidationError as refusal:
            messages.error(request, f"Nothing was undone: {refusal.messages[0]}")
        else:
            messages.success(request, words)
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))

    def undo(self, request: HttpRequest, what: str, numbers: Sequence[int]) -> str:
        """Take it back: what is said then. Raises Conflict, ValidationError, Http404."""
        raise Http404
