"""The start page of the administration: what there is, in the order in which operators need it."""

from typing import cast

from django.contrib import admin

from karenpanel.admin import PanelAdminSite

SECTIONS = (
    ("Customers", ("Project", "User", "Membership", "Invitation", "ApiToken")),
    (
        "Firewall",
        (
            "SecurityGroup",
            "Rule",
            "VirtualMachine",
            "Attachment",
            "GroupTemplate",
            "SavedView",
            "Webhook",
            "Delivery",
            "Review",
            "DecidedRule",
        ),
    ),
    ("Hosts", ("Host", "Placement", "InForce", "RuleHits", "Traffic", "TrafficHour", "MadeOf", "HostNonce")),
    ("Support", ("SupportCase", "CaseStanding", "CasePacket", "CaseNote", "CaseStep", "SupportVisit", "VisitEnd")),
    (
        "Records",
        (
            "Event",
            "GroupRevision",
            "MachineRevision",
            "SignedReview",
            "ReviewedGroup",
            "ReviewedRule",
            "AccountEvent",
            "StreamCursor",
        ),
    ),
    ("Staff", ("Group",)),
)

site = cast(PanelAdminSite, admin.site)
site.sections = SECTIONS
