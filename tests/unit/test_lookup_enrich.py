# Licensed to the Apache Software Foundation (ASF) under one
# or more contributor license agreements.  See the NOTICE file
# distributed with this work for additional information
# regarding copyright ownership.  The ASF licenses this file
# to you under the Apache License, Version 2.0 (the
# "License"); you may not use this file except in compliance
# with the License.  You may obtain a copy of the License at
#
#   http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing,
# software distributed under the License is distributed on an
# "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
# KIND, either express or implied.  See the License for the
# specific language governing permissions and limitations
# under the License.
"""The step of an enrichment, driven by hand: joins, clashes, failures, windows, order."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.transforms.window import IntervalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming, WindowedValue

from beam_doris.errors import ConfigError, ConnectError, DorisError, RowEncodingError
from beam_doris.lookup import service as services
from beam_doris.lookup.cache import Rows
from beam_doris.lookup.enrich_fn import EnrichFn, EnrichJob
from beam_doris.lookup.join import named_tuple
from beam_doris.lookup.service import LookupService
from beam_doris.lookup.spec import Cache, Join, LookupSpec, Matches, OnClash, OnError
from beam_doris.options.lookup import LookupOptions
from tests.unit.lookup_bench import enrich, spec_of


class Stock(NamedTuple):
    n: int
    f_k: int | None


class Answers:
    """Rows by key, or an error."""

    def __init__(self, rows: dict[Any, list[dict[str, Any]]], error: DorisError | None = None):
        self.rows = rows
        self.error = error
        self.asked: list[Sequence[Any]] = []

    def fetch(self, keys: Sequence[Any]) -> dict[Any, Rows]:
        self.asked.append(keys)
        if self.error is not None:
            raise self.error
        return {key: tuple(self.rows.get(key, ())) for key in keys}

    def by_flight(self, keys: int) -> bool:
        return False

    def close(self) -> None:
        pass


ROWS: dict[Any, list[dict[str, Any]]] = {1: [{"v": 10}], 2: [{"v": 20}, {"v": 21}]}


def spec(**changes: Any) -> LookupSpec:
    return spec_of({"k": "INT"}, {"v": "INT"}, **changes)


def run(elements: list[Any], **more: Any) -> tuple[list[Any], list[Any]]:
    changes = {name: more.pop(name) for name in ("matches", "cache", "prefix") if name in more}
    return enrich(spec(**changes), Answers(ROWS), elements, **more)


def test_left_join_keeps_what_has_no_match_and_inner_join_leaves_it_out() -> None:
    elements = [{"f_k": 1}, {"f_k": 9}, {"f_k": None}]
    joined, _ = run(elements)
    assert sorted(joined, key=str) == sorted(
        [{"f_k": 1, "v": 10}, {"f_k": 9, "v": None}, {"f_k": None, "v": None}], key=str
    )
    assert run(elements, join=Join.INNER)[0] == [{"f_k": 1, "v": 10}]


def test_elements_of_equal_keys_are_asked_for_once_and_all_go_on() -> None:
    source = Answers(ROWS)
    lookup = spec(cache=Cache.NONE)
    good, _ = enrich(lookup, source, [{"f_k": 1, "n": number} for number in range(5)])
    assert [each["n"] for each in good] == [0, 1, 2, 3, 4]
    assert list(map(list, source.asked)) == [[1]]


def test_several_matches_are_kept_or_are_an_error() -> None:
    assert run([{"f_k": 2}], matches=Matches.ALL)[0] == [{"f_k": 2, "v": 20}, {"f_k": 2, "v": 21}]
    with pytest.raises(RowEncodingError, match="more than one row matches"):
        run([{"f_k": 2}], matches=Matches.ERROR)


@pytest.mark.parametrize(
    ("rule", "joined"),
    [
        ("keep_left", {"f_k": 1, "v": "mine"}),
        ("take_right", {"f_k": 1, "v": 10}),
    ],
)
def test_clash_is_decided_by_the_rule(rule: str, joined: dict[str, Any]) -> None:
    element = {"f_k": 1, "v": "mine"}
    kind = named_tuple("Mine", ("f_k", "v"))
    assert run([element], on_clash=rule)[0] == [joined]
    assert run([beam.Row(**element)], on_clash=rule, rows=True)[0] == [beam.Row(**joined)]
    assert run([kind(**element)], on_clash=rule)[0][0]._asdict() == joined
    batch = pa.RecordBatch.from_pylist([element])
    assert run([batch], on_clash=rule)[0][0].to_pylist() == [joined]


@pytest.mark.parametrize("form", [dict, lambda **e: pa.RecordBatch.from_pylist([e])])
def test_clash_is_an_error_by_default(form: Any) -> None:
    with pytest.raises(RowEncodingError, match="names of looked up columns: v") as caught:
        run([form(f_k=1, v="mine")])
    assert "mine" not in str(caught.value)


def test_prefix_keeps_both() -> None:
    source = Answers({1: [{"dim_v": 10}]})
    lookup = spec(prefix="dim_")
    good, _ = enrich(lookup, source, [{"f_k": 1, "v": "mine"}], on_clash="prefix:dim_")
    assert good == [{"f_k": 1, "v": "mine", "dim_v": 10}]


def test_named_tuple_becomes_one_with_the_columns_and_can_be_pickled() -> None:
    good, _ = run([Stock(7, 1)])
    assert good[0]._asdict() == {"n": 7, "f_k": 1, "v": 10}
    assert type(good[0]).__name__ == "EnrichedStock"
    assert pickle.loads(pickle.dumps(good[0])) == good[0]


def test_named_tuple_cannot_have_a_column_that_is_no_name() -> None:
    with pytest.raises(ConfigError, match="no named tuple can have the fields 'a b'"):
        named_tuple("Some", ("n", "a b"))


# ------------------------------------------------------------------------------- failures


def test_key_of_another_kind_leaves_as_a_dead_letter_and_the_others_go_on() -> None:
    elements = [{"f_k": "x"}, {"f_k": 1}, {"other": 1}, 5, {"f_k": [1]}]
    good, bad = run(elements, on_error=OnError.DEAD_LETTER)
    assert good == [{"f_k": 1, "v": 10}]
    assert [letter.element for letter in bad] == [{"f_k": "x"}, {"other": 1}, 5, {"f_k": [1]}]
    assert {letter.error for letter in bad} == {"RowEncodingError"}
    assert "takes an int, not str" in bad[0].reason
    assert "lacks a field of its key" in bad[1].reason


def test_row_of_a_batch_with_two_matches_leaves_alone() -> None:
    batch = pa.RecordBatch.from_pylist([{"f_k": 1}, {"f_k": 2}, {"f_k": 3}])
    good, bad = run([batch], matches=Matches.ERROR, on_error=OnError.DEAD_LETTER)
    assert good[0].to_pylist() == [{"f_k": 1, "v": 10}, {"f_k": 3, "v": None}]
    assert bad[0].element.to_pylist() == [{"f_k": 2}]


def test_failed_query_is_never_an_element_without_a_match() -> None:
    source = Answers(ROWS, ConnectError("the cluster is gone"))
    with pytest.raises(ConnectError, match="the cluster is gone"):
        enrich(spec(), source, [{"f_k": 1}])
    good, bad = enrich(spec(), source, [{"f_k": 1}, {"f_k": 2}], on_error=OnError.DEAD_LETTER)
    assert good == []
    assert [(letter.error, letter.element["f_k"]) for letter in bad] == [
        ("ConnectError", 1),
        ("ConnectError", 2),
    ]


def test_timestamps_of_a_zone_are_refused_as_keys_in_batches_too() -> None:
    lookup = spec_of({"k": "DATETIME(6)"}, {"v": "INT"})
    batch = pa.record_batch({"f_k": pa.array([0], pa.timestamp("us", tz="Europe/Berlin"))})
    _, bad = enrich(lookup, Answers({}), [batch], on_error=OnError.DEAD_LETTER)
    assert "without a zone" in bad[0].reason


# -------------------------------------------------------------------------------- windows


def test_window_timestamp_and_pane_are_those_of_the_element() -> None:
    lookup = spec(options=LookupOptions(batch_size=2, parallel=False))
    services.lend(lookup, LookupService(lookup, Answers(ROWS)))
    step = EnrichFn(EnrichJob(lookup, Join.LEFT, OnClash.parse("error"), OnError.FAIL, rows=False))
    step.setup()
    step.start_bundle()
    pane = PaneInfo(False, True, PaneInfoTiming.LATE, 3, 1)
    outputs: list[Any] = []
    for number in range(5):
        window = IntervalWindow(number * 10, number * 10 + 10)
        element = WindowedValue({"f_k": number}, Timestamp(number * 10 + 1), (window,), pane)
        outputs.extend(step.process(element.value, element))
    outputs.extend(step.finish_bundle() or ())
    step.teardown()
    services.drop_services()
    assert sorted(output.value["f_k"] for output in outputs) == [0, 1, 2, 2, 3, 4]
    for output in outputs:
        number = output.value["f_k"]
        assert output.timestamp == Timestamp(number * 10 + 1)
        assert output.windows == (IntervalWindow(number * 10, number * 10 + 10),)
        assert output.pane_info == pane


def test_nothing_is_carried_from_a_bundle_that_failed() -> None:
    lookup = spec()
    services.lend(lookup, LookupService(lookup, Answers(ROWS)))
    step = EnrichFn(EnrichJob(lookup, Join.LEFT, OnClash.parse("error"), OnError.FAIL, rows=False))
    step.setup()
    step.start_bundle()
    element = WindowedValue({"f_k": 1}, Timestamp(0), (IntervalWindow(0, 1),))
    assert list(step.process(element.value, element)) == []
    step.start_bundle()
    assert list(step.finish_bundle() or ()) == []
    step.teardown()
    services.drop_services()
