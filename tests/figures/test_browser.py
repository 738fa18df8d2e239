"""The HTML page in Chromium: no errors, sorting, picking, stepping through time, accessibility, widths. Skipped where no browser is at hand."""

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.figures.page_case import evaluated
from ttfs_convert.figures.report_page import report_page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
WIDTHS, SCHEMES = (360, 1400), ("light", "dark")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report_page(*evaluated()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    """A function that opens the page; at the end no page has said anything on its console, nor asked for anything else."""
    said, asked, contexts = [], [], []

    def at(width=1400, hash="", **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address + hash)
        return page

    yield at
    for context in contexts:
        context.close()
    assert said == [] and {url.split("#")[0] for url in asked if not url.startswith("data:")} == {address}


def column(page, number):
    return page.locator(f"#layer-table tbody tr td:nth-child({number})").evaluate_all("cells => cells.map(cell => cell.dataset.value)")


def test_sorting_sorts(opened):
    page = opened()
    head = page.locator("#layer-table th", has_text="Mean error")
    for direction, name in ((1, "ascending"), (-1, "descending")):
        head.get_by_role("button").press("Enter")  # by the keyboard
        values = [float(value) for value in column(page, 6) if value]
        assert values == sorted(values)[::direction] and len(set(values)) > 2
        assert column(page, 6)[-1] == "" and head.get_attribute("aria-sort") == name  # what is missing stays at the end
        assert page.locator("#said").inner_text() == f"sorted by Mean error, {name}"
    page.locator("#layer-table th", has_text="Layer").get_by_role("button").click()
    names = page.locator("#layer-table tbody th").all_inner_texts()
    assert names == sorted(names, key=str.lower) and head.get_attribute("aria-sort") is None


def test_a_layer_is_picked_in_the_diagram_the_table_and_the_list(opened):
    page = opened()
    assert page.locator("article:visible").count() == 1
    page.locator("#network a[data-layer='2']").click()
    assert page.locator("article:visible").get_attribute("id") == "layer-2"
    assert page.locator("tr.picked").first.get_attribute("data-layer") == "2" and page.locator("#network .picked").count() == 1
    page.locator("#layer-table a[href='#layer-1']").focus()
    page.keyboard.press("Enter")
    assert page.locator("article:visible").get_attribute("id") == "layer-1"
    page.get_by_label("Layer", exact=True).select_option("0")
    assert page.locator("article:visible").get_attribute("id") == "layer-0" and page.locator("#network .picked").get_attribute("data-layer") == "0"
    assert opened(hash="#layer-2").locator("article:visible").get_attribute("id") == "layer-2"


def test_time_is_stepped_through(opened):
    page = opened()
    raster = page.locator(".raster:visible")
    slider, cover = raster.locator("input[type=range]"), raster.locator(".future")
    times = [float(time) for time in raster.locator(".spike").evaluate_all("all => all.map(each => each.dataset.time)")]
    assert float(cover.get_attribute("width")) == 0
    slider.press("Home")
    first = float(cover.get_attribute("width"))
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    assert 0 < float(cover.get_attribute("width")) < first
    told = raster.locator("output").inner_text()
    total = raster.get_attribute("data-total")
    assert told == f"2 of {total}: {times.count(2)} spikes now, {sum(time <= 2 for time in times)} of {len(times)} so far"
    page.get_by_label("Sample", exact=True).select_option("1")
    assert page.locator(".raster:visible").get_attribute("data-item") == "1"


def test_values_are_shown_at_the_pointer_and_at_the_focus(opened):
    page = opened()
    bar = page.locator("article:visible .chart rect.bar").first
    bar.scroll_into_view_if_needed()
    bar.hover()
    assert re.fullmatch(r".* of the window: .* % of the neurons", page.locator("#tip").inner_text())
    page.locator("#layers .profile a").first.focus()
    assert "mean error" in page.locator("#tip").inner_text()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_and_something_is_shown(opened, width, scheme):
    page = opened(width, color_scheme=scheme)
    wide, shown = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= shown == width
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("L"))
    background = np.median(pixels)
    assert pixels.shape[1] == width and pixels.shape[0] > 2000 and (background < 60 if scheme == "dark" else background > 200)
    assert (np.abs(pixels.astype(int) - background) > 60).mean() > 0.01


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing(opened, width, scheme):
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python, which carries axe-core, is not installed")
    page = opened(width, color_scheme=scheme)
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 10
    assert [(each["id"], [node["html"][:120] for node in each["nodes"]][:3]) for each in found["violations"]] == []


def test_all_is_there_without_a_script_and_on_paper(opened):
    page = opened(java_script_enabled=False)
    articles = page.locator("article").count()
    assert articles > 2 and page.locator("article:visible").count() == articles and page.locator(".raster:visible").count() == 4
    page = opened()
    page.emulate_media(media="print")
    assert page.locator("article:visible").count() == articles and page.locator("nav:visible, .controls:visible").count() == 0
    assert len(page.pdf()) > 10_000
