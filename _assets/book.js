/* What the theme leaves open: names that match what one sees, landmarks, boxes that scroll by keyboard,
   and folds that open when a link or the printer wants what is inside. */
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // The accessible name of a button is the text on it; the theme's own labels contradict that text.
  function nameButtons() {
    all(".search-button-field, details.hide > summary").forEach((e) => e.removeAttribute("aria-label"));
    all(".theme-switch-button .theme-switch").forEach((e) => {
      e.removeAttribute("title");
      e.removeAttribute("aria-labelledby");
      e.setAttribute("aria-hidden", "true");
      all("title", e).forEach((t) => t.remove());
    });
    all(".toggle-button").forEach((b) => {
      const title = b.closest(".admonition-title");
      b.setAttribute("aria-label", title ? title.textContent.replace(/\s+/g, " ").trim() : "Show or hide");
    });
    all(".bd-sidebar-primary summary").forEach((e) => {
      e.setAttribute("aria-label", `Pages under ${e.closest("li").querySelector("a").textContent.trim()}`);
    });
    all("button.btn[title]:not([aria-label])").forEach((b) => b.setAttribute("aria-label", b.title));
  }

  // The title of the book stands in the sidebar outside of any landmark.
  function nameLandmarks() {
    const logo = document.querySelector(".sidebar-primary-items__start .navbar-brand")?.parentElement;
    logo?.setAttribute("role", "navigation");
    logo?.setAttribute("aria-label", "Book");
  }

  // The bibliography's list has children of a deprecated role, and anchors between them.
  function listReferences() {
    all(".citation-list").forEach((list) => list.removeAttribute("role"));
    all(".citation[role]").forEach((entry) => entry.removeAttribute("role"));
  }

  // A formula does not part from the punctuation at it.
  function keepTogether() {
    all(".bd-article span.math").forEach((formula) => {
      const [before, after] = [formula.previousSibling, formula.nextSibling];
      const head = before?.nodeType === 3 ? /[(\[“"]$/.exec(before.data) : null;
      const tail = after?.nodeType === 3 ? /^[^\s—]{1,12}/.exec(after.data) : null;
      if (!head && !tail) return;
      const together = document.createElement("span");
      together.className = "nowrap";
      formula.replaceWith(together);
      together.append(head ? head[0] : "", formula, tail ? tail[0] : "");
      if (head) before.data = before.data.slice(0, -head[0].length);
      if (tail) after.data = after.data.slice(tail[0].length);
    });
  }

  // On a phone the rows of the indexes become cards, in which each cell says what it is.
  function labelCells() {
    all(".generated-index table").forEach((table) => {
      const heads = all("thead th", table).map((th) => th.textContent.trim());
      all("tbody tr", table).forEach((row) =>
        [...row.cells].forEach((cell, k) => (cell.dataset.label = heads[k] ?? "")));
    });
  }

  // A copy on disk has no copy of itself inside.
  function hideDownload() {
    if (location.protocol === "file:") all(".zip").forEach((e) => (e.hidden = true));
  }

  // A displayed formula that is a little too wide for a phone is set smaller; only beyond that does it scroll.
  function fitFormulas() {
    all(".bd-article div.math mjx-container").forEach((e) => {
      e.style.removeProperty("font-size");
      const share = e.clientWidth / e.scrollWidth;
      if (share < 1) e.style.setProperty("font-size", `${104 * Math.max(0.97 * share, 0.7)}%`, "important");
    });
  }

  // A box that scrolls sideways can be reached and scrolled by keyboard; one that fits is no stop.
  function focusScrollers() {
    fitFormulas();
    all(".bd-article span.math").forEach((e) => {
      e.classList.remove("wide");
      if (e.getBoundingClientRect().width > e.closest("p, li, td, dd, div, section").clientWidth) {
        e.classList.add("wide");
      }
    });
    const kinds = [
      ["div.math mjx-container, div.math, span.math.wide", "Wide formula"],
      ["pre", "Code or output"],
      [".pst-scrollable-table-container, .generated-index, div.output", "Wide table or output"],
    ];
    for (const [selector, name] of kinds) {
      all(selector, document.querySelector(".bd-article") ?? document).forEach((e) => {
        const scrolls =
          e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(e).overflowX);
        if (scrolls && !e.hasAttribute("tabindex")) {
          e.setAttribute("tabindex", "0");
          e.setAttribute("role", "group");
          e.setAttribute("aria-label", `${name}, scrolls sideways`);
          e.dataset.scroller = "";
        } else if (!scrolls && "scroller" in e.dataset) {
          ["tabindex", "role", "aria-label", "data-scroller"].forEach((a) => e.removeAttribute(a));
        }
      });
    }
  }

  // Excerpts of a search are plain text: short formulas as their letters, any other as an ellipsis.
  function plainExcerpts() {
    if (typeof Search === "undefined") return;
    const asText = Search.htmlToText;
    Search.htmlToText = (html, anchor) => {
      const page = new DOMParser().parseFromString(html, "text/html");
      all(".math", page).forEach((e) => {
        const tex = /^\\\(([\w\s=+,.()<>|-]*)\\\)$/.exec(e.textContent.trim());
        e.textContent = tex ? tex[1] : "…";
      });
      return asText(page.documentElement.outerHTML, anchor);
    };
  }

  // Folds: open all those around an element.
  function openAround(e) {
    for (let x = e; x; x = x.parentElement) {
      if (x.tagName === "DETAILS") x.open = true;
      if (x.classList.contains("toggle-hidden")) x.querySelector(":scope > .admonition-title .toggle-button")?.click();
    }
  }
  function openTarget() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target) return;
    openAround(target);
    target.scrollIntoView();
  }
  // Paper is light, whatever the screen is, and shows everything.
  const opened = new Set();
  let theme;
  addEventListener("beforeprint", () => {
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    all("details:not([open])").forEach((d) => (opened.add(d), (d.open = true)));
  });
  addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = theme;
    opened.forEach((d) => (d.open = false));
    opened.clear();
  });

  // A click on whatever stands in the title of a folded box (a formula, say) is a click on the title.
  function wholeTitles() {
    all(".admonition.toggle > .admonition-title").forEach((title) =>
      title.addEventListener("click", (click) => {
        if (click.target === title || click.target.closest(".toggle-button")) return;
        click.stopImmediatePropagation();
        title.querySelector(".toggle-button").click();
      }, true));
  }

  addEventListener("DOMContentLoaded", () => {
    nameLandmarks();
    nameButtons();
    plainExcerpts();
    wholeTitles();
    listReferences();
    hideDownload();
    keepTogether();
    labelCells();
    focusScrollers();
  });
  addEventListener("load", async () => {
    nameButtons(); // the theme's icons come late, some of them after this event
    const again = new MutationObserver(nameButtons);
    all(".theme-switch-button").forEach((e) => again.observe(e, { childList: true, subtree: true }));
    await window.MathJax?.startup?.promise;
    focusScrollers();
    openTarget();
    let timer;
    addEventListener("resize", () => (clearTimeout(timer), (timer = setTimeout(focusScrollers, 150))));
    document.addEventListener("toggle", focusScrollers, true);
    document.addEventListener("click", () => setTimeout(focusScrollers, 350));
  });
  addEventListener("hashchange", openTarget);
})();
