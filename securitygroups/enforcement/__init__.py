"""What becomes of rules on hosts."""
