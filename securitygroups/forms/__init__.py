"""Forms of the panel and the admin. They say what is wrong; operations write."""

from securitygroups.forms.fleet import PLACES, FleetForm
from securitygroups.forms.groups import GroupForm, TemplateForm
from securitygroups.forms.imports import ImportForm, PickForm
from securitygroups.forms.machines import MachineForm, OrderedGroupsForm, reordered
from securitygroups.forms.packets import PacketForm, ProjectPacketForm
from securitygroups.forms.parts import NumberField, PortField, as_typed, take_refusal
from securitygroups.forms.people import CaseForm, CloseForm, InviteForm, NoteForm, RoleForm, VisitForm
from securitygroups.forms.ports import NEW, FirstRulesForm, OpenForm, PortsForm
from securitygroups.forms.review import DecisionForm, Drawn, SignForm, digest, drawn_in, values_of
from securitygroups.forms.rules import AddRuleForm, BulkForm, MoveForm, RuleForm, preset_values, take_suggestion
from securitygroups.forms.tokens import SCOPES, TokenForm
from securitygroups.forms.views import ViewForm
from securitygroups.forms.webhooks import WebhookForm

__all__ = [
    "NEW",
    "PLACES",
    "SCOPES",
    "AddRuleForm",
    "BulkForm",
    "CaseForm",
    "CloseForm",
    "DecisionForm",
    "Drawn",
    "FirstRulesForm",
    "FleetForm",
    "GroupForm",
    "ImportForm",
    "InviteForm",
    "MachineForm",
    "MoveForm",
    "NoteForm",
    "NumberField",
    "OpenForm",
    "OrderedGroupsForm",
    "PacketForm",
    "PickForm",
    "PortField",
    "PortsForm",
    "ProjectPacketForm",
    "RoleForm",
    "RuleForm",
    "SignForm",
    "TemplateForm",
    "TokenForm",
    "ViewForm",
    "VisitForm",
    "WebhookForm",
    "as_typed",
    "digest",
    "drawn_in",
    "preset_values",
    "reordered",
    "take_refusal",
    "take_suggestion",
    "values_of",
]
