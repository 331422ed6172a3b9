# ruff: noqa: E501 (scripts for the browser stand in long lines)
"""The built site in a headless Chromium, as readers meet it: from a server and from disk, light and dark,
with a keyboard, on a phone, on paper. Skipped, with the reason, without a Chromium or without a site.
"""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from scipy.stats import binom

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
AXE = (ROOT / "tests" / "vendor" / "axe.min.js").read_text(encoding="utf-8")
NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
FLAGS = """--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync
    --no-first-run""".split()
PAGES = sorted(p.relative_to(SITE).as_posix() for p in SITE.glob("chapters/**/*.html"))
OTHERS = ["search.html"]
PARTS = ("chapters/objectives/", "chapters/approximation/")
TEXT = [p for p in PAGES if p.startswith(PARTS) and not p.endswith("/index.html")]

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is on the PATH"),
    pytest.mark.skipif(not PAGES, reason="no site: build it first (make site)"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


# Module scope: Playwright's event loop would be in the way of other tests that run notebooks.
@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


def settle(page: Any) -> None:
    """Wait until scripts, formulas and the book's own script have done their work."""
    page.wait_for_load_state("load")
    page.evaluate("async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; }")
    page.wait_for_timeout(50)


def watch(page: Any, home: str) -> list[str]:
    """Collect what a page complains of, what fails to load, and what it asks of others."""
    faults: list[str] = []
    page.on("console", lambda m: m.type in ("error", "warning") and faults.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: faults.append(f"error: {e}"))
    page.on("requestfailed", lambda r: faults.append(f"failed: {r.url}"))
    page.on("response", lambda r: r.status >= 400 and faults.append(f"status {r.status}: {r.url}"))
    page.on(
        "request",
        lambda r: r.url.startswith((home, "data:", "blob:")) or faults.append(f"another host: {r.url}"),
    )
    return faults


@pytest.fixture(scope="module")
def desktop(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def tab(desktop: Any) -> Iterator[Any]:
    page = desktop.new_page()
    yield page
    if page.url.startswith("http"):
        page.evaluate("localStorage.clear()")
    page.close()


STILL = "*, *::before, *::after { transition: none !important; animation: none !important }"
OPEN_ALL = """() => {
  document.querySelectorAll('details').forEach(d => d.open = true);
  document.querySelectorAll('.toggle-hidden > .admonition-title > .toggle-button').forEach(b => b.click());
}"""
# axe's time goes with the number of elements, and most are tokens of code and parts of formulas. One token of
# each kind and a few formulas stay as they are, the others become plain text of the same colour and place.
THIN_OUT = """() => {
  const kinds = new Set();
  document.querySelectorAll('.bd-article pre span[class]').forEach(e =>
    kinds.has(e.className) ? e.replaceWith(...e.childNodes) : kinds.add(e.className));
  [...document.querySelectorAll('mjx-container')].slice(20).forEach(e => {
    const kept = document.createElement('span'); kept.textContent = 'formula';
    [...e.attributes].forEach(a => /^(tabindex|role|aria-label)$/.test(a.name) && kept.setAttribute(a.name, a.value));
    e.replaceWith(kept); });
}"""
# Of axe's rules only these depend on colours; in the dark there is no need for the others again.
COLOURS = ["color-contrast", "link-in-text-block"]
AXE_RUN = """async rules => {
  const what = rules ? {runOnly: {type: 'rule', values: rules}} : {};
  const {violations} = await axe.run(document, {resultTypes: ['violations'], ...what});
  return violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v =>
    `${v.impact} ${v.id}, ${v.nodes.length} times: ` + v.nodes.slice(0, 3).map(n =>
      `${n.target} ${n.html.slice(0, 120)} (${n.failureSummary.replace(/\\s+/g, ' ').slice(0, 220)})`).join(' | '));
}"""
MATHS = """() => ({
  asked: document.querySelectorAll('.bd-article .math').length,
  drawn: document.querySelectorAll('.bd-article .math mjx-container').length,
  wrong: [...document.querySelectorAll('mjx-merror, [data-mjx-error]')].map(e => e.textContent.slice(0, 80)),
  raw: [...document.querySelectorAll('.bd-article :is(p, li, td, figcaption, .admonition-title, h1, h2, h3)')]
    .filter(e => !e.closest('code, pre')).map(e => { const c = e.cloneNode(true);
      c.querySelectorAll('code, pre, mjx-container, script').forEach(x => x.remove()); return c.textContent; })
    .filter(t => /\\$\\$|\\\\\\(|\\\\\\[|\\$[^$]*\\\\[a-z]+[^$]*\\$/.test(t)).map(t => t.trim().slice(0, 80)),
})"""
WIDE = """() => {
  const inside = e => { for (let x = e.parentElement; x && x !== document.body; x = x.parentElement)
    if (/auto|scroll|hidden|clip/.test(getComputedStyle(x).overflowX)) return true; return false; };
  const wide = [...document.querySelectorAll('.bd-main *')].filter(e =>
    e.getBoundingClientRect().right > innerWidth + 1 && e.getClientRects().length && !inside(e) &&
    !e.closest('.bd-sidebar-secondary'));  // a drawer that waits beside the screen
  const text = wide.slice(0, 5).map(e => `${e.tagName}.${e.className} ${(e.textContent || '').trim().slice(0, 50)}`);
  if (document.documentElement.scrollWidth > innerWidth) text.unshift(`page ${document.documentElement.scrollWidth}`);
  return text;
}"""
# What is only heard, or not yet opened, has no size: whether it would stretch the page differs between engines.
HIDDEN = """() => [...document.querySelectorAll('body *')].filter(e => {
  const s = getComputedStyle(e), r = e.getBoundingClientRect();
  return s.position === 'absolute' && (/rect/.test(s.clip) || s.clipPath.startsWith('inset')) &&
    (r.width > 2 || r.height > 2); }).slice(0, 5).map(e => `${e.tagName}.${e.className} is hidden and has a size`)"""
# Readers' machines have other fonts for code and menus: the widest stand for all of them.
WIDE_FONTS = """:root { --book-sans: monospace; --book-serif: monospace; --book-mono: monospace; }
body { letter-spacing: 0.05em; }"""
# A box that only cuts off what is too wide hides it from the reader.
CUT = """() => [...document.querySelectorAll('.bd-article :is(div, p, span.math, table, figure, pre)')].filter(e =>
    /hidden|clip/.test(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 2 &&
    e.clientWidth > 0 && !e.closest('mjx-container, .toggle-hidden, details:not([open])'))
  .slice(0, 5).map(e => `${e.tagName}.${e.className} ${(e.textContent || '').trim().slice(0, 50)}`)"""


@dataclass
class Report:
    faults: list[str] = field(default_factory=list)
    maths: dict[str, Any] = field(default_factory=dict)
    light: list[str] = field(default_factory=list)
    dark: list[str] = field(default_factory=list)
    narrow: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(base: str, desktop: Any) -> Any:
    """Load a page once and look at everything that needs no other page."""

    @functools.cache
    def look(name: str) -> Report:
        page, out = desktop.new_page(), Report()
        out.faults = watch(page, base)
        page.goto(base + name)
        settle(page)
        out.maths = page.evaluate(MATHS)
        page.add_style_tag(content=STILL)
        page.evaluate(OPEN_ALL)
        page.set_viewport_size({"width": 360, "height": 740})
        page.wait_for_timeout(300)  # the book's script looks again after a change of width
        out.narrow = page.evaluate(WIDE) + page.evaluate(CUT) + page.evaluate(HIDDEN)
        style = page.add_style_tag(content=WIDE_FONTS)
        page.wait_for_timeout(100)
        out.narrow += [f"in wide fonts: {text}" for text in page.evaluate(WIDE)]
        style.evaluate("e => e.remove()")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.wait_for_timeout(300)
        page.evaluate(THIN_OUT)
        page.evaluate(AXE)
        out.light = page.evaluate(AXE_RUN, None)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        out.dark = page.evaluate(AXE_RUN, COLOURS)
        page.close()
        return out

    return look


@pytest.mark.parametrize("name", [*PAGES, *OTHERS])
def test_page_loads_without_a_complaint_and_asks_nobody_else(report: Any, name: str) -> None:
    assert report(name).faults == []


@pytest.mark.parametrize("name", PAGES)
def test_every_formula_is_drawn(report: Any, name: str) -> None:
    maths = report(name).maths
    assert maths["drawn"] == maths["asked"]
    assert maths["wrong"] == [] and maths["raw"] == []
    assert maths["drawn"] or name not in TEXT


@pytest.mark.parametrize("name", [*PAGES, *OTHERS])
def test_axe_finds_nothing_serious_in_the_light(report: Any, name: str) -> None:
    assert report(name).light == []


@pytest.mark.parametrize("name", [*PAGES, *OTHERS])
def test_axe_finds_nothing_serious_in_the_dark(report: Any, name: str) -> None:
    assert report(name).dark == []


@pytest.mark.parametrize("name", [*PAGES, *OTHERS])
def test_nothing_is_wider_than_a_phone(report: Any, name: str) -> None:
    assert report(name).narrow == []


def test_pages_work_from_disk(browser: Any) -> None:
    page = browser.new_context(offline=True).new_page()
    faults = watch(page, SITE.as_uri())
    page.goto((SITE / (TEXT or PAGES)[0]).as_uri())
    settle(page)
    maths = page.evaluate(MATHS)
    assert maths["drawn"] == maths["asked"] > 0
    loaded = page.evaluate("[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family).join()")
    assert "Source Serif 4" in loaded and "MJX" in loaded
    page.goto((SITE / "index.html").as_uri())
    page.wait_for_url("**/chapters/index.html")
    settle(page)
    assert page.locator(".zip").is_hidden()
    assert faults == []
    page.context.close()


def test_colab_opens_the_pages_own_notebook() -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    repository = config["repository"]["url"].removeprefix("https://github.com/")
    start = (
        f"{config['launch_buttons']['colab_url']}/github/{repository}/blob/{config['repository']['branch']}/"
    )
    found = {}
    for name in PAGES:
        source = (ROOT / Path(name).with_suffix(".md")).read_text(encoding="utf-8")
        html = (SITE / name).read_text(encoding="utf-8")
        links = re.findall(rf'href="({re.escape(config["launch_buttons"]["colab_url"])}[^"]*)"', html)
        page = name.removeprefix("chapters/").removesuffix(".html")
        if "kernelspec:" in source[:400] and page != "index":
            assert f"{start}notebooks/{page}.ipynb" in links, f"{name} has no button to its notebook"
        found |= dict.fromkeys(links, name)
    assert found
    for link, name in found.items():
        assert link.startswith(start), f"{name}: {link}"
        assert (ROOT / link.removeprefix(start)).is_file(), f"{name}: no file for {link}"


@pytest.fixture
def solution(base: str, tab: Any) -> Any:
    """A page that is at a folded solution: the tab, its toggle and something inside."""
    for name in TEXT:
        tab.goto(base + name)
        settle(tab)
        if tab.locator(".solution.toggle-hidden").count():
            box = tab.locator(".solution.toggle-hidden").first
            id = box.get_attribute("id")
            return tab, tab.locator(f"#{id} .toggle-button"), tab.locator(f"#{id} > section p").first
    pytest.fail("no page has a folded solution")


def test_solutions_open_by_click_and_by_keyboard(solution: Any) -> None:
    page, toggle, inside = solution
    assert not inside.is_visible() and toggle.get_attribute("aria-expanded") == "false"
    toggle.evaluate("b => b.closest('.admonition-title').querySelector('a').dispatchEvent("
                    "new MouseEvent('click', {bubbles: true, cancelable: true}))")  # fmt: skip
    for act in (
        lambda: page.evaluate("0"),  # opened by the click on the title above
        lambda: toggle.click(),
        lambda: (toggle.focus(), page.keyboard.press("Enter")),
        lambda: (toggle.focus(), page.keyboard.press("Space")),
        lambda: toggle.locator("xpath=..").click(position={"x": 5, "y": 8}),
    ):
        before = toggle.get_attribute("aria-expanded")
        act()
        page.wait_for_timeout(400)
        now = toggle.get_attribute("aria-expanded")
        assert now != before or act.__code__.co_consts[-1] == "0"
        assert inside.is_visible() == (now == "true")
    assert toggle.get_attribute("aria-label").startswith("Solution")


def test_a_link_into_a_folded_solution_opens_it(solution: Any) -> None:
    page, _, inside = solution
    inside.evaluate("e => { e.id = 'deep-inside'; location.hash = 'deep-inside'; }")
    page.wait_for_timeout(400)
    assert inside.is_visible()


def test_search_finds_a_term(base: str, tab: Any) -> None:
    tab.goto(base + "search.html?q=likelihood")
    tab.wait_for_selector("#search-results ul.search li a")
    assert tab.locator("#search-results ul.search li a").count() >= 2
    tab.wait_for_selector("#search-results p.context")
    excerpts = tab.locator("#search-results p.context").all_inner_texts()
    assert len(excerpts) >= 2 and [e for e in excerpts if re.search(r"\\[()\[\]]|\\[a-z]+", e)] == []
    tab.goto(base + PAGES[0])
    settle(tab)
    assert tab.locator("input[type=search]:visible").count() == 0  # one way to search, not two
    tab.keyboard.press("Control+k")
    tab.keyboard.type("density")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#search-results ul.search li a")


def test_keyboard_skip_link_and_every_stop_visible(base: str, tab: Any) -> None:
    tab.goto(base + "chapters/conventions.html")
    settle(tab)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    tab.wait_for_function("document.activeElement.getBoundingClientRect().top >= 0")  # it slides in
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("!!document.activeElement.closest('main')")

    tab.reload()
    settle(tab)
    wanted = tab.evaluate("""() => [...document.querySelectorAll('a[href], button, input, summary, [tabindex="0"]')]
      .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled && e.tabIndex >= 0 && !e.closest('dialog'))
      .map((e, k) => { e.dataset.stop = k; return `${e.tagName} ${(e.textContent || e.ariaLabel || '').trim().slice(0, 40)}`; })""")
    reached, invisible = set(), []
    for _ in range(len(wanted) + 20):
        tab.keyboard.press("Tab")
        stop, where, marked = (
            tab.evaluate("""() => { const e = document.activeElement, s = getComputedStyle(e);
          return [e.dataset.stop ?? null, e.outerHTML.slice(0, 100),
            e === document.body || (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2)]; }""")
        )
        if stop in reached:
            break
        reached.add(stop)
        if not marked:
            invisible.append(where)
    missed = [text for k, text in enumerate(wanted) if str(k) not in reached]
    assert missed == [] and invisible == []


def test_slider_figures_move_by_keyboard(base: str, tab: Any) -> None:
    seen = 0
    for name in PAGES:
        if 'class="slider-figure' not in (SITE / name).read_text(encoding="utf-8"):
            continue
        tab.goto(base + name)
        settle(tab)
        for figure in tab.locator(".slider-figure").all():
            slider, drawing = figure.locator("input[type=range]"), figure.locator("svg[role=img]")

            def state(s: Any = slider, d: Any = drawing) -> tuple[str, str, str]:
                return s.input_value(), s.get_attribute("aria-valuetext"), d.inner_html()

            slider.focus()
            tab.keyboard.press("Home")
            states = [state()]
            for key in ("ArrowRight", "End"):
                tab.keyboard.press(key)
                states.append(state())
            assert states[0][0] != states[1][0] and states[0][1] != states[1][1], (
                f"{name}: the slider does not move"
            )
            assert len({s[2] for s in states}) > 1, f"{name}: the drawing does not change"
            assert slider.evaluate(
                "e => e.labels.length || e.ariaLabel || e.getAttribute('aria-labelledby')"
            ), f"{name}: the slider has no name"
            seen += 1
    assert seen, "no page has a slider figure"


def test_the_turing_game_is_played_by_button_and_by_keyboard(base: str, tab: Any) -> None:
    names = [n for n in PAGES if 'class="turing-game"' in (SITE / n).read_text(encoding="utf-8")]
    assert names, "no page has the game"
    tab.goto(base + names[0])
    settle(tab)
    game = tab.locator(".turing-game")
    first, said, score = game.locator(".game-a"), game.locator(".game-said"), game.locator(".game-score")

    def picture() -> str:
        return game.locator("canvas").first.evaluate("c => c.toDataURL()")

    seen = [picture()]
    for n in range(1, 13):
        first.click()
        assert re.match(r"(Right|Wrong): it was (real|made by: .+)\.$", said.inner_text())
        right, total, low, high = map(
            int, re.findall(r"^(\d+) of (\d+) right, .*interval is (\d+) % to (\d+) %", score.inner_text())[0]
        )
        inside = [p for p in range(1, 1000) if binom.pmf(right, n, p / 1000) >= 0.05 / (n + 1)]  # per mille
        assert total == n and abs(10 * low - inside[0]) < 6.5 and abs(10 * high - inside[-1]) < 6.5
        assert ("nothing can be concluded" in score.inner_text()) == (inside[0] <= 500 <= inside[-1])
        seen.append(picture())
    assert len(set(seen)) == len(seen), "a picture came twice"
    tally = sum(int(n) for n in re.findall(r"of (\d+)", game.locator(".game-tally").inner_text()))
    assert tally == 12, "the tally by source does not add up to all answers"
    game.locator("input[value=two]").focus()
    tab.keyboard.press("Space")
    assert score.inner_text() == "No answer yet." and game.locator("canvas:visible").count() == 2
    first.focus()
    for key in ("ArrowRight", "ArrowLeft", "Enter"):
        tab.keyboard.press(key)
    assert " of 3 right" in score.inner_text() and "was real, the other from" in said.inner_text()
    game.locator(".game-again").click()
    assert score.inner_text() == "No answer yet."


def test_dark_and_light_by_button_and_figures_keep_their_card(base: str, tab: Any) -> None:
    tab.goto(base + TEXT[0])
    settle(tab)
    button, themes = tab.locator(".theme-switch-button:visible").first, set()
    for _ in range(3):
        button.click()
        themes.add(tab.evaluate("document.documentElement.dataset.theme"))
    assert themes == {"light", "dark"}
    while tab.evaluate("document.documentElement.dataset.theme") != "dark":
        button.click()
    card = tab.evaluate("""() => { const s = getComputedStyle(document.querySelector('.bd-article figure img'));
      return [s.backgroundColor, s.filter, getComputedStyle(document.body).backgroundColor]; }""")
    assert card[0] == "rgb(255, 255, 255)" and card[1].startswith("brightness(0.8")
    assert sum(json.loads(card[2].replace("rgb(", "[").replace(")", "]"))) < 150


def test_paper_shows_solutions_and_no_navigation(solution: Any) -> None:
    page, _, inside = solution
    page.emulate_media(media="print", color_scheme="light")
    assert inside.evaluate("e => e.checkVisibility({visibilityProperty: true, opacityProperty: true})")
    assert inside.evaluate("e => e.closest('section').getBoundingClientRect().height") > 20
    shown = page.evaluate("""['.bd-sidebar-primary', '.bd-sidebar-secondary', '.bd-header-article', '.prev-next-footer',
      '.toggle-button', '.copybtn'].filter(s => [...document.querySelectorAll(s)].some(e => e.checkVisibility()))""")
    assert shown == []
    assert page.evaluate("document.querySelector('.bd-article h1').checkVisibility()")
    folds = page.evaluate("[...document.querySelectorAll('.bd-article details')].length")
    page.emulate_media(media="screen", color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate("document.querySelectorAll('.bd-article details[open]').length") == folds
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_landing_page_is_one_screen_and_stacks_on_a_phone(base: str, tab: Any) -> None:
    tab.goto(base + "chapters/index.html")
    settle(tab)
    boxes = "[...document.querySelectorAll('.door, .doors ~ .cell img')].map(e => e.getBoundingClientRect().toJSON())"
    desk = tab.evaluate(boxes)
    assert len(desk) == 4 and all(b["bottom"] <= 800 for b in desk)
    assert all(tab.locator(".door").nth(k).locator("a").count() for k in range(3))
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.wait_for_timeout(300)
    phone = tab.evaluate(boxes)
    assert all(b["width"] > 330 for b in phone)
    assert [b["top"] for b in phone] == sorted(b["top"] for b in phone)
