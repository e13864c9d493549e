"""A plain PyTorch P-Tuning v2 model: BERT or RoBERTa whose attention gets extra keys and values, in about a hundred lines.

Independent of both our engine and PEFT; make_bert.py and make_roberta.py check it against transformers + PEFT where they
overlap.
"""

import math

import torch
import torch.nn.functional as F


class PrefixBert:
    """
    weights: checkpoint tensors by name without the "bert." or "roberta." prefix
    config: transformers BertConfig or RobertaConfig
    method: {"layers": [...], "mlp": bool}
    params: trainable tensors under our names
    """

    def __init__(self, weights, config, layers, pooling, position_offset):
        self.w, self.config, self.layers = weights, config, layers
        self.pooling, self.position_offset = pooling, position_offset
        self.keys_and_values = []

    def linear(self, x, name):
        return F.linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def norm(self, x, name):
        w, b = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
        return F.layer_norm(x, (x.shape[-1],), w, b, self.config.layer_norm_eps)

    def prompt(self, params):
        """[P, 2·k·E], row p = key and value of each prompted layer."""
        if "prompt.embeddings" in params:
            return params["prompt.embeddings"]
        hidden = F.linear(params["prompt.mlp.embeddings"], params["prompt.mlp.in.weight"], params["prompt.mlp.in.bias"])
        return F.linear(torch.tanh(hidden), params["prompt.mlp.out.weight"], params["prompt.mlp.out.bias"])

    def positions(self, ids):
        if self.config.model_type == "bert":
            return torch.arange(ids.shape[1]) + self.position_offset
        # transformers' create_position_ids_from_input_ids: text behind the padding index, padding at it.
        pad = self.config.pad_token_id
        real = (ids != pad).long()
        return (real.cumsum(1) + self.position_offset) * real + pad

    def hidden(self, params, ids, types, mask):
        batch, length = ids.shape
        heads, width = self.config.num_attention_heads, self.config.hidden_size
        prompt = self.prompt(params)
        x = self.w["embeddings.word_embeddings.weight"][ids]
        x = x + self.w["embeddings.position_embeddings.weight"][self.positions(ids)]
        x = x + self.w["embeddings.token_type_embeddings.weight"][types]
        x = self.norm(x, "embeddings.LayerNorm")
        split = lambda t: t.view(t.shape[0], t.shape[1], heads, width // heads).transpose(1, 2)
        for layer in range(self.config.num_hidden_layers):
            name = f"encoder.layer.{layer}"
            q, k, v = (split(self.linear(x, f"{name}.attention.self.{part}")) for part in ("query", "key", "value"))
            self.keys_and_values += [t.transpose(1, 2).reshape(batch, length, width) for t in (k, v)]
            columns = mask
            if layer in self.layers:
                at = 2 * self.layers.index(layer) * width
                pk, pv = prompt[:, at : at + width], prompt[:, at + width : at + 2 * width]
                k = torch.cat([split(pk[None]).expand(batch, -1, -1, -1), k], 2)
                v = torch.cat([split(pv[None]).expand(batch, -1, -1, -1), v], 2)
                columns = torch.cat([torch.ones(batch, prompt.shape[0], dtype=mask.dtype), mask], 1)
            scores = q @ k.transpose(-1, -2) / math.sqrt(width // heads)
            if layer in self.layers and "prompt.gate" in params:
                gate = params["prompt.gate"][self.layers.index(layer)][None, :, None, None]
                scores = torch.cat([scores[..., : prompt.shape[0]] + gate, scores[..., prompt.shape[0] :]], -1)
            scores = scores.masked_fill(columns[:, None, None] == 0, -math.inf)
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width)
            x = self.norm(self.linear(mixed, f"{name}.attention.output.dense") + x, f"{name}.attention.output.LayerNorm")
            wide = F.gelu(self.linear(x, f"{name}.intermediate.dense"))
            x = self.norm(self.linear(wide, f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
        return x

    def logits(self, params, ids, types, mask):
        x = self.hidden(params, ids, types, mask)
        if self.pooling == "mean":
            share = mask.to(x.dtype)[:, :, None]
            pooled = (x * share).sum(1) / share.sum(1)
        else:
            pooled = x[:, 0]
            if self.pooling == "pooler":
                pooled = torch.tanh(self.linear(pooled, "pooler.dense"))
        return F.linear(pooled, params["head.weight"], params["head.bias"])
