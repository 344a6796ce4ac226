"""Soft confusion matrices with loops, and the textbook formulas over them."""

from __future__ import annotations

import numpy as np

from numpy_twin import magnitude, sigmoid, softmax


def soft_label(z, steepness, threshold, leak):
    """The amplified prediction of one score."""
    steep = sigmoid(steepness * (sigmoid(z) - threshold))
    x = z - np.log(threshold / (1 - threshold))
    heavy = 0.5 + x / (2 * (2 + magnitude(x)))
    return (1 - leak) * steep + leak * heavy


def soft_row(row, steepness, threshold, leak):
    """The amplified predictions of one example over classes."""
    steep = softmax(steepness / 2 * (softmax(row) - threshold))
    centred = row - row.sum() / len(row)
    heavy = np.array([1 + x / (1 + magnitude(x)) for x in centred])
    return (1 - leak) * steep + leak * heavy / heavy.sum()


def matrix_2x2(soft, truth):
    """[[TN, FP], [FN, TP]] by adding up examples."""
    m = np.zeros((2, 2), dtype=complex)
    for q, t in zip(soft, truth, strict=True):
        m[t, 1] += q
        m[t, 0] += 1 - q
    return m


def matrix_kxk(soft, truth):
    """Rows are targets."""
    m = np.zeros((soft.shape[1], soft.shape[1]), dtype=complex)
    for row, t in zip(soft, truth, strict=True):
        m[t] += row
    return m


def against_rest(m, c):
    """The 2 x 2 matrix of class c."""
    tp, fn, fp = m[c, c], m[c].sum() - m[c, c], m[:, c].sum() - m[c, c]
    return np.array([[m.sum() - tp - fn - fp, fp], [fn, tp]])


def accuracy(m):
    return np.trace(m) / m.sum()


def f_beta(m, beta=1.0):
    (_, fp), (fn, tp) = m
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def jaccard(m):
    return m[1, 1] / (m[1, 1] + m[0, 1] + m[1, 0])


def recalls(m):
    return np.array([m[c, c] / m[c].sum() for c in range(len(m)) if m[c].sum().real > 0])


def balanced_accuracy(m):
    return recalls(m).mean()


def g_mean(m):
    found = recalls(m)
    return complex(np.prod(found)) ** (1 / len(found))


def youden_j(m):
    return m[1, 1] / m[1].sum() + m[0, 0] / m[0].sum() - 1


def mcc(m):
    """Gorodkin's R_K as a correlation of indicator vectors, from the matrix."""
    n, true, called = m.sum(), m.sum(axis=1), m.sum(axis=0)
    covariance = np.trace(m) * n - (true * called).sum()
    return covariance / (np.sqrt(n**2 - (called**2).sum()) * np.sqrt(n**2 - (true**2).sum()))


def mcc_2x2(m):
    (tn, fp), (fn, tp) = m
    return (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))


def kappa(m):
    n = m.sum()
    chance = sum(m[c].sum() * m[:, c].sum() for c in range(len(m))) / n**2
    return (np.trace(m) / n - chance) / (1 - chance)


def precision(m):
    return m[1, 1] / (m[1, 1] + m[0, 1])
