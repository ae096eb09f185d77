"""A mask decoder for several classes: one mask token and one hypernetwork each."""

import copy

import torch
from torch import nn

from naslora_core.sam.families.model import Sam

# Far below the tokens' own scale of about one, and the same in every run.
_TOKEN_NOISE, _TOKEN_SEED = 1e-3, 0


def set_class_count(sam: Sam, classes: int) -> None:
    """Make the mask decoder predict `classes` classes beside the background, in place.

    One class uses the token that SAM has for a single mask, and nothing changes. For more, the decoder becomes
    upstream's `MaskDecoder(num_multimask_outputs=classes - 1)`, same keys, whose tokens, hypernetworks and
    quality outputs all begin as copies of the single mask's; a little noise tells the tokens apart.

    Args:
        sam: with the decoder that its checkpoint has.
        classes: at least 1.
    """
    decoder = sam.mask_decoder
    # K tokens alone do not tell one class with upstream's four tokens from four classes.
    decoder.class_count = classes
    if classes == 1:
        return
    token = decoder.mask_tokens.weight.detach()[:1]
    noise = torch.randn(classes, token.shape[1], generator=torch.Generator().manual_seed(_TOKEN_SEED))
    decoder.mask_tokens = nn.Embedding.from_pretrained(token + _TOKEN_NOISE * noise.to(token), freeze=False)
    network = decoder.output_hypernetworks_mlps[0]
    decoder.output_hypernetworks_mlps = nn.ModuleList(copy.deepcopy(network) for _ in range(classes))
    head = sam.quality_layer()
    head.weight = nn.Parameter(head.weight.detach()[:1].repeat(classes, 1))
    head.bias = nn.Parameter(head.bias.detach()[:1].repeat(classes))
    head.out_features = classes
    decoder.num_mask_tokens, decoder.num_multimask_outputs = classes, classes - 1


def class_count(sam: Sam) -> int:
    """Return the number of classes, without the background, that the mask decoder predicts."""
    return int(getattr(sam.mask_decoder, "class_count", 1))
