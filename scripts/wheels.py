"""Shared libraries out of wheels on PyPI, without installing them."""

import subprocess
import sys
import zipfile
from pathlib import Path


def fetch_libraries(wheels: list[str], folder: Path, platform: str | None = None) -> None:
    """Puts the shared libraries of `wheels` (NAME==VERSION) into `folder`, unless that is done.

    `platform`: a wheel's platform tag, if not this machine's. OSError or CalledProcessError: they are not available.
    """
    complete = folder / "complete"
    if complete.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if platform:
        pip += ["--only-binary=:all:", "--platform", platform]
    for wheel in wheels:
        subprocess.run([*pip, "--dest", folder, wheel], check=True)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if ".so." in name:
                    (folder / Path(name).name).write_bytes(archive.read(name))
        wheel.unlink()
    complete.touch()
