// Arrays in, arrays out: the arguments are checked in nbcore/so3, which documents them.
#include <algorithm>
#include <array>
#include <complex>
#include <initializer_list>

#include "base/error.hpp"
#include "python/module.hpp"
#include "so3/clebsch_gordan.hpp"
#include "so3/harmonics_of_vectors.hpp"
#include "so3/product.hpp"
#include "so3/wigner_d.hpp"

namespace py = pybind11;

namespace nbcore::python {
namespace {

using Coupling = std::vector<double> (*)(int, int, int);

/// Whether `a` is a contiguous array of this shape and type.
template <class Real> bool fits(const py::handle& a, std::initializer_list<py::ssize_t> shape) {
  if (!py::isinstance<py::array_t<Real, py::array::c_style>>(a)) return false;
  const auto array = py::reinterpret_borrow<py::array>(a);
  return std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim());
}

template <class Real>
bool harmonics_of(bool solid, int l_max, const py::array& vectors, const py::handle* results, int wanted, int threads) {
  const py::ssize_t n = vectors.shape(0), n_lm = l_max < 0 ? 0 : py::ssize_t(l_max + 1) * (l_max + 1);
  bool good = fits<Real>(vectors, {n, 3});
  const auto place = [&](int k, std::initializer_list<py::ssize_t> shape) -> Real* {
    if (k >= wanted || !(good = good && fits<Real>(results[k], shape))) return nullptr;
    auto array = py::reinterpret_borrow<py::array>(results[k]);
    good = array.writeable();
    return good ? static_cast<Real*>(array.mutable_data()) : nullptr;
  };
  const so3::HarmonicsOutput<Real> out{place(0, {n, n_lm}), place(1, {n, 3, n_lm}), place(2, {n, 3, 3, n_lm})};
  if (!good) return false;
  const Real* r = static_cast<const Real*>(vectors.data());
  const Released release;
  if (solid) so3::solid_harmonics(l_max, n, r, out, threads);
  else so3::spherical_harmonics(l_max, n, r, out, threads);
  return true;
}

/// Vectors (n, 3) to `wanted` arrays: values (n, lm), gradient (n, 3, lm), hessian (n, 3, 3, lm), the first alone or a
/// tuple. l_max an int, contiguous arrays of these shapes and of one type, or nothing is done and the answer is False.
bool harmonics(bool solid, const py::handle& l_max, const py::handle& vectors, const py::handle& out, int wanted,
               int threads) {
  if (!PyLong_CheckExact(l_max.ptr()) || !py::isinstance<py::array>(vectors)) return false;
  const bool several = PyTuple_CheckExact(out.ptr());
  if ((several ? PyTuple_GET_SIZE(out.ptr()) : 1) != wanted) return false;
  py::handle results[3] = {out};
  for (int k = 0; several && k < wanted; ++k) results[k] = PyTuple_GET_ITEM(out.ptr(), k);
  const auto r = py::reinterpret_borrow<py::array>(vectors);
  int overflow = 0;
  const long l = PyLong_AsLongAndOverflow(l_max.ptr(), &overflow);
  if (r.ndim() != 2 || overflow || l != int(l)) return false;
  return (r.itemsize() == 4 ? harmonics_of<float> : harmonics_of<double>)(solid, int(l), r, results, wanted, threads);
}

template <Coupling f> Doubles coupling(int l1, int l2, int l3) {
  const auto C = f(l1, l2, l3);
  return Doubles({2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1}, C.data());
}

/// (n, 3, 3) to matrices (n, 2l+1, 2l+1): of l_max alone or of all l = 0..l_max. One allocation holds them all: the
/// pages of many large ones would be given back and cleared again at every call.
std::vector<Doubles> wigner_D(int l_max, const Doubles& rotations, bool all, int threads) {
  const py::ssize_t n = rotations.shape(0), first = all ? 0 : l_max;
  const auto up_to = [&](py::ssize_t l) { return l * (2 * l - 1) * (2 * l + 1) / 3; };  // sum of (2k+1)^2, k < l
  const Doubles memory(n * (up_to(l_max + 1) - up_to(first)));
  std::vector<Doubles> matrices;
  std::vector<double*> places(l_max + 1);
  for (py::ssize_t l = first; l <= l_max; ++l) {
    const double* place = memory.data() + n * (up_to(l) - up_to(first));
    matrices.emplace_back(Doubles({n, 2 * l + 1, 2 * l + 1}, place, memory));
    places[l] = matrices.back().mutable_data();
  }
  const double* R = rotations.data();
  const Released release;
  so3::wigner_D(places, n, R, threads);
  return matrices;
}

// ---- products: states are arrays (n, dim), or lists of their parts, (n, (2l+1) channels); rows may lie apart ----

using Arrays = std::vector<py::array>;
using Shapes = std::vector<so3::PartShape>;

/// The rows of a matrix. What is written must be of type T already; so must what is read: Python sees to it.
template <class T> so3::PartArray<T> rows(const py::array& a, py::ssize_t n) {
  using Value = std::remove_const_t<T>;
  constexpr py::ssize_t size = sizeof(T);
  if (!py::isinstance<py::array_t<Value>>(a) || a.ndim() != 2 || a.shape(0) != n ||
      (a.shape(1) > 1 && a.strides(1) != size) || a.strides(0) % size != 0)
    throw ShapeError("product: states must be arrays (n, dim) of one type, rows without gaps");
  const void* data = std::is_const_v<T> ? a.data() : const_cast<py::array&>(a).mutable_data();
  return {static_cast<T*>(const_cast<void*>(data)), a.strides(0) / size};
}

/// The parts of n states: one array holds them all, or each has its own. None at all is nothing wanted.
template <class T> so3::PartArrays<T> parts(const Arrays& arrays, const Shapes& shapes, py::ssize_t n) {
  so3::PartArrays<T> all;
  if (arrays.empty()) return all;
  const bool whole = arrays.size() == 1;
  if (!whole && arrays.size() != shapes.size()) throw ShapeError("product: one array for each part");
  py::ssize_t offset = 0;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const py::array& a = arrays[whole ? 0 : i];
    so3::PartArray<T> part = rows<T>(a, n);
    if (whole) part.data += offset;
    offset = (whole ? offset : 0) + (2 * shapes[i].l + 1) * shapes[i].channels;
    if (offset > a.shape(1)) throw ShapeError("product: an array is too short for its parts");
    all.push_back(part);
  }
  return all;
}

