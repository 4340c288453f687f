// What the binding files share.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace nbcore::python {

/// A C-contiguous array of doubles; NumPy converts what is not.
using Doubles = pybind11::array_t<double, pybind11::array::c_style | pybind11::array::forcecast>;

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
