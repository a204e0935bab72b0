from django.db import migrations, models

from karenpanel.quiet import AddIndexQuietly


class Migration(migrations.Migration):

    dependencies = [
        ("securitygroups", "0018_first_steps"),
    ]

    # Cases are opened and answered meanwhile.
    atomic = False

    operations = [
        AddIndexQuietly(
            model_name="casestanding",
            index=models.Index(fields=["asked_at", "case"], name="standing_by_asked"),
        ),
    ]
