"""Each revision of a VM's groups knows the project that the VM was in."""

import django.db.models.deletion
from django.db import migrations, models

# Every revision was recorded by an event at once: the first one from then on stands in the VM's project of that time.
FILL = """
ALTER TABLE securitygroups_machinerevision DISABLE TRIGGER USER;
UPDATE securitygroups_machinerevision AS r
    SET project_id = COALESCE(
        (SELECT e.project_id FROM securitygroups_event e
            WHERE e.machine_id = r.machine_id AND e.at >= r.at ORDER BY e.at, e.id LIMIT 1),
        m.project_id)
    FROM securitygroups_virtualmachine m WHERE m.id = r.machine_id;
ALTER TABLE securitygroups_machinerevision ENABLE TRIGGER USER;
"""


def project(**more):
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="securitygroups.project", **more
    )


class Migration(migrations.Migration):
    dependencies = [("securitygroups", "0001_initial")]

    operations = [
        migrations.AddField("machinerevision", "project", project(null=True)),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField("machinerevision", "project", project()),
    ]
