"""Reviews of projects, to look up: members decide and sign, in the panel."""

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from securitygroups.admin.base import ReadOnly, into_panel
from securitygroups.firewall.formats.documents import rules_from_stored
from securitygroups.models import DecidedRule, Review, ReviewedGroup, ReviewedRule, SignedReview
from securitygroups.words.rules import rule_sentence


@admin.register(Review)
class ReviewAdmin(ReadOnly):
    """What is being reviewed just now."""

    project_path = "project"
    list_display = ("of_project", "started_at", "started_name")
    list_display_links = ("started_at",)
    list_select_related = ("project",)
    search_fields = ("=project__slug",)
    search_help_text = "The project's slug."
    readonly_fields = ("in_panel",)

    @admin.display(description="In the panel")
    def in_panel(self, review: Review) -> SafeString:
        """A link to the review there."""
        return into_panel([("Open", "review", [review.project.slug])])


@admin.register(SignedReview)
class SignedReviewAdmin(ReadOnly):
    """Who signed off which review, and how much of it was decided."""

    project_path = "project"
    list_tells = True
    list_display = ("of_project", "number", "at", "signature", "actor_name", "rules", "decided", "changed")
    list_display_links = ("number",)
    list_select_related = ("project",)
    search_fields = ("=project__slug", "=actor__username")
    search_help_text = "The project's slug, or who signed."
    readonly_fields = ("in_panel",)

    @admin.display(description="In the panel")
    def in_panel(self, review: SignedReview) -> SafeString:
        """A link to the record there."""
        return into_panel([("Open", "review_record", [review.project.slug, review.number])])


class _OfReview(ReadOnly):
    """A line of a review: the review and the group that it is about."""

    project_path = "review__project"
    list_tells = True
    list_select_related = ("review__project", "group")
    search_fields = ("=review__project__slug", "=group__public_id")
    search_help_text = "The project's slug, or the group's ID."


@admin.register(DecidedRule)
class DecidedRuleAdmin(_OfReview):
    """What was decided about rules, and is not signed yet."""

    list_display = ("of_project", "review", "of_group", "uid", "verdict", "remark", "by_name", "at")
    list_display_links = ("verdict",)

    def name_of(self, row: Any) -> str:
        return f"a decision on {row.group}"


@admin.register(ReviewedGroup)
class ReviewedGroupAdmin(_OfReview):
    """Which revision of a group was reviewed."""

    list_display = ("of_project", "review", "name", "found", "revision", "rules", "decided")
    list_display_links = ("name",)

    def name_of(self, row: Any) -> str:
        return f"{row.name} in review {row.review.number}"


@admin.register(ReviewedRule)
class ReviewedRuleAdmin(_OfReview):
    """What a signed review decided about a rule."""

    list_display = ("of_project", "review", "of_group", "place", "verdict", "remark", "by_name", "at")
    list_display_links = ("place",)
    exclude = ("uid",)
    in_words = {"rule": "rule_then"}

    @admin.display(description="Rule")
    def rule_then(self, row: ReviewedRule) -> str:
        return rule_sentence(rules_from_stored([row.rule])[0])

    def name_of(self, row: Any) -> str:
        return f"rule {row.place} of {row.group} in review {row.review.number}"
