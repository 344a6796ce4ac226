"""The page in headless Chromium: every control is clicked, nothing is fetched, nothing complains, a phone shows it
all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from how_many import everything
from metricopt.report import ReportData, write
from report.reports import STORIES, binary, hostile, rejected, seven_classes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

DESK, PHONE = (1180, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for this module only: playwright keeps an event loop running, which others may not expect."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None and os.environ.get("CI") != "true":
        pytest.skip("there is no chromium; install it, for example with: apt-get install chromium")
    assert path is not None, "continuous integration must have chromium; .ci/run installs it"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu"]
        started = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(
    browser: Browser,
    report_data: ReportData,
    folder: Path,
    *,
    size: tuple[int, int] = DESK,
    theme: str = "light",
    scale: float = 1,
) -> Iterator[Page]:
    """A report in a window; fails at the end on any message, error or request that it caused."""
    path = write(report_data, folder / "report.html")
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if theme == "dark" else "light",
        has_touch=size == PHONE,
        accept_downloads=True,
        offline=True,
    )
    complaints: list[str] = []
    try:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: _note_request(request.url, path, complaints))
        page.goto(path.as_uri())
        yield page
        page.wait_for_function("document.readyState === 'complete'")
        assert complaints == []
    finally:
        context.close()


def _note_request(url: str, path: Path, complaints: list[str]) -> None:
    if url != path.as_uri() and not url.startswith(("data:", "blob:")):
        complaints.append(f"request: {url}")


def screenshot(page: Page, folder: Path, name: str) -> None:
    """Kept where METRICOPT_SCREENSHOTS says, for human eyes."""
    kept = os.environ.get("METRICOPT_SCREENSHOTS")
    if kept is None and not everything():
        return
    target = Path(kept or folder)
    target.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=target / f"{name}.png", full_page=True)


#: Texts of each picture that lie over each other by more than a hair, or outside of their card.
CROWDED = """() => {
  const found = [];
  for (const svg of document.querySelectorAll("svg")) {
    const card = svg.closest(".card").getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")]
      .map((text) => ({
        text: text.textContent, box: text.getBoundingClientRect(), turned: text.hasAttribute("transform"),
      }))
      .filter(({ box }) => box.width > 0);
    texts.forEach(({ text, box, turned }, at) => {
      if (box.left < card.left - 1 || box.right > card.right + 1) found.push(`outside: ${text}`);
      for (const other of texts.slice(at + 1)) {
        if (turned || other.turned) continue;
        const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
        const down = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
        if (across > 2 && down > 4) {
          found.push(`${svg.getAttribute("aria-label").slice(0, 30)}: ${text} | ${other.text}`);
        }
      }
    });
  }
  return found;
}"""

#: What reaches over the right edge of the window.
TOO_WIDE = """() => [...document.querySelectorAll("main *")]
  .filter((each) => !each.closest("svg *") && each.getBoundingClientRect().right > innerWidth + 0.5)
  .map((each) => each.outerHTML.slice(0, 99))"""


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(pytest.param(name, DESK, id=f"{name}-desk") for name in STORIES),
        # Of small windows one page without --all.
        *(
            pytest.param(name, PHONE, id=f"{name}-phone", marks=[pytest.mark.full] if number else [])
            for number, name in enumerate(STORIES)
        ),
    ],
)
def test_a_page_fits_and_every_control_works(
    browser: Browser, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    with opened(browser, STORIES[name](), tmp_path, size=size) as page:
        for theme in ("dark", "light"):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            screenshot(page, tmp_path, f"{name}-{'phone' if size == PHONE else 'desk'}-{theme}")
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == (theme == "dark")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.evaluate(TOO_WIDE) == []
        assert page.evaluate(CROWDED) == []
        for button in page.locator("button[data-choose]").all():
            button.click()
            _check_choice(button)
        assert page.evaluate(CROWDED) == []
        for button in page.locator("button[data-toggle]").all():
            for shown in (False, True):
                button.click()
                _check_toggle(button, shown)


def _check_choice(button: Locator) -> None:
    """Of the views that rival for one place, the one of this button is seen, and no other."""
    pressed, views = button.evaluate(
        """button => {
          const figure = button.closest("figure"), name = button.dataset.choose.split(":")[0];
          const among = (key) => [...figure.querySelectorAll(`[data-${key}^="${name}:"]`)];
          return [
            among("choose").filter((each) => each.ariaPressed === "true").map((each) => each.dataset.choose),
            among("when").map((each) => [each.dataset.when, getComputedStyle(each).display !== "none"]),
          ];
        }"""
    )
    chosen = button.get_attribute("data-choose")
    assert pressed == [chosen]
    assert [chosen, True] in views
    assert all(seen == (view == chosen) for view, seen in views)


def _check_toggle(button: Locator, shown: bool) -> None:
    """All marks of the series are seen, or none."""
    pressed, seen = button.evaluate(
        """button => [button.ariaPressed, [...button.closest("figure").querySelectorAll("[data-series]")]
          .filter((each) => each.dataset.series === button.dataset.toggle)
          .map((each) => getComputedStyle(each).display !== "none")]"""
    )
    assert pressed == str(shown).lower()
    assert set(seen) == {shown}


def test_a_small_picture_that_is_alone_does_not_grow(browser: Browser, tmp_path: Path) -> None:
    report_data = rejected()
    assert report_data.confusion is not None
    same = replace(
        report_data, confusion=replace(report_data.confusion, after=report_data.confusion.before)
    )  # no picture beside it
    with opened(browser, same, tmp_path) as page:
        assert page.locator("#classes").count() == 0
        assert page.locator("#confusion .wide svg").evaluate("each => each.getBoundingClientRect().width") <= 520


def test_the_key_of_the_diagonal_lies_outside_of_the_dots(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, binary(), tmp_path) as page:
        key = page.locator("#predictions .wide text", has_text="predicted = observed").bounding_box()
        tops = [dot.bounding_box() for dot in page.locator("#predictions .wide circle").all()]
        assert key is not None
        assert all(box is not None and box["y"] > key["y"] + key["height"] for box in tops)


def test_the_theme_button_wins_over_the_system(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, binary(), tmp_path, theme="dark") as page:
        paper = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(paper)
        button = page.locator("#theme")
        assert button.inner_text() == "◐ light"
        button.click()
        light = page.evaluate(paper)
        assert light != dark
        assert button.inner_text() == "◐ dark"
        page.emulate_media(color_scheme="light")
        assert page.evaluate(paper) == light
        button.click()
        assert page.evaluate(paper) == dark


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read_against_their_ground(browser: Browser, tmp_path: Path, theme: str) -> None:
    with opened(browser, seven_classes(), tmp_path, theme=theme) as page:
        found = page.evaluate(
            """() => {
              const parse = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
              const light = (colour) => parse(colour).map((part) => part / 255)
                .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
                .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
              const worst = {};
              for (const each of document.querySelectorAll("main p, h1, h2, dt, dd, td, th, button, svg text")) {
                const style = getComputedStyle(each);
                let ground = each;
                while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
                const words = light(each.closest("svg") ? style.fill : style.color);
                const behind = light(getComputedStyle(ground).backgroundColor);
                const ratio = (Math.max(words, behind) + 0.05) / (Math.min(words, behind) + 0.05);
                const key = `${each.tagName}.${each.getAttribute("class")}`;
                worst[key] = Math.min(worst[key] ?? 99, ratio);
              }
              return worst;
            }"""
        )
        assert len(found) > 10
        assert {key: ratio for key, ratio in found.items() if ratio < 4.5} == {}


def test_pictures_can_be_saved(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, binary(), tmp_path) as page:
        every_svg, two_png = "button[data-save=svg]", "#interval [data-save=png], #embedding [data-save=png]"
        for button in page.locator(f"{every_svg}, {two_png}").all():
            kind = button.get_attribute("data-save")
            with page.expect_download() as waiting:
                button.click()
            saved = tmp_path / waiting.value.suggested_filename
            waiting.value.save_as(saved)
            figure = button.locator("xpath=ancestor::figure").get_attribute("id")
            assert saved.name == f"metricopt-{figure}.{kind}"
            if kind == "png":
                assert saved.read_bytes().startswith(b"\x89PNG")
            else:
                text = saved.read_text(encoding="utf-8")
                ElementTree.fromstring(text)
                assert "var(" not in text, "colours are written out"
                assert 'class="off' not in text, "what is hidden stays behind"


def test_a_mark_tells_what_it_stands_for(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, binary(), tmp_path) as page:
        tip = page.locator("#tip")
        assert not tip.is_visible()
        page.locator("#anytime .wide [data-lead^='MetricOpt'] circle").last.hover()
        assert re.fullmatch(r"MetricOpt, call \d+: 0\.699", tip.inner_text())
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        page.locator("#confusion .wide .wrong").first.hover()
        assert tip.inner_text() == "truth <=50K, predicted >50K: 115 (5.8\N{NARROW NO-BREAK SPACE}% of the row)"


def test_text_of_users_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, hostile(), tmp_path) as page:
        assert "<script>alert(1)</script>" in page.locator("h1").inner_text()
        assert "<script>alert(1)</script>" in page.locator(".reason").inner_text()
        assert page.locator("script").count() == 1
        assert page.locator("main script, img, iframe, object, embed").count() == 0
        page.locator("#confusion .wide .right").first.hover()
        assert "<script>alert(1)</script>" in page.locator("#tip").inner_text()


def test_the_page_can_be_read_without_its_script(browser: Browser, tmp_path: Path) -> None:
    path = write(binary(), tmp_path / "report.html")
    context = browser.new_context(java_script_enabled=False, viewport={"width": DESK[0], "height": DESK[1]})
    try:
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.locator("#trajectories .wide svg").is_visible()
        assert not page.locator("#theme").is_visible()
        assert page.locator("[data-save]:visible").count() == 0
    finally:
        context.close()
