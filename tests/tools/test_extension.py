"""The site's build: measured values in prose, indexes, and faults that must stop it."""

import json

from tools import pages


def test_a_sound_book_builds_with_its_indexes(tiny_book):
    done = tiny_book.build()
    assert done.returncode == 0, done.stdout + done.stderr
    html = tiny_book.root / "_build" / "html" / "chapters"
    page = (html / "part" / "page.html").read_text()
    assert '<span class="value">0.250</span>' in page
    assert 'id="item-s1-8"' in page and 'id="claim-page-mass"' in page
    ledger = (html / "appendix" / "claims.html").read_text()
    assert (
        "1 claims on 1 page." in ledger
        and "A page: 1 claims" in ledger
        and 'href="../../chapters/part/page.html#claim-page-mass"' in ledger
    )
    register = (html / "appendix" / "errata.html").read_text()
    assert "a | b" in register and r"\(h^d\)" in register and ">here<" in register
    labels = json.loads((tiny_book.root / "_build" / "labels.json").read_text())
    assert labels["eq:eq-page-x"][0] == "chapters/part/page" and labels["ref:ch-page"][2] == "A page"


def test_new_outputs_reach_a_page_whose_text_did_not_change(tiny_book):
    """genkit changed, the page did not: its outputs, and the numbers in its prose, must follow."""
    tiny_book.build()
    checks = tiny_book.root / "genkit" / "claims.py"
    checks.write_text(
        checks.read_text()
        .replace("✓ {statement}", "✓✓ {statement}")
        .replace('"measured": m.tolist()', '"measured": 0.125')
    )
    done = tiny_book.build()
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tiny_book.root / "_build" / "html" / "chapters" / "part" / "page.html").read_text()
    assert '<span class="value">0.125</span>' in page


def test_a_change_of_the_line_reaches_pages_that_did_not_change(tiny_book):
    tiny_book.build()
    roles = tiny_book.root / "tools" / "roles.py"
    roles.write_text(roles.read_text().replace("How {number} is known", "Why {number}"))
    done = tiny_book.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Why 0.250" in (tiny_book.root / "_build/html/chapters/part/page.html").read_text()


FAULTS = {
    "See {eq}`eq-page-nowhere`.": "eq-page-nowhere",
    "See {ref}`ch-nowhere`.": "ch-nowhere",
    "See {cite:t}`nobody1900`.": "nobody1900",
    "It is {value}`page-nothing`.": "no claim 'page-nothing' was executed",
    "{item}`S9.99`": "unknown item 'S9.99'",
    ":::{nodirective}\n:::": "nodirective",
    "[gone](gone.md)": "gone",
}


def test_each_fault_in_the_text_stops_the_build_by_page_line_and_cause(tiny_book, head):
    tiny_book.write(head + "\n" + "\n\n".join(FAULTS) + "\n")
    done = tiny_book.build()
    assert done.returncode != 0
    warnings = [line for line in done.stderr.splitlines() if "part/page.md:" in line]
    for fault, message in FAULTS.items():
        assert any(message in line for line in warnings), f"{fault} passed unseen:\n{done.stderr}"
    again = tiny_book.build()
    assert again.returncode != 0 and "ch-nowhere" in again.stderr, "a second try passes what is still wrong"


def test_a_claim_id_stands_on_one_page_only(tiny_book, head):
    toc = tiny_book.root / "_toc.yml"
    toc.write_text(toc.read_text() + "- file: chapters/part/other\n")
    (tiny_book.root / "chapters" / "part" / "other.md").write_text(
        head + "\n```{code-cell} ipython3\n0\n```\n"
    )
    done = tiny_book.build()
    assert done.returncode != 0
    assert "claim 'page-mass' stands on part/page and on part/other" in done.stdout + done.stderr


def test_a_claim_of_any_shape_is_shown_as_its_numbers():
    assert pages.show({"measured": -1.5}) == "−1.500"
    assert pages.show({"measured": [[[1.0], [2.0]], [[3.0], [4.0]]]}, ".0f") == "1, 2, 3, 4"
