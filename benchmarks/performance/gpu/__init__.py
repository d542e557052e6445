"""What a GPU makes of it: encoding, a whole test set, training, and search among millions.

chip      the device, and what its matrix units do at most
encoding  pictures and texts through the service's runtime, against open_clip as it is
test_set  a test set of CUHK-PEDES's size, encoded and ranked
training  a step of the published recipe, and what it waits for
folder    JPEGs until they can be found
search    exact and approximate, by torch and by FAISS, where that has GPU code

Measured only where there is a GPU; at the tiny size on any machine.
"""

from benchmarks.performance.gpu import encoding, folder, search, test_set, training
from benchmarks.performance.gpu.chip import Chip, find_chip
from benchmarks.performance.row import Row, Size

__all__ = ["Chip", "measure"]


def measure(size: Size) -> list[Row]:
    """All rows; none at the full size where there is no GPU."""
    chip = find_chip()
    if size == "full" and not chip.has_gpu:
        print("gpu: left out, this machine has no CUDA GPU", flush=True)
        return []
    print(f"gpu: {chip.describe()}", flush=True)
    rows = []
    for part in (encoding, test_set, training, folder, search):
        rows += part.measure(chip, size)
    return rows
