"""The door for agents on hosts: /agent/v1/, by signatures of both sides. No session, no form, no token but the one that enrols."""
