"""Put every mutant of a module on trial: `python trial.py plan.guard` prints what became of each, as lines of JSON.

pytest and the libraries are imported once; each mutant then has a fork of its own, in which an import hook serves the
mutated source before the tests are imported. So whoever imports from the module, by whatever way, sees the mutant.
"""

import argparse
import importlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

import fileferry  # noqa: E402
from mutation.mutants import mutants_of  # noqa: E402

__all__ = ["main", "source_of"]

AT_ONCE = 2
CPU_SECONDS = 20  # a mutant that never ends has died
WALL_SECONDS = 90.0
MEMORY = "/dev/shm"  # where a commit costs no disk
FAILED, BROKEN = 1, 2  # pytest: tests failed; the module or a test could not even be imported
PRELOADED = (
    "pytest", "_pytest.assertion.rewrite", "hypothesis", "sqlite_utils", "fileferry.ignore.rules",
)  # fmt: skip
JUDGES = {  # the tests of a module, where they are not those of its own name
    "plan.parts": ("plan_parts",),
    "index.intents": ("intents", "index_parts"),
    "index.leaving": ("leaving", "deletes"),
    "daemon.corrections": ("audit", "corrections"),
    "daemon.audit": ("audit", "settling", "corrections"),
}


class Serve(MetaPathFinder, Loader):
    """Serves one module from a code object, and leaves all others to the usual ways."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name = name
        self._code = code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Claim the module."""
        return spec_from_loader(fullname, self) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutated source as the module."""
        exec(self._code, module.__dict__)


def source_of(module: str) -> Path:
    """Return where the source of a module is, which is given as `plan.guard`."""
    return Path(fileferry.__file__).parent.joinpath(*module.split(".")).with_suffix(".py")


def tests_of(module: str) -> list[str]:
    """Return the files of tests that have to notice a mistake in a module."""
    room, _, name = module.partition(".")
    unit = HERE.parents[1] / "unit"
    tests = [str(unit / f"test_{judge}.py") for judge in JUDGES.get(module, (name,))]
    return [*tests, str(HERE.with_name("test_edges.py"))] if room == "plan" else tests


def _run_tests(module: str, source: str, home: str) -> int:
    """Return the exit code of pytest against one version of the module. Runs in a fork."""
    import pytest
    from hypothesis import Phase, settings

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    # The same examples each time, or a mutant would live on some days and die on others.
    settings.register_profile(
        "trial",
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=40,
        phases=(Phase.explicit, Phase.generate),
    )
    settings.load_profile("trial")
    name = f"fileferry.{module}"
    sys.meta_path.insert(0, Serve(name, compile(source, f"<mutant of {name}>", "exec")))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    how = ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-c", os.devnull]
    how += [
        "--noconftest",
        "-p",
        "index_fixtures",
    ]  # a conftest would choose other examples of properties
    how += ["--import-mode=importlib", f"--rootdir={HERE.parents[2]}"]
    how += [f"--basetemp={os.path.join(home, str(os.getpid()))}"]
    return int(pytest.main([*how, *tests_of(module)]))


def _fork(module: str, source: str, home: str) -> int:
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = _run_tests(module, source, home)
    finally:
        os._exit(code)


class Trial:
    """The forks under way.

    Args:
        module: what is mutated.
        home: a directory for what the tests write.
    """

    def __init__(self, module: str, home: str) -> None:
        self._module = module
        self._home = home
        self._running: dict[int, tuple[str, str, float]] = {}

    def begin(self, name: str, source: str, diff: str) -> None:
        """Begin with one mutant, as soon as there is room."""
        while len(self._running) >= AT_ONCE:
            self._reap()
        self._running[_fork(self._module, source, self._home)] = (name, diff, time.monotonic())

    def end(self) -> None:
        """Wait for the rest."""
        while self._running:
            self._reap()

    def _reap(self) -> None:
        for child, (name, diff, began) in list(self._running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if not done:
                if time.monotonic() - began > WALL_SECONDS:
                    os.kill(child, 9)
                continue
            del self._running[child]
            code = os.waitstatus_to_exitcode(status)
            if code > BROKEN:
                raise RuntimeError(f"pytest ended with {code} for {name}")
            print(json.dumps({"name": name, "died": code != 0, "diff": diff}), flush=True)
        time.sleep(0.005)


def main(arguments: Sequence[str] | None = None) -> None:
    """Try the module as it is, which has to live, and then its mutants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    options = parser.parse_args(arguments)
    for name in PRELOADED:
        importlib.import_module(name)
    if f"fileferry.{options.module}" in sys.modules:
        raise RuntimeError("the module was imported before its mutants could be")
    source = source_of(options.module).read_text()
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as home:
        trial = Trial(options.module, home)
        trial.begin("as it is", source, "")
        for mutant in mutants_of(source):
            if options.only in mutant.name:
                trial.begin(mutant.name, mutant.source, mutant.diff)
        trial.end()


if __name__ == "__main__":
    main()
