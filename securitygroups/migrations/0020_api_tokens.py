
import django.contrib.postgres.fields
import django.db.models.deletion
import securitygroups.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("securitygroups", "0019_cases_by_waiting"),
    ]

    operations = [
        migrations.AddField(
            model_name='event',
            name='via',
            field=securitygroups.fields.LineField(blank=True, db_default='', default='', editable=False, max_length=100),
        ),
        migrations.AddField(
            model_name='grouprevision',
            name='via',
            field=securitygroups.fields.LineField(blank=True, db_default='', default='', editable=False, max_length=100),
        ),
        migrations.AddField(
            model_name='machinerevision',
            name='via',
            field=securitygroups.fields.LineField(blank=True, db_default='', default='', editable=False, max_length=100),
        ),
        migrations.AlterField(
            model_name='accountevent',
            name='verb',
            field=models.CharField(choices=[('signed.in', 'Signed in'), ('signed.failed', 'Sign-in failed'), ('signed.out', 'Signed out'), ('session.ended', 'Session ended'), ('limited', 'Too many attempts'), ('access.refused', 'Access refused'), ('account.made', 'Account made'), ('account.changed', 'Account changed'), ('rights.changed', 'Rights changed'), ('link.sent', 'Link to set a password sent'), ('password.changed', 'Password changed'), ('password.reset', 'Password set by a link'), ('address.changed', 'E-mail address changed'), ('factor.added', 'Second factor added'), ('factor.removed', 'Second factor removed'), ('codes.made', 'Recovery codes made'), ('connected', 'Single sign-on connected'), ('disconnected', 'Single sign-on taken off'), ('token.made', 'API token made'), ('token.revoked', 'API token revoked'), ('support.searched', 'Support searched')], max_length=20),
        ),
        migrations.AlterField(
            model_name='event',
            name='verb',
            field=models.CharField(choices=[('project.created', 'Project created'), ('project.changed', 'Project changed'), ('group.created', 'Group created'), ('group.changed', 'Group details changed'), ('group.deleted', 'Group deleted'), ('group.restored', 'Group brought back'), ('rules.changed', 'Rules changed'), ('machine.created', 'VM created'), ('machine.changed', 'VM details changed'), ('machine.deleted', 'VM deleted'), ('machine.restored', 'VM brought back'), ('machine.groups', 'Attached groups changed'), ('member.invited', 'Member invited'), ('invitation.ended', 'Invitation ended'), ('member.added', 'Member added'), ('member.changed', "Member's role changed"), ('member.removed', 'Member removed'), ('support.look', 'Support looked'), ('case.opened', 'Support case'), ('case.changed', 'Support case changed'), ('template.saved', 'Template saved'), ('template.deleted', 'Template deleted'), ('review.started', 'Review started'), ('review.signed', 'Review signed off'), ('review.dropped', 'Review dropped'), ('token.made', 'API token made'), ('token.revoked', 'API token revoked')], max_length=20),
        ),
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', securitygroups.fields.LineField(max_length=60, verbose_name='Name')),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('ending', models.CharField(editable=False, max_length=4)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('read', 'Read'), ('test', 'Test packets'), ('write', 'Change groups and VMs'), ('members', 'Manage members'), ('inventory', 'Bring VMs in'), ('unasked', 'Change without confirming alarms')], max_length=10), size=None)),
                ('networks', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=43), blank=True, default=list, size=None)),
                ('strong', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('used_at', models.DateTimeField(editable=False, null=True)),
                ('used_from', models.GenericIPAddressField(editable=False, null=True)),
                ('revoked_at', models.DateTimeField(editable=False, null=True)),
                ('project', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tokens', to='securitygroups.project')),
                ('projects', models.ManyToManyField(blank=True, related_name='+', to='securitygroups.project')),
                ('revoked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tokens', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'API token',
                'ordering': ['-created_at', '-pk'],
            },
        ),
        migrations.AddField(
            model_name='event',
            name='token',
            field=models.ForeignKey(db_constraint=False, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='securitygroups.apitoken'),
        ),
        migrations.AddField(
            model_name='grouprevision',
            name='token',
            field=models.ForeignKey(db_constraint=False, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='securitygroups.apitoken'),
        ),
        migrations.AddField(
            model_name='machinerevision',
            name='token',
            field=models.ForeignKey(db_constraint=False, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='securitygroups.apitoken'),
        ),
        migrations.AddConstraint(
            model_name='apitoken',
            constraint=models.CheckConstraint(condition=models.Q(('scopes__len__gte', 1)), name='token_scopes'),
        ),
        migrations.AddConstraint(
            model_name='apitoken',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at', None), ('expires_at__gt', models.F('created_at')), _connector='OR'), name='token_expiry'),
        ),
    ]
