"""`karenpanel`, the panel at a terminal: a program on somebody's machine that speaks to the API with a token.

It imports `firewall`, for the language of rules, packets and documents, and the libraries of a command line and of HTTP;
nothing of Django. Nobody calls it but the person, or the job, that typed it.
"""
