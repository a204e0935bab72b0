"""The web server: gunicorn, with a worker of ours in which slow clients hold no thread."""
