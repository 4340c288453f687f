"""nbcore.so3 beside its peers on one core, in one run: harmonics, Clebsch-Gordan coefficients, Wigner D, products.

    taskset -c 0 python benchmarks/so3_speed.py [--quick]

Peers that are not installed are left out: sphericart (its C library, called with the buffers that nbcore gets too) and
e3nn. CPU time: median (smallest to largest) of the repetitions. --quick runs everything once, untimed.
"""
# ruff: noqa: E741 (l is the name of angular momentum)

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402

import nbcore  # noqa: E402
from nbcore import so3  # noqa: E402

COLD = """
import time
from nbcore import so3
start = time.process_time()
for a in range(11):
    for b in range(11):
        for c in range(abs(a - b), min(a + b, 10) + 1):
            so3.real_clebsch_gordan(a, b, c)
print(time.process_time() - start)
"""


def aligned(shape, dtype):
    """An array on a cache line, as every library likes best."""
    n = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(n + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + n].view(dtype).reshape(shape)


def measure(functions, quick, repetitions=9, least=0.05):
    """CPU seconds per call of each function, sorted; repetitions take turns."""
    if quick:
        for f in functions:
            f()
        return [[1.0]] * len(functions)
    calls = []
    for f in functions:
        f()
        start = time.process_time()
        f()
        calls.append(max(1, int(least / max(time.process_time() - start, 1e-7))))
    times = [[] for _ in functions]
    for _ in range(repetitions):
        for f, n, t in zip(functions, calls, times, strict=True):
            start = time.process_time()
            for _ in range(n):
                f()
            t.append((time.process_time() - start) / n)
    return [sorted(t) for t in times]


def row(name, unit, factor, ours, peer=None, wanted=""):
    def show(t):
        return f"{factor * statistics.median(t):.4g} ({factor * t[0]:.4g}-{factor * t[-1]:.4g})"

    ratio = f"{statistics.median(peer) / statistics.median(ours):.2f}" if peer else ""
    print(f"| {name} | {unit} | {show(ours)} | {show(peer) if peer else ''} | {ratio} | {wanted} |", flush=True)


def harmonics(quick, n=250):
    try:
        import sphericart
        from sphericart import _dispatch
    except ImportError:
        sphericart = None
    rng = np.random.default_rng(0)
    for dtype, suffix in ((np.float64, ""), (np.float32, "_f")):
        for l in (3, 6, 10):
            r = aligned((n, 3), dtype)
            r[:] = rng.normal(size=(n, 3))
            out = aligned((n, (l + 1) ** 2), dtype), aligned((n, 3, (l + 1) ** 2), dtype)
            calls = [lambda l=l, r=r, out=out: so3.spherical_harmonics(l, r, gradient=True, out=out, threads=1)]
            if sphericart:
                theirs = sphericart.SphericalHarmonics(l)
                name = "sphericart_spherical_harmonics_compute_array_with_gradients" + suffix
                f, calculator = getattr(theirs._lib, name), getattr(theirs, "_calculator" + suffix)
                buffers = [x for a in (r, *out) for x in (_dispatch.get_pointer(a), a.size)]
                calls.append(lambda f=f, c=calculator, b=buffers, keep=theirs: f(c, *b))
            t = measure(calls, quick)
            row(f"harmonics, gradients, l <= {l}, {np.dtype(dtype).name}", "ns/vector", 1e9 / n, *t, wanted="2 x")


def clebsch_gordan(quick):
    t = [
        float(subprocess.run([sys.executable, "-c", COLD], check=True, capture_output=True, text=True).stdout)
        for _ in range(1 if quick else 5)
    ]
    row("all real CG, l <= 10, first calls of a process", "ms", 1e3, sorted(t), wanted="< 10 ms")


def wigner(quick, n=1000):
    R = so3.random_rotations(n, np.random.default_rng(0))
    (t,) = measure([lambda: so3.wigner_D_to(8, R, threads=1)], quick)
    row(f"Wigner D, l <= 8, {n} rotations", "us/rotation", 1e6 / n, t, wanted="< 2 us")


def products(quick, in_cache=(64, 100), large=20_000):
    product = so3.TensorProduct(
        "64x0e + 64x1o + 64x2e", "1x0e + 1x1o + 1x2e", keep="1x0e + 1x1o + 1x2e", channelwise=True
    )
    rng = np.random.default_rng(0)
    for n in (*in_cache, 200 if quick else large):
        x, y, z, x_bar, y_bar = (
            aligned((n, d), np.float32) for d in (product.irreps_x.dim, 9, product.irreps.dim, product.irreps_x.dim, 9)
        )
        x[:], y[:] = rng.normal(size=x.shape), rng.normal(size=y.shape)

        def forward(x=x, y=y, z=z):
            product(x, y, out=z, threads=1)

        def both(x=x, y=y, z=z, x_bar=x_bar, y_bar=y_bar):
            product(x, y, out=z, threads=1)
            product._kernel.adjoint([x], [y], [z], [x_bar], [y_bar], 1)

        name = "channelwise product 64x(0..2), 11 paths, float32"
        if n in in_cache:
            t = measure([both, *e3nn(n)], quick)
            row(f"{name}, {n} states, forward and adjoint", "ns/state", 1e9 / n, *t, wanted="40 x")
        else:
            a, b = np.ones((n, 8 * 288), np.float32), np.empty((n, 8 * 288), np.float32)
            t = measure([forward, lambda a=a, b=b: np.copyto(b, a)], quick, 5)
            bandwidth = [
                (x.nbytes + y.nbytes + z.nbytes) / statistics.median(t[0]) / 1e9,
                2 * a.nbytes / statistics.median(t[1]) / 1e9,
            ]
            row(f"{name}, {n} states, forward", "ns/state", 1e9 / n, t[0])
            print(
                f"| of the bandwidth of a copy | GB/s | {bandwidth[0]:.3g} | {bandwidth[1]:.3g} | "
                f"{bandwidth[0] / bandwidth[1]:.2f} | 0.8 |"
            )


def e3nn(n):
    """Forward and backward of e3nn's TensorProduct with the same paths."""
    try:
        import torch
        from e3nn import o3
    except ImportError:
        return []
    torch.set_num_threads(1)
    a, b = o3.Irreps("64x0e + 64x1o + 64x2e"), o3.Irreps("1x0e + 1x1o + 1x2e")
    paths, out = [], []
    for i, (_, p) in enumerate(a):
        for j, (_, q) in enumerate(b):
            for r in p * q:
                if r.l <= 2 and r.p == (-1) ** r.l:
                    paths.append((i, j, len(out), "uvu", False))
                    out.append((64, r))
    tp = o3.TensorProduct(a, b, o3.Irreps(out), paths, shared_weights=False, internal_weights=False)
    x, y = a.randn(n, -1).requires_grad_(True), b.randn(n, -1).requires_grad_(True)
    z_bar = torch.randn_like(tp(x, y))
    return [lambda: torch.autograd.grad(tp(x, y), (x, y), z_bar)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    print(f"# {nbcore.build_info()}, one thread")
    print("| what | unit | nbcore | peer | ratio | wanted |\n|---|---|---|---|---|---|")
    harmonics(quick)
    clebsch_gordan(quick)
    wigner(quick)
    products(quick)


if __name__ == "__main__":
    main()
