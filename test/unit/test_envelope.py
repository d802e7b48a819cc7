"""Tests of tao_lora_ros.report.envelope."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.report.envelope import bucket_edges, envelope, spans_within

SPANS = st.lists(st.tuples(st.floats(0, 90), st.floats(0.01, 10)), max_size=20).map(
    lambda found: [(begin, begin + length) for begin, length in found]
)


@given(count=st.integers(0, 300), buckets=st.integers(1, 40), seed=st.integers(0, 99), spans=SPANS)
def test_a_bucket_holds_the_least_and_greatest_of_its_samples(count, buckets, seed, spans):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 100, count))
    values = rng.normal(size=(count, 2))
    values[rng.random(count) < 0.2, 0] = np.nan
    joined, _ = spans_within(spans, 100.0)
    edges = bucket_edges((0.0, 100.0), buckets, joined)
    low, high = envelope(times, values, edges)
    for k, (begin, end) in enumerate(pairwise(edges)):
        inside = values[(times >= begin) & (times < end)]
        for column in range(2):
            known = inside[~np.isnan(inside[:, column]), column].astype(np.float32)
            if known.size:
                assert (low[column, k], high[column, k]) == (known.min(), known.max())
            else:
                assert np.isnan([low[column, k], high[column, k]]).all()
        # No bucket reaches from within a span to outside.
        assert not any(begin < bound < end for bound in np.ravel(joined))


def test_the_last_sample_is_in_the_last_bucket():
    times = np.array([0.0, 1.0, 2.0])
    low, high = envelope(times, np.array([[1.0], [2.0], [7.0]]), np.array([0.0, 1.0, 2.0]))
    assert (low.tolist(), high.tolist()) == ([[1.0, 2.0]], [[1.0, 7.0]])


@given(wanted=SPANS, most_s=st.floats(0.1, 100))
def test_every_span_keeps_its_beginning_and_all_fit(wanted, most_s):
    spans, cut = spans_within(wanted, most_s)
    assert sum(end - begin for begin, end in spans) <= most_s + 1e-9
    assert all(a[1] < b[0] for a, b in pairwise(spans))
    for begin, end in wanted:
        kept = min(end, begin + cut)
        assert any(a <= begin and b >= kept - 1e-9 for a, b in spans)


def test_only_what_is_too_long_is_cut():
    spans, cut = spans_within([(0, 1), (5, 25)], 3.0)
    assert cut == pytest.approx(2.0)
    np.testing.assert_allclose(spans, [(0, 1), (5, 7)])
