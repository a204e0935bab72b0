"""Lines that people paste: what each program prints of a packet, read by one table."""
