"""Every address of the app. A new one fails the role matrix test until it says there who may do what."""

from django.urls import URLPattern, URLResolver, include, path, re_path

from securitygroups.web.views import (
    bulk,
    desk,
    enforcement,
    exposure,
    files,
    groups,
    history,
    machines,
    packet_test,
    projects,
    replay,
    rules,
    templates,
)

Patterns = list[URLPattern | URLResolver]
_rules: Patterns = [
    path("new/", rules.rule_add, name="rule_add"),
    path("drop/", rules.rule_drop, name="rule_drop"),
    path("bulk/", bulk.rules_bulk, name="rules_bulk"),
    path("<slug:uid>/", rules.rule_edit, name="rule_edit"),
    path("<slug:uid>/move/", rules.rule_move, name="rule_move"),
    path("<slug:uid>/delete/", rules.rule_delete, name="rule_delete"),
    re_path(r"^(?P<uid>[0-9a-f]+)/fix/(?P<mend>remove|up)/\Z", rules.rule_fix, name="rule_fix"),
    re_path(r"^(?P<uid>[0-9a-f]+)/(?P<do>up|down|on|off)/\Z", rules.rule_change, name="rule_change"),
]
_group: Patterns = [
    path("", rules.group, name="group"),
    path("edit/", groups.group_edit, name="group_edit"),
    path("edit/undo/<int:event>/", groups.group_edit_undo, name="group_edit_undo"),
    path("duplicate/", groups.group_duplicate, name="group_duplicate"),
    path("delete/", groups.group_delete, name="group_delete"),
    path("machines/", groups.group_machines, name="group_machines"),
    path("template/", templates.template_save, name="template_save"),
    path("start/", templates.group_start, name="group_start"),
    path("test/", packet_test.group_test, name="group_test"),
    path("replay/", replay.group_replay, name="group_replay"),
    path("undo/<int:number>/", rules.group_undo, name="group_undo"),
    path("history/", history.group_history, name="group_history"),
    path("history/<int:number>/", history.group_revision, name="group_revision"),
    path("history/<int:number>/restore/", history.group_restore, name="group_restore"),
    path("import/", files.group_import, name="group_import"),
    re_path(r"^export\.(?P<kind>json|csv|txt)\Z", files.group_export, name="group_export"),
    path("bring-back/", groups.group_bring_back, name="group_bring_back"),
    path("rules/", include(_rules)),
]
_machine: Patterns = [
    path("", machines.machine, name="machine"),
    path("settings/", machines.machine_settings, name="machine_settings"),
    path("delete/", machines.machine_delete, name="machine_delete"),
    path("test/", packet_test.machine_test, name="machine_test"),
    path("order/", machines.machine_order, name="machine_order"),
    path("history/", history.machine_history, name="machine_history"),
    path("history/<int:number>/", history.machine_revision, name="machine_revision"),
    path("history/<int:number>/restore/", history.machine_restore, name="machine_restore"),
    path("undo/<int:number>/", machines.machine_undo, name="machine_undo"),
    path("bring-back/", machines.machine_bring_back, name="machine_bring_back"),
    path("ruleset/", enforcement.machine_ruleset, name="machine_ruleset"),
]
_project: Patterns = [
    path("", projects.overview, name="overview"),
    path("activity/", projects.activity, name="activity"),
    path("members/", projects.members, name="members"),
    path("members/<int:pk>/role/", projects.member_role, name="member_role"),
    path("members/<int:pk>/remove/", projects.member_remove, name="member_remove"),
    path("groups/", groups.groups, name="groups"),
    path("templates/", templates.templates, name="templates"),
    path("templates/<int:pk>/delete/", templates.template_delete, name="template_delete"),
    path("cases/", desk.cases, name="cases"),
    path("cases/<slug:case_id>/", desk.case, name="case"),
    path("cases/<slug:case_id>/note/", desk.case_note, name="case_note"),
    path("rules/", bulk.project_rules, name="project_rules"),
    path("groups/new/", groups.group_create, name="group_create"),
    path("groups/import/", files.group_import_new, name="group_import_new"),
    path("groups/<slug:group_id>/", include(_group)),
    path("exposure/", exposure.exposure, name="exposure"),
    path("machines/", machines.machines, name="machines"),
    path("machines/new/", machines.machine_create, name="machine_create"),
    path("machines/<slug:machine_id>/", include(_machine)),
]
urlpatterns = [
    path("", projects.home, name="home"),
    path("help/", projects.help_page, name="help"),
    path("help/enforcement/", enforcement.help_enforcement, name="help_enforcement"),
    path("support/", desk.support, name="support"),
    path("support/<slug:slug>/", desk.support_enter, name="support_enter"),
    path("support/<slug:slug>/case/", desk.case_open, name="case_open"),
    path("p/<slug:slug>/", include(_project)),
]
