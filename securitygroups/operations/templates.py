"""Templates of groups: a project's own, and the platform's, which belong to no project."""

from django.conf import settings
from django.db import IntegrityError, transaction

from securitygroups.effective import rules_of_group
from securitygroups.firewall.formats.documents import rule_to_json
from securitygroups.models import GroupTemplate, SecurityGroup
from securitygroups.operations.by import By
from securitygroups.operations.records import Verb, lock_project, one_more, record, save_checked


def save_template(*, group: SecurityGroup, name: str, description: str, by: By) -> GroupTemplate:
    """Keep the group's rules as a template of its project. Raises ValidationError."""
    # Kept as a document: a template outlives the group, and the columns of its day.
    rules = [rule_to_json(rule) for rule in rules_of_group(group)]
    template = GroupTemplate(project=group.project, name=name, description=description, rules=rules)
    write_template(template=template, by=by, group=group)
    return template


@transaction.atomic
def write_template(*, template: GroupTemplate, by: By, group: SecurityGroup | None = None) -> None:
    """Store a new or changed template, made from `group`, on record where it is a project's. Raises ValidationError."""
    if template.project:
        locked = lock_project(template.project)
        there = GroupTemplate.objects.filter(project=locked)
        if not there.filter(pk=template.pk).exists():
            most = settings.MAX_TEMPLATES_PER_PROJECT
            one_more(there.count(), most, "template", "delete one that is not used first")
    start = "Changed" if template.pk else f"Saved {group.name} as" if group else "Saved"
    try:
        with transaction.atomic():
            save_checked(template)
    except IntegrityError:
        save_checked(template)  # the platform's have no project to lock: who was slower is told so
    if template.project:
        words = f"{start} the template {template.name}."
        record(template.project, Verb.TEMPLATE_SAVED, words, by=by, group=group)


@transaction.atomic
def delete_template(*, template: GroupTemplate, by: By) -> None:
    """Groups made from it stay as they are."""
    if template.project:
        words = f"Deleted the template {template.name}."
        record(template.project, Verb.TEMPLATE_DELETED, words, by=by)
    template.delete()
