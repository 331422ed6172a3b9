"""What every page begins with."""

FRONT = """\
---
jupytext:
  formats: md:myst,py:percent
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""