/// f(T{}) for the type of the numbers in an array
template <class F> void by_type(const py::array& a, F f) {
  if (py::isinstance<py::array_t<float>>(a)) f(float{});
  else if (py::isinstance<py::array_t<double>>(a)) f(double{});
  else if (py::isinstance<py::array_t<std::complex<float>>>(a)) f(std::complex<float>{});
  else if (py::isinstance<py::array_t<std::complex<double>>>(a)) f(std::complex<double>{});
  else throw py::type_error("product: float32, float64, complex64 or complex128");
}

void product(const so3::Product& p, const Arrays& x, const Arrays& y, const Arrays& z, int threads) {
  by_type(z.at(0), [&]<class T>(T) {
    const py::ssize_t n = z[0].shape(0);
    const auto x_parts = parts<const T>(x, p.x(), n), y_parts = parts<const T>(y, p.y(), n);
    const auto z_parts = parts<T>(z, p.z(), n);
    const Released release;
    p.forward<T>(n, x_parts, y_parts, z_parts, threads);
  });
}

void product_adjoint(const so3::Product& p, const Arrays& x, const Arrays& y, const Arrays& z_bar, const Arrays& x_bar,
                     const Arrays& y_bar, int threads) {
  by_type(z_bar.at(0), [&]<class T>(T) {
    const py::ssize_t n = z_bar[0].shape(0);
    const auto x_parts = parts<const T>(x, p.x(), n), y_parts = parts<const T>(y, p.y(), n);
    const auto z_parts = parts<const T>(z_bar, p.z(), n);
    const auto x_bar_parts = parts<T>(x_bar, p.x(), n), y_bar_parts = parts<T>(y_bar, p.y(), n);
    const Released release;
    p.adjoint<T>(n, x_parts, y_parts, z_parts, x_bar_parts, y_bar_parts, threads);
  });
}

void couple(const so3::Product& p, const py::array& matrix, const Arrays& z, int threads) {
  by_type(matrix, [&]<class T>(T) {
    const py::ssize_t n = matrix.shape(0);
    const auto from = rows<const T>(matrix, n);
    const auto z_parts = parts<T>(z, p.z(), n);
    const Released release;
    p.couple<T>(n, from, z_parts, threads);
  });
}

void uncouple(const so3::Product& p, const Arrays& z, const py::array& matrix, int threads) {
  by_type(matrix, [&]<class T>(T) {
    const py::ssize_t n = matrix.shape(0);
    const auto z_parts = parts<const T>(z, p.z(), n);
    const auto to = rows<T>(matrix, n);
    const Released release;
    p.uncouple<T>(n, z_parts, to, threads);
  });
}

so3::Product make_product(const std::vector<std::pair<int, int>>& x, const std::vector<std::pair<int, int>>& y,
                          const std::vector<std::pair<int, int>>& z, const std::vector<std::array<int, 4>>& paths,
                          bool channelwise, bool complex_basis) {
  const auto shapes = [](const std::vector<std::pair<int, int>>& parts) {
    std::vector<so3::PartShape> all;
    for (const auto& [l, channels] : parts) all.push_back({l, channels});
    return all;
  };
  std::vector<so3::ProductPath> all;
  for (const auto& [a, b, c, channel] : paths) all.push_back({a, b, c, channel});
  return {shapes(x),      shapes(y),   shapes(z),
          std::move(all), channelwise, complex_basis ? so3::Basis::complex : so3::Basis::real};
}

}  // namespace

void bind_so3(py::module_& m) {
  m.attr("l_supported") = so3::l_supported;
  m.def("clebsch_gordan", coupling<so3::clebsch_gordan>);
  m.def("real_clebsch_gordan", coupling<so3::real_clebsch_gordan>);
  m.def("harmonics", harmonics);
  m.def("wigner_D", wigner_D);
  py::class_<so3::Product>(m, "Product")
      .def(py::init(&make_product))
      .def("forward", product)
      .def("adjoint", product_adjoint)
      .def("couple", couple)
      .def("uncouple", uncouple);
}

}  // namespace nbcore::python
