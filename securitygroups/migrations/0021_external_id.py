import securitygroups.fields
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ("securitygroups", "0020_api_tokens"),
    ]

    operations = [
        migrations.AddField(
            model_name="virtualmachine",
            name="external_id",
            field=securitygroups.fields.LineField(
                blank=True,
                db_default="",
                default="",
                help_text="The platform's own ID of the VM. Its programs fill it in; without one they leave the VM alone.",
                max_length=200,
                verbose_name="External ID",
            ),
        ),
    ]
