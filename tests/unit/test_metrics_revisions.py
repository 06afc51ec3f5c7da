"""Every metric has a revision, whatever name it goes by."""

import pytest

from genzoo.metrics.revisions import PUBLISHED, REVISIONS, kind_of, revision_of


def test_published_names_are_kinds_that_have_a_revision() -> None:
    for names in PUBLISHED.values():
        for kind, name in names.items():
            assert kind_of(name) == kind
            assert kind in REVISIONS


def test_no_two_networks_share_a_published_name() -> None:
    names = [name for names in PUBLISHED.values() for name in names.values()]
    assert len(names) == len(set(names))


def test_one_metric_under_all_its_names_has_one_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REVISIONS, "frechet_distance", 7)  # type: ignore[arg-type]
    names = ("fid", "fd_dinov2", "frechet_distance/domain")
    assert [revision_of(name) for name in names] == [7, 7, 7]
    assert revision_of("a_family_of_ones_own/t_100") == 1
