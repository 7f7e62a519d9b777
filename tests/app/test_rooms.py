"""The front layer does not touch the device: it cannot even name a backend."""

import grimp
import pytest

FRONT = ["domain", "ports", "adapters_inbound", "adapters_outbound"]


@pytest.mark.req("M0-W-1050", "M0-SYS-2.5.1")
@pytest.mark.parametrize("room", FRONT)
def test_no_import_leads_from_the_front_to_a_backend(room: str) -> None:
    graph = grimp.build_graph(*FRONT, "backends", "app", cache_dir=None)

    assert graph.find_shortest_chains(importer="app", imported="backends")
    assert not graph.find_shortest_chains(importer=room, imported="backends")


@pytest.mark.req("M0-W-1050", "M0-W-1052")
@pytest.mark.parametrize("library", ["logging", "loguru", "cuda", "litestar", "prometheus_client"])
def test_the_stand_in_knows_neither_log_nor_front_nor_driver(library: str) -> None:
    graph = grimp.build_graph("backends", include_external_packages=True, cache_dir=None)
    of_the_stand_in = graph.find_descendants("backends.fake")

    assert "numpy" in graph.modules
    assert not [name for name in of_the_stand_in if library in graph.find_modules_directly_imported_by(name)]
