"""SetFit's own trainer and head, on the modules that the backbone was published with: mean pooling and vectors of length 1."""

import math

import sentence_transformers
import setfit
import transformers
from datasets import Dataset
from job import Job
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from sklearn.linear_model import LogisticRegression


def main():
    job = Job()
    settings = job.settings
    transformer = modules.Transformer(job.backbone, max_seq_length=settings["maxLength"])
    pooling = modules.Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    body = SentenceTransformer(modules=[transformer, pooling, modules.Normalize()], device="cpu")
    model = setfit.SetFitModel(model_body=body, model_head=LogisticRegression(), labels=job.labels)
    size = settings["batchSize"]
    # Two pairs per row and iteration, one of equal and one of different labels.
    bound = settings["mostUpdates"] * size // (2 * len(job.train))
    iterations = max(1, min(settings["iterations"], bound))
    arguments = setfit.TrainingArguments(
        output_dir=str(job.output / "checkpoints"),
        batch_size=size,
        num_epochs=settings["epochs"],
        num_iterations=iterations,
        body_learning_rate=settings["bodyLearningRate"],
        max_length=settings["maxLength"],
        seed=job.seed,
        save_strategy="no",
        report_to="none",
        show_progress_bar=False,
    )
    rows = {key: [row[key] for row in job.train] for key in ("text", "label")}
    trainer = setfit.Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict(rows))
    with job.autocast():
        trainer.train()
    model.save_pretrained(str(job.model))
    job.saved(
        versions={
            "transformers": transformers.__version__,
            "setfit": setfit.__version__,
            "sentence-transformers": sentence_transformers.__version__,
        },
        updates=math.ceil(2 * iterations * len(job.train) / size) * settings["epochs"],
        trained=sum(value.numel() for value in body.parameters()),
        head="mean pooling, length 1, logistic regression",
    )
    job.answer([str(label) for label in model.predict([row["text"] for row in job.test], show_progress_bar=False)])


main()
