"""Executing pages: what succeeds is cached, what fails stops the line and says where and why."""

import re
import shutil


def cell(code: str) -> str:
    return f"\n```{{code-cell}} ipython3\n{code}\n```\n"


def test_a_page_is_executed_once(tiny_book):
    first, second = tiny_book.execute(), tiny_book.execute()
    assert first.returncode == second.returncode == 0, first.stderr
    assert "1 pages executed" in first.stdout and "0 pages executed" in second.stdout


def test_a_change_of_genkit_or_of_the_pins_executes_again(tiny_book):
    tiny_book.execute()
    with open(tiny_book.root / "genkit" / "claims.py", "a") as f:
        f.write("\n# a comment\n")
    assert "0 pages executed" in tiny_book.execute().stdout
    with open(tiny_book.root / "genkit" / "claims.py", "a") as f:
        f.write("\nCHANGED = True\n")
    assert "1 pages executed" in tiny_book.execute().stdout
    with open(tiny_book.root / "constraints.txt", "a") as f:
        f.write("a==2\n")
    assert "1 pages executed" in tiny_book.execute().stdout
    assert "0 pages executed" in tiny_book.execute().stdout


def test_a_comment_or_a_docstring_on_the_page_executes_nothing(tiny_book, head):
    tiny_book.write(head + cell('def f():\n    """One."""\n    return 1'))
    tiny_book.execute()
    tiny_book.write(head + cell('# why\ndef f():\n    """Other words."""\n    return 1'))
    assert "0 pages executed" in tiny_book.execute().stdout
    tiny_book.write(head + cell("def f():\n    return 2"))
    assert "1 pages executed" in tiny_book.execute().stdout


def test_a_fresh_clone_takes_the_committed_outputs_that_fit(tiny_book, head):
    """Of a page whose key has changed since, and with --force of any page, nothing is believed."""
    tiny_book.build()
    assert tiny_book.tool("-m", "tools.notebooks").returncode == 0
    shutil.rmtree(tiny_book.root / "_build")
    assert "0 pages executed" in tiny_book.execute().stdout
    assert "1 pages executed" in tiny_book.execute("--force").stdout
    shutil.rmtree(tiny_book.root / "_build")
    tiny_book.write(head + cell("x = 1"))
    assert "1 pages executed" in tiny_book.execute().stdout


def test_prose_may_change_without_executing_again(tiny_book, head):
    tiny_book.execute()
    tiny_book.write(head + "\nMore words.\n")
    assert "0 pages executed" in tiny_book.execute().stdout


def test_a_failing_cell_stops_the_line_by_page_line_and_cause(tiny_book, head):
    tiny_book.write(head + cell("1 / 0"))
    done = tiny_book.execute()
    line = (head + "\n").count("\n") + 2
    assert done.returncode == 1
    assert f"chapters/part/page.md, line {line}: ZeroDivisionError: division by zero" in done.stderr
    assert tiny_book.execute().returncode == 1  # and it is not cached as done


def test_a_claim_out_of_tolerance_stops_the_line(tiny_book, head):
    tiny_book.write(head.replace("0.25, 0.25", "0.26, 0.25"))
    done = tiny_book.execute()
    assert done.returncode == 1
    assert re.search(
        r"page\.md, line \d+: ClaimError: claim 'page-mass' fails: mass: measured 0.26", done.stderr
    )


def test_a_warning_on_stderr_stops_the_line(tiny_book, head):
    tiny_book.write(head + cell("import warnings\nwarnings.warn('old')"))
    done = tiny_book.execute()
    assert done.returncode == 1 and "wrote to stderr" in done.stderr and "old" in done.stderr


def test_an_interrupted_run_resumes(tiny_book, head):
    """Pages are cached one by one: what had succeeded before the run was cut is not executed again."""
    toc = tiny_book.root / "_toc.yml"
    toc.write_text(toc.read_text() + "- file: chapters/part/other\n")
    other = tiny_book.root / "chapters" / "part" / "other.md"
    good = (
        head.replace("ch-page", "ch-other")
        .replace("page-mass", "other-mass")
        .replace("eq-page-x", "eq-other-x")
    )
    other.write_text(good + cell("raise KeyboardInterrupt"))
    assert tiny_book.execute().returncode == 1
    other.write_text(good)
    again = tiny_book.execute()
    assert again.returncode == 0 and "part/other" in again.stdout and "part/page:" not in again.stdout
