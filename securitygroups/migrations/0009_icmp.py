from django.db import migrations, models

from karenpanel.quiet import AlterFieldUnseen, SetCheckQuietly


class Migration(migrations.Migration):

    dependencies = [
        ('securitygroups', '0008_at_size'),
    ]

    # The table of rules is read and written meanwhile.
    atomic = False

    operations = [
        AlterFieldUnseen(
            model_name='rule',
            name='protocol',
            field=models.CharField(choices=[('tcp', 'TCP'), ('udp', 'UDP'), ('sctp', 'SCTP'), ('icmp', 'ICMP'), ('ip', 'IP'), ('all', 'All')], default='tcp', max_length=8, verbose_name='Protocol'),
        ),
        # Before ICMP is let in: no row of it stands there without its fields being checked.
        SetCheckQuietly(
            model_name='rule',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('protocol', 'icmp'), _negated=True), models.Q(('destination__isnull', True), ('port_end__isnull', True), ('port_start__isnull', True)), _connector='OR'), name='rule_icmp_fields'),
        ),
        SetCheckQuietly(
            model_name='rule',
            constraint=models.CheckConstraint(condition=models.Q(('protocol__in', ['tcp', 'udp', 'sctp', 'icmp', 'ip', 'all'])), name='rule_protocol'),
        ),
    ]
