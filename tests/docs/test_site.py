"""The manual as a site, and a report, in a real browser: no warning, all can read them.

axe-core (https://github.com/dequelabs/axe-core) looks for headings out of order, pictures without
a text, contrast that is too low, and the like. Screenshots go to the folder
PMCMC_TEST_SCREENSHOTS, if that is set.
"""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conftest import ROOT, missing

pytestmark = pytest.mark.slow
VIEWS = {"wide-light": (1280, "light"), "narrow-dark": (400, "dark")}
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
# the theme's own: landmarks of its side bars, and code that scrolls in a box of its own
THEME = ["landmark-unique", "region"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *args):
        pass


def in_browser(folder, pages, scheme, width, rules_off=()):
    """Return what is wrong with each page of a folder at a width, in light or dark."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    axe = Axe()
    options = {
        "preload": False,  # it would load style sheets again, from a wrong place
        "runOnly": {"type": "tag", "values": STANDARDS},
        "rules": {rule: {"enabled": False} for rule in rules_off},
    }
    wrong, kept = [], os.environ.get("PMCMC_TEST_SCREENSHOTS")
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own = f"http://127.0.0.1:{server.server_port}/"
    with server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce"
        )
        tab = context.new_page()
        tab.on(
            "response", lambda r: r.ok or r.status == 304 or wrong.append(f"{r.status} {r.url}")
        )
        context.route(
            lambda url: not url.startswith((own, "data:")),
            lambda route: (wrong.append(f"fetched: {route.request.url}"), route.abort()),
        )
        for page in pages:
            tab.goto(own + page.relative_to(folder).as_posix())
            tab.wait_for_load_state("load")
            spans = tab.evaluate("document.documentElement.scrollWidth")
            if spans > width:
                wrong.append(f"{page}: {spans} px wide on a screen of {width}")
            for violation in axe.run(tab, options=options).response["violations"]:
                where = "; ".join(str(node["html"])[:160] for node in violation["nodes"][:3])
                wrong.append(f"{page}: {violation['id']}: {violation['help']}: {where}")
            if kept:
                name = "-".join(Path(page).with_suffix("").parts[-2:])
                tab.screenshot(path=f"{kept}/{name}-{width}-{scheme}.png", full_page=True)
        browser.close()
        server.shutdown()
    return wrong


@pytest.fixture(scope="module")
def browser(pytestconfig):
    try:
        import axe_playwright_python  # noqa: F401
    except ImportError:
        missing(pytestconfig, "no axe-playwright-python: pip install '.[browser]'")
    if shutil.which("chromium") is None:
        missing(pytestconfig, "no chromium")


@pytest.fixture(scope="module")
def site(pytestconfig, tmp_path_factory):
    try:
        import myst_nb  # noqa: F401
        import sphobjinv  # noqa: F401
    except ImportError:
        missing(pytestconfig, "no Sphinx with what the manual needs: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site") / "html"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("view", VIEWS)
def test_the_manual_in_a_browser(site, browser, view):
    width, scheme = VIEWS[view]
    left_out = ("search.html", "genindex.html", "py-modindex.html")
    pages = [p for p in sorted(site.rglob("*.html")) if p.name not in left_out]
    pages = [p for p in pages if "_static" not in p.parts]
    assert len(pages) > 40
    wrong = in_browser(site, pages, scheme, width, THEME)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("view", VIEWS)
def test_a_report_in_a_browser(launch, browser, tmp_path, view):
    width, scheme = VIEWS[view]
    args = ["--nsteps", 800, "--burnin", 100, "--nwalkers", 32, "--seed", 1]
    launch(2, "-m", "pmcmc", "line", *args, cwd=tmp_path)
    done = launch(0, "-m", "pmcmc", "report", "line.h5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    wrong = in_browser(tmp_path, [tmp_path / "line.html"], scheme, width)
    assert not wrong, "\n".join(wrong)
