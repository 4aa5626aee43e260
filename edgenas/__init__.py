"""EdgeNAS: hardware-aware neural architecture search, from a folder of images to a model proven on the device."""

import os

# oneDNN reads this once, when torch is loaded. Subnets have thousands of convolution shapes between them: with its default of
# 1,024 prepared kernels it prepares them again and again (a sandwich step took 25 % longer).
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "20000")
