// The Python module nbcore._core: thin bindings, one file per layer. No numerics here.
#include "python/module.hpp"

#include <cerrno>

#include "base/error.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
  m.doc() = "C++ core of nbcore; use it through the Python package";
  py::register_exception_translator([](std::exception_ptr p) {
    const auto raise = [](const char* name, const std::exception& e) {
      const auto text =
          py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefault(e.what()));  // paths may be any bytes
      py::set_error(py::module_::import("nbcore.errors").attr(name), text);
    };
    try {
      if (p) std::rethrow_exception(p);
    } catch (const nbcore::SpeciesError& e) {
      raise("SpeciesError", e);
    } catch (const nbcore::InputError& e) {
      raise("InputError", e);
    } catch (const nbcore::ModelFileError& e) {
      raise("ModelFileError", e);
    } catch (const nbcore::NumericsError& e) {
      raise("NumericsError", e);
    } catch (const nbcore::IoError& e) {  // OSError picks FileNotFoundError, PermissionError, ... by the number
      errno = e.code;
      PyErr_SetFromErrnoWithFilename(PyExc_OSError, e.path.c_str());
    } catch (const nbcore::Error& e) {
      raise("Error", e);
    }
  });
  nbcore::python::bind_neighbours(m);
  nbcore::python::bind_model_file(m);
  nbcore::python::bind_optimizers(m);
  nbcore::python::bind_gates(m);
  nbcore::python::bind_scheme(m);
  nbcore::python::bind_potential(m);
  nbcore::python::bind_levels(m);
  nbcore::python::bind_training(m);
  nbcore::python::bind_so3(m);
  nbcore::python::bind_bench(m);
}
