"""The estimator: what is unusual scores high and says why; state is bounded, exact and safe to teach."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import pytest
from river import compose
from river.checks import common

from detector.anomaly.surprise import CategoricalSurprise, bits_of
from tests.anomaly.streams import cut, request, routine

# Those of river.checks.yield_checks that need no data set, and those that need one.
PLAIN = [
    common.check_repr,
    common.check_str,
    common.check_tags,
    common.check_clone_same_class,
    common.check_clone_is_idempotent,
    common.check_init_has_default_params_for_tests,
    common.check_init_default_params_are_not_mutable,
    common.check_doc,
    common.check_clone_changes_memory_addresses,
    common.check_mutate_can_be_idempotent,
    common.check_pickling_supports_roundtrip,
    common.check_repr_roundtrips_clone,
    common.check_clone_with_new_params_applies,
    common.check_get_params_matches_signature,
]
ON_DATA = [
    common.check_learn_one,
    common.check_pickling,
    common.check_shuffle_features_no_impact,
    common.check_emerging_features,
    common.check_disappearing_features,
    common.check_radically_disappearing_features,
    common.check_predict_one_pure,
    common.check_predict_one_before_any_learn,
    common.check_no_state_aliasing_with_input,
    common.check_clone_is_independent,
    common.check_bounded_memory_growth,
]


class Stream:
    """A stream of ours as River's checks read one: features and whether they are anomalous."""

    def __iter__(self) -> Iterator[tuple[dict[str, object], bool]]:
        for number, x in enumerate(routine(40)):
            yield x, False
            if number > 900 and number % 100 == 0:
                yield (
                    request("bob", f"delete things-{number}", x["time"] / 1e6 - 1_790_000_000, namespace="vault"),
                    True,
                )


@pytest.fixture
def taught() -> CategoricalSurprise:
    model = CategoricalSurprise()
    for x in routine(60):
        model.learn_one(x)
    return model


@pytest.mark.parametrize("check", PLAIN, ids=lambda check: check.__name__)
def test_it_keeps_the_conventions_of_river(check: Callable[..., None]) -> None:
    check(CategoricalSurprise())


@pytest.mark.parametrize("check", ON_DATA, ids=lambda check: check.__name__)
def test_it_keeps_the_conventions_of_river_on_a_stream_of_ours(check: Callable[..., None]) -> None:
    partial(check, dataset=Stream())(CategoricalSurprise())


def test_it_ranks_anomalies_above_the_rest() -> None:
    """River's check_roc_auc, which asks for a half, and for scikit-learn."""
    model, scores = CategoricalSurprise(), list[tuple[float, bool]]()
    for x, anomalous in Stream():
        scores.append((model.score_one(x), anomalous))
        model.learn_one(x)
    odd, usual = ([score for score, anomalous in scores if anomalous is one] for one in (True, False))
    above = sum(one > other for one in odd for other in usual)
    assert above / (len(odd) * len(usual)) > 0.98


def test_it_works_as_the_last_step_of_a_pipeline() -> None:
    pipeline = compose.FuncTransformer(dict) | CategoricalSurprise()
    alone = CategoricalSurprise()
    for x in routine(5):
        assert pipeline.score_one(x) == alone.score_one(x)
        pipeline.learn_one(x)
        alone.learn_one(x)


def test_what_an_actor_always_does_scores_next_to_nothing(taught: CategoricalSurprise) -> None:
    assert taught.score_one(request("ann", "list pods", 3_601)) < 6


def test_what_an_actor_never_did_scores_high_and_says_so(taught: CategoricalSurprise) -> None:
    x = request("ops:exporter", "list secrets", 3_601, namespace="payments")
    parts = taught.explain_one(x)
    assert taught.score_one(x) > 20
    assert {"action", "namespace"} <= {name for name, _, bits in parts if bits > 3}


def test_the_bits_of_the_reasons_add_up_to_the_score(taught: CategoricalSurprise) -> None:
    for x in (request("ann", "list pods", 3_601), request("eve", "get secrets", 3_601, image=("evil/x", "evil/y"))):
        assert math.isclose(bits_of(taught.explain_one(x)), taught.score_one(x))


def test_peers_make_a_first_time_less_surprising(taught: CategoricalSurprise) -> None:
    known = taught.score_one(request("dora", "list pods", 3_601, address="10.0.0.3"))
    unknown = taught.score_one(request("dora", "drain nodes", 3_601, address="10.0.0.3"))
    assert unknown > known + 6


def test_a_foreign_image_in_an_allowed_patch_is_surprising(taught: CategoricalSurprise) -> None:
    usual = request("ci:deployer", "patch deployments.apps", 3_601, image=("registry.example/shop/web",))
    foreign = request("ci:deployer", "patch deployments.apps", 3_601, image=("evil.example/miner",))
    assert taught.score_one(foreign) > taught.score_one(usual) + 5
    assert "image" in {name for name, _, _ in taught.explain_one(foreign)}


