"""Runs the packages that people reach models with against a kernel: gets them, once, and then every test.

`cargo xtask sdk` runs it. Where something is missing, such as the network at the first time, what needs it is
skipped and told in the file that AOSK_SKIP_LOG names.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Which packages get along with each other, and who needs them.
ENVIRONMENTS = {
    "sdks": [
        "test_openai", "test_errors", "test_anthropic", "test_langchain", "test_pydantic_ai", "test_autogen",
        "test_cerebrum",
    ],
    "litellm": ["test_litellm"],
    "crewai": ["test_crewai"],
    "schemathesis": ["test_interface"],
    "node": ["test_node"],
}

INSTALL_SECONDS_MAX = 900
TEST_SECONDS_MAX = 170


class Missing(Exception):
    """Something that this machine does not have."""


def skip(what, reason):
    line = f"SKIP {what}: {reason}"
    print(line)
    if os.environ.get("AOSK_SKIP_LOG"):
        with open(os.environ["AOSK_SKIP_LOG"], "a", encoding="utf-8") as log:
            log.write(line + "\n")


def place(cache, name, *files):
    """The folder of an environment, which is another one when what it is made of changes, and whether it is
    made already. What it was before is removed."""
    made_of = hashlib.sha256(sys.version.encode())
    for file in files:
        made_of.update(file.read_bytes())
    folder = cache / f"{name}-{made_of.hexdigest()[:16]}"
    for old in cache.glob(f"{name}-*"):
        if old != folder:
            shutil.rmtree(old)
    is_made = (folder / "made").exists()
    if folder.exists() and not is_made:
        shutil.rmtree(folder)
    return folder, is_made


def install(words, **more):
    """Runs what installs something."""
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, **more)
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{words[0]} took longer than {INSTALL_SECONDS_MAX} s") from error
    if said.returncode != 0:
        lines = [line for line in (said.stdout + said.stderr).splitlines() if line.strip()]
        raise Missing(f"they cannot be installed: {lines[-1] if lines else said.returncode}")


def python_environment(cache, name):
    """A Python with these packages."""
    pinned = HERE / "requirements" / f"{name}.txt"
    folder, is_made = place(cache, name, pinned)
    python = folder / "bin" / "python"
    if not is_made:
        print(f"getting the packages of {pinned.name}", flush=True)
        install([sys.executable, "-m", "venv", str(folder)])
        install([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                 "--only-binary", ":all:", "-r", str(pinned)])
        (folder / "made").touch()
    return {"python": str(python)}


def node_environment(cache):
    """The packages of npm."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Missing(f"there is no {program}")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(said.stdout.strip().lstrip("v").split(".")[0]) < 20:
        raise Missing(f"node {said.stdout.strip()} is older than 20")
    files = [HERE / "node" / "package.json", HERE / "node" / "package-lock.json"]
    folder, is_made = place(cache, "node", *files)
    if not is_made:
        print("getting the packages of npm", flush=True)
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        install(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder)
        (folder / "made").touch()
    return {"python": sys.executable, "NODE_PATH": str(folder / "node_modules")}


def environment(cache, name):
    return node_environment(cache) if name == "node" else python_environment(cache, name)


def run_module(aosk, module, using):
    """Runs the tests of a module in a process of its own. Returns how many passed and how many did not."""
    with tempfile.TemporaryDirectory() as home:
        counts = Path(home) / "counts"
        variables = {
            "PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home, "AOSK": str(aosk), "PYTHONDONTWRITEBYTECODE": "1",
            # Nothing leaves the machine: what is not for the loopback finds nobody.
            "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True", "CREWAI_DISABLE_TELEMETRY": "true",
            "CREWAI_TRACING_ENABLED": "false", "OTEL_SDK_DISABLED": "true", "LANGSMITH_TRACING": "false",
            **{name: value for name, value in using.items() if name != "python"},
        }
        words = [using["python"], "-W", "ignore", str(HERE / "suite.py"), "--module", module, str(counts)]
        begin = time.monotonic()
        child = subprocess.Popen(
            words, env=variables, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True)
        try:
            output, _ = child.communicate(timeout=TEST_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            # Its kernel ends with it.
            os.killpg(child.pid, signal.SIGKILL)
            output = child.communicate()[0] + "\nit did not end in time"
        found = json.loads(counts.read_text()) if counts.exists() else {"passed": 0, "failed": 1}
        seconds = time.monotonic() - begin
    with PRINTING:
        if found["failed"]:
            print(output)
        result = "FAILED" if found["failed"] else "ok"
        print(f"{module}: {result}, {found['passed']} passed, {found['failed']} failed, {seconds:.1f} s", flush=True)
    return found["passed"], found["failed"]


PRINTING = threading.Lock()


def main(aosk, cache, wanted):
    cache.mkdir(parents=True, exist_ok=True)
    known = {one.removeprefix("test_") for modules in ENVIRONMENTS.values() for one in modules}
    unknown = [one for one in wanted if one.removeprefix("test_") not in known]
    if unknown:
        print(f"no such tests: {', '.join(unknown)}; there are: {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    work = []
    for name, modules in ENVIRONMENTS.items():
        modules = [one for one in modules if not wanted or one in wanted or one.removeprefix("test_") in wanted]
        if not modules:
            continue
        try:
            using = environment(cache, name)
        except Missing as missing:
            skip(f"SDKs ({name})", str(missing))
            continue
        work += [(module, using) for module in modules]
    # Most of the time goes to Python and to waits.
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1)) as pool:
        counts = list(pool.map(lambda one: run_module(aosk, *one), work))
    passed, failed = (sum(part) for part in zip(*counts)) if counts else (0, 0)
    print(f"test result: {'FAILED' if failed else 'ok'}. {passed} passed; {failed} failed; 0 ignored")
    return 1 if failed else 0


def run_here(module, counts):
    """The tests of a module, in this process."""
    tests = unittest.defaultTestLoader.loadTestsFromName(module)
    result = unittest.TextTestRunner(verbosity=2).run(tests)
    # A test that fails in several of its parts is one test.
    found = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    found |= {test.id() for test in result.unexpectedSuccesses}
    passed = max(0, result.testsRun - len(found))
    Path(counts).write_text(json.dumps({"passed": passed, "failed": len(found) or int(result.testsRun == 0)}))
    return 1 if found else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--module"]:
        sys.exit(run_here(*sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aosk", required=True, type=Path, help="the binary")
    parser.add_argument("--cache", required=True, type=Path, help="where the packages are kept")
    parser.add_argument("tests", nargs="*", help="which of the tests, such as openai; all without it")
    given = parser.parse_args()
    sys.exit(main(given.aosk.resolve(), given.cache.resolve(), given.tests))
