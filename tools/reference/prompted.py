"""transformers' own models with deep prompts: keys and values in front of those of every application of a layer.

No column of a prompt has a position: no relative bias, no rotation, no window; its mask is 0. Where a model goes through
AttentionInterface one function does it, elsewhere the forward of its attention module is replaced here.
"""

import math
import types

import torch


def split(x, heads):
    """[…, N, E] to [B, heads, N, D]."""
    return x.view(*x.shape[:-1], heads, -1).transpose(-3, -2)


def mpnet(module):
    """MPNetSelfAttention.forward with a prompt."""

    def forward(self, hidden_states, attention_mask=None, position_bias=None, output_attentions=False, **_):
        q, k, v = (split(part(hidden_states), self.num_attention_heads) for part in (self.q, self.k, self.v))
        bias = 0 if position_bias is None else position_bias
        if attention_mask is not None:
            bias = bias + attention_mask
        scores = q @ k.transpose(-1, -2) / math.sqrt(self.attention_head_size) + bias
        if self.prompt is not None:
            pk, pv, gate = self.prompt
            prompted = q @ pk.transpose(-1, -2) / math.sqrt(self.attention_head_size) + gate
            scores, v = torch.cat([prompted, scores], -1), torch.cat([pv.expand(len(v), -1, -1, -1), v], 2)
        mixed = scores.softmax(-1) @ v
        return (self.o(mixed.transpose(1, 2).flatten(2)),)

    module.forward = types.MethodType(forward, module)


def attention_modules(model):
    """The attention modules of a model in the order of their layers, patched."""
    kind = model.config.model_type
    if kind == "mpnet":
        modules = [layer.attention.attn for layer in model.encoder.layer]
        for module in modules:
            mpnet(module)
        return modules
    raise NotImplementedError(kind)


class Prompted:
    """A model of transformers whose attention modules take prompts, [heads, P, D] each, and gates [heads, 1, 1]."""

    def __init__(self, model):
        self.model, self.modules = model, attention_modules(model)
        self.heads = model.config.num_attention_heads

    def states(self, prompt, layers, gate, weights, **inputs):
        """
        prompt: [P, 2·k·E] or None; layers: those that get a part of it; gate: [k, heads] or None
        weights: tensors that replace the model's own, by name
        """
        for module in self.modules:
            module.prompt = None
        if prompt is not None:
            parts = prompt.chunk(2 * len(layers), 1)
            for i, layer in enumerate(layers):
                opening = 0 if gate is None else gate[i][:, None, None]
                key, value = (split(part, self.heads)[None] for part in parts[2 * i : 2 * i + 2])
                self.modules[layer].prompt = (key, value, opening)
        return torch.func.functional_call(self.model, weights, kwargs=inputs).last_hidden_state
