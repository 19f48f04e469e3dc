# The public names, for editors, type checkers and lazy_loader. `X as X` marks a name as public: ruff needs it.
from .batch_normalization import BatchNormalization as BatchNormalization
from .class_labels import ClassLabels as ClassLabels
from .conv_unit import (
    HE_NORMAL as HE_NORMAL,
    activation_layer as activation_layer,
    channel_axis as channel_axis,
    channels_first as channels_first,
    conv_unit as conv_unit,
)
from .highway import highway_conv as highway_conv
from .local_response_normalization import LocalResponseNormalization as LocalResponseNormalization
from .maxout import maxout_conv as maxout_conv, maxout_dense as maxout_dense
from .preprocessing import Preprocessing as Preprocessing
from .product_gradient import product_gradient as product_gradient
from .spatial_pyramid_pooling import SpatialPyramidPooling as SpatialPyramidPooling
from .subsampled_identity import SubsampledIdentity as SubsampledIdentity
