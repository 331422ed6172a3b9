"""What a notebook shows of checks: one line for all those of a cell, at its end."""

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from genkit.checks import CLAIM, Checks, Line, fold, show


def test_the_checks_of_a_cell_are_one_line_that_opens():
    one = Line("✓ the thing: 0.25", '<div id="claim-page-x">it</div>', {"id": "page-x"})
    data, metadata = Checks([one, Line("✓ twins", "<div>twins</div>")])._repr_mimebundle_()
    assert data["text/plain"].split("\n") == ["✓ 2 checks", f"  {one.text}", "  ✓ twins"]
    assert data["text/html"].startswith('<details class="claims"><summary>✓ 2 checks</summary>')
    assert 'id="claim-page-x"' in data["text/html"] and "twins</div></details>" in data["text/html"]
    assert metadata[CLAIM] == [one.record]
    assert Checks([one])._repr_mimebundle_()[0]["text/plain"].startswith("✓ 1 check\n")


def test_in_a_notebook_a_cell_shows_its_checks_once_and_at_its_end():
    code = """
from genkit.claims import claim, self_check
claim("page-x", "one", 1.0, 1.0, by="arithmetic")
print("between")
claim("page-y", "two", 2.0, 2.0, by="arithmetic")
_ = self_check("page-z", lambda: None)
"""
    cells = [new_code_cell(code), new_code_cell("3"), new_code_cell(code.replace("2.0, 2.0", "2.0, 3.0"))]
    book = new_notebook(cells=cells)
    NotebookClient(book, allow_errors=True).execute()
    first, second, third = (cell.outputs for cell in book.cells)
    assert [output.output_type for output in first] == ["stream", "display_data", "display_data"]
    assert "page-z: your answer passes" in first[1].data["text/plain"]
    assert first[2].data["text/plain"].startswith("✓ 2 checks\n")
    assert [r["id"] for r in first[2].metadata[CLAIM]] == ["page-x", "page-y"]
    assert [output.output_type for output in second] == ["execute_result"]
    shown = [o.data["text/plain"] for o in third if o.output_type == "display_data"]
    assert len(shown) == 1 and shown[0].startswith("✓ 1 check\n"), "what held before the one that failed"


def test_outside_a_notebook_a_line_is_printed(capsys):
    fold(Line("✓ one", ""))
    show(Line("✓ two", ""))
    assert capsys.readouterr().out == "✓ one\n✓ two\n"
