"""What was done in a project, by whom and when."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from securitygroups.models import Event
from securitygroups.web.doors import enter
from securitygroups.web.pages import answer, numbered, typed


@require_safe
def activity(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    events = Event.objects.filter(project=access.project).select_related("group", "machine")
    verb, who = request.GET.get("what", ""), typed(request, "who")
    if verb in Event.Verb.values:
        events = events.filter(verb=verb)
    if who:
        events = events.filter(actor_name__icontains=who)
    context = {"page": numbered(request, events), "verbs": Event.Verb.choices, "verb": verb, "who": who}
    return answer(request, "securitygroups/projects/activity.html", "securitygroups/projects/_activity.html", context)
