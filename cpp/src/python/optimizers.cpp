// nbcore.train.SGD, Adam and Muon; what else a step does with vectors of parameters.
#include "train/optimizers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "python/arguments.hpp"
#include "python/module.hpp"
#include "train/muon.hpp"
#include "train/vectors.hpp"

namespace py = pybind11;

namespace nbcore::python {
namespace {

template <class Optimizer> void step(Optimizer& optimizer, const py::array& parameters, const py::object& gradient) {
  const Doubles along = real_array(gradient, "gradient");
  if (along.ndim() != 1) throw ShapeError(message("gradient must have shape (n,), got ", shape_of(along)));
  double* theta = own_memory(parameters, "parameters", parameters.size());
  optimizer.step({theta, static_cast<std::size_t>(parameters.size())},
                 {along.data(), static_cast<std::size_t>(along.size())});
}

auto copied(const std::vector<double>& v) { return py::array_t<double>(static_cast<py::ssize_t>(v.size()), v.data()); }

/// The array `name` of a state; InputError if it is missing, or holds what no step leaves.
std::vector<double> from_state(const py::dict& state, const char* name, double least) {
  if (!state.contains(name)) throw InputError(message("state: no entry \"", name, "\""));
  const Doubles a = real_array(state[name], name);
  const auto bad =
      std::find_if(a.data(), a.data() + a.size(), [&](double x) { return !std::isfinite(x) || x < least; });
  if (bad != a.data() + a.size())
    throw InputError(message("state: number ", bad - a.data(), " of ", name, " is ", *bad));
  return {a.data(), a.data() + a.size()};
}

constexpr double any = std::numeric_limits<double>::lowest();

std::int64_t steps_from(const py::dict& state) {
  const auto steps = from_state(state, "steps", 0);
  if (steps.size() != 1 || steps[0] != std::floor(steps[0]) || steps[0] > 9e15)
    throw InputError("state: steps must be one whole number");
  return static_cast<std::int64_t>(steps[0]);
}

void same_length(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) throw InputError(message("state: moments of ", a.size(), " and ", b.size(), " numbers"));
}

/// The state of an optimizer with two moments, as Adam and Muon have them
template <class Optimizer> py::dict moments(const Optimizer& o) {
  return py::dict(py::arg("first_moment") = copied(o.first), py::arg("second_moment") = copied(o.second),
                  py::arg("largest_second_moment") = copied(o.peak),
                  py::arg("steps") = py::array_t<double>(1, std::vector{double(o.steps)}.data()));
}

/// has_peak: whether it keeps the largest second moments, too. An error leaves the optimizer as it was.
template <class Optimizer> void load_moments(Optimizer& o, const py::dict& state, bool has_peak) {
  auto first = from_state(state, "first_moment", any), second = from_state(state, "second_moment", 0);
  auto peak = from_state(state, "largest_second_moment", 0);
  const std::int64_t steps = steps_from(state);
  same_length(first, second);
  if (has_peak) same_length(first, peak);
  o.first = std::move(first), o.second = std::move(second), o.peak = std::move(peak);
  o.steps = steps;
}

}  // namespace

