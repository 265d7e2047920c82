import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplitter.errors import ModelError, RequestError
from stemsplitter.separation.layouts import (
    LAYOUTS,
    STEM_NAMES,
    StemPlan,
    absent_stems,
    complement,
    parse_instruments,
    parse_stems,
    plan_stems,
    rest_stem,
)

PARTITIONS = [
    *LAYOUTS.values(),
    ("drums", "bass", "other", "vocals", "guitar", "piano"),
    ("drums", "bass", "other", "vocals"),
    ("vocals", "drums", "bass", "piano", "other"),
    ("instrumental", "vocals"),
]
requests = st.lists(st.sampled_from(STEM_NAMES), min_size=1, unique=True).map(tuple)


def audio(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 2, 50)).astype(np.float32)


def stems_of(plan: StemPlan) -> dict[str, np.ndarray]:
    return dict(zip(plan.requested, plan.apply(audio(len(plan.model_stems))), strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_a_list_of_stems(layout):
    assert parse_stems(f" {layout.upper()} ") == LAYOUTS[layout] == parse_stems(",".join(LAYOUTS[layout]))


@given(requests)
def test_a_list_of_stems_keeps_its_order(names):
    assert parse_stems(" , ".join(names).title()) == names


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty name"),
        (" ", "empty name"),
        ("vocals,", "empty name"),
        ("vocals,,drums", "empty name"),
        ("vocals,Vocals", "twice"),
        ("voice", "'voice'"),
        ("5s", "'5s'"),
        ("vocals,4s", "'4s'"),
        ("vocals;drums", "'vocals;drums'"),
    ],
)
def test_an_invalid_list_is_rejected_in_one_sentence(text, complaint):
    with pytest.raises(RequestError, match=complaint) as rejected:
        parse_stems(text)
    assert str(rejected.value).endswith(".")


def test_the_error_of_an_unknown_name_lists_the_known_names():
    with pytest.raises(RequestError) as rejected:
        parse_stems("violin")
    assert all(name in str(rejected.value) for name in (*STEM_NAMES, *LAYOUTS))


@given(st.text(max_size=20))
def test_any_text_is_a_list_of_stems_or_a_request_error(text):
    try:
        stems = parse_stems(text)
    except RequestError:
        return
    assert stems and set(stems) <= set(STEM_NAMES)


@pytest.mark.parametrize("stems", PARTITIONS)
def test_the_stems_of_the_model_are_returned_without_a_copy(stems):
    own = audio(len(stems))
    plan = plan_stems(stems, stems)
    assert plan.apply(own) is own
    assert plan.sums_to_mixture


@given(st.sampled_from(PARTITIONS), requests)
def test_a_request_is_rejected_or_keeps_the_meaning_of_each_stem(model_stems, requested):
    try:
        plan = plan_stems(model_stems, requested)
    except RequestError as rejected:
        assert set(requested) - set(model_stems) or "other" in requested
        assert str(rejected).count(".") == 1
        return
    own = dict(zip(model_stems, audio(len(model_stems)), strict=True))
    made = stems_of(plan)
    assert tuple(made) == requested
    for stem in set(requested) & set(model_stems) - {"other"}:
        np.testing.assert_array_equal(made[stem], own[stem])
    if "instrumental" in requested:
        mixture = sum(own.values())
        np.testing.assert_allclose(made["instrumental"], mixture - own["vocals"], atol=1e-5)


@given(st.sampled_from(PARTITIONS), st.sampled_from(sorted(LAYOUTS)))
def test_a_layout_sums_to_the_mixture_or_is_rejected(model_stems, layout):
    try:
        plan = plan_stems(model_stems, LAYOUTS[layout])
    except RequestError:
        return
    assert plan.sums_to_mixture
    mixture = audio(len(model_stems)).sum(axis=0)
    np.testing.assert_allclose(sum(stems_of(plan).values()), mixture, atol=1e-5)


@given(st.sampled_from(PARTITIONS), requests)
def test_sums_to_mixture_is_true_only_if_the_stems_do(model_stems, requested):
    try:
        plan = plan_stems(model_stems, requested)
    except RequestError:
        return
    mixture = audio(len(model_stems)).sum(axis=0)
    assert plan.sums_to_mixture == np.allclose(sum(stems_of(plan).values()), mixture, atol=1e-5)


