"""Hosts that hold the rules of VMs, which VM stands on which of them, and what they said of it."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from securitygroups.fields import LineField, RecordField, one_alphabet
from securitygroups.firewall.guests import Guest, Own
from securitygroups.firewall.platform import Target
from securitygroups.models.machines import TAP_NAME, VirtualMachine
from securitygroups.models.names import SameName, new_host_id

TARGETS = [(target.value, target.label) for target in Target]
REPAIR, REPORT = "repair", "report"
DRIFTS = [(REPAIR, "Repair it"), (REPORT, "Report it, and leave it")]
TAPS = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,13}\*\Z",
    "Type what all taps of the host, and nothing else, begin with, and a * behind it, such as tap* or vnet*.",
)
MAC = RegexValidator(
    r"^[0-9a-f][02468ace](:[0-9a-f]{2}){5}\Z", "Type the address of one network card, such as 52:54:00:12:34:56."
)
MOST_ADDRESSES = 64
"""That one VM may send from."""
NONCE_KEPT = timedelta(minutes=15)
"""So long it is remembered what a host has sent: longer than the time that it says with it is believed."""
HITS_KEPT = timedelta(days=30)
"""So long it is told how often a rule was met."""
RULE, IN, OUT = "rule", "in", "out"
COUNTED = [(RULE, "A rule"), (IN, "A line of the platform, in"), (OUT, "A line of the platform, out")]


class Host(models.Model):
    """A machine that holds rules for the VMs on it, by an agent that asks for them. It is revoked and never deleted: what is
    on record names it.

    `key` is the agent's public key, by which it is known; it stays when the host is revoked, so that its agent can be told.
    `state` is the ETag of the state that the agent has taken last. `inventory` is what it said last of its interfaces, None
    before it said anything, and `conflicts` what of that could not be made a placement, each with why. `counted` is the number
    of the report whose counts were added up last.
    """

    public_id = models.CharField("ID", max_length=20, unique=True, default=new_host_id, editable=False)
    name = LineField("Name", max_length=60, validators=[one_alphabet])
    target = models.CharField(
        "Where its VMs are connected", max_length=12, choices=TARGETS, default=Target.BRIDGE.value
    )
    taps = models.CharField(
        "Interfaces of VMs",
        max_length=15,
        default="tap*",
        validators=[TAPS],
        help_text="What their names begin with, and a * behind it: tap* or vnet*. One of these without a VM passes nothing.",
    )
    drift = models.CharField(
        "What was changed by hand",
        max_length=6,
        choices=DRIFTS,
        default=REPAIR,
        help_text="Every minute the agent compares what is loaded with what should be.",
    )
    cut = models.BooleanField(
        "Cuts connections",
        default=False,
        help_text="Running connections that a new list no longer accepts are ended. Otherwise they go on until they end.",
    )
    takes = models.BooleanField(
        "Takes VMs that it reports",
        default=True,
        help_text="A VM that is on no host is placed here when the agent finds it. Otherwise operators place each VM.",
    )
    log = models.PositiveIntegerField(
        "NFLOG group",
        null=True,
        blank=True,
        default=7,
        help_text="The number by which the agent is told of dropped packets, 0 to 65535. Empty: it is told of none.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    key = models.CharField(max_length=43, blank=True, editable=False)
    enrolled_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    # SHA-256 of the secret that enrols it, in hexadecimal; empty where there is none that is still to be used.
    token_digest = models.CharField(max_length=64, blank=True, editable=False)
    token_until = models.DateTimeField(null=True, editable=False)
    # Written at most every few seconds, however often it asks.
    seen_at = models.DateTimeField(null=True, editable=False)
    agent = LineField("Agent", max_length=40, blank=True, editable=False)
    kernel = LineField("Kernel", max_length=100, blank=True, editable=False)
    state = models.CharField(max_length=64, blank=True, editable=False)
    clock = models.CharField("Clock", max_length=20, blank=True, editable=False)
    missed = models.BigIntegerField("Samples missed", default=0, editable=False)
    counted = models.CharField(max_length=22, blank=True, default="", db_default="", editable=False)
    inventory = RecordField(null=True, editable=False)
    conflicts = RecordField(default=list, editable=False)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                SameName("name"),
                name="host_name",
                violation_error_message="There is a host of this name already: type another.",
            ),
            models.UniqueConstraint(fields=["key"], name="host_key", condition=~Q(key="")),
            models.CheckConstraint(condition=Q(target__in=[value for value, _ in TARGETS]), name="host_target"),
            models.CheckConstraint(condition=Q(drift__in=[REPAIR, REPORT]), name="host_drift"),
            models.CheckConstraint(condition=Q(log=None) | Q(log__lte=65535), name="host_log"),
            models.CheckConstraint(
                condition=Q(key="", enrolled_at=None) | ~Q(key="") & Q(enrolled_at__isnull=False), name="host_enrolled"
            ),
            models.CheckConstraint(
                condition=Q(token_digest="", token_until=None) | ~Q(token_digest="") & Q(token_until__isnull=False),
                name="host_token",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def listens(self) -> bool:
        """Whether its agent is answered."""
        return bool(self.key) and self.revoked_at is None

    def silent_for(self, now: datetime) -> timedelta:
        """Since when nothing was heard of it; nothing before it was enrolled."""
        heard = self.seen_at or self.enrolled_at
        return max(now - heard, timedelta()) if heard else timedelta()


class Placement(models.Model):
    """Where a VM stands: on a host, by an interface. The row stays when the VM leaves a host, for what is said of the VM itself:
    its addresses, and whether it may send as itself alone. Of one that is on no host the interface may be known all the same,
    for a ruleset that is loaded by hand.

    `number` grows with each change of what its host has to know, and `since` is when the newest was made. Of a pinned one only
    operators say where it stands.
    """

    machine = models.OneToOneField(VirtualMachine, models.PROTECT, related_name="placement")
    host = models.ForeignKey(Host, models.PROTECT, null=True, blank=True, related_name="placements")
    tap = models.CharField("Interface", max_length=15, blank=True, validators=[TAP_NAME])
    mac = models.CharField("MAC address", max_length=17, blank=True, validators=[MAC])
    addresses = ArrayField(
        models.GenericIPAddressField(), verbose_name="Addresses", default=list, blank=True, size=MOST_ADDRESSES
    )
    held = models.BooleanField("Sends only as itself", default=True)
    pinned = models.BooleanField("Pinned", default=False)
    number = models.PositiveIntegerField(default=1, editable=False)
    since = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["pk"]
        constraints = [
            # Looked at when the transaction ends: two VMs of a host may exchange theirs.
            models.UniqueConstraint(
                fields=["host", "tap"], name="placement_tap", deferrable=models.Deferrable.DEFERRED
            ),
            models.CheckConstraint(condition=Q(host=None) | ~Q(tap=""), name="placement_on_host"),
            models.CheckConstraint(condition=Q(number__gte=1), name="placement_number_from_1"),
        ]

    def __str__(self) -> str:
        return f"{self.machine} on {self.host or 'no host'}"


def placement_of(machine: VirtualMachine) -> Placement | None:
    """The VM's own, where it has one (one query, unless it was read with the VM)."""
    # A VM without one has no such attribute, as Django has it.
    return getattr(machine, "placement", None)


