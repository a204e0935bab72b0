"""Revisions of long lists as steps from the one before; foreign keys need no index where another one begins with them.

Nothing is rewritten and nothing is read through: what is on record stays as it is, and each lock is over at once.
"""

import django.db.models.deletion
import django.utils.timezone
import securitygroups.fields
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

RULES_AT = """
CREATE FUNCTION securitygroups_rules_at(of_group bigint, at_number integer) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    whole jsonb;
    revision record;
BEGIN
    FOR revision IN
        SELECT r.rules, r.steps
        FROM securitygroups_grouprevision wanted
        JOIN securitygroups_grouprevision r ON r.group_id = wanted.group_id
            AND r.number BETWEEN coalesce(wanted.whole_in, wanted.number) AND wanted.number
        WHERE wanted.group_id = of_group AND wanted.number = at_number
        ORDER BY r.number
    LOOP
        IF revision.steps IS NULL THEN
            whole := revision.rules;
            CONTINUE;
        END IF;
        SELECT coalesce(jsonb_agg(parts.rule ORDER BY parts.step, parts.place), '[]') INTO whole
        FROM (
            SELECT s.ordinality AS step, 0 AS place, s.value AS rule
            FROM jsonb_array_elements(revision.steps) WITH ORDINALITY s
            WHERE jsonb_typeof(s.value) = 'object'
            UNION ALL
            SELECT s.ordinality, o.place, whole -> o.place - 1 || coalesce(s.value -> 2, '{}')
            FROM jsonb_array_elements(revision.steps) WITH ORDINALITY s
            CROSS JOIN LATERAL generate_series((s.value ->> 0)::integer, (s.value ->> 1)::integer) o (place)
            WHERE jsonb_typeof(s.value) = 'array'
        ) parts;
    END LOOP;
    RETURN whole;
END
$$;
COMMENT ON FUNCTION securitygroups_rules_at(bigint, integer) IS
    'The rules of a group as a revision left them, in order; NULL where there is no such revision.';
"""


class Migration(migrations.Migration):

    dependencies = [
        ('securitygroups', '0006_plain_addresses'),
    ]

    operations = [
        # An index of a table for which something is still to be looked at is not dropped, and all migrations may be one
        # transaction.
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='grouprevision',
            name='steps',
            field=securitygroups.fields.RecordField(null=True),
        ),
        migrations.AddField(
            model_name='grouprevision',
            name='whole_in',
            field=models.IntegerField(null=True, verbose_name='newest whole list'),
        ),
        migrations.AlterField(
            model_name='grouprevision',
            name='at',
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        migrations.AlterField(
            model_name='grouprevision',
            name='rules',
            field=securitygroups.fields.RecordField(null=True),
        ),
        migrations.AlterField(
            model_name='machinerevision',
            name='at',
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        AddConstraintNotValid(
            model_name='grouprevision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('rules__isnull', False), ('steps__isnull', True)), models.Q(('rules__isnull', True), ('steps__isnull', False), ('whole_in__isnull', False), ('whole_in__lt', models.F('number'))), _connector='OR'), name='group_revision_list'),
        ),
        migrations.RunSQL(RULES_AT, "DROP FUNCTION securitygroups_rules_at(bigint, integer)"),
        migrations.SeparateDatabaseAndState(
            # The indexes themselves go with the next migration, beside readers and writers.
            database_operations=[],
            state_operations=[
                migrations.AlterField(
                    model_name='accountevent',
                    name='user',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='account_events', to=settings.AUTH_USER_MODEL),
                ),
                migrations.AlterField(
                    model_name='attachment',
                    name='machine',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='attachments', to='securitygroups.virtualmachine'),
                ),
                migrations.AlterField(
                    model_name='event',
                    name='group',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='securitygroups.securitygroup'),
                ),
                migrations.AlterField(
                    model_name='event',
                    name='project',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='securitygroups.project'),
                ),
                migrations.AlterField(
                    model_name='grouprevision',
                    name='group',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='revisions', to='securitygroups.securitygroup'),
                ),
                migrations.AlterField(
                    model_name='machinerevision',
                    name='machine',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='revisions', to='securitygroups.virtualmachine'),
                ),
                migrations.AlterField(
                    model_name='membership',
                    name='project',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='securitygroups.project'),
                ),
                migrations.AlterField(
                    model_name='supportcase',
                    name='project',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='cases', to='securitygroups.project'),
                ),
                migrations.AlterField(
                    model_name='supportvisit',
                    name='staff',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
                ),
            ],
        ),
        migrations.AlterModelOptions(
            name='attachment',
            options={'ordering': ['machine_id', 'position']},
        ),
        migrations.AlterModelOptions(
            name='grouprevision',
            options={'ordering': ['group_id', '-number']},
        ),
        migrations.AlterModelOptions(
            name='machinerevision',
            options={'ordering': ['machine_id', '-number']},
        ),
        migrations.AlterModelOptions(
            name='rule',
            options={'ordering': ['group_id', 'position']},
        ),
    ]
