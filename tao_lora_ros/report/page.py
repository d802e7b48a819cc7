"""Pages that need nothing but themselves: styles, scripts and data in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

# uPlot is MIT licensed: its notice goes wherever it goes.
_PLOTTING = ("uPlot.iife.min.js", "common.js", "plots.js", "chart.js")
_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
$policy<title>$title</title>
<link rel="icon" href="data:,">
<style$nonce>$styles</style>
</head>
<body>
<main>
$body
</main>
<script type="application/json" id="data">$data</script>
<!-- uPlot:
$licence-->
<script$nonce>$scripts</script>
</body>
</html>
"""
# A file asks nobody for anything, whatever is in it.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def asset(name: str) -> str:
    """The text of a file in `page/`."""
    return resources.files("tao_lora_ros.report").joinpath("page", name).read_text("utf-8")


def page(
    title: str,
    body: str,
    data: Mapping[str, Any],
    scripts: Sequence[str],
    styles: Sequence[str] = (),
    nonce: str = "",
) -> str:
    """One HTML page.

    Args:
        title: its title, as text.
        body: HTML.
        data: what its scripts read, ready for JSON; NaN is not.
        scripts: names of files in `page/`, after those that plot.
        styles: further names of styles.
        nonce: of the policy that a server sends; without one the page brings a policy of its own.
    """
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    return Template(_FRAME).substitute(
        title=escape(title),
        policy="" if nonce else policy,
        nonce=f' nonce="{nonce}"' if nonce else "",
        styles="\n".join(map(asset, ("uPlot.min.css", "style.css", *styles))),
        body=body,
        # No text of a bag ends the script, or begins a comment in it.
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        licence=asset("uPlot.LICENSE"),
        scripts="\n".join(map(asset, (*_PLOTTING, *scripts))),
    )
