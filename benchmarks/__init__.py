"""What luagauge costs, measured against plain lupa and against its peers; README.md says how to read and rerun it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "support"))
