"""How tensors are called where weights are published: one file for each publisher."""
