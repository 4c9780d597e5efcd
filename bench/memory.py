"""The memory of a process, from /proc."""

from pathlib import Path

_KIB_PER_MIB = 1024


def resident_mib(process_id: int) -> float:
    """Return the resident memory (VmRSS)."""
    return _field_mib(process_id, "VmRSS:")


def peak_mib(process_id: int) -> float:
    """Return the largest resident memory until now (VmHWM)."""
    return _field_mib(process_id, "VmHWM:")


def _field_mib(process_id: int, name: str) -> float:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / _KIB_PER_MIB
    raise LookupError(name)
