"""`karenpanel-agent`, the program on hypervisors: it asks the panel what its VMs may do, and has the kernel do it.

It imports `firewall`, for the language of rules and their compiler, the standard library, and `cryptography` for Ed25519;
nothing of Django. The panel says rules, never what the kernel is told: the host compiles them itself.
"""

VERSION = "0.1.0"
"""Of the program, as reports name it."""
