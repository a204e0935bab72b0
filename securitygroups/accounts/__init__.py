"""Accounts: signing in, with what, from where, and how a person looks after that. The parts are allauth's.

A door: it may import models, access, operations, and the site's error pages; `karenpanel.urls` and
`karenpanel.settings` name what is in here, and nobody else does.
"""
