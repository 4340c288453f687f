// Composition schemes for Python.
#include "network/scheme.hpp"

#include "base/error.hpp"
#include "python/module.hpp"

#include <pybind11/stl.h>

namespace py = pybind11;

namespace nbcore::python {

namespace {

template <class T> std::vector<T> list_of(const py::dict& d, const char* key) {
  const auto a = d[key].cast<py::array_t<T, py::array::c_style | py::array::forcecast>>();
  return {a.data(), a.data() + a.size()};
}

std::vector<Image> images_of(const py::dict& d, const char* key) {
  const std::vector<std::int32_t> flat = list_of<std::int32_t>(d, key);
  std::vector<Image> images(flat.size() / 3);
  for (std::size_t k = 0; k < images.size(); ++k) images[k] = {flat[3 * k], flat[3 * k + 1], flat[3 * k + 2]};
  return images;
}

}  // namespace

void bind_scheme(py::module_& m) {
  py::class_<CompositionScheme, std::shared_ptr<CompositionScheme>>(m, "CompositionScheme")
      .def(py::init(
          [](int n_atoms, const std::vector<py::dict>& sets, const std::vector<std::array<double, 3>>& reference) {
            auto scheme = std::make_shared<CompositionScheme>();
            scheme->n_atoms = n_atoms, scheme->reference = reference;
            for (const py::dict& d : sets) {
              SchemeSet s;
              s.name = d["name"].cast<std::string>(), s.children = d["children"].cast<std::string>();
              s.classes = list_of<std::int32_t>(d, "classes");
              s.atom_first = list_of<std::int64_t>(d, "atom_first"), s.atom = list_of<std::int32_t>(d, "atom");
              s.coefficient = list_of<double>(d, "coefficient"), s.image = images_of(d, "image");
              s.child_first = list_of<std::int64_t>(d, "child_first"), s.child = list_of<std::int32_t>(d, "child");
              s.child_image = images_of(d, "child_image");
              scheme->sets.push_back(std::move(s));
            }
            scheme->check();
            return scheme;
          }));
}

}  // namespace nbcore::python
