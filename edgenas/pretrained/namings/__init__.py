"""How tensors are called where weights are published: one file for each publisher."""

from edgenas.pretrained.naming import Naming
from edgenas.pretrained.namings import efficientnet_lite_pytorch, once_for_all, timm, torchvision

EFFICIENTNET_LITE_PYTORCH = Naming(efficientnet_lite_pytorch.modules)
OFA = Naming(once_for_all.modules, once_for_all.plain)
OFA_RESNET = Naming(once_for_all.resnet_modules, once_for_all.plain)
TIMM = Naming(timm.modules)
TIMM_RESNET = Naming(timm.resnet_modules)
TORCHVISION_V2 = Naming(torchvision.mobilenetv2_modules)
TORCHVISION_V3 = Naming(torchvision.mobilenetv3_modules)
