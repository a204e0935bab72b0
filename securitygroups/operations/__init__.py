"""Every write: locks, checks, writes only what differs and records it, in one transaction.

Locks are taken in one order – project, groups by key, machines by key – so that two operations never wait for each
other.
"""

from securitygroups.effective import rules_at
from securitygroups.operations.accounts import NOWHERE, Client, note, note_refusal
from securitygroups.operations.by import By
from securitygroups.operations.cases import add_note, open_case
from securitygroups.operations.customers import create_customer
from securitygroups.operations.fleet import (
    ChangedSince,
    Lot,
    Regrouping,
    Standing,
    on_vms,
    regroup_machines,
    standing,
    undo_regrouping,
)
from securitygroups.operations.groups import (
    attached_mark,
    commit_lists,
    create_group,
    delete_group,
    delete_groups,
    groups_mark,
    restore_group,
    restore_groups,
    undo_update,
    update_group,
)
from securitygroups.operations.invitations import (
    INVITATION_DAYS,
    NotForYou,
    accept_invitation,
    digest_of,
    invite,
    running,
    withdraw_invitation,
)
from securitygroups.operations.leftovers import tidy
from securitygroups.operations.machines import (
    attach_groups,
    create_machine,
    delete_machine,
    restore_machine,
    save_machine,
    undo_groups,
    update_machine,
)
from securitygroups.operations.moves import move_machine, move_machines, move_obstacles, undo_move, was_moved
from securitygroups.operations.notices import invited as send_invitation
from securitygroups.operations.people import (
    TIME_ZONES,
    change_person,
    end_sessions,
    make_person,
    remove_factors,
    set_rights,
    set_time_zone,
)
from securitygroups.operations.projects import (
    add_member,
    change_role,
    create_project,
    owned_alone,
    remove_member,
    require_second_factor,
    update_project,
)
from securitygroups.operations.records import Conflict, record
from securitygroups.operations.reviews import (
    MONTHS,
    Passed,
    Signature,
    Wish,
    decide,
    decided_mark,
    drop_review,
    set_review_interval,
    sign_review,
)
from securitygroups.operations.rights import (
    may_readdress,
    may_touch,
    may_touch_group,
    permissions_of,
    rights_groups_of,
)
from securitygroups.operations.rightsgroups import delete_rights_group, write_rights_group
from securitygroups.operations.rules import RefusedRules, check_rules, commit_edit, commit_rules, undo
from securitygroups.operations.templates import delete_template, save_template, write_template
from securitygroups.operations.views import delete_view, write_view
from securitygroups.operations.visits import VISIT_MINUTES, open_visit, record_look, record_staff_looks

__all__ = [
    "INVITATION_DAYS",
    "MONTHS",
    "NOWHERE",
    "TIME_ZONES",
    "VISIT_MINUTES",
    "By",
    "ChangedSince",
    "Client",
    "Conflict",
    "Lot",
    "NotForYou",
    "Passed",
    "RefusedRules",
    "Regrouping",
    "Signature",
    "Standing",
    "Wish",
    "accept_invitation",
    "add_member",
    "add_note",
    "attach_groups",
    "attached_mark",
    "change_person",
    "change_role",
    "check_rules",
    "commit_edit",
    "commit_lists",
    "commit_rules",
    "create_customer",
    "create_group",
    "create_machine",
    "create_project",
    "decide",
    "decided_mark",
    "delete_group",
    "delete_groups",
    "delete_machine",
    "delete_rights_group",
    "delete_template",
    "delete_view",
    "digest_of",
    "drop_review",
    "end_sessions",
    "groups_mark",
    "invite",
    "make_person",
    "may_readdress",
    "may_touch",
    "may_touch_group",
    "move_machine",
    "move_machines",
    "move_obstacles",
    "note",
    "note_refusal",
    "on_vms",
    "open_case",
    "open_visit",
    "owned_alone",
    "permissions_of",
    "record",
    "record_look",
    "record_staff_looks",
    "regroup_machines",
    "remove_factors",
    "remove_member",
    "require_second_factor",
    "restore_group",
    "restore_groups",
    "restore_machine",
    "rights_groups_of",
    "rules_at",
    "running",
    "save_machine",
    "save_template",
    "send_invitation",
    "set_review_interval",
    "set_rights",
    "set_time_zone",
    "sign_review",
    "standing",
    "tidy",
    "undo",
    "undo_groups",
    "undo_move",
    "undo_regrouping",
    "undo_update",
    "update_group",
    "update_machine",
    "update_project",
    "was_moved",
    "withdraw_invitation",
    "write_rights_group",
    "write_template",
    "write_view",
]
