"""A VM's effective list."""

from securitygroups.effective import of_machine, rules_of
from securitygroups.models import Project
from tests.factories import make_group, make_machine


def test_a_machines_effective_list_is_its_groups_lists_in_the_order_of_attachment(project: Project) -> None:
    first = make_group(project, "z first", ["drop in tcp 1", "drop in tcp 2"])
    second = make_group(project, "a second", ["drop in tcp 3"])
    other = make_group(project, "other", ["drop in tcp 4"])
    vm = make_machine(project, "vm", [first, second])
    make_machine(project, "other vm", [other, first])
    bare = make_machine(project, "bare")

    assert [one.rule.port_start for one in of_machine(vm)] == [1, 2, 3]
    assert [r.port_start for r in rules_of(of_machine(vm))] == [1, 2, 3]
    assert of_machine(bare) == []
