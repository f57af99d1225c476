"""Claims about the sets of packages: extras and requirements files, and what is missing."""

import re
import sys

import pytest

import setup
from helpers.scripts import CHECKOUT, run_cold
from pyimagesearch.runtime import console, packages

SCORE = CHECKOUT / "requirements-score.txt"


def names_in(requirements):
    return {re.match(r"[\w-]+", line)[0] for line in requirements}


def test_an_extra_is_what_a_requirements_file_adds_to_labelling():
    extras = setup.extras()
    assert names_in(extras["report"]) == {"jinja2"}
    assert names_in(extras["tables"]) == names_in(extras["series"]) | {"openpyxl", "pyarrow"}
    assert names_in(extras["autoencoders"]) > names_in(extras["train"]) | names_in(extras["series"])
    for extra, listed in extras.items():
        assert not names_in(listed) & names_in(setup.requirements(SCORE.name)), extra
        assert len(names_in(listed)) == len(listed), extra


def test_all_is_everything_but_what_is_under_the_gpl_and_for_developers():
    extras = setup.extras()
    of_users = extras.keys() - {"docs", "dev"}
    used = set().union(*(extras[extra] for extra in of_users))
    assert set(extras["all"]) == used - set(extras["heic"])
    assert set(extras["dev"]) > used | set(extras["docs"])


def test_every_requirements_file_is_an_extra_or_what_all_need():
    files = {path.name for path in CHECKOUT.glob("requirements*.txt")}
    assert files == {SCORE.name}.union(*setup.EXTRAS.values())


@pytest.mark.parametrize(("module", "package", "extra"), packages.known())
def test_a_missing_package_is_one_sentence_with_what_installs_it(
    module, package, extra, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError) as raised:
        __import__(module)
    file = f"requirements-{extra}.txt"
    assert packages.what_is_missing(raised.value) == (
        f"the package {package} is missing: pip install -r {file}"
    )
    assert package in names_in(setup.requirements(file))


def test_outside_of_the_checkout_it_is_an_extra_of_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "_CHECKOUT", str(tmp_path))
    assert packages.install_line("series") == "pip install 'pyimagesearch-anomaly[series]'"
    assert packages.install_line("score") == "pip install 'pyimagesearch-anomaly'"


def test_what_the_system_lacks_for_windows_comes_with_the_commands_that_do_without():
    error = ImportError(
        "libGL.so.1: cannot open shared object file", name="cv2", path="/lib/cv2/cv2.abi3.so"
    )
    assert re.search(
        r"\(libGL\.so\.1: .*pip uninstall --yes opencv-contrib-python; "
        r"pip install opencv-contrib-python-headless",
        packages.what_is_missing(error),
    )


def test_a_module_that_lacks_a_name_is_no_missing_package():
    with pytest.raises(ImportError) as raised:
        from numpy import no_such_name  # noqa: F401
    assert packages.what_is_missing(raised.value) is None
    with pytest.raises(ModuleNotFoundError):
        console.status_of(lambda: __import__("no_such_package"))


def test_a_script_says_in_a_sentence_what_it_lacks_to_start():
    code = (
        "import sys, runpy; sys.modules['cv2'] = None\n"
        "sys.argv = ['find_anomalies.py', '--help']\n"
        "runpy.run_path('find_anomalies.py', run_name='__main__')"
    )
    ended = run_cold("-c", code)
    said = b"[ERROR] the package opencv-contrib-python is missing: "
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr == said + b"pip install -r requirements-score.txt\n"
