from django.db import migrations, models

from karenpanel.quiet import AddIndexQuietly


class Migration(migrations.Migration):

    dependencies = [
        ('securitygroups', '0011_changed_together'),
    ]

    # A large table is read and written meanwhile.
    atomic = False

    operations = [
        AddIndexQuietly(
            model_name='machinerevision',
            index=models.Index(condition=models.Q(('together__isnull', False)), fields=['together', 'machine'], name='revision_together'),
        ),
    ]
