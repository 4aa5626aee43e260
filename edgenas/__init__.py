"""EdgeNAS: hardware-aware neural architecture search, from a folder of images to a model proven on the device."""
