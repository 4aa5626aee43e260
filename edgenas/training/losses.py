"""What a subnet learns from: labels, a teacher, or both."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def distillation(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Cross-entropy to the teacher's probabilities (Hinton et al., arXiv:1503.02531): `(b, classes)` each -> scalar."""
    return F.cross_entropy(logits, teacher_logits.softmax(1))


def supervised(logits: Tensor, labels: Tensor, label_smoothing: float, teacher_logits: Tensor | None = None) -> Tensor:
    """Cross-entropy to the labels, `(b,)` classes or `(b, classes)` probabilities; with a teacher, the mean of both losses."""
    loss = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return loss if teacher_logits is None else (loss + distillation(logits, teacher_logits)) / 2
