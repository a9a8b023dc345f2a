"""Many arrivals, few refreshes, none forgotten."""

import itertools
import threading

from nexuslink.app.bridge import Throttle


def test_a_thousand_posts_are_few_refreshes(application, until):
    throttle = Throttle(interval_ms=20)
    seen: list[int] = []
    throttle.ready.connect(lambda: seen.append(throttle.posts))
    worker = threading.Thread(target=lambda: [throttle.post() for _ in range(1000)])
    worker.start()
    worker.join()
    until(lambda: seen and seen[-1] == 1000)  # the last post is always answered
    assert throttle.posts == 1000
    assert 1 <= throttle.readies <= 3


def test_without_coalescing_each_post_would_be_a_refresh(application, until):
    throttle = Throttle(interval_ms=0)
    for count in range(1, 51):
        throttle.post()
        until(lambda count=count: throttle.readies == count)


def test_the_interval_is_kept(application, until):
    throttle = Throttle(interval_ms=30)
    times: list[int] = []
    throttle.ready.connect(lambda: times.append(throttle._last_ns))
    for _ in range(6):
        wanted = len(times) + 1
        throttle.post()
        until(lambda wanted=wanted: len(times) >= wanted)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps) >= 28_000_000  # a timer of whole milliseconds may fire one early


def test_the_oldest_post_is_told(application, until):
    throttle = Throttle()
    throttle.post()
    first = throttle._first_ns
    throttle.post()
    until(lambda: throttle.readies)
    assert throttle.oldest_ns == first > 0
