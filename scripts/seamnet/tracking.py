"""Offline tracking by appearance, as the published evaluation does it (section 8)."""

import torch


def greedy_tracks(
    frames: torch.Tensor, scores: torch.Tensor, similarity: torch.Tensor, threshold: float = 0.3
) -> list[list[int]]:
    """Boxes of one video (frame n, detection score n, similarity n x n) -> tracks of box indices.

    A track holds one box a frame; its boxes are in the order in which they joined.
    """
    free = torch.ones(len(frames), dtype=torch.bool)
    tracks = []
    while free.any():
        seed = int(torch.where(free, scores, -1.0).argmax())
        track, free[seed] = [seed], False
        while True:
            taken = torch.isin(frames, frames[track])
            nearest = similarity[track].max(dim=0).values
            candidates = torch.where(free & ~taken, nearest, -1.0)
            best = int(candidates.argmax())
            if candidates[best] <= threshold:
                break
            track.append(best)
            free[best] = False
        tracks.append(track)
    return tracks
