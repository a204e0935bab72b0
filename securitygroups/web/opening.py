"""What is opened in a group that is made for it: its name, what it is before it is made, and what is told of a refusal."""

from django.core.exceptions import ValidationError

from securitygroups import operations
from securitygroups.answers.preview import Planned
from securitygroups.firewall.values import RuleList
from securitygroups.forms import PortsForm, take_refusal
from securitygroups.models import Project
from securitygroups.operations import Made
from securitygroups.proposals import planned_group


def made_by(form: PortsForm, project: Project, name: str, rules: RuleList) -> Made:
    """The group that a valid form asks for, called after this name where it names none."""
    typed = form.cleaned_data["group_name"]
    return Made(typed or operations.free_name(project, name), rules, proposed=not typed)


def planned_by(made: Made, project: Project) -> Planned:
    """Raises ValidationError where its rules cannot be stored."""
    return planned_group(project, made.name, made.rules)


def take_group_refusal(form: PortsForm, refusal: ValidationError) -> bool:
    """Whether what was refused is the new group, which is told at its name then."""
    if "group_name" not in getattr(refusal, "error_dict", {}):
        return False
    take_refusal(form, refusal)
    return True
