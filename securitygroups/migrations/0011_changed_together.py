import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('securitygroups', '0010_tags_and_views'),
    ]

    operations = [
        migrations.AddField(
            model_name='machinerevision',
            name='together',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='regrouped', to='securitygroups.event'),
        ),
    ]
