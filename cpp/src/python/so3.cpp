// Arrays in, arrays out: the arguments are checked in nbcore/so3, which documents them.
#include "python/module.hpp"
#include "so3/clebsch_gordan.hpp"
#include "so3/harmonics_of_vectors.hpp"
#include "so3/wigner_d.hpp"

namespace py = pybind11;

namespace nbcore::python {
namespace {

using Harmonics = void (*)(int, std::size_t, const double*, double*, double*);
using Coupling = std::vector<double> (*)(int, int, int);

/// (n, 3) -> (n, lm) or, with gradient, (n, lm) and (n, 3, lm)
template <Harmonics f> py::object harmonics(int l_max, const Doubles& vectors, bool gradient) {
  const py::ssize_t n = vectors.shape(0), n_lm = l_max < 0 ? 0 : py::ssize_t(l_max + 1) * (l_max + 1);
  Doubles Y({n, n_lm});
  Doubles dY({gradient ? n : 0, py::ssize_t(3), n_lm});
  const double* r = vectors.data();
  double *y = Y.mutable_data(), *dy = gradient ? dY.mutable_data() : nullptr;
  {
    const py::gil_scoped_release release;
    f(l_max, n, r, y, dy);
  }
  if (gradient) return py::make_tuple(Y, dY);
  return Y;
}

template <Coupling f> Doubles coupling(int l1, int l2, int l3) {
  const auto C = f(l1, l2, l3);
  return Doubles({2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1}, C.data());
}

/// (n, 3, 3) -> (n, 2l+1, 2l+1)
Doubles wigner_D(int l, const Doubles& rotations) {
  const py::ssize_t n = rotations.shape(0), n_m = l < 0 ? 0 : 2 * l + 1;
  Doubles D({n, n_m, n_m});
  const double* R = rotations.data();
  double* d = D.mutable_data();
  const py::gil_scoped_release release;
  so3::wigner_D(l, n, R, d);
  return D;
}

}  // namespace

void bind_so3(py::module_& m) {
  m.attr("l_supported") = so3::l_supported;
  m.def("clebsch_gordan", coupling<so3::clebsch_gordan>);
  m.def("real_clebsch_gordan", coupling<so3::real_clebsch_gordan>);
  m.def("spherical_harmonics", harmonics<so3::spherical_harmonics>);
  m.def("solid_harmonics", harmonics<so3::solid_harmonics>);
  m.def("wigner_D", wigner_D);
}

}  // namespace nbcore::python
