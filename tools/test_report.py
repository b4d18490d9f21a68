"""Reads what Bazel did (--build_event_json_file): prints "PASSED FAILED", in test cases, and on stderr why some failed.

Cases, not targets: a target's XML file lists them. What did not build, crashed or timed out has none and counts as one failed.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree as xml

TAIL_LINES = 80


def events(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def read(uri):
    path = urllib.parse.unquote(urllib.parse.urlparse(uri).path)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        return f"({error})"


def show(title, text):
    lines = [line for line in text.rstrip().splitlines() if not line.startswith("exec ${PAGER")]
    print(f"--- {title}", *lines[-TAIL_LINES:], sep="\n", file=sys.stderr)


def count_cases(text):
    """(passed, failed) of one test.xml; a skipped case is neither."""
    try:
        cases = list(xml.fromstring(text).iter("testcase"))
    except xml.ParseError:
        return 0, 0
    failed = sum(any(child.tag in ("failure", "error") for child in case) for case in cases)
    skipped = sum(case.get("result") in ("skipped", "suppressed") or case.get("status") == "notrun" for case in cases)
    return len(cases) - failed - skipped, failed


def report_test(label, result):
    files = {output["name"]: output["uri"] for output in result.get("testActionOutput", [])}
    passed, failed = count_cases(read(files["test.xml"])) if "test.xml" in files else (0, 0)
    if result["status"] in ("PASSED", "FLAKY"):
        return passed, failed
    show(f"{label}: {result['status']}", read(files["test.log"]) if "test.log" in files else "")
    return passed, max(failed, 1)


def report_unbuilt(label, event):
    show(f"{label}: not built", event.get("aborted", {}).get("description", ""))
    return 0, 1


def report(event):
    identity = event["id"]
    if "testResult" in identity and "testResult" in event:
        return report_test(identity["testResult"]["label"], event["testResult"])
    if "targetCompleted" in identity and not event.get("completed", {}).get("success"):
        return report_unbuilt(identity["targetCompleted"]["label"], event)
    if "actionCompleted" in identity and "stderr" in event.get("action", {}):
        show(identity["actionCompleted"].get("label", "action"), read(event["action"]["stderr"]["uri"]))
    return 0, 0


def main():
    counts = [report(event) for event in events(sys.argv[1])]
    print(sum(passed for passed, _ in counts), sum(failed for _, failed in counts))


main()
