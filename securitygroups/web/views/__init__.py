"""Screens only: one file a screen."""