@given(st.sampled_from(PARTITIONS), st.sampled_from(LAYOUTS["6s"]))
def test_a_stem_and_its_complement_sum_to_the_mixture(model_stems, stem):
    try:
        plan = plan_stems(model_stems, (complement(stem), stem))
    except RequestError:
        assert stem not in model_stems
        return
    assert plan.sums_to_mixture
    rest, alone = stems_of(plan).values()
    np.testing.assert_allclose(rest + alone, audio(len(model_stems)).sum(axis=0), atol=1e-5)


def test_the_complement_of_vocals_is_the_instrumental():
    plan = plan_stems(LAYOUTS["6s"], (complement(" Vocals"), "instrumental"))
    assert plan.requested[0] == "no_vocals" and plan.sources[0] == plan.sources[1]
    assert plan_stems(LAYOUTS["2s"], ("no_vocals",)).sources == ((1,),)


@pytest.mark.parametrize("name", ["violin", "no_drums", "", "instrumental"])
def test_the_complement_of_an_unknown_stem_is_rejected(name):
    with pytest.raises(RequestError, match=r"There is no stem .* to leave out: choose from vocals, drums"):
        complement(name)


def test_six_stems_are_summed_to_four():
    plan = plan_stems(("drums", "bass", "other", "vocals", "guitar", "piano"), LAYOUTS["4s"])
    drums, bass, other, vocals, guitar, piano = audio(6)
    expected = [vocals, drums, bass, other + guitar + piano]
    np.testing.assert_allclose(plan.apply(audio(6)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("requested", "contained"),
    [
        (("other",), {"guitar", "piano", "other"}),
        (("vocals", "other"), {"guitar", "piano", "other"}),
        (("other", "guitar"), {"piano", "other"}),
        (("piano", "guitar", "other", "drums"), {"other"}),
    ],
)
def test_other_contains_guitar_and_piano_unless_they_are_requested(requested, contained):
    plan = plan_stems(LAYOUTS["6s"], requested)
    group = plan.sources[requested.index("other")]
    assert {LAYOUTS["6s"][i] for i in group} == contained


@pytest.mark.parametrize(
    ("model_stems", "requested"),
    [(LAYOUTS["4s"], ("guitar",)), (LAYOUTS["4s"], LAYOUTS["6s"]), (LAYOUTS["2s"], ("vocals", "other"))],
)
def test_a_request_that_no_sum_of_stems_provides_is_rejected(model_stems, requested):
    with pytest.raises(RequestError, match="cannot provide"):
        plan_stems(model_stems, requested)


@pytest.mark.parametrize(
    "stems",
    [
        (),
        ("vocals",),
        ("vocals", "drums"),
        ("vocals", "other"),
        ("vocals", "drums", "instrumental"),
        ("vocals", "vocals", "instrumental"),
        ("vocals", "drums", "bass", "other", "violin"),
    ],
)
def test_a_model_whose_stems_are_not_a_partition_is_rejected(stems):
    with pytest.raises(ModelError):
        plan_stems(stems, ("vocals",))


def test_the_rest_stem_is_other_or_instrumental():
    for stems in itertools.permutations(LAYOUTS["4s"]):
        assert stems[rest_stem(stems)] == "other"
    assert rest_stem(("instrumental", "vocals")) == 0


def test_the_rest_stem_is_present():
    assert LAYOUTS["6s"][rest_stem(LAYOUTS["6s"], ("vocals", "guitar"))] == "guitar"
    assert LAYOUTS["4s"][rest_stem(LAYOUTS["4s"], ("vocals", "guitar"))] == "other"
    assert LAYOUTS["2s"][rest_stem(LAYOUTS["2s"], ("vocals",))] == "vocals"


def test_instruments_are_ordered_as_the_six_stems():
    assert parse_instruments("Guitar, vocals,guitar") == ("vocals", "guitar")


@pytest.mark.parametrize("text", ["", "vocals,", "vocals,violin", "instrumental", "6s"])
def test_an_unknown_instrument_is_rejected(text):
    with pytest.raises(
        RequestError, match=r"^There is no instrument '.*': list some of vocals, drums, bass,"
    ):
        parse_instruments(text)


@pytest.mark.parametrize(
    ("layout", "instruments", "absent"),
    [
        ("6s", ("vocals", "guitar"), {"drums", "bass", "piano", "other"}),
        ("4s", ("vocals", "guitar"), {"drums", "bass"}),  # the guitar is in other
        ("2s", ("vocals",), {"instrumental"}),
        ("2s", ("drums",), {"vocals"}),
        ("6s", LAYOUTS["6s"], set()),
    ],
)
def test_a_stem_without_any_of_the_instruments_is_absent(layout, instruments, absent):
    stems = LAYOUTS[layout]
    assert {stems[i] for i in absent_stems(stems, instruments)} == absent
