"""The general gate of the paper, eq. (6) of arXiv:1803.01588, as a program of sums and Clebsch-Gordan products."""

from itertools import combinations_with_replacement

from nbcore.errors import InputError

# ruff: noqa: E741 (l is the name of angular momentum)


def pqs_gates(
    name: str,
    P: int,
    Q: int,
    S: int,
    channels: int,
    l_out: int,
    radial: dict,
    before: str | None = None,
    l_before: int = 0,
    children: int = 2,
    orders: str = "each",
    powers: str = "all",
    l_max: int = 10,
    parities: str = "all",
    algebra: str = "real",
    share: str = "all",
    nodes: str = "atoms",
    child_nodes: str = "atoms",
) -> list[dict]:
    """A (P, Q, S)-order gate as a list of gates for a program; the last, called `name`, is its mixing.

    Eq. (6) is read as the sum over all ordered n-tuples of children (i_1 .. i_n), n = 1 .. `children`, a child may
    occur more than once, of

        |r_1|^-s_1 .. |r_n|^-s_n  psi_1^(x q_1) x r_1^(x p_1) x .. x psi_n^(x q_n) x r_n^(x p_n)

    for all p_k <= P and q_k <= Q that are not both 0, and s_k <= S. Such a sum is the product of the sums over single
    children, A_pq = sum_i |r_i|^-s psi_i^(x q) x r_i^(x p): these are aggregated once, and products are made on the
    nodes, each from a shorter product and a sum (docs/theory/nbody_networks.md).

    Parameters
    ----------
    name : of the gate; the others are called `name`_A11, `name`_A11_A11, ...
    P, Q, S : orders, whole numbers of at least 0; P + Q at least 1
    channels, l_out, parities, share : of the mixing, see gate `mix`
    radial : {"cutoff": Angstrom, "envelope": ...}, which every child is weighted with, once per factor
    before, l_before : the state psi of the children, of l = 0..l_before. None: leaves, whose state is their one-hot
        species; then psi x psi is psi again, and q_k <= 1
    children : largest n
    orders : "each", P and Q bound p_k and q_k of each child; "total", they bound p_1 + .. + p_n and q_1 + .. + q_n
    powers : "all", every s_k = 0..S for itself; "equal", s_1 = .. = s_n, as in eq. (11)
    l_max : intermediate products above are dropped; 10, the largest of gates, unless there is need for less
    algebra : "real" or "complex"
    nodes, child_nodes : sets of a composition scheme

    Returns
    -------
    list of gates as data. Products keep no l that neither the mixing nor a longer product reads.

    Raises
    ------
    InputError : orders that are no whole numbers of at least 0, both P and Q 0, no children, unknown orders or powers

    >>> radial = {"cutoff": 4.0, "envelope": "smooth"}
    >>> gates = pqs_gates("psi1", 1, 1, 2, channels=4, l_out=1, radial=radial, orders="total")
    >>> [gate["name"] for gate in gates]
    ['psi1_A01', 'psi1_A10', 'psi1_A11', 'psi1_A01_A10', 'psi1']
    """
    for what, order, least in (("P", P, 0), ("Q", Q, 0), ("S", S, 0), ("children", children, 1)):
        if isinstance(order, bool) or not isinstance(order, int) or order < least:
            raise InputError(f"pqs_gates: {what} must be a whole number of at least {least}, got {order!r}")
    if P + Q == 0:
        raise InputError("pqs_gates: P and Q are both 0, so that nothing is summed")
    for what, choice, known in (("orders", orders, ("each", "total")), ("powers", powers, ("all", "equal"))):
        if choice not in known:
            raise InputError(f'pqs_gates: {what} must be "{known[0]}" or "{known[1]}", got {choice!r}')
    q_max = Q if before else min(Q, 1)
    factors = [(p, q) for p in range(P + 1) for q in range(q_max + 1) if p + q > 0]
    terms = _terms(factors, children, (P, Q) if orders == "total" else (children * P, children * Q))
    needed = _needed_l(terms, l_before, l_out, l_max)
    terms = [term for term in terms if term in needed]

    product = dict(gate="tensor_product", parities="all", algebra=algebra)
    here, there = ({} if of == "atoms" else {"nodes": of} for of in (nodes, child_nodes))
    gates, psi = [], {1: before}
    for q in (q for q in range(2, q_max + 1) if q in needed):
        psi[q] = f"{name}_psi{q}"
        inputs = [before] if q == 2 else [psi[q - 1], before]
        gates.append(dict(name=psi[q], inputs=inputs, l_max=needed[q], **product, **there))
    slots = []
    for suffix, n, s in [("", S + 1, 0)] if powers == "all" else [(f"_s{s}", 1, s) for s in range(S + 1)]:
        slot = {term: "_".join([name, *(f"A{p}{q}" for p, q in term)]) + suffix for term in terms}
        for term in terms:
            if len(term) == 1:
                ((p, q),) = term
                basis = {**radial, "basis": "inverse_power", "n": n, "first": p - s}
                gate = _sum_over_children(p, q, psi, basis, needed[term])
            else:  # of a shorter product and a sum; of two equal sums, exchange leaves half
                inputs = [slot[term[:-1]], slot[term[-1:]]]
                gate = dict(inputs=inputs[:1] if len(set(inputs)) == 1 else inputs, l_max=needed[term], **product)
            gates.append(dict(name=slot[term], **gate, **here))
        slots += slot.values()
    gates.append(
        dict(gate="mix", name=name, inputs=slots, channels=channels, l_max=l_out, parities=parities, algebra=algebra,
             share=share, **here)
    )  # fmt: skip
    return gates


