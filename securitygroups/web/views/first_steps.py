"""The first steps in a project: each leads on to its page, and is remembered for the person."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from securitygroups import operations
from securitygroups.access import Access
from securitygroups.answers.first_use import ATTACH, BEGUN, DISMISSED, GROUP, SKIP, STEPS, TEST
from securitygroups.models import SecurityGroup, VirtualMachine
from securitygroups.starters import STARTERS
from securitygroups.web.doors import enter


@require_POST
def first_steps(request: HttpRequest, slug: str) -> HttpResponse:
    """`do` a step, with a `template` for the group; `skip` one; or `dismiss` all of them."""
    access = enter(request, slug, write=True)
    do, skip = request.POST.get("do", ""), request.POST.get("skip", "")
    if "dismiss" in request.POST:
        kept = [DISMISSED]
    elif skip in STEPS:
        kept = [BEGUN, SKIP + skip]
    else:
        kept = [BEGUN, *([TEST] if do == TEST else [])]
    operations.mark_steps(project=access.project, user=access.user, steps=kept)
    return HttpResponseRedirect(_to(access, do, request.POST.get("template", "")))


def _to(access: Access, do: str, template: str) -> str:
    slug = access.project.slug
    if do == GROUP:
        known = template in {starter.key for starter in STARTERS}
        return reverse("group_create", args=[slug]) + (f"?template={template}" if known else "")
    if do == TEST:
        return reverse("project_test", args=[slug])
    if do == ATTACH:
        group = SecurityGroup.objects.live().filter(project=access.project).order_by("-pk").first()
        if group and VirtualMachine.objects.live().filter(project=access.project).exists():
            return reverse("group_attach", args=[slug, group.public_id])
        return reverse("machine_create", args=[slug]) + (f"?group={group.public_id}" if group else "")
    return reverse("overview", args=[slug])
