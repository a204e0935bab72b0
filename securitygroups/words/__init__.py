"""Sentences: data of the core in, plain text out. No HTML; whoever shows the text escapes it."""
