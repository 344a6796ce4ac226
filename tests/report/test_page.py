"""The page says what the report says, escapes what users supply, and needs nothing but itself."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import ConfigError
from metricopt.report import Confusion, Histogram, OnTestRows, Point, Prediction, ReportData, Run, Stage, render, write
from report.reports import HOSTILE, STORIES, binary, hostile, loss_search, minimal, rejected, seven_classes, unverified

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"


def _text(page: str) -> str:
    """What a reader sees: without tags, style and script, spaces as one."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).replace(NARROW_SPACE, " ").split())


@pytest.mark.parametrize("name", STORIES)
def test_a_page_is_small_self_contained_and_well_formed(name: str) -> None:
    page = render(STORIES[name]())
    assert len(page.encode()) < 400_000  # a third of the largest one is numbers to be saved as CSV
    assert page == render(STORIES[name]()), "the same report_data gives the same page"
    for tag, attribute, value in _attributes(page):
        if attribute in ("href", "src", "action", "srcset", "data", "xlink:href"):
            assert value.startswith(("#", "data:,", "data:text/csv;")), (tag, attribute, value)
        assert attribute != "style", "the policy forbids inline styles"
        assert not attribute.startswith("on"), (tag, attribute)
    sheet = re.search(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    assert sheet
    assert not re.search("url\\(|@import", sheet[1])
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        assert root.get("aria-label")
        numbers = "".join(
            value for part in root.iter() for key, value in part.items() if key in ("d", "x", "y", "cx", "cy")
        )
        assert not re.search("nan|inf|e[+-]", numbers)
    names = re.findall(r'\bid="([^"]*)"', page)
    assert len(set(names)) == len(names)


def _attributes(page: str) -> list[tuple[str, str, str]]:
    """(tag, attribute, value) of everything on the page, as a browser reads it."""
    found: list[tuple[str, str, str]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend((tag, name, value or "") for name, value in attrs)

        handle_startendtag = handle_starttag

    reader = Reader()
    reader.feed(page)
    reader.close()
    return found


def test_the_answer_comes_first() -> None:
    text = _text(render(binary()))
    answer = text[: text.index("What changed for which class")]
    for fact in (
        "Adult income, tuned for F1",
        "Accepted",
        "f1 rises from 0.651 to 0.689",
        "The interval of the gain lies above zero",
        "f1, higher is better",
        "0.038 better . With 95 % confidence between 0.021 and 0.056 better.",
        "+0.038",
        "+0.021",
        "+0.056",
        "646 metric calls",
        "57.3 s in all",
        "acceptance part of the validation data, which the search never saw",
    ):
        assert fact in answer, fact


def test_a_metric_that_is_better_when_lower_falls_and_is_better() -> None:
    text = _text(render(seven_classes()))
    assert "survey cost per plot falls from 23.55 to 18.42" in text  # on test rows
    assert "5.13 better . With 99 % confidence between 4.71 and 5.55 better." in text
    assert "the acceptance part of the validation data: 23.42 → 18.31 (between 4.52 and 5.71 better)" in text
    assert "survey cost per plot (lower is better), best so far" in text
    assert "an early fall means that few calls are enough" in text
    assert "an early rise means that few calls are enough" in _text(render(binary()))
    assert "CMA-ES 17.9 400 1 min 11 s to the acceptance test" in text


def test_the_best_so_far_of_a_metric_that_is_better_when_lower_goes_down() -> None:
    stage = Stage("a", "A", 1.0, 3, 1.0, True, (3.0, 4.0, 1.0))
    page = render(minimal(metric="cost", higher_is_better=False, bounds=(0, 9), before=3, after=1, stages=(stage,)))
    assert re.findall(r'data-tip="(call \d: [\d.]*)"', page)[:2] == ["call 1: 3.000", "call 3: 1.000"]


def test_what_was_rejected_says_that_the_original_comes_back_and_why() -> None:
    text = _text(render(rejected()))
    assert "Original model kept" in text
    assert "No gain in balanced_accuracy could be shown: the original model comes back" in text
    assert "on 114 rows this gain cannot be told from luck" in text
    assert "proposed (refused) 0.968" in text
    assert "between 0.011 worse and 0.020 better" in text
    assert "after:" not in text
    assert "proposed (refused): share in %" in text
    assert "candidate" not in text


TEST = OnTestRows(rows=600, before=0.6412, after=0.6781, low=0.0197, high=0.0541)


def test_the_figures_to_quote_stand_in_the_answer() -> None:
    text = _text(render(replace(binary(), test=TEST)))
    answer = text[: text.index("What changed for which class")]
    for said in (
        "f1 rises from 0.641 to 0.678",
        "With 95 % confidence between 0.020 and 0.054 better.",
        "Measured on 600 test rows that nobody chose by: the figures to quote.",
        "Accepted on other rows, the acceptance part of the validation data: 0.651 → 0.689 (between 0.021 and 0.056",
    ):
        assert said in answer, said
    assert "that nobody chose by" not in _text(render(binary()))


def test_test_rows_of_a_refused_change_are_of_the_model_as_it_was() -> None:
    test = OnTestRows(rows=1, before=0.4521, after=0.4521)
    text = _text(render(replace(rejected(), test=test)))
    assert "On 1 test row that nobody chose by, the model as it was has 0.452: the figure to quote." in text


def test_a_proposal_that_is_not_the_best_call_is_explained() -> None:
    seen, said = (0.80, 0.85, 0.9), "A line can end better than the proposal in the table"
    averaged, best = (minimal(stages=(Stage("a", "MetricOpt", value, 3, 1.0, True, seen),)) for value in (0.82, 0.9))
    assert said in _text(render(averaged))
    assert said not in _text(render(best))
    assert "Its proposal, on the search part" in _text(render(best))


@pytest.mark.parametrize(("hit", "told"), [(7, True), (8, False), (10, False)])
def test_a_value_function_that_is_too_sure_of_itself_is_told(hit: int, told: bool) -> None:
    predictions = tuple(Prediction(0.8 if at < hit else 0.9, 0.01, 0.8) for at in range(10))
    text = _text(render(minimal(predictions=predictions)))
    assert f"{10 * hit} % lie within two spreads" in text
    assert ("too sure of itself" in text) is told
    assert ("only the order of its estimates counts" in text) is told


def test_what_was_not_verified_says_so() -> None:
    text = _text(render(unverified()))
    assert "Accepted, not verified" in text
    assert "Not verified: these numbers come from the data that the search itself looked at" in text
    assert "There is no interval: no acceptance test was made." in text
    assert "acceptance part of the validation data, which the search never saw" not in text
    assert "Measured on the search part." in text
    assert "15 others" in text


def test_a_rejected_and_unverified_story_does_not_claim_a_test() -> None:
    text = _text(render(minimal(accepted=False, verified=False, low=None, high=None)))
    assert "Original model kept" in text
    assert "Not verified" in text


def test_a_search_that_found_nothing_shows_one_number() -> None:
    matrix = ((5, 1), (2, 3))
    report_data = minimal(
        after=0.8,
        low=0.0,
        high=0.0,
        accepted=False,
        reason="Nothing was better.",
        confusion=Confusion(("a", "b"), matrix, matrix),
    )
    page = render(report_data)
    text = _text(page)
    assert "No better accuracy was found: the original model comes back" in text
    assert "as it was 0.800 accuracy, higher is better" in text
    assert "interval" not in text.partition("The search part")[0].replace("metricopt", "")  # below stands what it is
    assert 'id="interval"' not in page
    assert "What changed for which class: not one answer changed." in text


def test_both_confusions_say_what_rows_and_columns_are() -> None:
    page = render(binary())
    picture = page[page.index('id="confusion"') :].partition("<svg")[2].partition("</svg>")[0]
    assert (picture.count(">prediction →<"), picture.count(">truth ↓<")) == (2, 1)


def test_pictures_without_data_are_left_out_with_a_reason() -> None:
    page = render(minimal())
    assert "<figure" in page
    assert "<h2>" not in page
    absent = _text(page)
    absent = absent[absent.index("Not in this report.") :]
    for reason in (
        "What changed for which class, Confusion before and after: the outputs of the model are not labels",
        "Scores before and after: no single score of the model decides.",
        "Methods compared: the run kept no record of its stages.",
        "Metric and loss along the trajectory: no method that follows a loss was part of the search.",
        "Predicted against observed: no value function predicted a metric call.",
        "The embedding, in two dimensions: no value function was learned.",
    ):
        assert reason in absent, reason
    assert "Not in this report." not in render(binary())


def test_one_stage_is_not_compared_with_anything() -> None:
    text = _text(render(unverified()))
    assert "The search, call by call" in text
    assert "Methods compared" not in text


def test_stages_without_their_calls_are_a_table() -> None:
    page = render(
        minimal(stages=(Stage("a", "Shift", 0.9, 10, 2.0, True), Stage("b", "Surrogate", None, 5, 1.0, False)))
    )
    text = _text(page)
    assert "Shift 0.900 10 2.0 s to the acceptance test" in text
    assert "Surrogate none 5 1.0 s" in text
    assert 'data-save="png"' not in page[page.index('id="anytime"') :]


def test_all_that_a_user_supplies_is_escaped() -> None:
    page = render(hostile())
    assert html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    assert "<img" not in page
    assert page.count("<script>") == page.count("</script>") == 1
    assert page.count("</style>") == 1
    assert "{{ 7 * 7 }}" in page, "the text is not a template"
    assert "\x00" not in page
    page.encode()  # no half of a surrogate pair is left


def test_the_policy_allows_nothing_but_the_page_itself() -> None:
    page = render(binary())
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    for name in ("style-src", "script-src"):
        assert re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", parts[name])
    assert set(parts) == {"default-src", "style-src", "script-src", "img-src", "base-uri", "form-action"}
    assert parts["img-src"] == "data:"


def test_a_page_is_written_in_one_step(tmp_path: Path) -> None:
    path = write(binary(), tmp_path / "deep" / "report.html")
    assert path == tmp_path / "deep" / "report.html"
    assert path.read_text(encoding="utf-8") == render(binary())
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


def test_a_page_does_not_grow_with_the_run() -> None:
    values = tuple(0.5 + 0.4 * (at % 997) / 997 for at in range(50_000))
    steps = tuple(range(2_000))
    run = Run(steps, values[:2_000], values[:2_000], values[:2_000], tuple(zip(steps, values, strict=False)), "run")
    bins = {name: tuple(range(1_000)) for name in "abcdefgh"}
    labels = tuple(f"class {at}" for at in range(100))
    matrix = tuple(tuple(1 + row * column % 7 for column in range(100)) for row in range(100))
    report_data = minimal(
        stages=tuple(Stage(str(at), f"Stage {at}", 0.8, 50_000, 1.0, at == 0, values) for at in range(8)),
        runs=(run,) * 100,
        predictions=tuple(Prediction(value, 0.01, value) for value in values[:20_000]),
        embedding=tuple(Point(value, 1 - value, value) for value in values[:20_000]),
        confusion=Confusion(labels, matrix, matrix),
        histogram=Histogram("score", tuple(float(at) for at in range(1_001)), bins, bins),
    )
    assert len(render(report_data).encode()) < 700_000


NUMBERS = st.floats(-1e100, 1e100) | st.floats(0, 1) | st.just(0.5)


@st.composite
def any_story(draw: st.DrawFn) -> ReportData:
    """A report_data of small size and of any numbers."""
    few = st.lists(NUMBERS, min_size=1, max_size=4)
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    steps = sorted(draw(st.sets(st.integers(0, 10**9), min_size=1, max_size=4)))
    values = draw(st.lists(NUMBERS, min_size=len(steps), max_size=len(steps)))
    counts = st.lists(st.integers(0, 10**12), min_size=2, max_size=2)
    edges = sorted(draw(st.sets(NUMBERS, min_size=3, max_size=3)))
    matrix = [draw(counts), draw(counts)]
    stages = [Stage(str(at), "stage", None, 1, 1.0, False, draw(few)) for at in range(draw(st.integers(0, 3)))]
    return minimal(
        higher_is_better=draw(st.booleans()),
        before=draw(NUMBERS),
        after=draw(NUMBERS),
        low=low,
        high=high,
        accepted=draw(st.booleans()),
        seconds=abs(draw(NUMBERS)),
        stages=stages,
        runs=(Run(steps, draw(st.none() | st.just(values)), values, [abs(value) for value in values], [], "run"),),
        predictions=[Prediction(draw(NUMBERS), abs(draw(NUMBERS)), value) for value in draw(few)],
        embedding=[Point(draw(NUMBERS), draw(NUMBERS), value) for value in draw(few)],
        confusion=Confusion(("a", "b"), matrix, [draw(counts), draw(counts)]),
        histogram=Histogram("score", edges, {"a": draw(counts)}, {"a": draw(counts)}, draw(st.none() | NUMBERS), None),
    )


@given(report_data=any_story())
def test_any_story_that_can_be_made_can_be_shown(report_data: ReportData) -> None:
    page = render(report_data)
    for picture in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        for part in ElementTree.fromstring(picture).iter():
            for name in ("d", "x", "y", "cx", "cy", "width", "height"):
                assert not re.search("nan|inf|e[+-]", part.get(name, "")), (part.tag, name, part.get(name))


def test_a_search_for_losses_begins_with_its_formula_and_speaks_of_losses() -> None:
    data = loss_search()
    told = _text(render(data))
    assert "aq(1, f(x)) - max(abs(y - f(x)), f(x))" in told and "cross_entropy 0.651" in told
    assert told.index("as it is") < told.index("Finalists") < told.index("Generations") < told.index("What size buys")
    assert "Methods compared" not in told and "value function" not in told
    refused = replace(data, accepted=False, low=-0.01, high=0.02)
    assert "No gain in f1 could be shown: cross_entropy stays" in _text(render(refused))


def test_a_search_for_losses_refuses_what_does_not_fit_together() -> None:
    search = loss_search().loss_search
    assert search is not None
    with pytest.raises(ConfigError, match="a count for each of 5 fates"):
        replace(search, fates=search.fates[:5])
    with pytest.raises(ConfigError, match="a value for each of 3 places"):
        replace(search, places=(1.0, 2.0, 3.0))
