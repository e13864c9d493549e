"""transformers' own models with deep prompts: keys and values in front of those of every application of a layer.

No column of a prompt has a position: no relative bias, no rotation, no window; its mask is 0. Where a model goes through
AttentionInterface one function does it, elsewhere the forward of its attention module is replaced here.
"""

import math
import types

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask
from transformers.models.deberta import modeling_deberta
from transformers.models.deberta_v2 import modeling_deberta_v2
from transformers.models.modernbert import modeling_modernbert


def split(x, heads):
    """[…, N, E] to [B, heads, N, D]."""
    return x.view(*x.shape[:-1], heads, -1).transpose(-3, -2)


def attend(module, query, key, value, attention_mask, scaling, **_):
    """What AttentionInterface calls: query, key, value [B, heads, N, D], additive mask [B, 1, 1 or N, N]."""
    scores = query @ key.transpose(-1, -2) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    prompt = module.prompts.pop(0)
    if prompt is not None:
        pk, pv, gate = prompt
        scores = torch.cat([query @ pk.transpose(-1, -2) * scaling + gate, scores], -1)
        value = torch.cat([pv.expand(len(value), -1, -1, -1), value], 2)
    weights = scores.softmax(-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


AttentionInterface.register("prompted", attend)
AttentionMaskInterface.register("prompted", eager_mask)


def mpnet(module):
    """MPNetSelfAttention.forward with a prompt."""

    def forward(self, hidden_states, attention_mask=None, position_bias=None, output_attentions=False, **_):
        q, k, v = (split(part(hidden_states), self.num_attention_heads) for part in (self.q, self.k, self.v))
        bias = 0 if position_bias is None else position_bias
        if attention_mask is not None:
            bias = bias + attention_mask
        scores = q @ k.transpose(-1, -2) / math.sqrt(self.attention_head_size) + bias
        prompt = self.prompts.pop(0)
        if prompt is not None:
            pk, pv, gate = prompt
            prompted = q @ pk.transpose(-1, -2) / math.sqrt(self.attention_head_size) + gate
            scores, v = torch.cat([prompted, scores], -1), torch.cat([pv.expand(len(v), -1, -1, -1), v], 2)
        mixed = scores.softmax(-1) @ v
        return (self.o(mixed.transpose(1, 2).flatten(2)),)

    module.forward = types.MethodType(forward, module)


def in_float64():
    """transformers computes scales and v1's layer norms in float32 whatever the model has."""
    exact = lambda query, factor: torch.sqrt(torch.tensor(query.size(-1) * factor, dtype=torch.float64))
    modeling_deberta.scaled_size_sqrt = modeling_deberta_v2.scaled_size_sqrt = exact
    modeling_deberta.DebertaLayerNorm.forward = lambda self, x: torch.nn.functional.layer_norm(
        x, x.shape[-1:], self.weight, self.bias, self.variance_epsilon
    )


def rotary_in_float64(self, x, position_ids, layer_type=None):
    """Rotary embeddings compute angles in float32."""
    config = self.config
    width = config.hidden_size // config.num_attention_heads
    parameters = config.rope_parameters
    theta = (parameters if layer_type is None else parameters[layer_type])["rope_theta"]
    rates = theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = position_ids[:, :, None].double() * rates
    angles = torch.cat([angles, angles], -1)
    return angles.cos(), angles.sin()


def turned(query, key, cos, sin, unsqueeze_dim=1):
    """apply_rotary_pos_emb, which multiplies in float32."""
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    turn = lambda x: x * cos + modeling_modernbert.rotate_half(x) * sin
    return turn(query), turn(key)


def deberta(module):
    """DisentangledSelfAttention.forward of v1 and v2 with a prompt, whose columns have the content's logits alone."""
    original = module.disentangled_att_bias if hasattr(module, "in_proj") else module.disentangled_attention_bias

    def forward(self, hidden_states, attention_mask, output_attentions=False, query_states=None, relative_pos=None,
                rel_embeddings=None):
        heads, batch = self.num_attention_heads, len(hidden_states)
        kinds = len(self.pos_att_type)
        scale = math.sqrt(self.attention_head_size * (1 + kinds))
        if hasattr(self, "in_proj"):
            q, k, v = self.transpose_for_scores(self.in_proj(hidden_states)).chunk(3, dim=-1)
            q = (q + self.transpose_for_scores(self.q_bias[None, None, :])) / scale
            v = v + self.transpose_for_scores(self.v_bias[None, None, :])
        else:
            projections = (self.query_proj, self.key_proj, self.value_proj)
            q, k, v = (split(part(hidden_states), heads) for part in projections)
        text = q @ k.transpose(-1, -2)
        if kinds and self.relative_attention:
            if hasattr(self, "in_proj"):
                text = text + original(q, k, relative_pos, rel_embeddings, 1 + kinds)
            else:
                flat = [part.reshape(-1, *part.shape[2:]) for part in (q, k)]
                text = text / scale + original(*flat, relative_pos, rel_embeddings, 1 + kinds).view_as(text)
        elif not hasattr(self, "in_proj"):
            text = text / scale
        text = text.masked_fill(~attention_mask.bool(), torch.finfo(text.dtype).min)
        prompt = self.prompts.pop(0)
        if prompt is not None:
            pk, pv, gate = prompt
            prompted = q @ pk.transpose(-1, -2) / (1 if hasattr(self, "in_proj") else scale) + gate
            text, v = torch.cat([prompted, text], -1), torch.cat([pv.expand(batch, -1, -1, -1), v], 2)
        return (text.softmax(-1) @ v).transpose(1, 2).flatten(2), None

    module.forward = types.MethodType(forward, module)


def attention_modules(model):
    """The attention module of each application of a layer, in their order, patched."""
    kind = model.config.model_type
    if kind in ("camembert", "electra", "distilbert", "albert", "modernbert", "nomic_bert"):
        model.set_attn_implementation("prompted")
    if kind in ("camembert", "electra"):
        return [layer.attention.self for layer in model.encoder.layer]
    if kind == "glm":
        modules = [layer.attention for layer in model.transformer.layers]
        for module in modules:
            module.attend = attend
        return modules
    if kind == "modernbert":
        modeling_modernbert.apply_rotary_pos_emb = turned
        model.rotary_emb.forward = types.MethodType(rotary_in_float64, model.rotary_emb)
        return [layer.attn for layer in model.layers]
    if kind == "nomic_bert":
        model.rotary_emb.forward = types.MethodType(rotary_in_float64, model.rotary_emb)
        return [layer.self_attn for layer in model.layers]
    if kind == "distilbert":
        return [layer.attention for layer in model.transformer.layer]
    if kind == "albert":
        groups, layers = model.encoder.albert_layer_groups, model.config.num_hidden_layers
        used = [groups[int(i / (layers / len(groups)))] for i in range(layers)]
        return [layer.attention for group in used for layer in group.albert_layers]
    if kind in ("deberta", "deberta-v2"):
        in_float64()
        modules = [layer.attention.self for layer in model.encoder.layer]
        for module in modules:
            deberta(module)
        return modules
    if kind == "mpnet":
        modules = [layer.attention.attn for layer in model.encoder.layer]
        for module in modules:
            mpnet(module)
        return modules
    raise NotImplementedError(kind)


class Prompted:
    """A model of transformers whose attention modules take prompts, [1, heads, P, D] each, and gates [heads, 1, 1]."""

    def __init__(self, model):
        self.model, self.modules = model, attention_modules(model)
        self.heads = model.config.num_attention_heads

    def states(self, prompt, layers, gate, weights, **inputs):
        """
        prompt: [P, 2·k·E] or None; layers: those that get a part of it; gate: [k, heads] or None
        weights: tensors that replace the model's own, by name
        """
        taken = [None] * len(self.modules)
        if prompt is not None:
            parts = prompt.chunk(2 * len(layers), 1)
            for i, layer in enumerate(layers):
                opening = 0 if gate is None else gate[i][:, None, None]
                key, value = (split(part, self.heads)[None] for part in parts[2 * i : 2 * i + 2])
                taken[layer] = (key, value, opening)
        # A module that is applied several times takes one after the other.
        for module in self.modules:
            module.prompts = []
        for module, own in zip(self.modules, taken):
            module.prompts.append(own)
        return torch.func.functional_call(self.model, weights, kwargs=inputs).last_hidden_state
