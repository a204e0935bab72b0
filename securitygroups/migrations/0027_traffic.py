import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('securitygroups', '0026_hosts'),
    ]

    operations = [
        migrations.AddField(
            model_name='project',
            name='viewers_see_traffic',
            field=models.BooleanField(db_default=False, default=False, editable=False, help_text='Viewers see which packets to and from the VMs were dropped and accepted, as owners and editors do.', verbose_name='viewers see dropped packets'),
        ),
        migrations.CreateModel(
            name='MadeOf',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64)),
                ('vector', models.JSONField()),
                ('machine', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='securitygroups.virtualmachine')),
            ],
            options={
                'verbose_name': 'what lists were made of',
                'verbose_name_plural': 'what lists were made of',
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Traffic',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.DateTimeField()),
                ('key', models.UUIDField(editable=False)),
                ('direction', models.CharField(choices=[('in', 'In'), ('out', 'Out')], max_length=3)),
                ('verdict', models.CharField(choices=[('drop', 'Dropped'), ('accept', 'Accepted')], max_length=6)),
                ('reason', models.CharField(max_length=20)),
                ('rule', models.CharField(blank=True, max_length=20)),
                ('version', models.PositiveSmallIntegerField(null=True, verbose_name='IP version')),
                ('protocol', models.PositiveSmallIntegerField(null=True)),
                ('peer', models.GenericIPAddressField(null=True)),
                ('own', models.GenericIPAddressField(null=True)),
                ('port', models.PositiveIntegerField(null=True)),
                ('kind', models.PositiveSmallIntegerField(null=True, verbose_name='type of ICMP')),
                ('source_port', models.PositiveIntegerField(null=True, verbose_name='last source port')),
                ('packets', models.BigIntegerField()),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('machine', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='traffic', to='securitygroups.virtualmachine')),
                ('made_of', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='securitygroups.madeof')),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='securitygroups.project')),
            ],
            options={
                'verbose_name': 'packets told of',
                'verbose_name_plural': 'packets told of',
                'ordering': ['-last_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='TrafficHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.DateTimeField()),
                ('rows', models.IntegerField()),
                ('beyond', models.BigIntegerField(default=0, verbose_name='more packets')),
                ('machine', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='securitygroups.virtualmachine')),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='securitygroups.project')),
            ],
            options={
                'verbose_name': 'hours of packets told of',
                'verbose_name_plural': 'hours of packets told of',
                'ordering': ['pk'],
            },
        ),
        migrations.AddConstraint(
            model_name='madeof',
            constraint=models.UniqueConstraint(fields=('machine', 'digest'), name='made_of_once'),
        ),
        migrations.AddIndex(
            model_name='traffic',
            index=models.Index(fields=['machine', '-last_at', '-id'], name='traffic_of_machine'),
        ),
        migrations.AddIndex(
            model_name='traffic',
            index=models.Index(fields=['project', '-last_at', '-id'], name='traffic_of_project'),
        ),
        migrations.AddIndex(
            model_name='traffic',
            index=models.Index(fields=['hour'], name='traffic_by_hour'),
        ),
        migrations.AddConstraint(
            model_name='traffic',
            constraint=models.UniqueConstraint(fields=('machine', 'hour', 'key'), name='traffic_once'),
        ),
        migrations.AddConstraint(
            model_name='traffic',
            constraint=models.CheckConstraint(condition=models.Q(('verdict__in', ['drop', 'accept'])), name='traffic_verdict'),
        ),
        migrations.AddConstraint(
            model_name='traffic',
            constraint=models.CheckConstraint(condition=models.Q(('direction__in', ['in', 'out'])), name='traffic_direction'),
        ),
        migrations.AddConstraint(
            model_name='traffic',
            constraint=models.CheckConstraint(condition=models.Q(('first_at__lte', models.F('last_at')), ('packets__gte', 1)), name='traffic_counts'),
        ),
        migrations.AddIndex(
            model_name='traffichour',
            index=models.Index(fields=['hour'], name='traffic_hour_by_hour'),
        ),
        migrations.AddIndex(
            model_name='traffichour',
            index=models.Index(condition=models.Q(('beyond__gt', 0)), fields=['project', 'hour'], name='traffic_hour_of_project'),
        ),
        migrations.AddConstraint(
            model_name='traffichour',
            constraint=models.UniqueConstraint(fields=('machine', 'project', 'hour'), name='traffic_hour_once'),
        ),
        migrations.AddConstraint(
            model_name='traffichour',
            constraint=models.CheckConstraint(condition=models.Q(('beyond__gte', 0), ('rows__gte', 0)), name='traffic_hour_from_0'),
        ),
    ]
