"""Weights of products in the basis of MACE, written in the independent symmetric basis of nbcore: an exact change."""

import numpy as np

from nbcore.errors import InputError
from nbcore.gates import GateRun

#: of the polynomials that are compared, relative; of tensors in single precision 100 times their rounding
TOLERANCE = 1e-10


class SymmetricBasis:
    """The products of a `self_product` gate on one channel with parts l = 0 .. l_harmonics, outputs to l_max.

    MACE sums U[m, i, j, k, path] W[path] A_i A_j A_k and the same with fewer factors; many of its paths span the same
    polynomials of A. Each is written as a sum of nbcore's by comparing both on random A.
    """

    def __init__(self, ls: list[int], parities: list[int], l_max: int, correlation: int, parity: str):
        self.ls, spec = ls, dict(gate="self_product", l_max=l_max, correlation=correlation)
        probe = GateRun(spec, [[(l, p, 1) for l, p in zip(ls, parities, strict=True)]], parity=parity)
        _, n, _ = probe.parameters["w"]
        run = GateRun(spec, [[(l, p, n) for l, p in zip(ls, parities, strict=True)]], parity=parity)
        rng = np.random.default_rng(0)
        n_samples = 2 * n + 20
        self.A = [rng.standard_normal((n_samples, 2 * l + 1)) for l in ls]
        run.set_graph([0] * n_samples, [], [], np.zeros((0, 3)))
        x = np.concatenate([np.repeat(a[:, :, None], n, axis=2).ravel() for a in self.A])
        out = run.forward(np.eye(n).ravel(), [x])  # channel q has a weight of one on product q alone
        self.n_products, self.values, at = n, {}, 0
        for l, p, channels in run.output:
            size = n_samples * (2 * l + 1) * channels
            self.values[l, p] = out[at : at + size].reshape(n_samples * (2 * l + 1), channels)
            at += size

    def weights(self, where: str, key: tuple[int, int], tensors: list[np.ndarray], rounding: float) -> list[np.ndarray]:
        """Matrices (products, paths): what each path of the tensors is made of.

        key: (l, parity) of the output. tensors: U of one factor, of two, ..., (2l+1, lm, ..., lm, paths). rounding: of
        their numbers, relative. Raises InputError where a tensor is no covariant polynomial of this kind, or holds
        what nbcore's basis does not.
        """
        A = np.concatenate(self.A, axis=1)
        basis = self.values[key]
        used = np.flatnonzero(np.abs(basis).max(axis=0) > 0)
        scale = np.linalg.norm(basis[:, used], axis=0)
        inverse = np.linalg.pinv(basis[:, used] / scale)
        found = []
        for tensor in tensors:
            values = np.tensordot(A, tensor, axes=(1, -2))
            for _ in range(tensor.ndim - 3):  # the factors that are left, sample by sample
                values = np.einsum("s...ip,si->s...p", values, A)
            values = values.reshape(len(basis), -1)
            solution = inverse @ values
            error = np.abs(values - basis[:, used] / scale @ solution).max()
            if error > max(TOLERANCE, 100 * rounding) * max(1.0, np.abs(values).max()):
                raise InputError(f"{where}: its tensors U hold products that nbcore's basis does not ({error:.1e})")
            matrix = np.zeros((self.n_products, values.shape[1]))
            matrix[used] = solution / scale[:, None]
            found.append(matrix)
        return found
