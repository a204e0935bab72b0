"""Programs that put load on a web server and measure it. Each says in its docstring how it is run."""
