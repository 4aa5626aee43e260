"""oneDNN's setting, for whoever loads torch to import before it: packages that need torch begin with this module.

oneDNN reads it once, when torch is loaded. Subnets have thousands of convolution shapes between them: with its default of
1,024 prepared kernels it prepares them again and again (a sandwich step took 25 % longer).
"""

import os

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "20000")
