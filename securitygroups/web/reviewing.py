"""The rows of a review's page: each rule with the fields of its decision, as they are drawn and as they were sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from securitygroups.answers import review as answers
from securitygroups.answers.review import Line
from securitygroups.firewall.protocols import PROTOCOLS
from securitygroups.forms import DecisionForm, Drawn, digest, drawn_in, values_of
from securitygroups.models import Project, Rule, SecurityGroup, Verdict
from securitygroups.operations import Wish

LABELS = {
    "source": "Source IP Address",
    "destination": "Destination IP Address",
    "port_start": "Start port",
    "port_end": "End port",
}
Key = tuple[str, str]
"""A rule by its group's public ID and its own identity."""
Forms = dict[Key, DecisionForm]


@dataclass(frozen=True, slots=True)
class Narrow:
    """A field of a narrower rule, with what stands in it and what is wrong with that."""

    name: str
    label: str
    value: str
    errors: list[str]
    suggested: list[str]


@dataclass(frozen=True, slots=True)
class Row:
    """A rule on the page, with its place in the form, what stands in its fields, and what is wrong there."""

    number: int
    line: Line
    values: dict[str, str]
    drawn: str
    form: DecisionForm | None = None

    @property
    def narrow(self) -> list[Narrow]:
        columns = PROTOCOLS[self.line.rule.protocol].columns
        found = self.form.errors.as_data() if self.form else {}
        return [
            Narrow(
                f"{self.number}-{name}",
                label,
                self.values[name],
                [text for error in found.get(name, ()) for text in error.messages],
                [text for error in found.get(name, ()) for text in (error.params or {}).get("suggestions", ())],
            )
            for name, label in LABELS.items()
            if name in columns
        ]

    @property
    def choices(self) -> list[tuple[str, str, bool]]:
        """What can become of the rule, and what is chosen."""
        chosen, rule = self.values["verdict"], self.line.rule
        left_out = {Verdict.NARROW} if not self.narrow else set()
        left_out |= {Verdict.OFF} if not rule.enabled else set()
        every = [("", "Later"), *Verdict.choices]
        return [(value, label, value == chosen) for value, label in every if value == chosen or value not in left_out]

    @property
    def other_problems(self) -> list[tuple[str, str]]:
        """What is wrong beside the fields of a narrower rule."""
        errors = self.form.errors if self.form else {}
        return [(name, str(text)) for name in ("verdict", "remark") for text in errors.get(name, ())]

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong with the row, each with the field that it is about."""
        errors = self.form.errors if self.form else {}
        return [(f"id_{self.number}-{name}", str(text)) for name, texts in errors.items() for text in texts]


def numbered_rows(parts: list[answers.Part], forms: Forms, data: Any) -> list[tuple[answers.Part, list[Row]]]:
    """Every row with its number in the form: from 0, through all groups."""
    found, number = [], 0
    for part in parts:
        rows = []
        for line in part.lines:
            rows.append(_row(number, part.group, line, forms.get((part.group.public_id, line.row.uid)), data))
            number += 1
        found.append((part, rows))
    return found


def _row(number: int, group: SecurityGroup, line: Line, form: DecisionForm | None, data: Any) -> Row:
    values = values_of(line.rule, line.stands)
    version = line.decided.version if line.decided else 0
    drawn = f"{group.public_id} {line.row.uid} {group.revision} {version} {digest(values)}"
    if form is not None:
        # On what the person has looked at it stands, and not on what is there by now.
        values = {name: data.get(f"{form.prefix}-{name}", "") for name in values}
        drawn = data.get(f"{form.prefix}-row", "")
    return Row(number, line, values, drawn, form)


def rules_of(project: Project, keys: Any) -> dict[Key, Rule]:
    """The rules of these identities that are still there (one query)."""
    wanted = Rule.objects.filter(
        group__project=project,
        group__deleted_at=None,
        group__public_id__in={group for group, _ in keys},
        uid__in={uid for _, uid in keys},
    )
    found = {(row.group.public_id, row.uid): row for row in wanted.select_related("group")}
    return {key: found[key] for key in keys if key in found}


@dataclass(frozen=True, slots=True)
class SentRows:
    """The rows of a page that was sent: as they were drawn, their rules as far as these are still there, and their forms."""

    data: QueryDict
    drawn: Mapping[Key, Drawn]
    rows: Mapping[Key, Rule]
    forms: Forms

    @property
    def meant(self) -> list[Key]:
        """The rows that say something new."""
        return [key for key in self.forms if self.drawn[key].decides(self.data)]

    @property
    def gone(self) -> int:
        """Rows that say something of a rule that is not there any more."""
        return sum(one.touched(self.data) for key, one in self.drawn.items() if key not in self.rows)

    @property
    def names(self) -> dict[int, str]:
        return {row.group_id: row.group.name for row in self.rows.values()}

    def wish(self, key: Key) -> Wish:
        """What a row says, whose form is valid."""
        drawn, row, form = self.drawn[key], self.rows[key], self.forms[key]
        said = form.cleaned_data
        return Wish(
            row.group_id, row.uid, said["verdict"], drawn.revision, drawn.version, form.narrowed, said.get("remark", "")
        )


def sent_rows(data: QueryDict, project: Project) -> SentRows:
    """The rows of the form; a button of the page keeps all rules that nothing is decided about."""
    drawn = {one.key: one for one in drawn_in(data)}
    rows = rules_of(project, drawn)
    said = data
    if "keep_rest" in data:
        said = data.copy()
        for field in (f"{one.prefix}-verdict" for one in drawn.values()):
            said[field] = said.get(field) or Verdict.KEEP
    forms = {key: DecisionForm(said, prefix=drawn[key].prefix, rule=row.as_value()) for key, row in rows.items()}
    return SentRows(data, drawn, rows, forms)
