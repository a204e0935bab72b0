"""Where rules are in force, as programs ask for it after a change."""

from securitygroups.models import InForce, Project, User
from tests.api.conftest import MakeProgram
from tests.factories import make_group, make_machine, place
from tests.hosts import enrolled


def test_a_vm_and_a_group_say_where_they_are_in_force(program: MakeProgram, alice: User, project: Project) -> None:
    of = program(alice)
    group = make_group(project, "web", ["accept in tcp 22"])
    machine = make_machine(project, "web-1", [group])
    make_machine(project, "web-2", [group])
    at, its = f"/projects/shop/machines/{machine.public_id}", f"/projects/shop/groups/{group.public_id}"
    assert of.get(at).json()["in_force"] is None
    assert of.get(its).json()["in_force"] is None

    host, agent = enrolled("kvm-3")
    place(machine, host, "tap0")
    waits = of.get(at).json()["in_force"]
    assert (waits["state"], waits["host"], waits["loaded_at"]) == ("applying", "kvm-3", None)
    agent.applies()

    told = of.get(at).json()["in_force"]
    loaded = InForce.objects.get().since
    assert told["says"] == f"In force on kvm-3 since {loaded:%Y-%m-%d %H:%M} UTC."
    assert told["state"] == "in force"
    assert agent.host not in str(told)
    found = of.get(its).json()["in_force"]
    assert (found["machines"], found["in_force"]) == (2, 1)
    assert [(one["name"], one["state"], one["host"]) for one in found["others"]] == [("web-2", "nowhere", None)]
    listed = of.get("/projects/shop/machines").json()["items"]
    assert [one["in_force"]["state"] for one in listed] == ["in force", "nowhere"]
