"""Text is kept by one rule: what stands in rows that can be changed is brought to it, what is on record stays as it is.

Names that are the same by the rule get their ID behind them. Of user names that differ in case alone the one that signed
in last stays; the others get the account's number behind them, which the record of accounts says.
"""

import django.contrib.auth.validators
import django.db.models.functions.text
import securitygroups.fields
import securitygroups.models.names
from django.db import migrations, models
from django.db.models import F, Window
from django.db.models.functions import Lower, RowNumber


SPACES = r"[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+"
CLEAN = "btrim(regexp_replace(normalize({column}, NFC), %s, ' ', 'g'))"
# As the constraints below have it: a name is taken by another one that is equal by this.
SAME = r"lower(translate(normalize(name, NFKC), U&'\180B\180C\180D\180E\180F\200B\200C\200D\FE0E\FE0F', ''))"
# Table, what makes a name different from all others, and among which rows names have to differ.
NAMED = (
    ("securitygroups_securitygroup", "public_id", "deleted_at IS NULL"),
    ("securitygroups_virtualmachine", "public_id", "deleted_at IS NULL"),
    ("securitygroups_grouptemplate", "id::text", "true"),
    ("securitygroups_project", "slug", None),
)
CLEANED = (
    ("securitygroups_rule", "description", 255),
    ("securitygroups_securitygroup", "description", 255),
    ("securitygroups_virtualmachine", "description", 255),
    ("securitygroups_grouptemplate", "description", 255),
    ("securitygroups_user", "first_name", 150),
    ("securitygroups_user", "last_name", 150),
)


def clean(apps, editor):
    def run(statement, *values):
        # Letters that do not compose any more get longer: what no longer fits is cut.
        editor.connection.cursor().execute(statement, values)

    for table, column, longest in CLEANED:
        new = f"left({CLEAN.format(column=column)}, {longest})"
        run(f"UPDATE {table} SET {column} = {new} WHERE {column} <> {new}", SPACES, SPACES)
    for table, own, among in NAMED:
        new = f"left(coalesce(nullif({CLEAN.format(column='name')}, ''), {own}), 100)"
        run(f"UPDATE {table} SET name = {new} WHERE name <> {new}", SPACES, SPACES)
        if among:
            run(
                f"UPDATE {table} SET name = left(name, 75) || ' (' || {own} || ')' WHERE id IN (SELECT id FROM"
                f" (SELECT id, row_number() OVER (PARTITION BY project_id, {SAME} ORDER BY id) AS nth"
                f" FROM {table} WHERE {among}) AS numbered WHERE nth > 1)"
            )
    # What the rows refer to is looked at now, not when the tables are about to be altered.
    run("SET CONSTRAINTS ALL IMMEDIATE")


