"""Sphinx's settings, for `make docs` and rosdoc2 alike."""

import sys
from pathlib import Path
from xml.etree import ElementTree

from latex2mathml.converter import convert

ROOT = next(folder for folder in Path.cwd().resolve().parents if (folder / "package.xml").exists())
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()

project = PACKAGE.findtext("name")
release = version = PACKAGE.findtext("version")
copyright = "tao_lora_ros maintainers, Apache-2.0"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]

exclude_patterns = ["project/README.md"]  # index.md takes it in
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
add_module_names = False

html_theme = "furo"
html_title = f"{project} {release}"
html_math_renderer = "mathml"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
rosdoc2_settings = {"override_theme": False, "enable_breathe": False, "enable_exhale": False}


def setup(app):
    """Write the pages that lie elsewhere; formulas become MathML, which needs no script."""
    from docutils.nodes import SkipNode
    from site_pages import relinked, write_pages

    def formula(display):
        def visit(translator, node):
            translator.body.append(convert(node.astext(), display=display))
            raise SkipNode

        return visit

    def relink(app, name, source):
        docs, folder = ROOT / "docs", str(Path(name).parent)
        source[0] = relinked(source[0], docs / folder, docs, Path(app.srcdir), folder)

    app.add_html_math_renderer("mathml", (formula("inline"), None), (formula("block"), None))
    app.connect("source-read", relink)
    write_pages(ROOT, Path(app.srcdir))
