"""Every read that says something: what a change does, what there is to say of a list, what can be reached."""
