# What a developer does with the panel; `just` alone lists it. CONTRIBUTING.md says how to set up.

python := ".venv/bin/python"
bin := ".venv/bin"
compile := bin + "/uv pip compile --no-strip-extras --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header"
# The settings of an installation, with nothing real in them.
production := "env -u INSECURE_HTTP -u DEBUG ALLOWED_HOSTS=panel.example.com EMAIL_URL=submission://panel:secret@mail.example.com SECRET_KEY=" + uuid() + uuid()

[private]
default:
    @just --list --unsorted

# Run the panel with example data at http://127.0.0.1:PORT/, started again when a file changes
run PORT="8000" *ARGS:
    {{ python }} manage.py demo --reload --port {{ PORT }} {{ ARGS }}

# Run the tests of one room: `just test firewall`, `just test web/test_rules -x`, `just test models`; without a room all
test ROOM="" *ARGS:
    {{ python }} -m pytest {{ if ROOM == "" { "" } else { "-n 0" } }} \
        {{ if ROOM == "" { "" } \
           else if path_exists("tests" / ROOM) == "true" { "tests" / ROOM } \
           else if path_exists("tests" / ROOM + ".py") == "true" { "tests" / ROOM + ".py" } \
           else { "tests/test_" + ROOM + ".py" } }} \
        {{ ARGS }}

# Run all tests and tell which lines none of them runs; it takes nearly twice their time, so CI leaves it out
coverage *ARGS:
    {{ python }} -m pytest --cov --cov-report=term {{ ARGS }}

# Check all that CI checks beside the tests
check: lint layout types settings

# Check how Python, templates, scripts and styles are written
lint:
    {{ bin }}/ruff check .
    {{ bin }}/ruff format --check .
    {{ bin }}/djlint --lint --quiet templates
    {{ bin }}/biome check

# Check the limits of the layout: lengths, widths, arguments, complexity, comments
layout:
    {{ python }} tests/measure.py --check

# Print the measures of the layout as a table, of this checkout or of another one
measure ROOT=".":
    {{ python }} tests/measure.py --table {{ quote(ROOT) }}

# Check the types
types:
    {{ bin }}/mypy

# Check that no migration is missing, and what Django says of the settings of an installation
settings:
    {{ production }} {{ python }} manage.py makemigrations --check --dry-run
    DATABASE_URL='postgresql://panel@db.example.com/panel?sslmode=verify-full' {{ production }} \
        {{ python }} manage.py check --deploy --fail-level WARNING

# Put Python, scripts and styles into their form, and mend what tools can mend
fmt:
    {{ bin }}/ruff check --fix .
    {{ bin }}/ruff format .
    {{ bin }}/biome check --write

# Write the three lock files again after a change in pyproject.toml; `just lock --upgrade` takes the newest of all
lock *ARGS:
    {{ compile }} {{ ARGS }} --group panel --output-file requirements.lock
    {{ compile }} {{ ARGS }} --group dev --output-file requirements-dev.lock
    {{ compile }} {{ ARGS }} --group bench --output-file requirements-bench.lock
