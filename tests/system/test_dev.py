"""`./dev` sets itself up without harm to anything else."""

import shutil
import subprocess
from pathlib import Path

DEV = Path(__file__).parents[2] / "dev"


def test_an_environment_behind_a_link_is_not_cleared(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "copy", tmp_path / "theirs"
    mine.mkdir()
    theirs.mkdir()
    (theirs / "precious").touch()
    (mine / ".venv").symlink_to(theirs)
    shutil.copy(DEV, mine)
    told = subprocess.run(["sh", mine / "dev", "lint"], capture_output=True, text=True, timeout=60)
    assert told.returncode == 1
    assert "symbolic link" in told.stderr
    assert (theirs / "precious").exists()
