"""What is stored: projects and their people, groups with ordered rules, VMs, and the append-only records."""

from securitygroups.fields import one_line
from securitygroups.models.accounts import AccountEvent, Invitation
from securitygroups.models.asked import Asked, Given
from securitygroups.models.groups import (
    ACTIONS,
    DIRECTIONS,
    PROTOCOL_CHOICES,
    Family,
    GroupTemplate,
    Rule,
    RuleQuerySet,
    SecurityGroup,
    values,
)
from securitygroups.models.hosts import (
    DRIFTS,
    TARGETS,
    Host,
    HostNonce,
    InForce,
    Placement,
    RuleHits,
    guest_of,
    guests_of,
    placement_of,
)
from securitygroups.models.machines import TAP_NAME, Attachment, VirtualMachine
from securitygroups.models.names import (
    LiveQuerySet,
    SameName,
    new_case_id,
    new_group_id,
    new_host_id,
    new_machine_id,
    new_rule_id,
)
from securitygroups.models.people import Membership, Project, ProjectQuerySet, Role, User
from securitygroups.models.records import AdminLine, Event, GroupRevision, MachineRevision, Revision
from securitygroups.models.reviews import DecidedRule, Review, ReviewedGroup, ReviewedRule, SignedReview, Verdict
from securitygroups.models.stream import StreamCursor
from securitygroups.models.support import (
    CaseNote,
    CasePacket,
    CaseStanding,
    CaseStep,
    SupportCase,
    SupportVisit,
    VisitEnd,
)
from securitygroups.models.tags import LONGEST_TAG, MOST_TAGS, to_tags
from securitygroups.models.tokens import MOST_NETWORKS, MOST_PROJECTS, ApiToken, Scope, TokenQuerySet
from securitygroups.models.traffic import VERDICTS, MadeOf, Traffic, TrafficHour
from securitygroups.models.views import LONGEST_QUERY, MOST_VIEWS, SavedView
from securitygroups.models.webhooks import Delivery, Webhook

__all__ = [
    "ACTIONS",
    "DIRECTIONS",
    "DRIFTS",
    "LONGEST_QUERY",
    "LONGEST_TAG",
    "MOST_NETWORKS",
    "MOST_PROJECTS",
    "MOST_TAGS",
    "MOST_VIEWS",
    "PROTOCOL_CHOICES",
    "TAP_NAME",
    "TARGETS",
    "VERDICTS",
    "AccountEvent",
    "AdminLine",
    "ApiToken",
    "Asked",
    "Attachment",
    "CaseNote",
    "CasePacket",
    "CaseStanding",
    "CaseStep",
    "DecidedRule",
    "Delivery",
    "Event",
    "Family",
    "Given",
    "GroupRevision",
    "GroupTemplate",
    "Host",
    "HostNonce",
    "InForce",
    "Invitation",
    "LiveQuerySet",
    "MachineRevision",
    "MadeOf",
    "Membership",
    "Placement",
    "Project",
    "ProjectQuerySet",
    "Review",
    "ReviewedGroup",
    "ReviewedRule",
    "Revision",
    "Role",
    "Rule",
    "RuleHits",
    "RuleQuerySet",
    "SameName",
    "SavedView",
    "Scope",
    "SecurityGroup",
    "SignedReview",
    "StreamCursor",
    "SupportCase",
    "SupportVisit",
    "TokenQuerySet",
    "Traffic",
    "TrafficHour",
    "User",
    "Verdict",
    "VirtualMachine",
    "VisitEnd",
    "Webhook",
    "guest_of",
    "guests_of",
    "new_case_id",
    "new_group_id",
    "new_host_id",
    "new_machine_id",
    "new_rule_id",
    "one_line",
    "placement_of",
    "to_tags",
    "values",
]
