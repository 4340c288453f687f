"""The pieces of the gates in plain NumPy: what the kernels are compared with. Works for complex r too."""

import numpy as np

from nbcore import so3


def harmonics(l, vector):
    """Y_l of a direction, normalised as in networks: sum_m Y_lm^2 = 2l+1."""
    return np.sqrt(4 * np.pi) * so3.spherical_harmonics(l, vector)[l * l :]


def couple(x, l1, y, l2, l3):
    """Clebsch-Gordan product of x [2l1+1] and y [2l2+1]."""
    return np.einsum("abc,a,b->c", so3.real_clebsch_gordan(l1, l2, l3), x, y)


def envelope(radial, r):
    x = r / radial["cutoff"]
    match radial.get("envelope", "polynomial"):
        case "polynomial":
            p = radial.get("power", 6)
            return 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
        case "cosine":
            return (1 + np.cos(np.pi * x)) / 2
        case "smooth":
            return (1 - x**2) ** 3
        case "xplor":
            a = (radial["on"] / radial["cutoff"]) ** 2
            return 1.0 if np.real(x) ** 2 < a else (1 - x**2) ** 2 * (1 + 2 * x**2 - 3 * a) / (1 - a) ** 3
        case "tanh":
            return np.tanh(1 - x) ** 3
        case "none":
            return 1.0


def radial_functions(radial, r):
    """B_n(r), n = 0 .. n-1, envelope included."""
    n, rc = np.arange(radial["n"]), radial["cutoff"]
    spaces = max(radial["n"] - 1, 1)
    match radial["basis"]:
        case "bessel":
            k = np.array(radial.get("frequencies", n + 1))
            B = np.sqrt(2 / rc) * np.sin(k * np.pi * r / rc) / r
        case "chebyshev":
            a = radial.get("decay", 0.0)
            u = 1 - 2 * (np.exp(-a * (r / rc - 1)) - 1) / (np.exp(a) - 1) if a else 2 * r / rc - 1
            B = np.array([np.polynomial.chebyshev.chebval(u, np.eye(radial["n"])[k]) for k in n])
        case "gaussian":
            d = rc / spaces
            centre, width = radial.get("centres", n * d), radial.get("widths", d)
            B = np.exp(-((r - np.array(centre)) ** 2) / (2 * np.array(width) ** 2))
        case "inverse_gaussian":
            r_min = radial.get("r_min", 0.8)
            centre = radial.get("centres", 1 / rc + n * (1 / r_min - 1 / rc) / spaces)
            width = radial.get("widths", 1 / (2 * radial["n"] * r_min))
            B = np.exp(-((1 / r - np.array(centre)) ** 2) / (2 * np.array(width) ** 2))
        case "inverse_power":
            B = r ** (radial.get("first", 1.0) - n)
        case "damped_power":
            B = (rc / r) ** (n + 1.0) * (1 - np.exp(-((r / radial.get("r_min", 0.8)) ** 8)))
        case "cheb_pow":
            u = 1 - 2 * (1 - r / rc) ** radial["decay"]
            B = np.array([(1 - np.polynomial.chebyshev.chebval(u, np.eye(radial["n"] + 1)[k + 1])) / 2 for k in n])
        case "sbessel":  # Gram and Schmidt's, of neighbouring pairs without a slope at the cutoff, exact by quadrature
            x, w = np.polynomial.legendre.leggauss(200)
            x, w = (x + 1) / 2 * rc, w / 2 * rc
            a = np.concatenate([x, np.atleast_1d(r)])
            f = [
                (-1) ** k
                * ((k + 2) * np.sin((k + 1) * np.pi * a / rc) + (k + 1) * np.sin((k + 2) * np.pi * a / rc))
                / a
                for k in n
            ]
            for k in n:
                for j in range(k):
                    f[k] = f[k] - np.sum(w * x**2 * f[k][:200] * f[j][:200]) * f[j]
                f[k] = f[k] / np.sqrt(np.sum(w * x**2 * f[k][:200] ** 2))
            B = np.array(f)[:, 200:].reshape(len(n), *np.shape(r))
        case "windows":
            start, d = (n - radial["span"]) * rc / radial["n"], (radial["span"] + 1) * rc / radial["n"]
            B = (1 - np.cos(2 * np.pi * (r - start) / d)) ** 2 / 4 * ((np.real(r) > start) & (np.real(r) < start + d))
        case "solid":
            B = (r / rc) ** (2.0 * n)
    if width := radial.get("inner_width"):
        x = (r - radial["inner"]) / width + 1
        x = np.where(np.real(x) < 0, 0, np.where(np.real(x) > 1, 1, x))
        B = B * (x**3 * (10 - 15 * x + 6 * x**2))
    return B * envelope(radial, r)


def natural(l1, l2, l3):
    """Is the product of parts of natural parity of natural parity?"""
    return (l1 + l2 + l3) % 2 == 0


def neighbourhood(rng, n, cutoff):
    """n vectors within the cutoff."""
    r = rng.standard_normal((n, 3))
    return r / np.linalg.norm(r, axis=1)[:, None] * rng.uniform(0.25 * cutoff, cutoff, (n, 1))
