// Seams below the potential, for Python: a network level by level on one domain of a system, and second derivatives.
#include "potential/domain_levels.hpp"

#include "base/error.hpp"
#include "potential/feature_derivatives.hpp"
#include "potential/hessian_products.hpp"
#include "python/structures.hpp"

namespace py = pybind11;

namespace nbcore::python {

namespace {

/// Rows of doubles of some atoms
Doubles empty_rows(const DomainLevels& levels, int level, const std::vector<std::int32_t>& atoms) {
  return Doubles({py::ssize_t(atoms.size()), py::ssize_t(levels.row_bytes(level) / sizeof(double))});
}
const double* checked(const DomainLevels& levels, int level, const std::vector<std::int32_t>& atoms,
                      const Doubles& rows) {
  const std::size_t expected = atoms.size() * levels.row_bytes(level) / sizeof(double);
  if (std::size_t(rows.size()) != expected)
    throw InputError(message("rows: expected ", expected, " numbers, got ", rows.size()));
  return rows.data();
}

}  // namespace

void bind_levels(py::module_& m) {
  using Atoms = std::vector<std::int32_t>;
  py::class_<DomainLevels>(m, "DomainLevels")
      .def(py::init([](std::shared_ptr<Potential> potential, const Doubles& positions, const std::vector<int>& numbers,
                       int n_owned, int threads, bool radial_splines) {
        if (n_owned < 0 || n_owned > int(numbers.size()))
          throw InputError(message("a domain of ", numbers.size(), " atoms cannot own ", n_owned, " of them"));
        EvaluationOptions options;
        options.threads = std::max(threads, 1), options.radial_splines = radial_splines;
        const auto committee = std::make_shared<Committee>(std::vector{std::move(potential)}, std::nullopt);
        Domain domain;
        domain.structure = structure_from(positions, numbers, array_of(Mat3{}), {false, false, false});
        domain.n_ghosts = numbers.size() - std::size_t(n_owned);
        auto levels = std::make_unique<DomainLevels>(committee, options);
        levels->begin(prepare(std::move(domain), committee->first(), levels->levels(), Ghosts::exchanged, options),
                      true, false);
        return levels;
      }))
      .def_property_readonly("levels", &DomainLevels::levels)
      .def("forward", &DomainLevels::forward)
      .def("adjoint", &DomainLevels::adjoint)
      .def("row_size", [](const DomainLevels& d, int level) { return d.row_bytes(level) / sizeof(double); })
      .def("read_states",
           [](DomainLevels& d, int level, const Atoms& atoms) {
             Doubles rows = empty_rows(d, level, atoms);
             d.read_states(level, atoms, rows.mutable_data());
             return rows;
           })
      .def("write_states", [](DomainLevels& d, int level, const Atoms& atoms,
                              const Doubles& rows) { d.write_states(level, atoms, checked(d, level, atoms, rows)); })
      .def("take_adjoints",
           [](DomainLevels& d, int level, const Atoms& atoms) {
             Doubles rows = empty_rows(d, level, atoms);
             d.take_adjoints(level, atoms, rows.mutable_data());
             return rows;
           })
      .def("add_adjoints", [](DomainLevels& d, int level, const Atoms& atoms,
                              const Doubles& rows) { d.add_adjoints(level, atoms, checked(d, level, atoms, rows)); })
      .def("finish", [](DomainLevels& d) {  // (energies, forces, virial, virials)
        const Result r = d.finish();
        Doubles virials({py::ssize_t(r.virials.size()), py::ssize_t(3), py::ssize_t(3)});
        for (std::size_t i = 0; i < r.virials.size(); ++i)
          for (int c = 0; c < 9; ++c) virials.mutable_data()[9 * i + c] = r.virials[i][c / 3][c % 3];
        return py::make_tuple(Doubles(py::ssize_t(r.energies.size()), r.energies.data()), array_of(r.forces),
                              array_of(r.virial), virials);
      });

  m.def("hessian_products",
        [](const Potential& potential, const Doubles& positions, const std::vector<int>& numbers, const Doubles& cell,
           const std::array<bool, 3>& pbc, const Doubles& vectors, const Doubles& strains, int threads,
           std::shared_ptr<CompositionScheme> scheme, const py::dict& leaves) {
          Structure s = structure_from(positions, numbers, cell, pbc);
          s.scheme = std::move(scheme), s.leaves = leaves_from(leaves);
          const std::size_t n = numbers.size(), count = std::size_t(strains.size()) / 9;
          if (std::size_t(vectors.size()) != 3 * n * count || std::size_t(strains.size()) != 9 * count)
            throw ShapeError("vectors (K, N, 3) and strains (K, 3, 3) must be of the same number K");
          Doubles forces({py::ssize_t(count), py::ssize_t(n), py::ssize_t(3)}),
              virials({py::ssize_t(count), py::ssize_t(3), py::ssize_t(3)});
          const double *v = vectors.data(), *S = strains.data();
          double *f = forces.mutable_data(), *w = virials.mutable_data();
          {
            const Released nogil;
            HessianProducts products(potential, s, std::max(threads, 1));
            std::vector<Vec3> along(n);
            Mat3 strain;
            for (std::size_t k = 0; k < count; ++k) {
              for (std::size_t i = 0; i < n; ++i)
                for (int c = 0; c < 3; ++c) along[i][c] = v[3 * (k * n + i) + c];
              for (int c = 0; c < 9; ++c) strain[c / 3][c % 3] = S[9 * k + c];
              const HessianProducts::Derivatives d = products.along(along, strain);
              for (std::size_t i = 0; i < n; ++i)
                for (int c = 0; c < 3; ++c) f[3 * (k * n + i) + c] = d.forces[i][c];
              for (int c = 0; c < 9; ++c) w[9 * k + c] = d.virial[c / 3][c % 3];
            }
          }
          return py::make_tuple(forces, virials);
        });

  m.def("feature_derivatives",  // (K, features): of vectors (K, N, 3) and strains (K, 3, 3)
        [](const Potential& potential, const Doubles& positions, const std::vector<int>& numbers, const Doubles& cell,
           const std::array<bool, 3>& pbc, const Doubles& directions, const Doubles& strains, int threads,
           std::shared_ptr<CompositionScheme> scheme, const py::dict& leaves) {
          Structure s = structure_from(positions, numbers, cell, pbc);
          s.scheme = std::move(scheme), s.leaves = leaves_from(leaves);
          const std::size_t n = numbers.size(), count = std::size_t(strains.size()) / 9;
          if (std::size_t(directions.size()) != 3 * n * count || std::size_t(strains.size()) != 9 * count)
            throw ShapeError("vectors (K, N, 3) and strains (K, 3, 3) must be of the same number K");
          const std::size_t width = potential.last_layer().size();
          Doubles out({py::ssize_t(count), py::ssize_t(width)});
          const double *v = directions.data(), *S = strains.data();
          double* to = out.mutable_data();
          {
            const Released nogil;
            FeatureDerivatives derivatives(potential, s, std::max(threads, 1));
            std::vector<Vec3> along(n);
            Mat3 strain;
            for (std::size_t k = 0; k < count; ++k) {
              for (std::size_t i = 0; i < n; ++i)
                for (int c = 0; c < 3; ++c) along[i][c] = v[3 * (k * n + i) + c];
              for (int c = 0; c < 9; ++c) strain[c / 3][c % 3] = S[9 * k + c];
              const std::vector<double> row = derivatives.along(along, strain);
              std::copy(row.begin(), row.end(), to + k * width);
            }
          }
          return out;
        });
}

}  // namespace nbcore::python
