"""Every method in plain PyTorch: BERT or RoBERTa with extra keys and values in its attention, with vectors in front of its
word embeddings, low-rank pairs beside its linear layers, or with any of its weights replaced by a trained one, in about a hundred lines.

Independent of both our engine and PEFT; make_bert.py, make_roberta.py and make_methods.py check it against transformers +
PEFT where they overlap.
"""

import math

import torch
import torch.nn.functional as F

from prompt_encoder import input_prompt


class PrefixBert:
    """
    weights: checkpoint tensors by name without the "bert." or "roberta." prefix
    config: transformers BertConfig or RobertaConfig
    layers: those whose attention gets a prompt
    pooling: "all" where the head reads every token
    embedding_passes: how often texts pass the embedding module in front of which a prompt is put
    pooled_row: the row that is pooled, counted from the first of a prompt in front of the text; None: the text's first
    lora_scale: factor of what low-rank pairs add to linear layers
    params: trainable tensors under our names
    """

    def __init__(self, weights, config, layers, pooling, position_offset, embedding_passes=1, pooled_row=None, lora_scale=1.0):
        self.w = self.weights = weights
        self.config, self.layers = config, layers
        self.pooling, self.position_offset = pooling, position_offset
        self.embedding_passes, self.pooled_row = embedding_passes, pooled_row
        self.keys_and_values = []
        self.lora_scale, self.params = lora_scale, {}

    def linear(self, x, name):
        y = F.linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])
        down, up = (self.params.get(f"lora.{self.config.model_type.split('-')[-1]}.{name}.{part}") for part in "AB")
        return y if down is None else y + self.lora_scale * x @ down.T @ up.T

    def norm(self, x, name):
        w, b = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
        return F.layer_norm(x, (x.shape[-1],), w, b, self.config.layer_norm_eps)

    def prompt(self, params):
        """[P, 2·k·E], row p = key and value of each prompted layer."""
        if "prompt.embeddings" in params:
            return params["prompt.embeddings"]
        hidden = F.linear(params["prompt.mlp.embeddings"], params["prompt.mlp.in.weight"], params["prompt.mlp.in.bias"])
        return F.linear(torch.tanh(hidden), params["prompt.mlp.out.weight"], params["prompt.mlp.out.bias"])

    def positions(self, mask):
        if self.config.model_type == "bert":
            return torch.arange(mask.shape[1]) + self.position_offset
        # transformers' create_position_ids_from_input_ids: text behind the padding index, padding at it.
        return (mask.cumsum(1) + self.position_offset) * mask + self.config.pad_token_id

    def embed(self, words, types, mask):
        x = words + self.w["embeddings.position_embeddings.weight"][self.positions(mask)]
        x = x + self.w["embeddings.token_type_embeddings.weight"][types]
        return self.norm(x, "embeddings.LayerNorm")

    def states(self, params, ids, types, mask):
        """[B, P + S, E] where P vectors stand in front of the text, else [B, S, E]; and P."""
        trained = {k.removeprefix("backbone."): v for k, v in params.items() if k.startswith("backbone.")}
        self.w, self.params = self.weights | trained, params
        heads, width = self.config.num_attention_heads, self.config.hidden_size
        words = self.w["embeddings.word_embeddings.weight"][ids]
        if self.embedding_passes == 2:
            words, types = self.embed(words, types, mask), torch.zeros_like(types)
        batch, text_length = ids.shape
        vectors = input_prompt(params)
        count = 0 if vectors is None else len(vectors)
        if count > 0:
            words = torch.cat([vectors.expand(batch, -1, -1), words], 1)
            types, mask = F.pad(types, (count, 0)), F.pad(mask, (count, 0), value=1)
        length = count + text_length
        x = self.embed(words, types, mask)
        prompt = self.prompt(params) if self.layers else None
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
        return x, count

    def hidden(self, params, ids, types, mask):
        x, count = self.states(params, ids, types, mask)
        return x[:, count:]

    def logits(self, params, ids, types, mask):
        x, count = self.states(params, ids, types, mask)
        if self.pooling == "all":
            pooled = x[:, count:]
        elif self.pooling == "mean":
            share = mask.to(x.dtype)[:, :, None]
            pooled = (x[:, count:] * share).sum(1) / share.sum(1)
        else:
            pooled = x[:, count if self.pooled_row is None else self.pooled_row]
            if self.pooling == "pooler":
                pooled = torch.tanh(self.linear(pooled, "pooler.dense"))
        return F.linear(pooled, params["head.weight"], params["head.bias"])
