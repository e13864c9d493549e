"""P-tuning's network that makes a prompt, by torch's own LSTM, under our names of its tensors and under PEFT's."""

import torch
import torch.nn.functional as F

at = "prompt.encoder"


# Our name of each tensor of the LSTM, and torch's.
lstm_names = {
    f"{at}.lstm.{layer}.{direction}.{part}.{kind}": f"{kind}_{theirs}_l{layer}{suffix}"
    for layer in (0, 1)
    for direction, suffix in (("forward", ""), ("backward", "_reverse"))
    for part, theirs in (("input", "ih"), ("state", "hh"))
    for kind in ("weight", "bias")
}


def input_prompt(params):
    """The vectors in front of the word embeddings, [P, E]; None where there are none."""
    if f"{at}.embeddings" not in params:
        return params.get("prompt.input")
    x = params[f"{at}.embeddings"]
    if f"{at}.lstm.0.forward.state.weight" in params:
        width = params[f"{at}.lstm.0.forward.state.weight"].shape[1]
        lstm = torch.nn.LSTM(x.shape[1], width, 2, bidirectional=True, dtype=x.dtype)
        x, _ = torch.func.functional_call(lstm, {theirs: params[ours] for ours, theirs in lstm_names.items()}, (x,))
    layers = sorted(k for k in params if k.startswith(f"{at}.mlp.") and k.endswith(".weight"))
    for i, name in enumerate(layers):
        x = F.linear(x, params[name], params[name.replace(".weight", ".bias")])
        x = torch.relu(x) if i + 1 < len(layers) else x
    return x


def peft_state(params):
    """An LSTM and its MLP under PEFT's names of the tensors, which PEFT trains but does not save."""
    state = {"embedding.weight": params[f"{at}.embeddings"]}
    state |= {f"lstm_head.{theirs}": params[ours] for ours, theirs in lstm_names.items()}
    for ours, theirs in ((0, 0), (1, 2)):
        state |= {f"mlp_head.{theirs}.{kind}": params[f"{at}.mlp.{ours}.{kind}"] for kind in ("weight", "bias")}
    return state
