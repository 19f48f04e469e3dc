from .assembly import callbacks_for as callbacks_for, compile_for as compile_for
from .batches import steps_per_epoch as steps_per_epoch
from .callbacks.loggers import MLflowLogger as MLflowLogger, WandbLogger as WandbLogger
from .callbacks.nan_guard import TrainingDivergedError as TrainingDivergedError
from .callbacks.weight_averaging import AveragedWeights as AveragedWeights
from .checkpoints.files import Checkpoints as Checkpoints
from .default_network import Machine as Machine, choose_network as choose_network
from .fine_tuning.gradual_unfreezing import GradualUnfreezing as GradualUnfreezing
from .fine_tuning.probe import ProbeResult as ProbeResult
from .precision import choose_precision as choose_precision
from .recipe.fields import (
    About as About,
    AuxiliaryHeads as AuxiliaryHeads,
    Averaging as Averaging,
    Distillation as Distillation,
    Evaluation as Evaluation,
    FineTuning as FineTuning,
    Initialization as Initialization,
    Optimizer as Optimizer,
    Pixels as Pixels,
    Schedule as Schedule,
)
from .recipe.recipe import Recipe as Recipe, recipes as recipes
from .resolution import linear_probe as linear_probe, resolved as resolved
from .run import Run as Run, TrainingInterruptedError as TrainingInterruptedError
from .run_config import RunConfig as RunConfig
from .run_folder import RunFolder as RunFolder
from .schedules import EarlyStopping as EarlyStopping, Plateau as Plateau
from .search import (
    HyperModel as HyperModel,
    Search as Search,
    Space as Space,
    resume_search as resume_search,
    tune as tune,
)
from .trainer import (
    distill as distill,
    finetune as finetune,
    resume as resume,
    train as train,
)
