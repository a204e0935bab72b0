"""What hosts and panel sign, and with what keys: the same bytes on both sides."""
