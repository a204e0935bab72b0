from django.db import migrations, models

from karenpanel.quiet import AddIndexQuietly


class Migration(migrations.Migration):

    dependencies = [
        ("securitygroups", "0024_webhooks"),
    ]

    # A large table is read and written meanwhile.
    atomic = False

    operations = [
        AddIndexQuietly(
            model_name='event',
            index=models.Index(condition=models.Q(('token__isnull', False)), fields=['project', 'token', '-at', '-id'], name='event_by_token'),
        ),
    ]