def addresses_of(machine: VirtualMachine, placement: Placement | None) -> tuple[str, ...]:
    """The VM's addresses: where nobody who runs the hosts has said them, they are those that its project says."""
    return tuple(placement.addresses if placement and placement.addresses else machine.addresses)


def own_of(machine: VirtualMachine, placement: Placement | None) -> Own | None:
    """What the VM is held to: nothing where nobody who runs the hosts has said where it stands or what it sends as, and
    nothing where no address of it is known, for it could send nothing."""
    if placement is None or not (placement.host_id or placement.mac or placement.addresses):
        return None
    addresses = addresses_of(machine, placement)
    return Own(placement.mac, addresses) if placement.held and addresses else None


def guest_of(machine: VirtualMachine, at: datetime | None = None) -> Guest:
    """The VM as the platform's lines judge a packet of it. Of what it was held to `at` an earlier time only the newest is on
    record: before that, it is taken for one that is held to nothing."""
    placement = placement_of(machine)
    if at and placement and at < placement.since:
        return Guest()
    return _guest(own_of(machine, placement))


def guests_of(machines: Collection[int]) -> dict[int, Guest]:
    """Those of these VMs, by key, that are held to something (one query)."""
    rows = Placement.objects.filter(machine__in=machines, held=True).select_related("machine")
    found = {row.machine_id: _guest(own_of(row.machine, row)) for row in rows}
    return {machine: guest for machine, guest in found.items() if guest.held}


def _guest(own: Own | None) -> Guest:
    return Guest(own=own, held=True) if own else Guest()


class InForce(models.Model):
    """What a host said last of a VM that stands on it. Written only where it says something else than before.

    `vector` is what the list was made of that is loaded, None where none is; `hash` is of what was read back from the
    kernel. `error` says why a newer list could not be loaded, and `drift` which lines are not as they should be.
    """

    placement = models.OneToOneField(Placement, models.CASCADE, primary_key=True, related_name="in_force")
    host = models.ForeignKey(Host, models.PROTECT, related_name="+")
    vector = models.JSONField(null=True)
    hash = models.CharField(max_length=64, blank=True)
    since = models.DateTimeField("in force since", null=True)
    error = LineField(max_length=1000, blank=True)
    drift = RecordField("changed by hand", default=list)
    cut = models.PositiveIntegerField("connections cut", default=0)
    reported_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        verbose_name = "VM's rules in force"
        verbose_name_plural = "VMs' rules in force"

    def __str__(self) -> str:
        return f"Rules of {self.placement.machine} on {self.host}"


class HostNonce(models.Model):
    """What a host has sent once and nobody may send again."""

    host = models.ForeignKey(Host, models.CASCADE, related_name="+", db_index=False)
    nonce = models.CharField(max_length=22)
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["host", "nonce"], name="host_nonce_once")]
        indexes = [models.Index(fields=["at"], name="host_nonce_by_time")]

    def __str__(self) -> str:
        return f"{self.nonce} of {self.host}"


class RuleHits(models.Model):
    """How many packets of a VM met a rule, by its uid, or a line of the platform, by its name, in an hour."""

    machine = models.ForeignKey(VirtualMachine, models.CASCADE, related_name="hits", db_index=False)
    kind = models.CharField(max_length=4, choices=COUNTED)
    what = models.CharField(max_length=20)
    hour = models.DateTimeField()
    packets = models.BigIntegerField()
    bytes = models.BigIntegerField()

    class Meta:
        ordering = ["pk"]
        verbose_name = verbose_name_plural = "hits of rules"
        constraints = [
            models.UniqueConstraint(fields=["machine", "kind", "what", "hour"], name="hits_once"),
            models.CheckConstraint(condition=Q(kind__in=[RULE, IN, OUT]), name="hits_kind"),
            models.CheckConstraint(condition=Q(packets__gte=0, bytes__gte=0), name="hits_from_0"),
        ]
        indexes = [models.Index(fields=["hour"], name="hits_by_hour")]

    def __str__(self) -> str:
        return f"{self.kind} {self.what} of {self.machine}"
