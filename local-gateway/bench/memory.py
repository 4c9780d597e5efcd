"""The memory of a process, from /proc."""

from pathlib import Path

_KIB_PER_MIB = 1024


def resident_mib(process_id: int) -> float:
    """Return the resident memory (VmRSS) of a process and its descendants."""
    return sum(_field_mib(it, "VmRSS:") for it in (process_id, *_descendants(process_id)))


def peak_mib(process_id: int) -> float:
    """Return the largest resident memory until now (VmHWM)."""
    return _field_mib(process_id, "VmHWM:")


def _field_mib(process_id: int, name: str) -> float:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / _KIB_PER_MIB
    raise LookupError(name)


def _descendants(process_id: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{process_id}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *_descendants(child)]
    return found
