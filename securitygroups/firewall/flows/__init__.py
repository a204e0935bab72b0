"""Packets in bulk: flow logs and captures read, and judged against a list or two."""
