# The public names, for editors, type checkers and lazy_loader.
from . import registry as registry
from .alexnet import AlexNet as AlexNet
from .alexnet import AlexNetV2 as AlexNetV2
from .bn_inception import BNInception as BNInception
from .cifar_resnet import (
    Plain20 as Plain20,
)
from .cifar_resnet import (
    Plain32 as Plain32,
)
from .cifar_resnet import (
    Plain44 as Plain44,
)
from .cifar_resnet import (
    Plain56 as Plain56,
)
from .cifar_resnet import (
    ResNet20 as ResNet20,
)
from .cifar_resnet import (
    ResNet32 as ResNet32,
)
from .cifar_resnet import (
    ResNet44 as ResNet44,
)
from .cifar_resnet import (
    ResNet56 as ResNet56,
)
from .cifar_resnet import (
    ResNet110 as ResNet110,
)
from .cifar_resnet import (
    ResNet1202 as ResNet1202,
)
from .googlenet import GoogLeNet as GoogLeNet
from .googlenet_torchvision import GoogLeNetTorchvision as GoogLeNetTorchvision
from .inception_v2 import InceptionV2 as InceptionV2
from .inception_v3 import InceptionV3 as InceptionV3
from .preprocessing import decode_predictions as decode_predictions
from .preprocessing import preprocess_input as preprocess_input
from .registry import (
    REGISTRY as REGISTRY,
)
from .registry import (
    NetworkInfo as NetworkInfo,
)
from .registry import (
    PublishedError as PublishedError,
)
from .registry import (
    create as create,
)
from .registry import (
    info as info,
)
from .registry import (
    list_models as list_models,
)
from .registry import (
    list_weights as list_weights,
)
from .resnet import (
    Plain18 as Plain18,
)
from .resnet import (
    Plain34 as Plain34,
)
from .resnet import (
    ResNet18 as ResNet18,
)
from .resnet import (
    ResNet34 as ResNet34,
)
from .resnet import (
    ResNet50 as ResNet50,
)
from .resnet import (
    ResNet101 as ResNet101,
)
from .resnet import (
    ResNet152 as ResNet152,
)
from .stages import features as features
from .vgg import (
    VGG11 as VGG11,
)
from .vgg import (
    VGG13 as VGG13,
)
from .vgg import (
    VGG16 as VGG16,
)
from .vgg import (
    VGG16C as VGG16C,
)
from .vgg import (
    VGG19 as VGG19,
)
from .weights.public import PublicWeights as PublicWeights
from .zfnet import ZFNet as ZFNet
