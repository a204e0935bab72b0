from django.db import migrations, models

from karenpanel.quiet import RunSQLQuietly, SetCheckQuietly

# What a VM had for its interface is known of its placement from here on. Rows of VMs are read and written meanwhile: a row
# that has its placement already is looked at, and nothing of it is held.
MOVED = """
INSERT INTO securitygroups_placement (machine_id, tap, mac, addresses, held, pinned, number, since)
SELECT id, tap, '', '{}', true, false, 1, now() FROM securitygroups_virtualmachine WHERE tap <> ''
ON CONFLICT (machine_id) DO UPDATE SET tap = excluded.tap
WHERE securitygroups_placement.host_id IS NULL AND securitygroups_placement.tap = ''
"""
TAKEN_BACK = "UPDATE securitygroups_placement SET tap = '' WHERE host_id IS NULL AND tap <> ''"
LOOKED_AT = ("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):

    dependencies = [
        ("securitygroups", "0027_traffic"),
    ]

    # VMs are read and written meanwhile.
    atomic = False

    operations = [
        SetCheckQuietly(
            model_name="placement",
            constraint=models.CheckConstraint(
                condition=models.Q(("host", None), models.Q(("tap", ""), _negated=True), _connector="OR"),
                name="placement_on_host",
            ),
        ),
        # The column stays for web processes of the version before, which write it until they are started again. It is of no
        # model any more, so who makes a VM says nothing of it.
        RunSQLQuietly(
            ["ALTER TABLE securitygroups_virtualmachine ALTER COLUMN tap SET DEFAULT ''"],
            ["ALTER TABLE securitygroups_virtualmachine ALTER COLUMN tap DROP DEFAULT"],
            state_operations=[migrations.RemoveField(model_name="virtualmachine", name="tap")],
        ),
        # Inside somebody else's transaction the table can be altered again behind it.
        RunSQLQuietly([MOVED, *LOOKED_AT], [TAKEN_BACK, *LOOKED_AT]),
    ]
