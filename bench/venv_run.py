"""Run the calling script under build/bench-venv, made from bench/requirements.txt on first use."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, "build", "bench-venv")


def python():
    return os.path.join(VENV, "bin", "python")


def ready():
    return os.path.exists(os.path.join(VENV, "complete"))


def make():
    """Create the environment; each package on its own, so that one that cannot be had is only skipped."""
    print("making build/bench-venv (once; needs the package index)", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = [python(), "-m", "pip", "-q", "--disable-pip-version-check", "install"]
    here = os.path.join(ROOT, "bench")
    if subprocess.run(pip + ["-r", os.path.join(here, "requirements.txt")]).returncode != 0:
        with open(os.path.join(here, "requirements.txt"), encoding="ascii") as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    if subprocess.run(pip + [line.strip()], capture_output=True).returncode != 0:
                        print(f"skipped: {line.strip()} cannot be installed here", file=sys.stderr)
    # pnnx converts networks for ncnn; only its program is used, not the Python side that wants more packages
    subprocess.run(pip + ["--no-deps", "-r", os.path.join(here, "requirements-nodeps.txt")], capture_output=True)
    open(os.path.join(VENV, "complete"), "w", encoding="ascii").close()


def enter_with(argv, requirements, package):
    """enter(), with the packages of one more list; where this Python has the package already, it will do."""
    import importlib.util
    if importlib.util.find_spec(package):
        return
    enter(argv)
    print(f"adding bench/{requirements} to build/bench-venv (once)", file=sys.stderr)
    subprocess.run([python(), "-m", "pip", "-q", "--disable-pip-version-check", "install", "-r",
                    os.path.join(ROOT, "bench", requirements)], check=True)
    importlib.invalidate_caches()


def enter(argv):
    """Return when running inside the environment; else make it if need be and start again in it."""
    if os.path.realpath(sys.prefix) == os.path.realpath(VENV):
        return
    if not ready():
        make()
    os.execv(python(), [python()] + [os.path.abspath(argv[0])] + argv[1:])
