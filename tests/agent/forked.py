"""Runs the agent's commands, each in a process of its own that need not import everything first: started by stand.py.

One JSON object a line in, {"arguments": […], "text": …}, and one out.
"""

import json
import os
import sys
import tempfile

from securitygroups.agent.main import main


def run(arguments: list[str], text: str) -> dict[str, object]:
    """One command to its end, in a child: what it leaves in memory is gone with it."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as words:
        source.write(text.encode())
        source.seek(0)
        child = os.fork()
        if child == 0:
            for number, file in enumerate((source, out, words)):
                os.dup2(file.fileno(), number)
            status = 1
            try:
                status = main(arguments)
            except SystemExit as ended:
                status = int(ended.code or 0)
            except BaseException as error:
                sys.excepthook(type(error), error, error.__traceback__)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        words.seek(0)
        return {"status": status, "out": out.read().decode(), "words": words.read().decode()}


for line in sys.stdin:
    order = json.loads(line)
    sys.stdout.write(json.dumps(run(order["arguments"], order["text"])) + "\n")
    sys.stdout.flush()
