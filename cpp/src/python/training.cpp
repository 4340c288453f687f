// TrainingSet for Python.
#include "train/training_set.hpp"

#include "python/arguments.hpp"
#include "python/structures.hpp"
#include "train/partials.hpp"

namespace py = pybind11;

namespace nbcore::python {

namespace {

using TermArguments = std::tuple<double, std::string, double>;  // weight, kind, delta

Labels labels_from(const py::dict& d, std::size_t n, const Structure& s) {
  Labels labels;
  labels.weights = d["weights"].cast<std::vector<double>>();
  labels.output_weights = d["output_weights"].cast<std::vector<double>>();
  if (!d["energy"].is_none()) labels.energy = d["energy"].cast<double>();
  if (!d["forces"].is_none()) {
    const Doubles f = d["forces"].cast<Doubles>();
    if (f.ndim() != 2 || f.shape(0) != py::ssize_t(n) || f.shape(1) != 3)
      throw py::value_error("forces must have shape (N, 3)");
    labels.forces.resize(n);
    if (n) std::copy(f.data(), f.data() + 3 * n, labels.forces[0].data());
  }
  for (const py::handle& value : d["outputs"]) {
    labels.outputs.emplace_back();
    if (value.is_none()) continue;
    const Doubles y = value.cast<Doubles>();
    labels.outputs.back().assign(y.data(), y.data() + y.size());
  }
  if (!d["stress"].is_none()) {
    const Doubles t = d["stress"].cast<Doubles>();
    if (t.size() != 9) throw py::value_error("stress must have shape (3, 3)");
    Mat3 stress;
    std::copy(t.data(), t.data() + 9, stress[0].data());
    labels.stress = stress;
    const Mat3& c = s.cell;
    labels.volume =
        std::abs(c[0][0] * (c[1][1] * c[2][2] - c[1][2] * c[2][1]) - c[0][1] * (c[1][0] * c[2][2] - c[1][2] * c[2][0]) +
                 c[0][2] * (c[1][0] * c[2][1] - c[1][1] * c[2][0]));
  }
  return labels;
}

Precision precision_of(bool single) { return single ? Precision::float32 : Precision::float64; }

std::pair<std::vector<Structure>, std::vector<Labels>> contents_of(const std::vector<py::dict>& items) {
  std::vector<Structure> structures;
  std::vector<Labels> labels;
  for (const py::dict& d : items) {
    structures.push_back(structure_from(d["positions"].cast<Doubles>(), d["numbers"].cast<std::vector<int>>(),
                                        d["cell"].cast<Doubles>(), d["pbc"].cast<std::array<bool, 3>>()));
    structures.back().leaves = leaves_from(d["leaves"].cast<py::dict>());
    if (!d["scheme"].is_none()) structures.back().scheme = d["scheme"].cast<std::shared_ptr<CompositionScheme>>();
    labels.push_back(labels_from(d, structures.back().numbers.size(), structures.back()));
  }
  return {std::move(structures), std::move(labels)};
}

}  // namespace

void bind_training(py::module_& m) {
  m.def("loss_kinds", [] {
    std::vector<std::string> names;
    for (const LossKind& kind : loss_kinds()) names.push_back(kind.name);
    return names;
  });
  m.def("loss_terms", [] {
    std::vector<std::pair<std::string, std::string>> names;  // term, label
    for (const LossTerm& term : loss_terms()) names.emplace_back(term.name, term.label);
    return names;
  });
  using Integers = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;
  m.def("cut", [](const Integers& atoms, const Doubles& cost) {
    const Partials p = cut({atoms.data(), std::size_t(atoms.size())}, {cost.data(), std::size_t(cost.size())});
    const auto array = [](const std::vector<std::int64_t>& x) { return Integers(py::ssize_t(x.size()), x.data()); };
    return py::make_tuple(array(p.places), array(p.starts), array(p.buffers),
                          Doubles(py::ssize_t(p.cost.size()), p.cost.data()));
  });
  m.def("ranges", [](const std::vector<Doubles>& costs, int ranks) {
    std::vector<std::span<const double>> trees;
    for (const Doubles& cost : costs) trees.emplace_back(cost.data(), std::size_t(cost.size()));
    return ranges(trees, ranks);
  });
  py::class_<TrainingSet>(m, "TrainingSet")
      .def(py::init([](std::shared_ptr<Potential> potential, const std::vector<py::dict>& items, int block) {
        auto [structures, labels] = contents_of(items);
        const Released nogil;
        return std::make_unique<TrainingSet>(potential, std::move(structures), std::move(labels), block);
      }))
      .def("hold",
           [](TrainingSet& self, const std::vector<py::dict>& items) {
             auto [structures, labels] = contents_of(items);
             const Released nogil;
             self.hold(std::move(structures), std::move(labels));
           })
      .def("__len__", &TrainingSet::size)
      .def("average_neighbours", &TrainingSet::average_neighbours)
      .def("states",
           [](TrainingSet& self, std::int64_t k) {
             std::vector<std::vector<std::vector<double>>> states;
             {
               const Released nogil;
               states = self.states(k);
             }
             std::vector<std::vector<Doubles>> arrays;
             for (const auto& parts : states)
               for (arrays.emplace_back(); const auto& part : parts)
                 arrays.back().push_back(Doubles(py::ssize_t(part.size()), part.data()));
             return arrays;
           })
      .def("n_sums",
           [](const TrainingSet& self, bool single_precision) { return self.n_sums(precision_of(single_precision)); })
      .def("gradient",
           [](const TrainingSet& self, const Doubles& sum, bool single_precision, const py::array& gradient) {
             if (sum.size() != self.n_sums(precision_of(single_precision)))
               throw ShapeError("a sum of another network, or of another precision");
             double* to = own_memory(gradient, "gradient", self.n_parameters());
             self.gradient(sum.data(), precision_of(single_precision), to);
           })
      .def(
          "evaluate",
          [](TrainingSet& self, const std::vector<std::pair<std::vector<std::int64_t>, int>>& partials,
             const std::vector<int>& groups, double weight, const std::vector<TermArguments>& terms,
             const std::vector<std::pair<TermArguments, double>>& output_terms, const std::vector<double>& elements,
             bool single_precision, int threads, const std::optional<py::array>& sums) {
            if (terms.size() != loss_terms().size())
              throw InputError("the loss wants a weight and a kind for each of its terms");
            Loss loss;
            for (const auto& [term_weight, kind, delta] : terms)
              loss.terms.push_back({term_weight, {&loss_kind(kind), delta}});
            for (const auto& [term, spread] : output_terms) {
              const auto& [term_weight, kind, delta] = term;
              loss.outputs.push_back({term_weight, spread, {&loss_kind(kind), delta}});
            }
            loss.elements = elements;
            std::vector<TrainingSet::Partial> all;
            for (const auto& [structures, buffers] : partials) all.push_back({structures, buffers});
            const Precision precision = precision_of(single_precision);
            double* to =
                sums ? own_memory(*sums, "sums", std::int64_t(groups.size()) * self.n_sums(precision)) : nullptr;
            TrainingSet::BatchResult e;
            {
              const Released nogil;
              e = self.evaluate(all, groups, weight, loss, precision, threads, to);
            }
            py::list forces, virials, outputs;
            for (const auto& f : e.forces) forces.append(array_of(f));
            for (const auto& v : e.virials) virials.append(array_of(v));
            for (const auto& y : e.outputs) outputs.append(arrays_of(y));
            return py::make_tuple(Doubles(py::ssize_t(e.energies.size()), e.energies.data()), forces, virials,
                                  Doubles(py::ssize_t(e.losses.size()), e.losses.data()), outputs);
          },
          py::arg("partials"), py::arg("groups"), py::arg("weight"), py::arg("terms"), py::arg("output_terms"),
          py::arg("elements"), py::arg("single_precision"), py::arg("threads"), py::arg("sums"));
}

}  // namespace nbcore::python