def tell_apart(apps, editor):
    """User names that differ in case alone: whoever came first by the clock of the last sign-in keeps the name."""
    User, AccountEvent = (apps.get_model("securitygroups", name) for name in ("User", "AccountEvent"))
    order = (F("is_active").desc(), F("last_login").desc(nulls_last=True), "pk")
    nth = Window(RowNumber(), partition_by=Lower("username"), order_by=order)
    for user in User.objects.alias(nth=nth).filter(nth__gt=1):
        old, user.username = user.username, f"{user.username[:130]}-{user.pk}"
        user.save(update_fields=["username"])
        AccountEvent.objects.create(
            verb="account.changed", user=user, user_name=user.username, actor_name="karenpanel", detail={"was": old}
        )
        print(f"\n  The user name {old} is {user.username} now: another account has it in other letters.", end="")


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('securitygroups', '0004_records'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='grouptemplate',
            name='template_name',
        ),
        migrations.RemoveConstraint(
            model_name='securitygroup',
            name='group_name',
        ),
        migrations.RemoveConstraint(
            model_name='virtualmachine',
            name='machine_name',
        ),
        migrations.RunPython(clean, migrations.RunPython.noop),
        migrations.RunPython(tell_apart, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='accountevent',
            name='actor_name',
            field=securitygroups.fields.LineField(blank=True, max_length=254),
        ),
        migrations.AlterField(
            model_name='accountevent',
            name='agent',
            field=securitygroups.fields.LineField(blank=True, max_length=200),
        ),
        migrations.AlterField(
            model_name='accountevent',
            name='detail',
            field=securitygroups.fields.RecordField(default=dict),
        ),
        migrations.AlterField(
            model_name='accountevent',
            name='user_name',
            field=securitygroups.fields.LineField(blank=True, max_length=254),
        ),
        migrations.AlterField(
            model_name='casenote',
            name='author_name',
            field=securitygroups.fields.LineField(max_length=254),
        ),
        migrations.AlterField(
            model_name='casenote',
            name='text',
            field=securitygroups.fields.LinesField(max_length=4000, verbose_name='Note'),
        ),
        migrations.AlterField(
            model_name='event',
            name='actor_name',
            field=securitygroups.fields.LineField(max_length=254),
        ),
        migrations.AlterField(
            model_name='event',
            name='detail',
            field=securitygroups.fields.RecordField(default=dict),
        ),
        migrations.AlterField(
            model_name='event',
            name='summary',
            field=securitygroups.fields.LineField(max_length=400),
        ),
        migrations.AlterField(
            model_name='grouprevision',
            name='actor_name',
            field=securitygroups.fields.LineField(max_length=254),
        ),
        migrations.AlterField(
            model_name='grouprevision',
            name='reason',
            field=securitygroups.fields.LineField(blank=True, max_length=255),
        ),
        migrations.AlterField(
            model_name='grouprevision',
            name='rules',
            field=securitygroups.fields.RecordField(),
        ),
        migrations.AlterField(
            model_name='grouprevision',
            name='summary',
            field=securitygroups.fields.LineField(max_length=300),
        ),
        migrations.AlterField(
            model_name='grouptemplate',
            name='description',
            field=securitygroups.fields.LineField(blank=True, max_length=255, verbose_name='Description'),
        ),
        migrations.AlterField(
            model_name='grouptemplate',
            name='name',
            field=securitygroups.fields.LineField(max_length=100, verbose_name='Name'),
        ),
        migrations.AlterField(
            model_name='grouptemplate',
            name='rules',
            field=securitygroups.fields.RecordField(default=list),
        ),
        migrations.AlterField(
            model_name='invitation',
            name='by_name',
            field=securitygroups.fields.LineField(max_length=254),
        ),
        migrations.AlterField(
            model_name='machinerevision',
            name='actor_name',
            field=securitygroups.fields.LineField(max_length=254),
        ),
        migrations.AlterField(
            model_name='machinerevision',
            name='groups',
            field=securitygroups.fields.RecordField(),
        ),
        migrations.AlterField(
            model_name='machinerevision',
            name='reason',
            field=securitygroups.fields.LineField(blank=True, max_length=255),
        ),
        migrations.AlterField(
            model_name='machinerevision',
            name='summary',
            field=securitygroups.fields.LineField(max_length=300),
        ),
        migrations.AlterField(
            model_name='project',
            name='name',
            field=securitygroups.fields.LineField(max_length=100, validators=[securitygroups.fields.one_alphabet]),
        ),
        migrations.AlterField(
            model_name='rule',
            name='description',
            field=securitygroups.fields.LineField(blank=True, max_length=255, verbose_name='Description'),
        ),
        migrations.AlterField(
            model_name='securitygroup',
            name='description',
            field=securitygroups.fields.LineField(blank=True, max_length=255, verbose_name='Description'),
        ),
        migrations.AlterField(
            model_name='securitygroup',
            name='name',
            field=securitygroups.fields.LineField(max_length=100, verbose_name='Name'),
        ),
        migrations.AlterField(
            model_name='supportcase',
            name='rules',
            field=securitygroups.fields.RecordField(),
        ),
        migrations.AlterField(
            model_name='supportcase',
            name='ticket',
            field=securitygroups.fields.LineField(blank=True, max_length=100, verbose_name='Ticket'),
        ),
        migrations.AlterField(
            model_name='supportvisit',
            name='reason',
            field=securitygroups.fields.LineField(max_length=255, verbose_name='Reason'),
        ),
        migrations.AlterField(
            model_name='supportvisit',
            name='ticket',
            field=securitygroups.fields.LineField(max_length=100, verbose_name='Ticket'),
        ),
        migrations.AlterField(
            model_name='user',
            name='first_name',
            field=securitygroups.fields.LineField(blank=True, max_length=150, verbose_name='first name'),
        ),
        migrations.AlterField(
            model_name='user',
            name='last_name',
            field=securitygroups.fields.LineField(blank=True, max_length=150, verbose_name='last name'),
        ),
        migrations.AlterField(
            model_name='user',
            name='username',
            field=securitygroups.fields.LineField(error_messages={'unique': 'Somebody already has this user name: type another.'}, help_text='Up to 150 letters from a to z, digits and @ . + - _.', max_length=150, unique=True, validators=[django.contrib.auth.validators.ASCIIUsernameValidator(message='Type letters from a to z, digits and @ . + - _ only: others look like these, and could pass for somebody else.')], verbose_name='user name'),
        ),
        migrations.AlterField(
            model_name='virtualmachine',
            name='description',
            field=securitygroups.fields.LineField(blank=True, max_length=255, verbose_name='Description'),
        ),
        migrations.AlterField(
            model_name='virtualmachine',
            name='name',
            field=securitygroups.fields.LineField(max_length=100, verbose_name='Name'),
        ),
        migrations.AddConstraint(
            model_name='grouptemplate',
            constraint=models.UniqueConstraint(models.F('project'), securitygroups.models.names.SameName('name'), name='template_name', nulls_distinct=False, violation_error_message='There is a template of this name already: type another.'),
        ),
        migrations.AddConstraint(
            model_name='securitygroup',
            constraint=models.UniqueConstraint(models.F('project'), securitygroups.models.names.SameName('name'), condition=models.Q(('deleted_at', None)), name='group_name', violation_error_message='The project already has a group of this name: type another.'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('username'), name='user_name', violation_error_message='Somebody already has this user name: type another.'),
        ),
        migrations.AddConstraint(
            model_name='virtualmachine',
            constraint=models.UniqueConstraint(models.F('project'), securitygroups.models.names.SameName('name'), condition=models.Q(('deleted_at', None)), name='machine_name', violation_error_message='The project already has a VM of this name: type another.'),
        ),
    ]
