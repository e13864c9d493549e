"""The model of a twin run by transformers and PEFT, from the same weights."""

import torch
from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from prompt_encoder import input_prompt, peft_state

heads = {
    "sequence": (AutoModelForSequenceClassification, TaskType.SEQ_CLS, "classifier"),
    "token": (AutoModelForTokenClassification, TaskType.TOKEN_CLS, "classifier"),
    "span": (AutoModelForQuestionAnswering, TaskType.QUESTION_ANS, "qa_outputs"),
}
methods = {"p-tuning-v2": PrefixTuningConfig, "prompt-tuning": PromptTuningConfig, "p-tuning": PromptEncoderConfig}


def peft_model(settings, params, frozen):
    """The logits of a batch, and what is trained."""
    model_class, task_type, module = heads[settings["head"]]
    sizes = {} if settings["head"] == "span" else {"num_labels": settings["numLabels"]}
    model = model_class.from_pretrained(settings["backbone"], **sizes).to(torch.get_default_dtype())
    encoder = {"encoder_reparameterization_type": "LSTM"} if settings["method"] == "p-tuning" else {}
    config = methods[settings["method"]](task_type=task_type, num_virtual_tokens=settings["promptLength"], **encoder)
    peft = get_peft_model(model, config)
    if settings["method"] == "p-tuning":
        prompt = peft_state(params)
    else:
        prompt = {"embedding.weight": params.get("prompt.embeddings", input_prompt(params))}
    peft.prompt_encoder["default"].load_state_dict(prompt)
    head = getattr(peft.base_model, module).modules_to_save["default"]
    for name, parameter in head.named_parameters():
        # RoBERTa's classifier holds what is the pooler in BERT: PEFT trains it, with us it stays as it is.
        is_pooler = name.startswith("dense.")
        source = frozen[f"pooler.{name}"] if is_pooler else params[f"head.{name.removeprefix('out_proj.')}"]
        parameter.data = source.clone()
        parameter.requires_grad = not is_pooler
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
