"""Paths between latent points."""

from __future__ import annotations

import torch

from genzoo.models.base import interpolate_points


def test_straight_paths_meet_in_the_mean() -> None:
    start, end = torch.randn(2, 3, 8).unbind()
    path = interpolate_points(start, end, 5)
    assert path.shape == (3, 5, 8)
    torch.testing.assert_close(path[:, 2], (start + end) / 2)
    torch.testing.assert_close(path[:, [0, -1]], torch.stack([start, end], dim=1))


def test_spherical_paths_keep_the_length_and_turn_evenly() -> None:
    start, end = torch.nn.functional.normalize(torch.randn(2, 3, 8), dim=2).unbind()
    path = interpolate_points(start, end, 5, spherical=True)
    torch.testing.assert_close(path[:, [0, -1]], torch.stack([start, end], dim=1))
    torch.testing.assert_close(path.norm(dim=2), torch.ones(3, 5))
    turns = torch.cosine_similarity(path[:, 1:], path[:, :-1], dim=2)
    torch.testing.assert_close(turns, turns[:, :1].expand(-1, 4), atol=1e-5, rtol=0)


def test_a_spherical_path_to_itself_stays() -> None:
    point = torch.randn(2, 8)
    path = interpolate_points(point, point, 3, spherical=True)
    torch.testing.assert_close(path, point[:, None].expand(-1, 3, -1), atol=1e-3, rtol=1e-3)
