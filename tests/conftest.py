"""For all tests."""

from __future__ import annotations

import os

os.environ["NEXUSLINK_CACHE"] = "off"  # nobody's home folder is touched, by processes that tests start either
