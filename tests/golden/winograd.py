"""Prints the errors of Winograd's maps for several choices of their points, and what is in
framework/kernels/winograd.h. Run: /usr/bin/python3 tests/golden/winograd.py

A 3 x 3 convolution of C channels is computed in float, once as a plain sum and once by F(4 x 4,
3 x 3) with the points 0, a, -a, b, -b and infinity, and both are compared with the sum in double.
"""

import torch


def maps(points):
    """Of pixels [6, 6], of a kernel [6, 3] and of the result [4, 6], after Toom and Cook."""

    def product(roots):  # of (x - root), from the constant on
        poly = [1.0]
        for root in roots:
            poly = [low - root * high for low, high in zip([0.0] + poly, poly + [0.0])]
        return poly

    pixels, kernel, result = torch.zeros(6, 6), torch.zeros(6, 3), torch.zeros(4, 6)
    pixels, kernel, result = (m.double() for m in (pixels, kernel, result))
    for i, p in enumerate(points):
        others = points[:i] + points[i + 1:]
        pixels[i, :5] = torch.tensor(product(others))
        distances = torch.tensor([p - q for q in others]).double().prod()
        kernel[i] = torch.tensor([p**k for k in range(3)]).double() / distances
        result[:, i] = torch.tensor([p**k for k in range(4)])
    pixels[5] = torch.tensor(product(points))
    kernel[5, 2] = result[3, 5] = 1
    return pixels, kernel, result


def both_sides(m, x):
    return m @ x @ m.T


def errors(points, channels, squares=400):
    """Root mean square errors, in units of the results': of a plain sum, and by the maps."""
    torch.manual_seed(channels)
    x = torch.randn(squares, channels, 6, 6).relu()
    w = torch.randn(channels, 3, 3) * (2 / (9 * channels)) ** 0.5
    taps = [(r, s) for r in range(3) for s in range(3)]
    exact = sum((x[:, :, r:r + 4, s:s + 4].double() * w[:, r, s].double()[:, None, None]).sum(1)
                for r, s in taps)
    pixels, kernel, result = maps(points)
    # Of the exact maps the results must be exact: else the maps are wrong.
    checked = both_sides(result, (both_sides(kernel, w.double()) *
                                  both_sides(pixels, x.double())).sum(1))
    assert (checked - exact).abs().max() < 1e-12
    plain, mapped = torch.zeros(squares, 4, 4), torch.zeros(squares, 6, 6)
    u, v = both_sides(kernel.float(), w), both_sides(pixels.float(), x)
    for c in range(channels):
        mapped += u[c] * v[:, c]
        for r, s in taps:
            plain += x[:, c, r:r + 4, s:s + 4] * w[c, r, s]
    scale = exact.square().mean().sqrt()
    return [((y.double() - exact).square().mean().sqrt() / scale).item()
            for y in (plain, both_sides(result.float(), mapped))]


print("channels  a      b      plain sum  by the maps  times")
for a, b in ((1, 2), (0.5, 1), (0.5, 1.5), (0.75, 1.5), (0.625, 1.5)):
    for channels in (16, 32, 128, 512):
        plain, mapped = errors([0.0, a, -a, b, -b], channels)
        print(f"{channels:8}  {a:<5}  {b:<5}  {plain:9.1e}  {mapped:11.1e}  {mapped / plain:5.1f}")
