"""Where each case of before stands, told from its notes."""

from django.db import migrations

# Somebody waits since the first of the customer's last notes between which support said nothing, or since the case was
# opened; the next note of support is the answer.
STANDINGS = """
INSERT INTO securitygroups_casestanding (case_id, project_id, state, asked_at, answered_at)
SELECT c.id, c.project_id, CASE WHEN answer.at IS NULL THEN 'open' ELSE 'answered' END, coalesce(asked.at, c.at), answer.at
FROM securitygroups_supportcase c
CROSS JOIN LATERAL (
    SELECT max(n.id) AS id FROM securitygroups_casenote n WHERE n.case_id = c.id AND NOT n.by_staff
) question
CROSS JOIN LATERAL (
    SELECT max(n.id) AS id FROM securitygroups_casenote n WHERE n.case_id = c.id AND n.by_staff AND n.id < question.id
) earlier
CROSS JOIN LATERAL (
    SELECT min(n.at) AS at FROM securitygroups_casenote n WHERE n.case_id = c.id AND NOT n.by_staff AND n.id > earlier.id
) asked
CROSS JOIN LATERAL (
    SELECT min(n.at) AS at FROM securitygroups_casenote n
    WHERE n.case_id = c.id AND n.by_staff AND n.id > coalesce(question.id, 0)
) answer
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    # Not with the tables: their foreign keys keep the cases from being written until the transaction ends.

    dependencies = [
        ('securitygroups', '0015_desk'),
    ]

    operations = [migrations.RunSQL(STANDINGS, migrations.RunSQL.noop)]
