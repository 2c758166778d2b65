"""Makes the stand-in's package importable under the name it has inside its image."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed" / "cilium"))
