// What the binding files share.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "base/threads.hpp"

namespace nbcore::python {

/// A C-contiguous array of doubles; NumPy converts what is not.
using Doubles = pybind11::array_t<double, pybind11::array::c_style | pybind11::array::forcecast>;

/// For calls that may take long: other Python threads run meanwhile, and Ctrl-C is heard (by the main thread, as Python
/// wants it; what its handler raises ends the call).
class Released {
  pybind11::gil_scoped_release nogil_;
  Watch watch_{[] {
    const pybind11::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  }};
};

void bind_gates(pybind11::module_& m);
void bind_potential(pybind11::module_& m);
void bind_levels(pybind11::module_& m);
void bind_training(pybind11::module_& m);
void bind_neighbours(pybind11::module_& m);
void bind_model_file(pybind11::module_& m);
void bind_optimizers(pybind11::module_& m);
void bind_so3(pybind11::module_& m);
void bind_bench(pybind11::module_& m);
void bind_scheme(pybind11::module_& m);

}  // namespace nbcore::python
