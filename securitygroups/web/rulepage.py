"""What a group's page shows."""

from collections import Counter
from typing import Any

from django.db.models import Count, Exists, OuterRef
from django.http import HttpRequest, QueryDict

from securitygroups.access import Access
from securitygroups.answers.filters import finder
from securitygroups.answers.findings import findings_of
from securitygroups.answers.hits import hits_of
from securitygroups.answers.reviewed import marks
from securitygroups.answers.seen import peers_of
from securitygroups.effective import rules_of_group
from securitygroups.enforcement import applied
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.firewall.values import RuleList, whole_number
from securitygroups.models import Asked, Given, GroupRevision, ReviewedRule, Rule, SecurityGroup
from securitygroups.web.pages import RULES_A_PAGE, numbered, page_of, typed

MOST_PAGES = 999_999

# And whether any of its rules was ever reviewed: of most groups none was, and nothing more is asked.
_MACHINES = Asked(
    lambda: (
        SecurityGroup.objects.filter(pk=Given("group"))
        .order_by()
        .values_list(Count("attachments"), Exists(ReviewedRule.objects.filter(group=OuterRef("pk"))))
    )
)
_NEWEST = Asked(lambda: GroupRevision.objects.filter(group=Given("group"), number=Given("number")).without_lists())


def filter_of(request: HttpRequest) -> str:
    """What the list of rules is filtered by, which every address of its buttons carries along."""
    return typed(request, "q")


def kept(request: HttpRequest, page: int | None = None) -> str:
    """The end of an address that leads back to the same filter, and page; "" for the start of the whole list."""
    end = QueryDict(mutable=True)
    if query := filter_of(request):
        end["q"] = query
    number = page or whole_number(request.GET.get("page", ""), MOST_PAGES) or 1
    if number > 1:
        end["page"] = str(number)
    return f"?{end.urlencode()}" if end else ""


def found_in(rules: RuleList, query: str) -> list[tuple[int, RuleValue]]:
    """The rules that the filter leaves, each with its place; all of them without one."""
    numbered_through = enumerate(rules, 1)
    if not query:
        return list(numbered_through)
    finds = finder(query)
    return [(place, rule) for place, rule in numbered_through if finds(rule, place)]


def page_url(request: HttpRequest, group: SecurityGroup, uid: str = "") -> str:
    """The group's page, filtered as it was; with `uid` where that rule stands on it."""
    shown = found_in(rules_of_group(group), filter_of(request)) if uid else []
    nth = next((nth for nth, (_, rule) in enumerate(shown) if rule.uid == uid), None)
    if nth is None:
        return group.get_absolute_url() + kept(request)
    return group.get_absolute_url() + kept(request, page_of(nth + 1)) + f"#rule-{uid}"


def group_context(request: HttpRequest, group: SecurityGroup) -> dict[str, Any]:
    """What the group's page shows: the rules that the filter leaves, each with its place and its findings."""
    rules = rules_of_group(group)
    query = filter_of(request)
    page = numbered(request, found_in(rules, query), RULES_A_PAGE)
    found = findings_of(group.project_id, rules)
    machine_count, was_reviewed = _MACHINES.one(group=group.pk)
    standing = applied.of_group(group)
    reviewed = marks(group, (rule.uid for _, rule in page.object_list)) if was_reviewed else {}
    return {
        "group": group,
        "page": page,
        "rules": [(place, rule, found.notes.get(place)) for place, rule in page.object_list],
        "keep": kept(request, page.number),
        "findings": found,
        "total": len(rules),
        "query": query,
        "quota": group.project.rule_quota,
        "machine_count": machine_count,
        "reviewed": reviewed,
        "reviews": Counter(reviewed.values()).most_common(),
        "standing": standing,
        # Where no host has ever had an agent nothing is asked.
        "hits": hits_of(group, standing.total) if standing.total else None,
        "newest": _NEWEST.one(group=group.pk, number=group.revision),
        "tab": "rules",
    }


def use_of(access: Access, group: SecurityGroup, uid: str) -> dict[str, Any]:
    """What use was made of a rule, as far as hosts counted it, and from where, for whom may read that."""
    if not applied.in_use():
        return {}
    hits = hits_of(group, group.attachments.count())
    if hits.coverage.since is None and uid not in hits.of:
        return {}
    peers = peers_of(group, uid) if access.sees_traffic and uid in hits.of else None
    return {"hits": hits, "peers": peers}


def makers(group: SecurityGroup, row: Rule) -> dict[str, GroupRevision | None]:
    """The revisions that the rule was added and last changed in."""
    made = group.revisions.filter(number__in=[row.added_in, row.changed_in]).without_lists()
    who = {revision.number: revision for revision in made}
    return {"added": who.get(row.added_in), "changed": who.get(row.changed_in)}
