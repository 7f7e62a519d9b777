"""The pretended device memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.fake.fault_injector import FaultInjector
from backends.fake.kv_pages import PagePool
from backends.fake.ledger import VramLedger
from domain.errors import VramExhausted
from ports.memory import MemoryClass

pytestmark = pytest.mark.req("M0-W-1011")


def test_an_allocation_takes_whole_units_of_256_bytes() -> None:
    ledger = VramLedger(1024)
    ledger.allocate(MemoryClass.WEIGHTS, 257)

    assert 512 == ledger.used_bytes(MemoryClass.WEIGHTS)
    assert 512 == ledger.free_bytes


def test_classes_are_counted_apart() -> None:
    ledger = VramLedger(4096)
    for memory_class, size_bytes in zip(MemoryClass, (256, 512, 1024), strict=True):
        ledger.allocate(memory_class, size_bytes)

    assert [256, 512, 1024] == [ledger.used_bytes(memory_class) for memory_class in MemoryClass]


def test_what_does_not_fit_takes_nothing_and_says_how_much_there_was() -> None:
    ledger = VramLedger(1000)
    ledger.allocate(MemoryClass.WEIGHTS, 512)
    with pytest.raises(VramExhausted) as failure:
        ledger.allocate(MemoryClass.SCRATCH, 500)

    assert {"vram_required_bytes": 512, "vram_available_bytes": 488} == failure.value.facts
    assert 488 == ledger.free_bytes


def test_freeing_twice_is_a_bug() -> None:
    ledger = VramLedger(1024)
    allocation = ledger.allocate(MemoryClass.WEIGHTS, 1)
    ledger.free(allocation)

    with pytest.raises(AssertionError, match="freed twice"):
        ledger.free(allocation)


@given(st.lists(st.integers(0, 5000), max_size=30))
def test_the_account_always_balances(sizes: list[int]) -> None:
    ledger = VramLedger(20_000)
    held = []
    for size_bytes in sizes:
        try:
            held.append(ledger.allocate(MemoryClass.KV_CACHE, size_bytes))
        except VramExhausted:
            if held:
                ledger.free(held.pop(0))

        assert ledger.free_bytes >= 0
        assert 20_000 == ledger.free_bytes + ledger.used_bytes(MemoryClass.KV_CACHE)
    for allocation in held:
        ledger.free(allocation)

    assert 20_000 == ledger.free_bytes


def test_no_page_has_two_owners_and_all_come_back() -> None:
    pool = PagePool(8, page_bytes=256, faults=FaultInjector())
    first, second = pool.take(3), pool.take(5)
    with pytest.raises(VramExhausted):
        pool.take(1)

    assert set(range(8)) == {*first, *second}
    pool.give_back(first)
    assert set(first) == set(pool.take(3))
