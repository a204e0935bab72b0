import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("securitygroups", "0017_seen"),
    ]

    operations = [
        migrations.AddField(
            model_name="membership",
            name="first_steps",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=10),
                blank=True,
                db_default=[],
                default=list,
                editable=False,
                size=None,
            ),
        ),
    ]
