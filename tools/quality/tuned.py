"""Fine-tuning with transformers, or LoRA with PEFT: a linear head on the mean-pooled last layer, or on each word's first
piece; AdamW, linear warm-up and decay."""

import math

import torch
import transformers
from job import Job, encode, mean_pooled
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModel, AutoTokenizer, get_linear_schedule_with_warmup


class Classifier(nn.Module):
    """The pooling that sentence transformers were trained with, where the stock classes of transformers read `[CLS]`."""

    def __init__(self, backbone, labels, per_word):
        super().__init__()
        self.backbone = backbone
        self.config = backbone.config
        self.per_word = per_word
        self.dropout = nn.Dropout(getattr(backbone.config, "hidden_dropout_prob", 0.1))
        self.classifier = nn.Linear(backbone.config.hidden_size, labels)

    def forward(self, **batch):
        hidden = self.backbone(**batch).last_hidden_state
        if not self.per_word:
            hidden = mean_pooled(hidden, batch["attention_mask"])
        return self.classifier(self.dropout(hidden)).float()


def adapted(model, settings):
    import peft

    config = peft.LoraConfig(
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        lora_dropout=settings["dropout"],
        bias=settings["bias"],
        target_modules=settings["targets"],
        modules_to_save=["classifier"],
    )
    return peft.get_peft_model(model, config), {"peft": peft.__version__}


def goals(rows, labels, firsts, shape):
    number = {label: i for i, label in enumerate(labels)}
    if firsts is None:
        return torch.tensor([number[row["label"]] for row in rows])
    wanted = torch.full(shape, -100)
    for i, (row, own) in enumerate(zip(rows, firsts)):
        for position, word in own:
            wanted[i, position] = number[row["tags"][word]]
    return wanted


def main():
    job = Job()
    settings, labels = job.settings, job.labels
    tokenizer = AutoTokenizer.from_pretrained(job.backbone)
    kept = {"add_pooling_layer": False}
    model = Classifier(AutoModel.from_pretrained(job.backbone, **kept), len(labels), job.kind == "tags")
    versions = {}
    is_lora = "rank" in settings
    if is_lora:
        model, versions = adapted(model, settings)
    trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    decayed = lambda value: value.dim() > 1
    optimizer = torch.optim.AdamW(
        [
            {"params": [v for _, v in trained if decayed(v)], "weight_decay": settings["weightDecay"]},
            {"params": [v for _, v in trained if not decayed(v)], "weight_decay": 0.0},
        ],
        lr=settings["learningRate"],
    )
    size = settings["batchSize"]
    per_epoch = math.ceil(len(job.train) / size)
    rule = settings["epochs"]
    epochs = min(rule["most"], max(rule["fewest"], round(rule["updates"] / per_epoch)))
    # Very few rows make hardly an update a pass: then passes are what makes enough of them.
    epochs = max(epochs, math.ceil(rule["leastUpdates"] / per_epoch))
    steps = epochs * per_epoch
    schedule = get_linear_schedule_with_warmup(optimizer, round(settings["warmup"] * steps), steps)
    loss_of = nn.CrossEntropyLoss()
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(job.train)).tolist()
        for start in range(0, len(order), size):
            rows = [job.train[i] for i in order[start : start + size]]
            batch, firsts = encode(tokenizer, rows, settings["maxLength"])
            wanted = goals(rows, labels, firsts, batch["input_ids"].shape)
            with job.autocast():
                logits = model(**batch)
            loss_of(logits.view(-1, len(labels)), wanted.view(-1)).backward()
            nn.utils.clip_grad_norm_([value for _, value in trained], 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    if is_lora:
        model.save_pretrained(job.model)
    else:
        model.backbone.save_pretrained(job.model)
        save_file(dict(model.classifier.state_dict()), job.model / "classifier.safetensors")
    job.saved(
        versions={"transformers": transformers.__version__, **versions},
        updates=steps,
        trained=sum(value.numel() for _, value in trained),
        head="linear, on each word's first piece" if job.kind == "tags" else "mean pooling and a linear layer",
    )

    model.eval()
    answers = []
    for start in range(0, len(job.test), 64):
        rows = job.test[start : start + 64]
        batch, firsts = encode(tokenizer, rows, settings["maxLength"])
        with torch.inference_mode():
            best = model(**batch).argmax(-1).tolist()
        if firsts is None:
            answers += [labels[i] for i in best]
            continue
        for row, own, numbers in zip(rows, firsts, best):
            tags = ["O"] * len(row["words"])
            for position, word in own:
                tags[word] = labels[numbers[position]]
            answers.append(tags)
    job.answer(answers)


main()
