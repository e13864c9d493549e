"""The other half of a twin run: PEFT or plain PyTorch on the same weights, from the same tensors, on the same batches.

Usage: twin.py FOLDER
FOLDER holds twin.json (settings), start/ (the adapter that both start from), batches.safetensors (per step: ids, types,
mask and the gold answers) and dev.safetensors. Writes theirs.json (losses) and logits.safetensors: dev logits after
the last step, positions outside.
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from prefix_bert import PrefixBert
from twin_training import train, write_logits

folder = Path(sys.argv[1])
settings = json.loads((folder / "twin.json").read_text())
torch.manual_seed(0)
initial = load_file(folder / "start" / "adapter_model.safetensors")


def answer_loss(logits, part):
    # transformers lets padding compete as well; here, as with us, it does not.
    kept = logits.masked_fill(part["mask"][:, :, None] == 0, -math.inf)
    return (F.cross_entropy(kept[..., 0], part["starts"]) + F.cross_entropy(kept[..., 1], part["ends"])) / 2


def label_loss(logits, part):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), part["labels"].reshape(-1))


def multi_label_loss(logits, part):
    return F.binary_cross_entropy_with_logits(logits, part["labels"], reduction="sum") / len(logits)


def regression_loss(logits, part):
    return F.mse_loss(logits[:, 0], part["scores"])


def choice_loss(logits, part):
    items = logits[:, 0].split(part["sizes"].tolist())
    return torch.stack([F.cross_entropy(item, label) for item, label in zip(items, part["labels"])]).mean()


# Losses of tasks whose head alone does not tell.
losses_of = {"multi-label": multi_label_loss, "regression": regression_loss, "multiple-choice": choice_loss}
heads = {
    "sequence": (AutoModelForSequenceClassification, TaskType.SEQ_CLS, "classifier", label_loss),
    "token": (AutoModelForTokenClassification, TaskType.TOKEN_CLS, "classifier", label_loss),
    "span": (AutoModelForQuestionAnswering, TaskType.QUESTION_ANS, "qa_outputs", answer_loss),
}
model_class, task_type, module, loss_of = heads[settings["head"]]
loss_of = losses_of.get(settings.get("loss"), loss_of)


methods = {"p-tuning-v2": PrefixTuningConfig, "prompt-tuning": PromptTuningConfig, "p-tuning": PromptEncoderConfig}


def encoder_state():
    """The prompt encoder of P-tuning, which PEFT trains but does not save, under its names of the tensors."""
    state = {"embedding.weight": initial["prompt.encoder.embeddings"]}
    for layer in (0, 1):
        for direction, reverse in (("forward", ""), ("backward", "_reverse")):
            at = f"prompt.encoder.lstm.{layer}.{direction}"
            for ours, theirs in (("input", "ih"), ("state", "hh")):
                for kind in ("weight", "bias"):
                    state[f"lstm_head.{kind}_{theirs}_l{layer}{reverse}"] = initial[f"{at}.{ours}.{kind}"]
    for ours, theirs in ((0, 0), (1, 2)):
        for kind in ("weight", "bias"):
            state[f"mlp_head.{theirs}.{kind}"] = initial[f"prompt.encoder.mlp.{ours}.{kind}"]
    return state


def with_peft():
    sizes = {} if settings["head"] == "span" else {"num_labels": settings["numLabels"]}
    model = model_class.from_pretrained(settings["backbone"], **sizes)
    encoder = {"encoder_reparameterization_type": "LSTM"} if settings["method"] == "p-tuning" else {}
    config = methods[settings["method"]](task_type=task_type, num_virtual_tokens=settings["promptLength"], **encoder)
    peft = get_peft_model(model, config)
    prompt = {"embedding.weight": initial["prompt_embeddings"]} if "prompt_embeddings" in initial else encoder_state()
    peft.prompt_encoder["default"].load_state_dict(prompt)
    head = getattr(peft.base_model, module).modules_to_save["default"]
    for name, parameter in head.named_parameters():
        saved = f"base_model.{module}.{name}"
        parameter.data = initial[saved if saved in initial else f"head.{name}"].clone()
        # P-tuning-v2 keeps the pooler frozen, PEFT trains its like in RoBERTa's classifier.
        parameter.requires_grad = not name.startswith("dense.")
    # Dropout 0 everywhere: eval mode, with gradients.
    peft.eval()

    # PEFT's question answering drops the token types on the way to the backbone: they are put back.
    types = {}
    peft.base_model.get_submodule(peft.transformer_backbone_name).register_forward_pre_hook(
        lambda _, args, kwargs: (args, {**kwargs, "token_type_ids": types["now"]} if settings["head"] == "span" else kwargs),
        with_kwargs=True,
    )

    def logits(part):
        types["now"] = part["types"]
        out = peft(input_ids=part["ids"], token_type_ids=part["types"], attention_mask=part["mask"])
        return torch.stack([out.start_logits, out.end_logits], -1) if settings["head"] == "span" else out.logits

    return logits, [p for p in peft.parameters() if p.requires_grad]


def with_plain_torch():
    backbone = Path(settings["backbone"])
    stored = load_file(backbone / "model.safetensors")
    weights = {k.removeprefix("bert.").removeprefix("roberta."): v.float() for k, v in stored.items()}
    config = AutoConfig.from_pretrained(backbone)
    layers = list(range(config.num_hidden_layers))
    net = PrefixBert(weights, config, layers, settings.get("pooling"), settings["promptLength"])
    ours = {f"base_model.{module}.": "head.", "prompt_": "prompt."}
    params = {}
    for name, value in initial.items():
        for theirs, own in ours.items():
            name = name.replace(theirs, own)
        params[name] = value.clone().requires_grad_()

    def logits(part):
        inputs = (part["ids"], part["types"], part["mask"])
        if settings["head"] == "sequence":
            return net.logits(params, *inputs)
        hidden = net.hidden(params, *inputs)
        return F.linear(hidden, params["head.weight"], params["head.bias"])

    return logits, list(params.values())


logits, trainable = {"peft": with_peft, "plain": with_plain_torch}[settings["reference"]]()
train(folder, settings, trainable, settings["steps"], lambda _, part: loss_of(logits(part), part))
write_logits(folder / "dev.safetensors", folder / "logits.safetensors", settings["devBatches"], logits)