def _terms(factors, n_max, total):
    """Multisets of up to n_max factors with sums of p and q up to `total`, as sorted tuples, the shorter ones first."""
    return [
        term
        for n in range(1, n_max + 1)
        for term in combinations_with_replacement(factors, n)
        if all(sum(order) <= most for order, most in zip(zip(*term, strict=True), total, strict=True))
    ]


def _needed_l(terms, l_psi, l_out, l_max):
    """The largest l of each term that something reads, the mixing or a product with another term; terms that nothing
    reads are left out. Powers q of psi, read by sums over children and by the next power, stand under their number."""
    psi = {0: {0}, 1: set(range(l_psi + 1))}
    for q in range(2, 1 + max(q for term in terms for _, q in term)):
        psi[q] = _coupled(psi[q - 1], psi[1])
    ls = {}
    for term in terms:
        ((p, q),) = term[-1:]
        of_sum = _coupled(psi[q], range(p % 2, p + 1, 2))
        ls[term] = of_sum if len(term) == 1 else _coupled(ls[term[:-1]], ls[term[-1:]])

    read = {term: [l_out] if min(ls[term]) <= l_out else [] for term in terms}
    needed = {}
    for term in reversed(terms):  # longer ones first: they read the shorter
        if not read[term]:
            continue
        needed[term] = min(max(read[term]), max(ls[term]), l_max)
        if len(term) > 1:
            a, b = term[:-1], term[-1:]
            read[a].append(needed[term] + max(ls[b]))
            read[b].append(needed[term] + max(ls[a]))
        elif term[0][1] > 1:
            p, q = term[0]
            needed[q] = max(needed.get(q, 0), min(needed[term] + p, max(psi[q]), l_max))
    for q in range(max(psi), 2, -1):
        if q in needed:
            needed[q - 1] = max(needed.get(q - 1, 0), min(needed[q] + l_psi, max(psi[q - 1]), l_max))
    return needed


def _coupled(a, b):
    """The l of products of parts with l in a and b."""
    return {l for x in a for y in b for l in range(abs(x - y), x + y + 1)}


def _sum_over_children(p, q, psi, radial, l_needed):
    """A_pq: r^(x p) has the harmonics l = p, p - 2, ..., each times |r|^p."""
    harmonics = dict(l_max=p, l_min=p % 2, l_step=2, radial=radial)
    if q == 0 or psi[1] is None:
        harmonics["l_max"] = min(p, l_needed - (l_needed - p) % 2)
        return dict(gate="density", by_species=q > 0, **harmonics)
    return dict(gate="zeroth_order", inputs=[psi[q]], l_out=l_needed, radial_mode="all", parities="all", **harmonics)
