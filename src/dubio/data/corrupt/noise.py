"""Noise of the sensor; it acts on pixels, whatever the image's size."""

from __future__ import annotations

from dubio.data.corrupt.arrays import F, Image, Rng, to_bytes


def gaussian_noise(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Add Gaussian noise."""
    sigma = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    noise = rng.standard_normal(image.shape, F)
    noise *= F(255 * sigma)
    noise += image
    return to_bytes(noise)


def shot_noise(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Count photons: few of them at high severities."""
    photons = (60, 25, 12, 5, 3)[severity - 1]
    counts = rng.poisson(image * F(photons / 255))
    return to_bytes(counts * F(255 / photons))


def impulse_noise(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Set a share of the values to black or white, channel by channel."""
    amount = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    chance = rng.random(image.shape, F)
    out = image.copy()
    out[chance < amount] = 255
    out[chance < amount / 2] = 0
    return out


def speckle_noise(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Multiply by noise: bright pixels suffer most."""
    sigma = (0.15, 0.2, 0.35, 0.45, 0.6)[severity - 1]
    noise = rng.standard_normal(image.shape, F)
    noise *= F(sigma)
    noise += 1
    noise *= image
    return to_bytes(noise)
