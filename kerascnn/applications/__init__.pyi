# The public names, for editors, type checkers and lazy_loader. `X as X` marks a name as public: ruff needs it.
from . import (
    imagenet_utils as imagenet_utils,
    inception_v3 as inception_v3,
    registry as registry,
    resnet as resnet,
    resnet50 as resnet50,
    vgg16 as vgg16,
    vgg19 as vgg19,
)
from .alexnet import AlexNet as AlexNet, AlexNetV2 as AlexNetV2
from .bn_inception import BNInception as BNInception
from .cifar_resnet import (
    Plain20 as Plain20,
    Plain32 as Plain32,
    Plain44 as Plain44,
    Plain56 as Plain56,
    ResNet20 as ResNet20,
    ResNet32 as ResNet32,
    ResNet44 as ResNet44,
    ResNet56 as ResNet56,
    ResNet110 as ResNet110,
    ResNet1202 as ResNet1202,
)
from .fitnet import FitNet1 as FitNet1, FitNet2 as FitNet2, FitNet3 as FitNet3, FitNet4 as FitNet4
from .googlenet import GoogLeNet as GoogLeNet
from .googlenet_torchvision import GoogLeNetTorchvision as GoogLeNetTorchvision
from .highway import Highway19 as Highway19, Highway32 as Highway32
from .inception_v2 import InceptionV2 as InceptionV2
from .inception_v3 import InceptionV3 as InceptionV3
from .maxout import Maxout as Maxout
from .nin import DSN as DSN, NIN as NIN
from .prelu_net import PReLUNetA as PReLUNetA, PReLUNetB as PReLUNetB, PReLUNetC as PReLUNetC
from .preprocessing import decode_predictions as decode_predictions, preprocess_input as preprocess_input
from .registry import (
    REGISTRY as REGISTRY,
    NetworkInfo as NetworkInfo,
    PublishedAccuracy as PublishedAccuracy,
    create as create,
    info as info,
    list_models as list_models,
    list_weights as list_weights,
)
from .resnet import (
    Plain18 as Plain18,
    Plain34 as Plain34,
    ResNet18 as ResNet18,
    ResNet34 as ResNet34,
    ResNet50 as ResNet50,
    ResNet101 as ResNet101,
    ResNet152 as ResNet152,
)
from .stages import features as features
from .thin_net import ThinNet as ThinNet
from .vgg import (
    VGG11 as VGG11,
    VGG13 as VGG13,
    VGG16 as VGG16,
    VGG16C as VGG16C,
    VGG19 as VGG19,
)
from .weights.public import PublicWeights as PublicWeights
from .zfnet import ZFNet as ZFNet
