from django.db import migrations, models

from karenpanel.quiet import AddIndexQuietly, AddUniqueQuietly


class Migration(migrations.Migration):

    dependencies = [
        ("securitygroups", "0021_external_id"),
    ]

    # VMs are read and written meanwhile.
    atomic = False

    operations = [
        AddUniqueQuietly(
            model_name="virtualmachine",
            constraint=models.UniqueConstraint(
                condition=models.Q(("deleted_at", None), models.Q(("external_id", ""), _negated=True)),
                fields=("project", "external_id"),
                name="machine_external_id",
                violation_error_message="Another VM of the project has this external ID.",
            ),
        ),
        AddIndexQuietly(
            model_name="virtualmachine",
            index=models.Index(
                models.F("external_id"),
                condition=models.Q(("external_id", ""), _negated=True),
                name="machine_by_external_id",
            ),
        ),
    ]
