// Checked conversion of what users pass for positions, cell and boundary conditions.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/vec3.hpp"
#include "python/module.hpp"

namespace nbcore::python {

/// Any array of real numbers as C-contiguous doubles; other things are a TypeError. None is no array.
inline Doubles real_array(const pybind11::object& argument, const char* name) {
  namespace py = pybind11;
  const auto refuse = [&](const std::string& got) {
    throw py::type_error(message(name, " must be an array of numbers, got ", got));
  };
  if (argument.is_none()) refuse("None");
  py::array any;
  try {
    any = py::reinterpret_steal<py::array>(py::module_::import("numpy").attr("asarray")(argument).release());
  } catch (py::error_already_set& e) {  // a ragged list is a wrong shape, what NumPy calls ValueError
    if (!e.matches(PyExc_ValueError)) throw;
    throw ShapeError(message(name, " is no rectangular array of numbers: ", py::str(e.value()).cast<std::string>()));
  }
  const char kind = any.dtype().kind();
  if (any.size() != 0 && kind != 'f' && kind != 'i' && kind != 'u')
    refuse("dtype " + py::str(any.dtype()).cast<std::string>());
  return Doubles(any);
}

inline std::string shape_of(const pybind11::array& a) { return pybind11::str(a.attr("shape")).cast<std::string>(); }

/// The caller's own memory of n numbers, for what is written in place: a converted copy would be written and thrown
/// away. TypeError for float32, strides and read-only arrays, ShapeError for another length.
inline double* own_memory(const pybind11::array& a, const char* name, std::int64_t n) {
  namespace py = pybind11;
  if (!py::isinstance<py::array_t<double, py::array::c_style>>(a) || !a.writeable())
    throw py::type_error(message(name,
                                 " must be a writable, contiguous array of float64, since it is written in place; got ",
                                 a.writeable() ? "" : "a read-only one of ", py::str(a.dtype()).cast<std::string>(),
                                 ", strides ", py::str(a.attr("strides")).cast<std::string>()));
  if (a.ndim() != 1 || a.shape(0) != n)
    throw ShapeError(message(name, " must have shape (", n, ",), got ", shape_of(a)));
  return static_cast<double*>(const_cast<void*>(a.data()));
}

/// An array of shape (N, 3); no atoms may also be an empty list.
inline std::vector<Vec3> vectors(const pybind11::object& argument, const char* name = "positions") {
  const Doubles a = real_array(argument, name);
  if (a.ndim() == 1 && a.size() == 0) return {};
  if (a.ndim() != 2 || a.shape(1) != 3) throw ShapeError(message(name, " must have shape (N, 3), got ", shape_of(a)));
  std::vector<Vec3> out(static_cast<std::size_t>(a.shape(0)));
  for (std::size_t i = 0; i < out.size(); ++i)
    for (std::size_t k = 0; k < 3; ++k) out[i][k] = a.data()[3 * i + k];
  return out;
}

/// Rows are the cell's vectors; three lengths are the box they span; None is the zero cell.
inline Mat3 cell_matrix(const pybind11::object& argument) {
  Mat3 cell{};
  if (argument.is_none()) return cell;
  const Doubles a = real_array(argument, "cell");
  if (a.ndim() == 1 && a.shape(0) == 3) {
    for (std::size_t k = 0; k < 3; ++k) cell[k][k] = a.data()[k];
  } else if (a.ndim() == 2 && a.shape(0) == 3 && a.shape(1) == 3) {
    for (std::size_t k = 0; k < 9; ++k) cell[k / 3][k % 3] = a.data()[k];
  } else {
    throw ShapeError(message("cell must have shape (3, 3) or (3,), got ", shape_of(a)));
  }
  return cell;
}

/// True, False, or three of them.
inline std::array<bool, 3> boundary(const pybind11::object& argument) {
  namespace py = pybind11;
  const auto array = py::reinterpret_steal<py::array>(py::module_::import("numpy").attr("asarray")(argument).release());
  const char kind = array.dtype().kind();
  if (kind != 'b' && kind != 'i' && kind != 'u')
    throw py::type_error(
        message("pbc must be True, False or three of them, got ", py::repr(argument).cast<std::string>()));
  if (!(array.ndim() == 0 || (array.ndim() == 1 && array.shape(0) == 3)))
    throw ShapeError(message("pbc must be True, False or three of them, got shape ", shape_of(array)));
  const auto values = py::array_t<long long, py::array::c_style | py::array::forcecast>(array);
  std::array<bool, 3> pbc{};
  for (std::size_t k = 0; k < 3; ++k) {
    const long long value = values.data()[values.size() == 1 ? 0 : k];
    if (value != 0 && value != 1) throw InputError(message("pbc must be True or False (or 0 or 1), got ", value));
    pbc[k] = value != 0;
  }
  return pbc;
}

/// Moves a vector's contents into a NumPy array that owns them.
template <class T> pybind11::array_t<T> to_numpy(std::vector<T>&& data, std::vector<pybind11::ssize_t> shape) {
  auto* kept = new std::vector<T>(std::move(data));
  const pybind11::capsule owner(kept, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return pybind11::array_t<T>(std::move(shape), kept->data(), owner);
}

}  // namespace nbcore::python
