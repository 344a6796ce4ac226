"""Peak memory of one call in a process of its own, over what the process held before the call."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import torch
torch.set_num_threads(1)
from metricopt.losses import get_loss
def call(n):
    random = torch.Generator().manual_seed(0)
    {inputs}
    {loss}(x.requires_grad_(), t).backward()
def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field))
call(64)
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")  # the peak counts from here: that of the imports, or of the parent, is not asked for
before = status("VmRSS")
call({n})
print((status("VmHWM") - before) / 1024)
"""

SCORES = "x, t = torch.randn(n, generator=random), (torch.rand(n, generator=random) < 0.1).long()"
EMBEDDINGS = "x, t = torch.randn(n, 64, generator=random), torch.arange(n) // 4"


def megabytes(loss: str, n: int, inputs: str = SCORES) -> float:
    """What one value and gradient of n examples need, inputs included; `loss` is an expression. Linux only."""
    program = PROGRAM.format(loss=loss, n=n, inputs=inputs)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout)
