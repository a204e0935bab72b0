from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("securitygroups", "0028_tap_of_placement"),
    ]

    operations = [
        # The database fills it in for web processes of the version before.
        migrations.AddField(
            model_name="host",
            name="counted",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=22),
        ),
    ]
