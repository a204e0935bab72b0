"""`manage.py forward`: the records of the whole installation for a machine that keeps or watches them."""
