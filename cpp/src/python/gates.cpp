// Single gates for Python, see nbcore/gates.py.
#include "network/single_gate.hpp"
#include "python/module.hpp"

namespace py = pybind11;

namespace nbcore::python {

namespace {

using Arrays = std::pair<Doubles, std::optional<Doubles>>;  // value, tangent

PlainArray plain(const Arrays& a) {
  PlainArray out;
  out.value.assign(a.first.data(), a.first.data() + a.first.size());
  if (a.second) out.dot.assign(a.second->data(), a.second->data() + a.second->size());
  return out;
}

py::tuple arrays(const PlainArray& a) {
  const auto array = [](const std::vector<double>& v) { return Doubles(py::ssize_t(v.size()), v.data()); };
  return py::make_tuple(array(a.value), a.dot.empty() ? py::object(py::none()) : py::object(array(a.dot)));
}

template <class Real> void bind_single(py::module_& m, const char* name) {
  using G = SingleGate<Real>;
  py::class_<G>(m, name)
      .def(py::init([](const std::string& spec, const std::vector<std::vector<std::array<int, 5>>>& inputs,
                       int n_species, bool o3, bool embedded) {
        std::vector<std::vector<Part>> parts;
        for (const auto& input : inputs) {
          parts.emplace_back();
          for (const auto& [l, parity, groups, group, complex] : input)
            parts.back().push_back({l, parity, groups, group, complex != 0});
        }
        return std::make_unique<G>(Options(spec), parts, n_species, o3, embedded);
      }))
      .def_property_readonly("output",
                             [](const G& self) {
                               std::vector<std::array<int, 5>> out;
                               for (const Part& p : self.rule().output)
                                 out.push_back({p.l, p.parity, p.groups, p.group, p.complex});
                               return out;
                             })
      .def_property_readonly("on_edges",
                             [](const G& self) {
                               std::vector<bool> all;
                               for (int k = 0; k < self.n_inputs(); ++k) all.push_back(self.on_edges(k));
                               return std::pair(all, self.on_edges(-1));
                             })
      .def_property_readonly("parameters",
                             [](const G& self) {
                               py::list out;
                               for (const ParameterInfo& p : self.rule().parameters)
                                 out.append(py::make_tuple(p.name, p.shape));
                               return out;
                             })
      .def("set_graph", [](G& self, const std::vector<int>& species, const std::vector<int>& parent,
                           const std::vector<int>& child, const std::vector<int>& partner, const Arrays& r,
                           bool dual) { self.set_graph(species, parent, child, partner, plain(r), dual); })
      .def("forward",
           [](G& self, const Doubles& parameters, const std::vector<Arrays>& inputs, bool dual) {
             std::vector<PlainArray> x;
             for (const Arrays& a : inputs) x.push_back(plain(a));
             return arrays(self.forward({parameters.data(), parameters.data() + parameters.size()}, x, dual));
           })
      .def("adjoint",
           [](G& self, const Arrays& output_bar, bool edges, bool parameters, bool dual) {
             const auto a = self.adjoint(plain(output_bar), Want{edges, parameters}, dual);
             py::list inputs;
             for (const PlainArray& x : a.inputs) inputs.append(arrays(x));
             return py::make_tuple(inputs, arrays(a.r), Doubles(py::ssize_t(a.parameters.size()), a.parameters.data()));
           })
      .def("repeat_forward", &G::repeat_forward, py::call_guard<py::gil_scoped_release>())
      .def(
          "repeat_adjoint",
          [](G& self, bool edges, bool parameters, bool dual, int times) {
            self.repeat_adjoint(Want{edges, parameters}, dual, times);
          },
          py::call_guard<py::gil_scoped_release>());
}

}  // namespace

void bind_gates(py::module_& m) {
  bind_single<double>(m, "SingleGate");
  bind_single<float>(m, "SingleGateFloat");
}

}  // namespace nbcore::python
