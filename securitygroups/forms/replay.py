"""A flow log, and the list to compare with."""

import re
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.timezone import localtime

from securitygroups.effective import rules_at
from securitygroups.fields import refusal
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES
from securitygroups.firewall.formats.spreadsheet import read_any
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.values import Network, Refused, RuleList, parse_network
from securitygroups.models import GroupRevision, SecurityGroup, VirtualMachine

MAX_LOCAL = 1_000
"""Networks in the field of the VMs' own addresses: each is looked at for every flow."""
REVISIONS = 100
FAULTS = 10
"""Faults of a document that are told at once."""


def own_addresses(group: SecurityGroup) -> str:
    """The addresses of the VMs that have the group, up to the limit of the field."""
    rows = VirtualMachine.objects.live().filter(attachments__group=group).order_by("name")
    pairs = rows.values_list("ipv4", "ipv6")[:MAX_LOCAL]
    return ", ".join([address for pair in pairs for address in pair if address][:MAX_LOCAL])


class LogForm(forms.Form):
    """A flow log. `proposed` is a list to compare with, where a form asks for one."""

    log = forms.FileField(
        label="Flow log",
        allow_empty_file=True,
        error_messages={"required": "Choose a flow log.", "missing": "Choose a flow log."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.proposed: RuleList | None = None
        self.proposed_name = ""
        self.fields["log"].help_text = (
            f"A capture (pcap, pcapng), a flow log of AWS, Azure, Google Cloud, Zeek, Suricata or nfdump, a firewall's log, or a "
            f"table with named columns; packed or plain, up to {settings.REPLAY_MAX_MB} MiB."
        )

    def clean_log(self) -> Any:
        """Refuses what is too large before it is read."""
        log = self.cleaned_data["log"]
        if (log.size or 0) > settings.REPLAY_MAX_MB * 2**20:
            raise ValidationError(
                f"The file has {(log.size or 0) / 2**20:.1f} MiB, up to {settings.REPLAY_MAX_MB} MiB are replayed here: "
                "compress it with gzip, send a part of it, or use manage.py replay where the file is."
            )
        return log


class ReplayForm(LogForm):
    """A flow log, the VMs' own addresses, and the list to compare with."""

    local = forms.CharField(
        label="The VMs' own addresses",
        required=False,
        max_length=60_000,
        widget=forms.Textarea(attrs={"rows": 2, "class": "mono short", "spellcheck": "false"}),
        help_text="Where the log does not tell the direction, packets to these addresses are In, packets from them Out.",
    )
    revision = forms.TypedChoiceField(label="An earlier revision", coerce=int, empty_value=None, required=False)
    file = forms.FileField(
        label="Or a proposed list",
        required=False,
        allow_empty_file=True,
        help_text="JSON, CSV or a workbook, as exported here.",
    )
    text = forms.CharField(
        label="Or paste it",
        required=False,
        strip=False,
        # No max_length: a browser would cut off what is pasted beyond it without a word. The document's own limit tells.
        widget=forms.Textarea(attrs={"rows": 5, "class": "mono short", "spellcheck": "false"}),
    )

    def __init__(self, group: SecurityGroup, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._group = group
        earlier = group.revisions.filter(number__lt=group.revision).values_list("number", "at", "summary")[:REVISIONS]
        self.fields["revision"].choices = [  # type: ignore[attr-defined]
            ("", "None"),
            *(
                (number, f"Revision {number}, {localtime(at):%-d %b %Y}: {summary}"[:90])
                for number, at, summary in earlier
            ),
        ]

    def clean_local(self) -> tuple[Network, ...]:
        """Networks, separated by commas, spaces or lines."""
        texts = [text for text in re.split(r"[\s,;]+", self.cleaned_data["local"]) if text]
        if len(texts) > MAX_LOCAL:
            raise ValidationError(f"These are {len(texts)}, up to {MAX_LOCAL} are taken: write networks instead.")
        try:
            return tuple(dict.fromkeys(parse_network(text) for text in texts))
        except Refused as error:
            raise refusal(error.problem) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        upload, text, number = cleaned.get("file"), cleaned.get("text", ""), cleaned.get("revision")
        given = upload or text.strip()
        if number and given:
            self.add_error("revision", "Choose an earlier revision or give a proposed list, not both.")
        elif number:
            self._take_revision(number)
        elif given:
            data = upload.read(MAX_DOCUMENT_BYTES + 1) if upload else text.replace("\r\n", "\n").encode()
            self._take_document(data, "file" if upload else "text")
        return cleaned

    def _take_revision(self, number: int) -> None:
        self.proposed_name = f"revision {number}"
        try:
            self.proposed = rules_at(self._group, number)
        except GroupRevision.DoesNotExist:
            self.add_error("revision", "The group has no such revision.")

    def _take_document(self, data: bytes, field: str) -> None:
        try:
            self.proposed, self.proposed_name = read_any(data).rules, "the proposed list"
        except BadDocument as error:
            for fault in error.faults[:FAULTS]:
                self.add_error(field, str(fault))
