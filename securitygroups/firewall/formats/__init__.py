"""What people bring and take as files: rule lists of ours and of other systems.

`systems.read_file` is the one door in: it tells by what stands in a file whose it is, and gives a `reading.Reading`.

- Ours: `documents` (one group), `many` (several), `packets`. They read with `strict`, which names each fault's place.
- Tables: `spreadsheet` (a whole one), `sheets` (CSV and workbooks as cells), `packed` (what is inside a workbook), `columns`
  (what heads and cells are called), `rows` (one row).
- Other systems: all say their rules as `foreign.Foreign`, of which `foreign.taken` makes ours, never wider, with a note for
  each line.
  - Clouds, from JSON, with `clouds`: `aws`, `azure`, `gcp`, `openstack`, `hetzner`, `digitalocean`, `scaleway`, `cloudstack`,
    and `terraform` of most of them. `opnsense` from CSV.
  - Hosts, with `hosts` and sets of packets (`spans`): `iptables` and `nft`, whose jumps `chains` writes out; `ufw`,
    `firewalld` and `proxmox`, a line an entry (`entries`).

A new system is a module with its `looks` and `read`, a line in `systems.SYSTEMS`, and a paragraph on the page about import.
"""
