// Seams below the potential, for Python: a network level by level on one domain of a system, and second derivatives.
#include "potential/levels.hpp"

#include "base/error.hpp"
#include "potential/hessian_products.hpp"
#include "python/structures.hpp"

namespace py = pybind11;

namespace nbcore::python {

namespace {

/// One domain of a larger system, with what Levels needs
class Domain {
 public:
  Domain(std::shared_ptr<Potential> potential, const Structure& s, int n_owned, int threads)
      : potential_(std::move(potential)),
        weights_(potential_->packed<double>()),
        graph_(build_domain_graph(s, potential_->species_of(s.numbers), potential_->network(), potential_->r_min(), 32,
                                  n_owned)) {
    to.forces.assign(s.positions.size(), Vec3{}), to.energies.assign(s.positions.size(), 0.0);
    levels = std::make_unique<Levels<double>>(potential_->network(), graph_, *weights_, nullptr,
                                              potential_->scales()->scale, threads, space_, to);
    levels->begin();
  }
  std::unique_ptr<Levels<double>> levels;
  Evaluation to;

  int level(int k) const {
    if (k < 1 || k > levels->size()) throw InputError(message("levels are 1 to ", levels->size(), ", got ", k));
    return k;
  }
  const std::vector<std::int32_t>& checked(const std::vector<std::int32_t>& atoms) const {
    for (std::int32_t i : atoms)
      if (i < 0 || i >= graph_.n_atoms()) throw InputError(message("no atom ", i, " among ", graph_.n_atoms()));
    return atoms;
  }
  const double* rows(int k, const std::vector<std::int32_t>& atoms, const Doubles& rows) const {
    if (std::size_t(rows.size()) != atoms.size() * levels->row_size(level(k)))
      throw InputError(message("rows: expected ", atoms.size() * levels->row_size(k), " numbers, got ", rows.size()));
    return rows.data();
  }

 private:
  std::shared_ptr<Potential> potential_;
  std::shared_ptr<const Buffer<double>> weights_;
  Graph graph_;
  EvaluationSpace<double> space_;
};

}  // namespace

void bind_levels(py::module_& m) {
  using Atoms = std::vector<std::int32_t>;
  const auto empty_rows = [](const Domain& d, int k, const Atoms& atoms) {
    return Doubles({py::ssize_t(atoms.size()), py::ssize_t(d.levels->row_size(k))});
  };
  py::class_<Domain>(m, "Domain")
      .def(py::init([](std::shared_ptr<Potential> potential, const Doubles& positions, const std::vector<int>& numbers,
                       int n_owned, int threads) {
        return std::make_unique<Domain>(std::move(potential),
                                        structure_from(positions, numbers, array_of(Mat3{}), {false, false, false}),
                                        n_owned, std::max(threads, 1));
      }))
      .def_property_readonly("levels", [](const Domain& d) { return d.levels->size(); })
      .def("forward", [](Domain& d, int k) { d.levels->forward(d.level(k)); })
      .def("adjoint", [](Domain& d, int k) { d.levels->adjoint(d.level(k)); })
      .def("row_size", [](const Domain& d, int k) { return d.levels->row_size(d.level(k)); })
      .def("read_states",
           [=](Domain& d, int k, const Atoms& atoms) {
             Doubles rows = empty_rows(d, d.level(k), d.checked(atoms));
             d.levels->read_states(k, atoms, rows.mutable_data());
             return rows;
           })
      .def("write_states",
           [](Domain& d, int k, const Atoms& atoms, const Doubles& rows) {
             d.levels->write_states(k, d.checked(atoms), d.rows(k, atoms, rows));
           })
      .def("take_adjoints",
           [=](Domain& d, int k, const Atoms& atoms) {
             Doubles rows = empty_rows(d, d.level(k), d.checked(atoms));
             d.levels->take_adjoints(k, atoms, rows.mutable_data());
             return rows;
           })
      .def("add_adjoints",
           [](Domain& d, int k, const Atoms& atoms, const Doubles& rows) {
             d.levels->add_adjoints(k, d.checked(atoms), d.rows(k, atoms, rows));
           })
      .def("finish", [](Domain& d) {  // (energies without E0s, forces, virial)
        d.levels->finish();
        return py::make_tuple(Doubles(py::ssize_t(d.to.energies.size()), d.to.energies.data()), array_of(d.to.forces),
                              array_of(d.to.virial));
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
}

}  // namespace nbcore::python