def test_a_burst_of_one_request_teaches_nothing_while_it_lasts(taught: CategoricalSurprise) -> None:
    x = request("ann", "get secrets", 3_605)
    first = taught.score_one(x)
    for _ in range(1_000):
        taught.learn_one(x)
    assert taught.score_one(x) >= first


def test_a_new_habit_is_learnt_in_days_not_at_once(taught: CategoricalSurprise) -> None:
    scores = [cut(taught, [request("ann", "get secrets", 86_400 * day)]) for day in range(1, 15)]
    assert scores[-1] < scores[0] / 2
    assert scores[1] > scores[0] / 3


def test_refused_requests_make_nothing_usual(taught: CategoricalSurprise) -> None:
    before = taught.score_one(request("ann", "get secrets", 7_300, namespace="vault"))
    for minute in range(60):
        taught.learn_one(request("ann", "get secrets (refused)", 3_600 + 60 * minute, namespace="vault", refused=True))
    assert taught.score_one(request("ann", "get secrets", 7_300, namespace="vault")) > before - 2


def test_one_hundred_times_as_much_as_usual_is_surprising(taught: CategoricalSurprise) -> None:
    scores = [cut(taught, [request("ann", "get pods/log", 3_605, object=f"pod-{number}")]) for number in range(300)]
    assert "volume" in {name for name, _, _ in taught.explain_one(request("ann", "get pods/log", 3_606))}
    assert scores[-1] > scores[5]


def test_controllers_are_not_blamed_for_what_others_asked_of_them() -> None:
    model = CategoricalSurprise()
    controller = {"kind": "controller", "peers": "controllers"}
    for second in range(0, 3_600, 20):
        model.learn_one(request("kube:replicaset", "create pods", second, **controller))
    there = {"namespace": "new", "image": ("evil/x",), "address": "10.0.0.15"}
    by_controller = model.score_one(request("kube:replicaset", "create pods", 3_600, **controller, **there))
    by_another = model.score_one(request("kube:replicaset", "create pods", 3_600, **there))
    assert by_controller < 6 < by_another


def test_restored_and_uninterrupted_runs_give_identical_scores() -> None:
    straight, stream = CategoricalSurprise(), list(routine(30))
    for number, x in enumerate(stream):
        if number in (7, 250, 601):
            other = CategoricalSurprise()
            other.load(msgspec.msgpack.decode(msgspec.msgpack.encode(straight.dump())))
            rest = [(one.take(y), None)[0] for one in (other,) for y in stream[number : number + 100]]
            again = CategoricalSurprise()
            again.load(msgspec.msgpack.decode(msgspec.msgpack.encode(straight.dump())))
            assert rest == [again.take(y) for y in stream[number : number + 100]]
        straight.take(x)
    twin = CategoricalSurprise()
    scores = []
    for number, x in enumerate(stream):
        if number % 97 == 0:
            twin, old = CategoricalSurprise(), twin
            twin.load(msgspec.msgpack.decode(msgspec.msgpack.encode(old.dump())))
        scores.append(twin.take(x))
    fresh = CategoricalSurprise()
    assert scores == [fresh.take(x) for x in stream]


def test_a_state_of_another_version_is_refused() -> None:
    model = CategoricalSurprise()
    with pytest.raises(ValueError, match="version"):
        model.load({**model.dump(), "version": 0})


def test_names_seen_once_push_out_nothing_established() -> None:
    model = CategoricalSurprise(contexts=400)
    for x in routine(30):
        model.learn_one(x)
    attack = request("ops:exporter", "list secrets", 1_900, namespace="payments")
    usual = request("ann", "list pods", 1_900)
    before = model.score_one(attack), model.score_one(usual)
    for number in range(5_000):
        model.learn_one(request(f"user-{number}", "get /", 1_801 + number / 100, address=f"10.9.{number}"))
    assert model.score_one(attack) == pytest.approx(before[0], abs=6)
    assert model.score_one(usual) < 8
    assert len(model._table.contexts) <= 400 + 100


def test_a_value_that_comes_every_week_outlives_many_half_lives() -> None:
    model = CategoricalSurprise()
    for week in range(10):
        for day in range(7):
            model.learn_one(request("ann", "list pods", (week * 7 + day) * 86_400))
        model.learn_one(request("ann", "create backups", week * 7 * 86_400 + 60))
    forgotten = request("ann", "get secrets", 71 * 86_400)
    assert model.score_one(request("ann", "create backups", 71 * 86_400)) < model.score_one(forgotten) - 3


def test_numbers_and_missing_features_are_no_error() -> None:
    model = CategoricalSurprise()
    for x in ({}, {"V1": 0.3}, {"actor": "ann"}):
        model.learn_one(x)
        assert math.isfinite(model.score_one(x))
