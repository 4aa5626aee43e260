"""`measure.py` of a bundle: times everything in it on the device and writes one file, result.json.

Needs Python 3.8 or newer, numpy and the bundle's runtime. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RESULT = os.path.join(HERE, "result.json")


def main():
    with open(os.path.join(HERE, "plan.json"), encoding="utf-8") as file:
        plan = json.load(file)
    with open(os.path.join(HERE, plan["jobs"][0], "job.json"), encoding="utf-8") as file:
        first = json.load(file)
    runtime = first["runtime"]
    try:
        import device_timer

        if first.get("cores"):
            device_timer.keep_to(first["cores"])
        environment = device_timer.environment(runtime)
        device_timer.require_threads(first["threads"], environment)
    except ImportError as error:
        return "%s. Install numpy and %s, for example with pip, and run this again." % (error, runtime["package"])  # noqa: UP031
    except ValueError as error:
        return "Nothing was measured: %s. Write the bundle for what there is." % error  # noqa: UP031
    result = earlier(plan, environment) or dict(plan, environment=environment, times_ms={})
    for number, job in enumerate(plan["jobs"], 1):
        if job not in result["times_ms"]:
            print("part", number, "of", len(plan["jobs"]), flush=True)
            result["times_ms"][job] = device_timer.run_job(os.path.join(HERE, job))["times_ms"]
            write(result)
    # Whether heat or a weak supply slowed it down is only known now.
    result["environment"]["throttled"] = device_timer.environment(runtime)["throttled"]
    write(result)
    print("Done. Take", RESULT, "back.")
    return 0


def earlier(plan, environment):
    """What an interrupted run of the same bundle on the same machine has written."""
    try:
        with open(RESULT, encoding="utf-8") as file:
            result = json.load(file)
    except (OSError, ValueError):
        return None
    same = all(result.get(name) == value for name, value in plan.items())
    parts = ("fingerprint", "runtime_version")
    return result if same and all(result["environment"][part] == environment[part] for part in parts) else None


def write(result):
    with open(RESULT + ".part", "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.replace(RESULT + ".part", RESULT)


if __name__ == "__main__":
    sys.exit(main())
