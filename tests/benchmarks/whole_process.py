"""Run a command to its end and say what it took, by the operating system's own account."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Run:
    """Wall seconds, CPU seconds, peak RSS in MiB, exit code."""

    wall: float
    cpu: float
    peak_mib: float
    code: int


def measure(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Run:
    """Run `command`, its output thrown away."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, process.returncode)
