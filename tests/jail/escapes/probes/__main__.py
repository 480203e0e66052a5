"""Runs one probe and says, a line each, that it began, what it reached, and that it is done."""

import importlib
import json
import sys


def say(**what):
    print(json.dumps(what), flush=True)


def main(name, *arguments):
    module, _, function = name.partition(".")
    probe = getattr(importlib.import_module(f"probes.{module}"), function)
    say(began=name)
    for reached in probe(*map(json.loads, arguments)):
        say(reached=reached)
    say(done=True)


main(*sys.argv[1:])
