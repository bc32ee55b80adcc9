"""Which cases to run, and what their results amount to."""
import fnmatch
import sys
from collections import Counter

# The suite's words for a result. All but the first fail a run; so does the second but for the cases that set it
# themselves, whatever was answered.
OK = "OK"
INFORMATIONAL = "INFORMATIONAL"
ALWAYS_TOLD = [OK, INFORMATIONAL, "FAILED", "NON-STRICT", "UNIMPLEMENTED"]
DID_NOT_RUN = "DID NOT RUN"

# Every group: the performance cases too, which a server or client of today has soon done, and of each way to compress a
# few sizes, and one in fragments.
QUICK = ["[1-9].*", "10.*", "12.*.1", "12.*.4", "12.*.7", "12.*.11", "13.*.1", "13.*.4", "13.*.7", "13.*.11"]


def choose(known, options):
    """The cases that the options ask for, in the suite's order."""
    patterns = ["*"]
    if options.quick:
        patterns = QUICK
    elif options.cases:
        patterns = [pattern.strip() for pattern in options.cases.split(",")]
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(case["id"], pattern) for case in known):
            sys.exit(f"FAILED: no case has a number like {pattern}")
    return [case for case in known if any(fnmatch.fnmatchcase(case["id"], pattern) for pattern in patterns)]


def conclude(name, chosen, results):
    """Prints one line for the direction and one for each case that is not OK. Says whether all is well."""
    informational = {case["id"] for case in chosen if case["informational"]}
    lacking = {"behavior": DID_NOT_RUN, "behaviorClose": DID_NOT_RUN, "words": "the suite has no result"}
    told = [(case["id"], results.get(case["id"], lacking)) for case in chosen]
    bad = 0
    for number, result in told:
        verdicts = {result["behavior"], result["behaviorClose"]}
        if verdicts == {OK}:
            continue
        allowed = verdicts == {INFORMATIONAL} and number in informational
        bad += not allowed
        mark = "allowed" if allowed else "FAILED"
        print(f"  {mark}: {number}: {result['behavior']}, closing {result['behaviorClose']}: {result['words']}")
    print(
        f"{name}: {len(chosen)} cases: {count(result['behavior'] for _, result in told)};"
        f" closing: {count(result['behaviorClose'] for _, result in told)}",
        flush=True,
    )
    return bad == 0


def count(verdicts):
    counts = Counter(verdicts)
    names = ALWAYS_TOLD + sorted(set(counts) - set(ALWAYS_TOLD))
    return ", ".join(f"{counts[name]} {name}" for name in names)
