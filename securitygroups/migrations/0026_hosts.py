import django.contrib.postgres.fields
import django.core.validators
import django.db.models.constraints
import django.db.models.deletion
import django.utils.timezone
import securitygroups.fields
import securitygroups.models.names
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('securitygroups', '0025_event_by_token'),
    ]

    operations = [
        migrations.AlterField(
            model_name='accountevent',
            name='verb',
            field=models.CharField(choices=[('signed.in', 'Signed in'), ('signed.failed', 'Sign-in failed'), ('signed.out', 'Signed out'), ('session.ended', 'Session ended'), ('limited', 'Too many attempts'), ('access.refused', 'Access refused'), ('account.made', 'Account made'), ('account.changed', 'Account changed'), ('rights.changed', 'Rights changed'), ('link.sent', 'Link to set a password sent'), ('password.changed', 'Password changed'), ('password.reset', 'Password set by a link'), ('address.changed', 'E-mail address changed'), ('factor.added', 'Second factor added'), ('factor.removed', 'Second factor removed'), ('codes.made', 'Recovery codes made'), ('connected', 'Single sign-on connected'), ('disconnected', 'Single sign-on taken off'), ('token.made', 'API token made'), ('token.revoked', 'API token revoked'), ('support.searched', 'Support searched'), ('host.made', 'Host made'), ('host.changed', 'Host changed'), ('host.offered', 'Host may be enrolled'), ('host.enrolled', 'Host enrolled'), ('host.refused', 'Host refused'), ('host.revoked', 'Host revoked')], max_length=20),
        ),
        migrations.AlterField(
            model_name='event',
            name='verb',
            field=models.CharField(choices=[('project.created', 'Project created'), ('project.changed', 'Project changed'), ('group.created', 'Group created'), ('group.changed', 'Group details changed'), ('group.deleted', 'Group deleted'), ('group.restored', 'Group brought back'), ('rules.changed', 'Rules changed'), ('machine.created', 'VM created'), ('machine.changed', 'VM details changed'), ('machine.deleted', 'VM deleted'), ('machine.restored', 'VM brought back'), ('machine.groups', 'Attached groups changed'), ('machine.placed', "VM's host changed"), ('member.invited', 'Member invited'), ('invitation.ended', 'Invitation ended'), ('member.added', 'Member added'), ('member.changed', "Member's role changed"), ('member.removed', 'Member removed'), ('support.look', 'Support looked'), ('case.opened', 'Support case'), ('case.changed', 'Support case changed'), ('template.saved', 'Template saved'), ('template.deleted', 'Template deleted'), ('review.started', 'Review started'), ('review.signed', 'Review signed off'), ('review.dropped', 'Review dropped'), ('token.made', 'API token made'), ('token.revoked', 'API token revoked'), ('webhook.created', 'Webhook created'), ('webhook.changed', 'Webhook changed'), ('webhook.deleted', 'Webhook deleted'), ('webhook.rotated', "Webhook's secret changed"), ('webhook.resent', 'Sent to a webhook again'), ('webhook.tested', 'Webhook tested'), ('webhook.disabled', 'Webhook switched off')], max_length=20),
        ),
        migrations.CreateModel(
            name='Host',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.CharField(default=securitygroups.models.names.new_host_id, editable=False, max_length=20, unique=True, verbose_name='ID')),
                ('name', securitygroups.fields.LineField(max_length=60, validators=[securitygroups.fields.one_alphabet], verbose_name='Name')),
                ('target', models.CharField(choices=[('bridge', 'Tap on a Linux bridge, kernel with nf_conntrack_bridge (5.3 or newer)'), ('bridge-mark', 'Tap on a Linux bridge, kernel without nf_conntrack_bridge (needs br_netfilter)'), ('inet', 'Routed tap')], default='bridge', max_length=12, verbose_name='Where its VMs are connected')),
                ('taps', models.CharField(default='tap*', help_text='What their names begin with, and a * behind it: tap* or vnet*. One of these without a VM passes nothing.', max_length=15, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9_.-]{0,13}\\*\\Z', 'Type what all taps of the host, and nothing else, begin with, and a * behind it, such as tap* or vnet*.')], verbose_name='Interfaces of VMs')),
                ('drift', models.CharField(choices=[('repair', 'Repair it'), ('report', 'Report it, and leave it')], default='repair', help_text='Every minute the agent compares what is loaded with what should be.', max_length=6, verbose_name='What was changed by hand')),
                ('cut', models.BooleanField(default=False, help_text='Running connections that a new list no longer accepts are ended. Otherwise they go on until they end.', verbose_name='Cuts connections')),
                ('takes', models.BooleanField(default=True, help_text='A VM that is on no host is placed here when the agent finds it. Otherwise operators place each VM.', verbose_name='Takes VMs that it reports')),
                ('log', models.PositiveIntegerField(blank=True, default=7, help_text='The number by which the agent is told of dropped packets, 0 to 65535. Empty: it is told of none.', null=True, verbose_name='NFLOG group')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('key', models.CharField(blank=True, editable=False, max_length=43)),
                ('enrolled_at', models.DateTimeField(editable=False, null=True)),
                ('revoked_at', models.DateTimeField(editable=False, null=True)),
                ('token_digest', models.CharField(blank=True, editable=False, max_length=64)),
                ('token_until', models.DateTimeField(editable=False, null=True)),
                ('seen_at', models.DateTimeField(editable=False, null=True)),
                ('agent', securitygroups.fields.LineField(blank=True, editable=False, max_length=40, verbose_name='Agent')),
                ('kernel', securitygroups.fields.LineField(blank=True, editable=False, max_length=100, verbose_name='Kernel')),
                ('state', models.CharField(blank=True, editable=False, max_length=64)),
                ('clock', models.CharField(blank=True, editable=False, max_length=20, verbose_name='Clock')),
                ('missed', models.BigIntegerField(default=0, editable=False, verbose_name='Samples missed')),
                ('inventory', securitygroups.fields.RecordField(editable=False, null=True)),
                ('conflicts', securitygroups.fields.RecordField(default=list, editable=False)),
            ],
            options={
                'ordering': ['name', 'pk'],
                'constraints': [models.UniqueConstraint(securitygroups.models.names.SameName('name'), name='host_name', violation_error_message='There is a host of this name already: type another.'), models.UniqueConstraint(condition=models.Q(('key', ''), _negated=True), fields=('key',), name='host_key'), models.CheckConstraint(condition=models.Q(('target__in', ['bridge', 'bridge-mark', 'inet'])), name='host_target'), models.CheckConstraint(condition=models.Q(('drift__in', ['repair', 'report'])), name='host_drift'), models.CheckConstraint(condition=models.Q(('log', None), ('log__lte', 65535), _connector='OR'), name='host_log'), models.CheckConstraint(condition=models.Q(models.Q(('enrolled_at', None), ('key', '')), models.Q(models.Q(('key', ''), _negated=True), ('enrolled_at__isnull', False)), _connector='OR'), name='host_enrolled'), models.CheckConstraint(condition=models.Q(models.Q(('token_digest', ''), ('token_until', None)), models.Q(models.Q(('token_digest', ''), _negated=True), ('token_until__isnull', False)), _connector='OR'), name='host_token')],
            },
        ),
        migrations.CreateModel(
            name='Placement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tap', models.CharField(blank=True, max_length=15, validators=[django.core.validators.RegexValidator('^[A-Za-z][A-Za-z0-9_.-]{0,14}\\Z', 'Type a network interface name: a letter first, then letters, digits, “.”, “_” or “-”, 15 characters at most.')], verbose_name='Interface')),
                ('mac', models.CharField(blank=True, max_length=17, validators=[django.core.validators.RegexValidator('^[0-9a-f][02468ace](:[0-9a-f]{2}){5}\\Z', 'Type the address of one network card, such as 52:54:00:12:34:56.')], verbose_name='MAC address')),
                ('addresses', django.contrib.postgres.fields.ArrayField(base_field=models.GenericIPAddressField(), blank=True, default=list, size=64, verbose_name='Addresses')),
                ('held', models.BooleanField(default=True, verbose_name='Sends only as itself')),
                ('pinned', models.BooleanField(default=False, verbose_name='Pinned')),
                ('number', models.PositiveIntegerField(default=1, editable=False)),
                ('since', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('host', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='placements', to='securitygroups.host')),
                ('machine', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='placement', to='securitygroups.virtualmachine')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='RuleHits',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('rule', 'A rule'), ('in', 'A line of the platform, in'), ('out', 'A line of the platform, out')], max_length=4)),
                ('what', models.CharField(max_length=20)),
                ('hour', models.DateTimeField()),
                ('packets', models.BigIntegerField()),
                ('bytes', models.BigIntegerField()),
                ('machine', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='hits', to='securitygroups.virtualmachine')),
            ],
            options={
                'verbose_name': 'hits of rules',
                'verbose_name_plural': 'hits of rules',
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='HostNonce',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('nonce', models.CharField(max_length=22)),
                ('at', models.DateTimeField()),
                ('host', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='securitygroups.host')),
            ],
            options={
                'ordering': ['pk'],
                'indexes': [models.Index(fields=['at'], name='host_nonce_by_time')],
                'constraints': [models.UniqueConstraint(fields=('host', 'nonce'), name='host_nonce_once')],
            },
        ),
        migrations.CreateModel(
            name='InForce',
            fields=[
                ('placement', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='in_force', serialize=False, to='securitygroups.placement')),
                ('vector', models.JSONField(null=True)),
                ('hash', models.CharField(blank=True, max_length=64)),
                ('since', models.DateTimeField(null=True, verbose_name='in force since')),
                ('error', securitygroups.fields.LineField(blank=True, max_length=1000)),
                ('drift', securitygroups.fields.RecordField(default=list, verbose_name='changed by hand')),
                ('cut', models.PositiveIntegerField(default=0, verbose_name='connections cut')),
                ('reported_at', models.DateTimeField()),
                ('host', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='securitygroups.host')),
            ],
            options={
                'verbose_name': "VM's rules in force",
                'verbose_name_plural': "VMs' rules in force",
                'ordering': ['pk'],
            },
        ),
        migrations.AddConstraint(
            model_name='placement',
            constraint=models.UniqueConstraint(deferrable=django.db.models.constraints.Deferrable['DEFERRED'], fields=('host', 'tap'), name='placement_tap'),
        ),
        migrations.AddConstraint(
            model_name='placement',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('host', None), ('tap', '')), models.Q(('host__isnull', False), models.Q(('tap', ''), _negated=True)), _connector='OR'), name='placement_on_host'),
        ),
        migrations.AddConstraint(
            model_name='placement',
            constraint=models.CheckConstraint(condition=models.Q(('number__gte', 1)), name='placement_number_from_1'),
        ),
        migrations.AddIndex(
            model_name='rulehits',
            index=models.Index(fields=['hour'], name='hits_by_hour'),
        ),
        migrations.AddConstraint(
            model_name='rulehits',
            constraint=models.UniqueConstraint(fields=('machine', 'kind', 'what', 'hour'), name='hits_once'),
        ),
        migrations.AddConstraint(
            model_name='rulehits',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['rule', 'in', 'out'])), name='hits_kind'),
        ),
        migrations.AddConstraint(
            model_name='rulehits',
            constraint=models.CheckConstraint(condition=models.Q(('bytes__gte', 0), ('packets__gte', 0)), name='hits_from_0'),
        ),
    ]
