// Potential and build information for Python.
#include "potential/potential.hpp"

#include "base/build_info.hpp"
#include "base/error.hpp"
#include "potential/committee.hpp"
#include "potential/hierarchy.hpp"
#include "python/structures.hpp"

namespace py = pybind11;

namespace nbcore::python {

Structure structure_from(const Doubles& positions, const std::vector<int>& numbers, const Doubles& cell,
                         const std::array<bool, 3>& pbc) {
  if (positions.ndim() != 2 || positions.shape(1) != 3) {
    std::string shape;
    for (py::ssize_t k = 0; k < positions.ndim(); ++k) shape += (k ? ", " : "") + std::to_string(positions.shape(k));
    throw InputError(message("positions must have shape (N, 3), got (", shape, ")"));
  }
  if (positions.shape(0) != py::ssize_t(numbers.size()))
    throw InputError(message("positions must have shape (N, 3) with N = ", numbers.size(), " species, got (",
                             positions.shape(0), ", 3)"));
  if (cell.ndim() != 2 || cell.shape(0) != 3 || cell.shape(1) != 3)
    throw InputError("cell must have shape (3, 3), rows are cell vectors");
  Structure s;
  s.positions.resize(numbers.size());
  std::copy(positions.data(), positions.data() + positions.size(), numbers.empty() ? nullptr : s.positions[0].data());
  s.numbers = numbers, s.pbc = pbc;
  std::copy(cell.data(), cell.data() + 9, s.cell[0].data());
  return s;
}

std::map<std::string, std::vector<double>> leaves_from(const py::dict& leaves) {
  std::map<std::string, std::vector<double>> out;
  for (const auto& [name, value] : leaves) {
    const Doubles a = py::cast<Doubles>(value);
    out[py::cast<std::string>(name)] = {a.data(), a.data() + a.size()};
  }
  return out;
}

Doubles array_of(const std::vector<Vec3>& v) {
  Doubles out({py::ssize_t(v.size()), py::ssize_t(3)});
  if (!v.empty()) std::copy(v[0].data(), v[0].data() + 3 * v.size(), out.mutable_data());
  return out;
}

Doubles array_of(const Mat3& m) {
  Doubles out({3, 3});
  std::copy(m[0].data(), m[0].data() + 9, out.mutable_data());
  return out;
}

py::list arrays_of(const std::vector<std::vector<double>>& values) {
  py::list out;
  for (const auto& v : values) out.append(Doubles(py::ssize_t(v.size()), v.data()));
  return out;
}

namespace {
Doubles numbers_of(const std::vector<double>& v) { return Doubles(py::ssize_t(v.size()), v.data()); }

/// What beside energy, forces and virial is wanted
EvaluationOptions wanting(EvaluationOptions options, int threads, bool uncertainty, bool virials) {
  options.threads = threads, options.uncertainty = uncertainty, options.virials = virials;
  return options;
}

py::tuple tuple_of(const Result& r, const EvaluationOptions& options) {
  py::object uncertainty = py::none();
  if (r.uncertainty)
    uncertainty =
        py::make_tuple(r.uncertainty->energy, numbers_of(r.uncertainty->forces), numbers_of(r.uncertainty->grades));
  py::object virials = py::none();
  if (options.virials) {
    Doubles of_atoms({py::ssize_t(r.virials.size()), py::ssize_t(3), py::ssize_t(3)});
    if (!r.virials.empty())
      std::copy(r.virials[0][0].data(), r.virials[0][0].data() + 9 * r.virials.size(), of_atoms.mutable_data());
    virials = of_atoms;
  }
  return py::make_tuple(r.energy, array_of(r.forces), array_of(r.virial), numbers_of(r.energies), arrays_of(r.outputs),
                        uncertainty, numbers_of(r.features), virials);
}
}  // namespace

void bind_potential(py::module_& m) {
  py::class_<PreparedStructure, std::shared_ptr<PreparedStructure>>(m, "PreparedStructure");
  py::class_<Potential, std::shared_ptr<Potential>>(m, "Potential")
      .def(py::init<const std::string&>())
      .def_property_readonly("parameters",
                             [](std::shared_ptr<Potential> self) {
                               auto* owner = new std::shared_ptr<Potential>(self);  // lives as long as the array
                               const py::capsule view(owner, [](void* p) {
                                 auto* potential = static_cast<std::shared_ptr<Potential>*>(p);
                                 (*potential)->end_view();
                                 delete potential;
                               });
                               std::vector<double>& p = self->begin_view();
                               return py::array_t<double>(py::ssize_t(p.size()), p.data(), view);
                             })
      .def_static("load", &Potential::load)
      .def_property_readonly("description", &Potential::description)
      .def_property_readonly("description_version", &Potential::description_version)
      .def_property_readonly("version", &Potential::version)
      .def("annotate", &Potential::annotate)
      .def("set_parameters", &Potential::set_parameters)
      .def("rescale", &Potential::rescale)
      .def("slices",
           [](const Potential& self) {
             py::list out;
             for (const ParameterSlice& s : self.network().parameters())
               out.append(py::make_tuple(s.name, s.begin, s.shape, s.deviation));
             return out;
           })
      .def("slots",
           [](const Potential& self) {
             py::list out;
             for (const auto& s : self.network().slots()) {
               py::list parts;
               for (const Part& p : s.parts) parts.append(py::make_tuple(p.l, p.parity, p.channels()));
               out.append(py::make_tuple(s.name, s.level, parts));
             }
             return out;
           })
      .def_property_readonly("sets",
                             [](const Potential& self) {
                               std::vector<std::string> names;
                               for (const auto& set : self.network().sets()) names.push_back(set.name);
                               return names;
                             })
      .def_property_readonly("levels",
                             [](const Potential& self) {
                               int levels = 0;  // of the atoms
                               for (int k = 1; k <= self.network().levels(); ++k)
                                 levels += self.network().level(k).set == atom_set;
                               return levels;
                             })
      .def_property_readonly("cutoff", &Potential::cutoff)
      .def_property_readonly("r_min", &Potential::r_min)
      .def_property_readonly("species", &Potential::species)
      .def_property(
          "E0s", [](const Potential& self) { return self.scales()->E0s; }, &Potential::set_E0s)
      .def_property_readonly("outputs",
                             [](const Potential& self) {  // (name, slot, per atom, components)
                               py::list out;
                               for (const Network::Output& o : self.network().outputs())
                                 out.append(py::make_tuple(o.name, o.slot, o.per_atom, o.components));
                               return out;
                             })
      .def("set_offsets", &Potential::set_offsets)
      .def("set_repulsion", &Potential::set_repulsion, "radii [species x species], Angstrom; empty: none")
      .def("set_spreads", &Potential::set_spreads)
      .def_property(
          "scale", [](const Potential& self) { return self.scales()->scale; }, &Potential::set_scale)
      .def_property(
          "single_precision", [](const Potential& self) { return self.defaults().precision == Precision::float32; },
          [](Potential& self, bool single) { self.set_precision(single ? Precision::float32 : Precision::float64); })
      .def_property(
          "radial_splines", [](const Potential& self) { return self.defaults().radial_splines; },
          &Potential::set_radial_splines)
      .def("radial_networks",
           [](const Potential& self) {  // (gate, functions of the basis, widths, spline or None)
             const auto stand_ins = self.defaults().radial_splines
                                        ? self.stand_ins<double>(std::vector<char>(self.species().size(), 0), 0)
                                        : nullptr;
             const Network& network = self.network();
             py::list out;
             network.each_radial_network([&](const Network::Slot& slot, int k, const RadialPlace& place) {
               const Radial& r = slot.rule->radials[k];
               const int relation = network.level(slot.level).relation;
               py::object about = py::none();
               const auto tell = [&](const auto& s, bool tabulated) {
                 about = py::make_tuple(s.intervals(), s.from(), r.cutoff, s.error(), s.slope_error(), tabulated);
               };
               const auto worst = [](const std::vector<BSplines>& splines) -> const BSplines& {  // of all pairs
                 return *std::max_element(splines.begin(), splines.end(), [](const BSplines& a, const BSplines& b) {
                   return a.slope_error() < b.slope_error();
                 });
               };
               if (stand_ins) {
                 const RadialStandIn<double>& of = stand_ins->radials[relation][place.set];
                 if (of.table) tell(worst(of.table->splines), true);
                 else if (of.spline) tell(*of.spline, false);
               }
               const std::vector<int> widths(r.layers.begin(), r.layers.begin() + r.n_layers());
               out.append(py::make_tuple(slot.name, r.n, widths, about));
             });
             return out;
           })
      .def("bytes_per_atom",
           [](const Potential& self, const Doubles& positions, const std::vector<int>& numbers, const Doubles& cell,
              const std::array<bool, 3>& pbc, std::shared_ptr<CompositionScheme> scheme, const py::dict& leaves,
              bool repeated) {
             Structure s = structure_from(positions, numbers, cell, pbc);
             s.scheme = std::move(scheme), s.leaves = leaves_from(leaves);
             const Released nogil;
             return self.bytes_per_atom(s, repeated, self.defaults().precision);
           })
      .def(
          "compute",
          [](const Potential& self, const Doubles& positions, const std::vector<int>& numbers, const Doubles& cell,
             const std::array<bool, 3>& pbc, int threads, std::shared_ptr<CompositionScheme> scheme,
             const py::dict& leaves, double max_bytes, bool golden, bool uncertainty, bool features, bool virials) {
            Structure s = structure_from(positions, numbers, cell, pbc);
            s.scheme = std::move(scheme), s.leaves = leaves_from(leaves);
            Result r;
            EvaluationOptions options = wanting(golden ? EvaluationOptions{.radial_splines = false} : self.defaults(),
                                                threads, uncertainty, virials);
            options.max_bytes = max_bytes, options.features = features;
            {
              const Released nogil;
              r = self.compute(s, options);
            }
            return tuple_of(r, options);
          },
          py::arg("positions"), py::arg("numbers"), py::arg("cell"), py::arg("pbc"), py::arg("threads"),
          py::arg("scheme") = py::none(), py::arg("leaves") = py::dict(), py::arg("max_bytes") = 0.0,
          py::arg("golden") = false, py::arg("uncertainty") = false, py::arg("features") = false,
          py::arg("virials") = false)
      .def("hierarchicality",
           [](const Potential& self, const Doubles& positions, const std::vector<int>& numbers, const Doubles& cell,
              const std::array<bool, 3>& pbc, int threads, std::shared_ptr<CompositionScheme> scheme,
              const py::dict& leaves, double max_bytes) {
             Structure s = structure_from(positions, numbers, cell, pbc);
             s.scheme = std::move(scheme), s.leaves = leaves_from(leaves);
             EvaluationOptions options = wanting(self.defaults(), threads, false, false);
             options.max_bytes = max_bytes, options.hierarchicality = true;
             Result r;
             {
               const Released nogil;
               r = self.compute(s, options);
             }
             return numbers_of(r.hierarchicality);
           })
      .def_property_readonly("has_energies_by_level",
                             [](const Potential& self) { return !levels_of_energy(self.network()).empty(); })
      .def_property_readonly("n_features", [](const Potential& self) { return self.last_layer().size(); })
      .def_property_readonly("uncertainty",
                             [](const Potential& self) -> py::object {  // whitening [species][feature][feature]
                               const auto known = self.uncertainty();
                               if (!known) return py::none();
                               const py::ssize_t n = self.last_layer().size();
                               return Doubles({py::ssize_t(self.species().size()), n, n}, known->whitening.data());
                             })
      .def("set_uncertainty",
           [](Potential& self, const std::string& description, const Doubles& whitening) {
             self.set_uncertainty(std::make_shared<const LastLayerUncertainty>(
                 last_layer_uncertainty(Options(description), self.species(),
                                        {whitening.data(), std::size_t(whitening.size())}, self.last_layer().size())));
           })
      .def("forget_uncertainty", [](Potential& self) { self.set_uncertainty(nullptr); })
      .def("prepare",
           [](const Potential& self, const Doubles& positions, const std::vector<int>& numbers, const Doubles& cell,
              const std::array<bool, 3>& pbc, std::shared_ptr<CompositionScheme> scheme, const py::dict& leaves) {
             Structure s = structure_from(positions, numbers, cell, pbc);
             s.scheme = std::move(scheme), s.leaves = leaves_from(leaves);
             const Released nogil;
             return std::make_shared<PreparedStructure>(self.prepare(std::move(s)));
           })
      .def("compute_prepared",
           [](const Potential& self, const PreparedStructure& prepared, int threads, bool uncertainty, bool virials) {
             const EvaluationOptions options = wanting(self.defaults(), threads, uncertainty, virials);
             Result r;
             {
               const Released nogil;
               r = self.compute(prepared, options);
             }
             return tuple_of(r, options);
           });

  py::class_<Committee, std::shared_ptr<Committee>>(m, "Committee")
      .def(py::init([](const std::vector<std::shared_ptr<Potential>>& members) {
        return std::make_shared<Committee>(members, std::nullopt);
      }))
      .def_static("load", &Committee::load)
      .def_property_readonly("members", &Committee::members)
      .def_property_readonly("scales",
                             [](const Committee& self) -> py::object {  // (energy, forces per element)
                               if (!self.scales()) return py::none();
                               return py::make_tuple(self.scales()->energy, self.scales()->forces);
                             })
      .def("set_scales",
           [](Committee& self, const std::string& description) {
             self.set_scales(committee_scales(Options(description), self.first().species()));
           })
      .def("compute",
           [](const Committee& self, const Doubles& positions, const std::vector<int>& numbers, const Doubles& cell,
              const std::array<bool, 3>& pbc, int threads, std::shared_ptr<CompositionScheme> scheme,
              const py::dict& leaves, double max_bytes, bool uncertainty, bool virials) {
             Structure s = structure_from(positions, numbers, cell, pbc);
             s.scheme = std::move(scheme), s.leaves = leaves_from(leaves);
             EvaluationOptions options = wanting(self.first().defaults(), threads, uncertainty, virials);
             options.max_bytes = max_bytes;
             Result r;
             {
               const Released nogil;
               r = self.compute(s, options);
             }
             return tuple_of(r, options);
           })
      .def("compute_prepared",
           [](const Committee& self, const PreparedStructure& prepared, int threads, bool uncertainty, bool virials) {
             const EvaluationOptions options = wanting(self.first().defaults(), threads, uncertainty, virials);
             Result r;
             {
               const Released nogil;
               r = self.compute(prepared, options);
             }
             return tuple_of(r, options);
           });

  m.def("gate_types", [] {
    py::dict out;
    for (const GateType* type : gate_types())
      out[py::str(type->name)] = py::make_tuple(type->summary, as_json(type->options), type->reads == Reads::pairs);
    return out;
  });
  m.def("radial_options", [] { return as_json(radial_options); });
  m.def("build_info", [] {
    const BuildInfo info = build_info();
    py::dict d;
    d["kernel_set"] = info.kernel_set, d["compiler"] = info.compiler, d["openmp"] = info.openmp;
    return d;
  });
}

}  // namespace nbcore::python
