#include "potential/neighbours.hpp"

#include <algorithm>

#include "python/arguments.hpp"
#include "python/module.hpp"

namespace py = pybind11;

namespace nbcore::python {

namespace {

/// As a NumPy array (n, 3) of memory that `owner` keeps.
template <class T> py::array_t<T> rows_of_3(std::span<const std::array<T, 3>> rows, const py::capsule& owner) {
  return py::array_t<T>({static_cast<py::ssize_t>(rows.size()), py::ssize_t{3}},
                        reinterpret_cast<const T*>(rows.data()), owner);
}

}  // namespace

void bind_neighbours(py::module_& m) {
  m.def(
      "neighbours",
      [](const py::object& positions, const py::object& cell, const py::object& pbc, double cutoff, double r_min) {
        const auto r = vectors(positions);
        const auto a = cell_matrix(cell);
        const auto periodic = boundary(pbc);
        NeighbourList list;
        {
          const Released release;
          list = nbcore::neighbours(r, a, periodic, cutoff, r_min);
        }
        const auto n = static_cast<py::ssize_t>(list.child.size());
        py::array_t<std::int64_t> atoms({py::ssize_t{2}, n});
        const std::span parent(atoms.mutable_data(), n), child(atoms.mutable_data() + n, n);
        for (std::size_t i = 0; i < r.size(); ++i)
          std::fill(parent.begin() + list.first[i], parent.begin() + list.first[i + 1], static_cast<std::int64_t>(i));
        std::copy(list.child.begin(), list.child.end(), child.begin());
        const py::capsule owner(list.memory.get(), [](void* p) { delete[] static_cast<std::byte*>(p); });
        list.memory.release();
        return py::make_tuple(py::array_t<std::int64_t>(n, parent.data(), atoms),
                              py::array_t<std::int64_t>(n, child.data(), atoms),
                              rows_of_3<std::int32_t>(list.shift, owner), rows_of_3<double>(list.vector, owner));
      },
      py::arg("positions"), py::arg("cell"), py::arg("pbc"), py::arg("cutoff"), py::arg("r_min") = 1e-3,
      R"(All pairs of atoms, images included, closer than the cutoff.

Pair e says that atom child[e], moved by shift[e] @ cell, lies at vector[e] from atom parent[e]:

    vector = positions[child] + shift @ cell - positions[parent],  |vector| < cutoff

Both directions of a pair are listed, sorted by parent, child and shift. Cell vectors of directions that are not
periodic are ignored.

positions (N, 3), cell (3, 3) with vectors as rows or None, pbc one or three booleans, cutoff: lengths in Angstrom.
Returns parent (E,), child (E,), shift (E, 3), vector (E, 3).
Raises InputError (shapes, NaN, singular cell, cutoff) and NumericsError (two atoms closer than r_min).

>>> parent, child, shift, vector = neighbours([[0, 0, 0]], [[2, 0, 0], [0, 2, 0], [0, 0, 2]], True, 2.1)
>>> len(parent)
6)");
}

}  // namespace nbcore::python
