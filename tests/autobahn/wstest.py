"""Runs the suite's own command on Python 2.7, or lists its cases as JSON.

Never changes a line of the suite. It imports Twisted's TLS, which would need OpenSSL's bindings, only to make an object
that is not used for addresses that begin with ws://; a stand-in is enough for that.

    python2.7 wstest.py FOLDER list
    python2.7 wstest.py FOLDER -m fuzzingclient -s SPEC
"""
import inspect
import json
import site
import sys
import types


def stand_in_for_tls():
    import twisted.internet

    module = types.ModuleType("twisted.internet.ssl")
    module.ClientContextFactory = object
    sys.modules[module.__name__] = module
    twisted.internet.ssl = module


def list_cases():
    from autobahntestsuite.case import Cases

    listed = []
    for case in Cases:
        listed.append({
            "id": ".".join(case.__name__[len("Case"):].split("_")),
            # Some cases have no right answer: they set this verdict themselves, whatever was answered.
            "informational": "self.behavior = Case.INFORMATIONAL" in inspect.getsource(inspect.getmodule(case)),
        })
    json.dump(listed, sys.stdout)


if __name__ == "__main__":
    folder = sys.argv.pop(1)
    sys.path.pop(0)
    site.addsitedir(folder)
    stand_in_for_tls()
    if sys.argv[1:] == ["list"]:
        list_cases()
    else:
        from autobahntestsuite.wstest import run

        run()
