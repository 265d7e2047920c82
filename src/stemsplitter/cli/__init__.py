"""The command ``stemsplitter``, and the processes that it starts."""

import os

# Before NumPy is imported. The threads of its matrix products wait in a loop for each other and for more work, on the
# cores that the networks and the encoders use; all products here are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
