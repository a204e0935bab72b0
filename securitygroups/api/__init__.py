"""The door for programs: /api/v1/, by token. One router a resource; what is sent and answered is the document of
firewall/formats/documents, and every write goes the way of the panel's: proposal, question, commit, record."""
