"""Packets in bulk: flow logs and captures read, and judged against a list or two.

`logs.FlowLog` is the one door in: it tells what a file is and gives `batch.Batch`es of the packets that open a flow, in
bounded memory.

- What a file is: `compressed` (what is packed), `sniff` (what is no log, by name), `layouts` (how a text is laid out).
- Its records as columns of text: `tables` (CSV and the like), `records` with `json_stream` (JSON), `entries` (lines that
  `firewall.lines` reads), `parquet` (by a program of its own, `parquet_child`). `columns` says what programs call a column,
  `text` and `times` make numbers of fields, `rows` makes packets of a table.
- Captures: `containers` (pcap, pcapng), `links` (what stands before IP), `captures`.
- Which record opens a flow, and in which direction: `openers`, with `addresses` for whose an address is.
- Verdicts: `compiled` (one list), `fleets` (the lists of many VMs), `whatif` (a run and its report), `tally` (flows alike).
"""
