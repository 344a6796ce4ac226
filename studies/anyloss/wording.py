"""The study in words and sheets: the terminal and Markdown show the same."""

from __future__ import annotations

from collections.abc import Sequence

from metricopt.bench.sheet import Sheet

from .contenders import AGAINST, CONTENDERS
from .losses import LOSSES
from .measures import MEASURES
from .networks import TITLES
from .statistics import ROPE, SignTest
from .study import Block, Cross, Study

METRIC_TITLES = {"accuracy": "accuracy", "f1": "F1", "g_mean": "G-mean", "balanced_accuracy": "balanced accuracy"}

#: A sign test decides where one of its probabilities exceeds this.
SURE = 0.95
#: Data sets below which nothing is decided: the prior alone would say much.
ENOUGH = 10


def sheets(study: Study, *, compact: bool = False) -> list[Sheet]:
    """One sheet per network and metric and one per network with every loss; `compact` gives two per network."""
    if not compact:
        return [*(_block(block) for block in study.blocks), *(_cross(cross) for cross in study.crosses)]
    found = []
    for network in study.spec.networks:
        blocks = [block for block in study.blocks if block.network == network]
        if blocks:
            found += [_means(blocks), _duels(blocks)]
    return found


def findings(study: Study) -> list[str]:
    """For each network and metric one sentence: does AnyLoss or a tuned threshold win?"""
    return [_finding(block) for block in study.blocks if _has_both(block)]


def notes(study: Study) -> list[str]:
    """What a reader must know to read the numbers."""
    spec, training = study.spec, study.spec.training
    rates = ", ".join(f"{rate:g}" for rate in training.rates)
    found = [
        (
            f"{len(study.data)} data sets, {spec.folds} stratified folds, seed {spec.seed}. Every fold starts from "
            "fresh weights, the same for all losses, and scales with its own training part."
        ),
        (
            f"A fifth of each training fold is the validation part. It chooses the learning rate ({rates}) and the "
            "step (early stopping) by the smallest value of the loss itself, for every loss alike, and tunes "
            "thresholds."
        ),
        (
            f"All losses: Adam, at most {training.steps:,} steps, batches of {100 * training.batch_share:g} % of the "
            f"training part but at least {training.least_batch} rows. AnyLoss and score-oriented losses have the "
            'defaults of the library; "aimed" are those made for the metric of the column.'
        ),
        (
            f"Wins and losses are differences of more than {ROPE:g} in the mean over folds. P is the Bayesian sign "
            f"test with this region: how probable it is that better, same (within {ROPE:g}) or worse is the most "
            "likely outcome on a further data set. Ranks: 1 is best; CD is the critical difference of Nemenyi at 5 %."
        ),
    ]
    if study.absent:
        found.append(f"Without {', '.join(study.absent)}: their files are not here.")
    if study.missing:
        found.append(f"{study.missing} cells of this study are missing so far.")
    return [*found, *(f"Measured on {machine}." for machine in study.machines)]


def _block(block: Block) -> Sheet:
    ranks = block.ranks
    title = f"{METRIC_TITLES[block.metric]}, {TITLES[block.network]}, {len(block.data)} data sets"
    if ranks.critical is not None:
        title += f", CD {ranks.critical:.2f}"
    if ranks.p_value is not None:
        title += f", Friedman p {ranks.p_value:.2g}"
    header = ["contender", "mean", "mean rank"]
    for name in AGAINST:
        header += [f"wins-ties-losses, {CONTENDERS[name].title}", "P better / same / worse"]
    rows = []
    for line, mean_rank in zip(block.lines, ranks.mean, strict=True):
        cells = [CONTENDERS[line.contender].title, f"{line.mean:.4f}", f"{mean_rank:.2f}"]
        for test in line.against:
            cells += ["", ""] if test is None else [_score(test), _chances(test)]
        rows.append(tuple(cells))
    return Sheet(title=title, header=tuple(header), groups=(("", tuple(rows)),))


def _cross(cross: Cross) -> Sheet:
    return Sheet(
        title=f"Every loss by every metric at p = 1/2, {TITLES[cross.network]}, {len(cross.data)} data sets",
        header=("loss", *(METRIC_TITLES[metric] for metric in MEASURES), "time of a step", "time of the training"),
        groups=(
            (
                "",
                tuple(
                    (
                        LOSSES[line.loss].title,
                        *(f"{line.means[metric]:.4f}" for metric in MEASURES),
                        *("" if ratio is None else f"{ratio:.2f} x BCE" for ratio in (line.step_time, line.time)),
                    )
                    for line in cross.lines
                ),
            ),
        ),
    )


def _means(blocks: Sequence[Block]) -> Sheet:
    """Contenders x metrics: the mean, and the mean rank in brackets."""
    names = dict.fromkeys(line.contender for block in blocks for line in block.lines)
    rows = []
    for name in names:
        cells = [CONTENDERS[name].title]
        for block in blocks:
            position = [line.contender for line in block.lines].index(name)
            cells.append(f"{block.lines[position].mean:.3f} ({block.ranks.mean[position]:.1f})")
        rows.append(tuple(cells))
    critical = blocks[0].ranks.critical
    return Sheet(
        title=f"{TITLES[blocks[0].network]}, {len(blocks[0].data)} data sets: mean (mean rank)"
        + ("" if critical is None else f", CD {critical:.2f}"),
        header=("", *(METRIC_TITLES[block.metric] for block in blocks)),
        groups=(("", tuple(rows)),),
    )


def _duels(blocks: Sequence[Block]) -> Sheet:
    """The aimed AnyLoss against BCE, with and without a tuned threshold."""
    rows = []
    for position, base in enumerate(AGAINST):
        tests = [block.line("anyloss").against[position] if _has_both(block) else None for block in blocks]
        cells = ("" if test is None else f"{_score(test)}, P {_chances(test)}" for test in tests)
        rows.append((f"against {CONTENDERS[base].title}", *cells))
    return Sheet(
        title=f"AnyLoss aimed at the metric, {TITLES[blocks[0].network]}: wins-ties-losses, P better / same / worse",
        header=("", *(METRIC_TITLES[block.metric] for block in blocks)),
        groups=(("", tuple(rows)),),
    )


def _finding(block: Block) -> str:
    position = AGAINST.index("bce_tuned")
    duel = block.line("anyloss").against[position]
    best = min(zip(block.ranks.mean, block.lines, strict=True), key=lambda pair: pair[0])[1].contender
    told = f"{METRIC_TITLES[block.metric]}, {TITLES[block.network]}: best mean rank {CONTENDERS[best].title}."
    if duel is None:
        return told
    base = CONTENDERS[AGAINST[position]].title
    verdict = _verdict(duel) if len(block.data) >= ENOUGH else f"too few for a verdict (P {_chances(duel)})"
    return f"{told} AnyLoss against {base}: {_score(duel)} on {len(block.data)} data sets, {verdict}."


def _verdict(duel: SignTest) -> str:
    if duel.worse > SURE:
        return f"a tuned threshold wins (P {duel.worse:.2f})"
    if duel.better > SURE:
        return f"AnyLoss wins (P {duel.better:.2f})"
    if duel.same > SURE:
        return f"practically the same (P {duel.same:.2f})"
    return f"not decided (P {_chances(duel)})"


def _has_both(block: Block) -> bool:
    return {"anyloss", "bce", "bce_tuned"} <= {line.contender for line in block.lines}


def _score(test: SignTest) -> str:
    return f"{test.wins}-{test.ties}-{test.losses}"


def _chances(test: SignTest) -> str:
    return f"{test.better:.2f} / {test.same:.2f} / {test.worse:.2f}"
