"""The GLM of 2022, in plain PyTorch from the formulas of the paper and of its code: pre-norm layers, a projection in thirds,
positions inside the text and inside an answer. A text that is read whole has no answer. Weights have the checkpoint's names.
"""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.heads = config.num_attention_heads

    def forward(self, x, mask):
        batch, length, width = x.shape
        split = lambda part: part.view(batch, length, self.heads, -1).transpose(1, 2)
        q, k, v = (split(part) for part in self.query_key_value(x).chunk(3, -1))
        mixed, _ = self.attend(self, q, k, v, mask, (width // self.heads) ** -0.5)
        return self.dense(mixed.flatten(2))


class Mlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, 4 * config.hidden_size)
        self.dense_4h_to_h = nn.Linear(4 * config.hidden_size, config.hidden_size)

    def forward(self, x):
        return self.dense_4h_to_h(F.gelu(self.dense_h_to_4h(x), approximate="tanh"))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, 1e-5)
        self.attention = Attention(config)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, 1e-5)
        self.mlp = Mlp(config)

    def forward(self, x, mask):
        x = x + self.attention(self.input_layernorm(x), mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        rows = config.max_sequence_length + 1
        self.position_embeddings = nn.Embedding(rows, config.hidden_size)
        self.block_position_embeddings = nn.Embedding(rows, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, 1e-5)


class Glm(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.transformer = Transformer(config)

    def get_input_embeddings(self):
        return self.word_embeddings

    def forward(self, input_ids=None, inputs_embeds=None, attention_mask=None, gap=None, sep=None):
        """
        gap: where the mask of the text stands whose answer the last token opens; sep: tokens of the text. Every token sees the
        text and what is before itself. One text at a time then, without padding.
        """
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        length = words.shape[1]
        places, inside = torch.arange(length), torch.zeros(length, dtype=torch.long)
        if gap is None:
            closed = (1 - attention_mask)[:, None, None].to(words.dtype) * -1e4
        else:
            places[sep:], inside[sep:] = gap, torch.arange(1, length - sep + 1)
            column, row = torch.arange(length)[None], torch.arange(length)[:, None]
            closed = ~((column <= row) | (column < sep)) * torch.tensor(-1e4, dtype=words.dtype)
        x = words + self.transformer.position_embeddings(places)
        x = x + self.transformer.block_position_embeddings(inside)
        for layer in self.transformer.layers:
            x = layer(x, closed)
        return SimpleNamespace(last_hidden_state=self.transformer.final_layernorm(x))
