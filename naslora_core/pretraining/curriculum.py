"""The curriculum of pre-training: small scenes first, from which much is learnt in a quarter of the time."""

from torch.utils.data import ConcatDataset, Dataset

from naslora_core.data.synthetic.scenes import SceneGenerator
from naslora_core.pretraining.config import PretrainConfig
from naslora_core.pretraining.scenes import PromptedSceneDataset, PromptedScenes
from naslora_core.sam.specs import MODEL_SPECS

BOX_JITTER = 0.1


def training_batches(config: PretrainConfig) -> Dataset[PromptedScenes]:
    """Return one batch for each step of a run.

    The first `small_steps` hold scenes of half the model's side, put into any corner of its input; their
    smallest objects have as many pixels as those of the others.
    """
    side = MODEL_SPECS[config.model].image_size
    half = side // 2
    corners = ((0, 0), (0, half), (half, 0), (half, half))
    small = PromptedSceneDataset(
        SceneGenerator(config.seed, half, min(1.0, 4 * config.min_area_share)),
        config.small_steps,
        config.batch_size,
        config.prompts_per_scene,
        centred=False,
        jitter=BOX_JITTER,
        origins=corners,
    )
    large = PromptedSceneDataset(
        SceneGenerator(config.seed, side, config.min_area_share),
        config.steps,
        config.batch_size,
        config.prompts_per_scene,
        centred=False,
        jitter=BOX_JITTER,
    )
    return ConcatDataset([small, large])
