#include "potential/model_file.hpp"

#include <algorithm>

#include "python/arguments.hpp"
#include "python/module.hpp"

namespace py = pybind11;

namespace nbcore::python {
namespace {

std::string path_bytes(const py::object& path) {
  return py::module_::import("os").attr("fsencode")(path).cast<std::string>();
}

}  // namespace

void bind_model_file(py::module_& m) {
  m.def(
      "read_model_file",
      [](const py::object& path) {
        const std::string name = path_bytes(path);
        ModelFile file;
        {
          const Released release;
          file = read_model_file(name);
        }
        py::dict tensors;
        using Memory = std::shared_ptr<double[]>;
        const py::capsule owner(new Memory(file.memory), [](void* p) { delete static_cast<Memory*>(p); });
        for (const Tensor& tensor : file.tensors)
          tensors[py::str(tensor.name)] =
              Doubles(std::vector<py::ssize_t>(tensor.shape.begin(), tensor.shape.end()), tensor.data.data(), owner);
        return py::make_tuple(file.description, tensors);
      },
      py::arg("path"),
      R"(Description (JSON text) and arrays (name -> float64 array) of a model file, checked to the last bit.

Raises ModelFileError (not a model, damaged, of a newer release) and OSError (FileNotFoundError, ...).)");
  m.def(
      "write_model_file",
      [](const py::object& path, const std::string& description, const py::dict& tensors) {
        ModelFile file{description, {}, {}};
        std::vector<Doubles> arrays;  // keeps what the file points to
        for (const auto& [name, value] : tensors) {
          if (!py::isinstance<py::str>(name)) throw py::type_error("the names of arrays must be str");
          const std::string text = py::cast<std::string>(name);
          const Doubles& array =
              arrays.emplace_back(real_array(py::reinterpret_borrow<py::object>(value), text.c_str()));
          file.tensors.push_back({text,
                                  {array.shape(), array.shape() + array.ndim()},
                                  {const_cast<double*>(array.data()), std::size_t(array.size())}});
        }
        const std::string where = path_bytes(path);
        const Released release;
        write_model_file(where, file);
      },
      py::arg("path"), py::arg("description"), py::arg("tensors"),
      R"(Writes a model file, whole or not at all; the same contents give the same bytes.

description: a JSON object as text; tensors: dict name -> array of finite numbers.
Raises InputError (description, names, NaN) and OSError.)");
}

}  // namespace nbcore::python
