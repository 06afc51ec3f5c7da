"""What is in the wheel is enough to run from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from genzoo.config.paths import groups

ROOT = Path(__file__).parents[2]


def test_an_unpacked_wheel_composes_from_another_folder(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for group, options in groups().items():
        for option in options:
            assert (site / "genzoo" / "configs" / group / f"{option}.yaml").is_file()
    assert (site / "genzoo" / "py.typed").is_file()
    assert list((site / "genzoo" / "report" / "templates").glob("*.j2"))
    assert list(site.glob("genzoo-*.dist-info/licenses/LICENSE"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    printed = subprocess.run(
        [sys.executable, "-m", "genzoo", "model=autoencoder", "--cfg", "job"],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "genzoo.models.ae.Autoencoder" in printed
    where = subprocess.run(
        [sys.executable, "-c", "import genzoo.config.paths as c; print(c.config_dir())"],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert where.strip() == str(site / "genzoo" / "configs")
