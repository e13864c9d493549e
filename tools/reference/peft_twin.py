"""The model of a twin run by transformers and PEFT, from the same weights."""

import torch
from peft import LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
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


def with_prompt(model, task_type, settings, params):
    encoder = {"encoder_reparameterization_type": "LSTM"} if settings["method"] == "p-tuning" else {}
    config = methods[settings["method"]](task_type=task_type, num_virtual_tokens=settings["promptLength"], **encoder)
    peft = get_peft_model(model, config)
    if settings["method"] == "p-tuning":
        prompt = peft_state(params)
    else:
        prompt = {"embedding.weight": params.get("prompt.embeddings", input_prompt(params))}
    peft.prompt_encoder["default"].load_state_dict(prompt)
    return peft


def with_pairs(model, task_type, params):
    """LoRA as PEFT has it by default, on the modules that have a pair."""
    modules = [name.removeprefix("lora.").removesuffix(".A") for name in params if name.startswith("lora.") and name.endswith(".A")]
    peft = get_peft_model(model, LoraConfig(task_type=task_type, target_modules=modules))
    for name in modules:
        for part in "AB":
            getattr(peft.base_model.model.get_submodule(name), f"lora_{part}")["default"].weight.data = params[f"lora.{name}.{part}"].clone()
    return peft


def peft_model(settings, params, frozen):
    """The logits of a batch, and what is trained."""
    model_class, task_type, module = heads[settings["head"]]
    sizes = {} if settings["head"] == "span" else {"num_labels": settings["numLabels"]}
    model = model_class.from_pretrained(settings["backbone"], **sizes).to(torch.get_default_dtype())
    peft = with_pairs(model, task_type, params) if settings["method"] == "lora" else with_prompt(model, task_type, settings, params)
    head = peft.get_submodule(f"{'base_model.model' if settings['method'] == 'lora' else 'base_model'}.{module}").modules_to_save["default"]
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
    model = peft.base_model if settings["method"] == "lora" else peft
    if settings["method"] != "lora":
        peft.base_model.get_submodule(peft.transformer_backbone_name).register_forward_pre_hook(
            lambda _, args, kwargs: (args, {**kwargs, "token_type_ids": types["now"]} if settings["head"] == "span" else kwargs),
            with_kwargs=True,
        )

    def logits(part):
        types["now"] = part["types"]
        out = model(input_ids=part["ids"], token_type_ids=part["types"], attention_mask=part["mask"])
        return torch.stack([out.start_logits, out.end_logits], -1) if settings["head"] == "span" else out.logits

    return logits, [p for p in peft.parameters() if p.requires_grad]
