"""The documentation site. From the repository's root, warnings being errors:

python -m sphinx -W --keep-going -n -q -b html docs build/docs
"""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # rest_reference

project = "TRD"
author = "the TRD authors"
version = release = installed_version("trd-anomaly")
extensions = ["myst_parser", "sphinx.ext.autodoc", "rest_reference"]
exclude_patterns = ["_build"]
nitpicky = True
# types of other libraries, whose documentation would have to be downloaded to be linked, and records of ours that are
# no part of the public reference
elsewhere = r"(numpy|pathlib|collections|rich|types|trd\.(decision|config|detector|stored))\..+"
nitpick_ignore_regex = [("py:class", elsewhere)]

# the pages are Markdown as the code host shows it; anchors as it makes them, down to the third level
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = "TRD"
html_static_path = ["_static"]
html_css_files = ["trd.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

default_role = "literal"  # `names` in docstrings
# docstrings are prose with names of arguments, not reStructuredText fields; what types say stands in the signature
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
