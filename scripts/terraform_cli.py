"""Finds Terraform and the AWS provider where a machine has them. Runs nothing and asks no network.

Terraform is looked for on the path. The provider comes from the registry, unless a mirror has it:
a folder with {a registry's host}/hashicorp/aws in it, as `terraform providers mirror` makes one.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROVIDER: Final = "*/hashicorp/aws"
"""Where a mirror holds the AWS provider. Source: "Provider Installation", Terraform CLI."""


def find_terraform() -> Path | None:
    """Find the terraform command on the path."""
    found = shutil.which("terraform")
    return Path(found) if found else None


def find_mirror() -> Path | None:
    """Find a folder that holds the AWS provider; without one it has to come from the registry.

    The folder that TF_PROVIDER_MIRROR names is taken as it is: if the provider is not in it,
    Terraform says so, which is better than another one found in silence.
    """
    named = os.environ.get("TF_PROVIDER_MIRROR")
    if named:
        return Path(named).absolute()
    return next((folder for folder in usual_places() if has_provider(folder)), None)


def usual_places() -> Iterator[Path]:
    """Yield where mirrors are put: Terraform's own places first, then up to two levels in /opt.

    Source: "Implied Local Mirror Directories", Terraform CLI.
    """
    home = Path.home()
    data_home = os.environ.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    data_dirs = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    yield home / ".terraform.d" / "plugins"
    yield home / "Library" / "Application Support" / "io.terraform" / "plugins"
    for folder in [data_home, *data_dirs.split(os.pathsep)]:
        yield Path(folder, "terraform", "plugins")
    yield from sorted(Path("/opt").glob("*/"))
    yield from sorted(Path("/opt").glob("*/*/"))


def has_provider(folder: Path) -> bool:
    """Say whether a folder holds the AWS provider, of whatever version."""
    try:
        return any(path.is_dir() for path in folder.glob(PROVIDER))
    except PermissionError:
        return False


def init_arguments() -> list[str]:
    """Return what `terraform init` needs to take the provider from the mirror, if there is one."""
    mirror = find_mirror()
    return [f"-plugin-dir={mirror}"] if mirror else []


def environment() -> dict[str, str]:
    """Return this process's environment, fit for Terraform.

    A configuration file that is named but not there makes each command begin with a warning, so
    it is named no more.
    """
    variables = dict(os.environ)
    if not Path(variables.get("TF_CLI_CONFIG_FILE", os.devnull)).exists():
        del variables["TF_CLI_CONFIG_FILE"]
    return variables