void bind_optimizers(py::module_& m) {
  m.def("square_sums", [](const Doubles& x, const std::vector<std::int64_t>& first) {
    for (std::size_t k = 0; k < first.size(); ++k)
      if (first[k] < (k ? first[k - 1] : 0) || first[k] > x.size()) throw InputError("square_sums: first out of order");
    py::array_t<double> sums(static_cast<py::ssize_t>(first.size()));
    square_sums({x.data(), static_cast<std::size_t>(x.size())}, first, sums.mutable_data());
    return sums;
  });
  m.def("move_average", [](const py::array& average, const Doubles& x, double share) {
    double* to = own_memory(average, "average", x.size());
    move_average({to, static_cast<std::size_t>(x.size())}, {x.data(), static_cast<std::size_t>(x.size())}, share);
  });
  const char* state_doc = "All that a later run needs to go on with the same bits, as a dict of arrays.";
  const char* load_doc = "Goes on from what `state()` gave.";
  const char* step_doc = "One step, in place on `parameters` (n,) float64, along `gradient` (n,).";

  py::class_<Sgd>(
      m, "SGD",
      R"(Stochastic gradient descent with momentum: u <- momentum u + (g + weight_decay theta), theta <- theta - lr u.

Polyak 1964. Example:

    optimizer = nbcore.train.SGD(lr=1e-3, momentum=0.9)
    loss, gradient = nbcore.train.loss_and_gradient(potential, structures)
    optimizer.step(potential.parameters, gradient))")
      .def(py::init<double, double, double>(), py::arg("lr"), py::arg("momentum") = 0.0, py::arg("weight_decay") = 0.0)
      .def("step", &step<Sgd>, py::arg("parameters"), py::arg("gradient"), step_doc)
      .def_readwrite("lr", &Sgd::lr, "Step length; may be changed between steps.")
      .def(
          "state", [](const Sgd& s) { return py::dict(py::arg("velocity") = copied(s.velocity)); }, state_doc)
      .def(
          "load_state", [](Sgd& s, const py::dict& state) { s.velocity = from_state(state, "velocity", any); },
          py::arg("state"), load_doc);

  py::class_<Adam>(m, "Adam",
                   R"(Adam, AMSGrad (amsgrad=True) and AdamW (decoupled=True).

m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2, theta <- theta - lr m' / (sqrt(v') + eps), where the primes
divide by 1 - beta^t and AMSGrad takes the largest v so far. Kingma and Ba, arXiv:1412.6980; Reddi, Kale and Kumar,
arXiv:1904.09237; Loshchilov and Hutter, arXiv:1711.05101. Example:

    optimizer = nbcore.train.Adam(lr=0.01, amsgrad=True)
    loss, gradient = nbcore.train.loss_and_gradient(potential, structures)
    optimizer.step(potential.parameters, gradient))")
      .def(py::init([](double lr, std::pair<double, double> betas, double eps, double weight_decay, bool amsgrad,
                       bool decoupled) {
             return Adam(lr, betas.first, betas.second, eps, weight_decay, amsgrad, decoupled);
           }),
           py::arg("lr") = 0.001, py::arg("betas") = std::pair(0.9, 0.999), py::arg("eps") = 1e-8,
           py::arg("weight_decay") = 0.0, py::arg("amsgrad") = false, py::arg("decoupled") = false)
      .def("step", &step<Adam>, py::arg("parameters"), py::arg("gradient"), step_doc)
      .def_readwrite("lr", &Adam::lr, "Step length; may be changed between steps.")
      .def("state", &moments<Adam>, state_doc)
      .def(
          "load_state", [](Adam& a, const py::dict& state) { load_moments(a, state, a.amsgrad); }, py::arg("state"),
          load_doc);

  py::class_<Muon>(
      m, "Muon",
      R"(Muon: weight matrices step along their orthogonalised momentum, all other parameters as in AMSGrad.

M <- mu M + (1 - mu) G, W <- (1 - lr weight_decay) W - lr s O(mu M + (1 - mu) G), where O sets the singular values of a
matrix near one by polynomials in single precision, and s = 0.2 sqrt(max(rows, columns)) sqrt(max(1, rows / columns)).
The rate of AMSGrad is rest_lr lr. The same bits for any number of threads. Jordan and others 2024; Bernstein and Newhouse,
arXiv:2409.20325; docs/theory/muon.md.

matrices: a list of (first, count, rows, columns), from parameter `first` on `count` matrices, row after row. A potential's
weights of mixings: `nbcore.train.optimizers.weight_matrices(potential.parameter_slices)`. Example:

    matrices = nbcore.train.optimizers.weight_matrices(potential.parameter_slices)
    optimizer = nbcore.train.Muon(matrices, lr=0.02)
    loss, gradient = nbcore.train.loss_and_gradient(potential, structures)
    optimizer.step(potential.parameters, gradient))")
      .def(py::init([](const std::vector<std::array<std::int64_t, 4>>& matrices, double lr, double momentum,
                       double beta2, double eps, double weight_decay, double rest_lr, int threads) {
             std::vector<Muon::Matrices> all;
             for (const auto& [first, count, rows, columns] : matrices) all.push_back({first, count, rows, columns});
             return std::make_unique<Muon>(lr, std::move(all), momentum, beta2, eps, weight_decay, rest_lr, threads);
           }),
           py::arg("matrices"), py::arg("lr") = 0.02, py::arg("momentum") = 0.95, py::arg("beta2") = 0.999,
           py::arg("eps") = 1e-8, py::arg("weight_decay") = 0.0, py::arg("rest_lr") = 1.0, py::arg("threads") = 1)
      .def("step", &step<Muon>, py::arg("parameters"), py::arg("gradient"), step_doc)
      .def_readwrite("lr", &Muon::lr, "Step length; may be changed between steps.")
      .def_property("threads", &Muon::threads, &Muon::set_threads, "Among which matrices are divided.")
      .def("take_part", &Muon::take_part, py::arg("part"), py::arg("parts"),
           "From now on a step moves, of the matrices, those of one part alone: `matrices_of(part, n)`.")
      .def("matrices_of", &Muon::matrices_of, py::arg("part"), py::arg("n"),
           "(first, count) of the parameters of the matrices of a part, among n parameters.")
      .def("state", &moments<Muon>, state_doc)
      .def(
          "load_state", [](Muon& a, const py::dict& state) { load_moments(a, state, true); }, py::arg("state"),
          load_doc);
}

}  // namespace nbcore::python
