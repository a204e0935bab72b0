"""A platform's whole list of a project's VMs, before it is brought in: what would be made, changed and deleted by it.

The list stands for the VMs that have an external ID. Those without one were made by hand, and are left alone. A plan can be
looked at and dropped. To bring it in, it is made once more under the project's lock: what was looked at, as its token says,
is what is written, or nothing is. A list that would delete many VMs is more often broken than meant, and has to say how many.
"""

from securitygroups.inventory.bringing import (
    Inventories,
    NotAsLookedAt,
    RefusedInventory,
    UnknownProjects,
    commit_inventories,
    commit_inventory,
    propose_inventories,
)
from securitygroups.inventory.draft import Refusal
from securitygroups.inventory.plan import MOST_ENTRIES, Inventory, propose_inventory

__all__ = [
    "MOST_ENTRIES",
    "Inventories",
    "Inventory",
    "NotAsLookedAt",
    "Refusal",
    "RefusedInventory",
    "UnknownProjects",
    "commit_inventories",
    "commit_inventory",
    "propose_inventories",
    "propose_inventory",
]
