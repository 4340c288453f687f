// nbcore for C++17: the C interface (nbcore.h, which describes each call) with objects that give back what they took,
// and exceptions in the place of statuses. Nothing to link but libnbcore.
//
//   const nbcore::Model model("acac.nbcore");
//   nbcore::System system(positions, numbers);          // std::vector, or anything with data() and size()
//   system.cell = cell, system.pbc = pbc;
//   nbcore::Results results;                             // kept from step to step
//   model.compute(system, results);                      // results.energy, results.forces, ...
#pragma once
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "nbcore/nbcore.h"

namespace nbcore {
inline namespace c_interface {  // other symbols than those inside of the library

/// What a call said that did not succeed; what() is the message.
struct Error : std::runtime_error {
  Error(nbcore_status status, const std::string& text) : std::runtime_error(text), status(status) {}
  nbcore_status status;
};

/// Error, or std::bad_alloc where memory is out
inline void check(nbcore_status status) {
  if (status == NBCORE_EMEMORY) throw std::bad_alloc();
  if (status != NBCORE_OK) throw Error(status, nbcore_message());
}

struct Options : nbcore_options {
  Options() : nbcore_options NBCORE_OPTIONS {}
};

/// What it points to is the caller's, and must be there while it is used.
struct System : nbcore_system {
  System() : nbcore_system NBCORE_SYSTEM {}
  /// positions: x, y, z of one atom after the other; numbers: of as many atoms, the last n_ghosts of them ghosts
  template <class Positions, class Numbers>
  System(const Positions& positions, const Numbers& numbers, std::size_t n_ghosts = 0) : System() {
    if (positions.size() != 3 * numbers.size() || n_ghosts > numbers.size())
      throw std::invalid_argument(
          "nbcore::System: positions must have three numbers per atom, and ghosts be among them");
    this->positions = positions.data(), this->numbers = numbers.data();
    this->n = static_cast<std::int64_t>(numbers.size() - n_ghosts),
    this->n_ghosts = static_cast<std::int64_t>(n_ghosts);
  }
};

/// What is wanted, and arrays for it that grow and stay from call to call
struct Results {
  bool want_forces = true, want_virial = true, want_energies = true, want_virials = false, want_outputs = false,
       want_uncertainty = false;
  double energy = 0;
  std::vector<double> forces, virial, energies, virials;  // [n + n_ghosts][3], [3][3], [n], [n + n_ghosts][3][3]
  std::vector<std::vector<double>> outputs;
  double energy_uncertainty = 0;
  std::vector<double> forces_uncertainty, grades;  // grades: not of a committee
};

/// Of a covariant output, or of a leaf state
struct Array {
  std::string name;
  int numbers;
  bool per_atom;
};

/// Of the golden cases of a model: how many there are, and the largest difference from what the file keeps
struct Golden {
  int cases;
  double difference;
};

/// A handle that is given back, once
template <class T, nbcore_status (*give_back)(T*)> class Handle {
 public:
  Handle() = default;
  Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Handle() { give_back(handle_); }
  T* get() const { return handle_; }
  T** address() { return &handle_; }

 private:
  T* handle_ = nullptr;
};

class Scheme {
 public:
  explicit Scheme(std::int64_t n_atoms) { check(nbcore_scheme_new(n_atoms, handle_.address())); }
  void add(const std::string& name, const std::string& children, std::int64_t n_nodes, const int* classes,
           const std::int64_t* atom_first, const int* atoms, const double* coefficients, const int* atom_images,
           const std::int64_t* child_first, const int* child, const int* child_images) {
    check(nbcore_scheme_add(handle_.get(), name.c_str(), children.c_str(), n_nodes, classes, atom_first, atoms,
                            coefficients, atom_images, child_first, child, child_images));
  }
  void set_reference(const double* places) { check(nbcore_scheme_reference(handle_.get(), places)); }
  nbcore_scheme* get() const { return handle_.get(); }

 private:
  Handle<nbcore_scheme, nbcore_scheme_free> handle_;
};

/// May be used by several threads at once.
class Model {
 public:
  explicit Model(const std::string& path) { check(nbcore_load(path.c_str(), handle_.address())); }
  Model(const void* bytes, std::size_t n) { check(nbcore_load_memory(bytes, n, handle_.address())); }
  nbcore_model* get() const { return handle_.get(); }

  nbcore_info info() const {
    nbcore_info info = NBCORE_INFO;
    check(nbcore_get_info(get(), &info));
    return info;
  }
  double cutoff() const { return info().cutoff; }
  std::vector<int> species() const {
    int n = 0;
    std::vector<int> numbers(static_cast<std::size_t>(info().species));
    check(nbcore_species(get(), static_cast<int>(numbers.size()), numbers.data(), &n));
    return numbers;
  }
  std::string digest() const {
    char digest[65];
    check(nbcore_digest(get(), digest));
    return digest;
  }
  Golden check_golden() const {
    Golden golden;
    check(nbcore_check_golden(get(), &golden.cases, &golden.difference));
    return golden;
  }
  std::vector<Array> outputs() const {
    std::vector<Array> all;
    for (int k = 0; k < info().outputs; ++k) {
      char name[256];
      int numbers, per_atom;
      check(nbcore_output(get(), k, sizeof name, name, &numbers, &per_atom));
      all.push_back({name, numbers, per_atom == 1});
    }
    return all;
  }
  std::vector<Array> leaves() const {
    std::vector<Array> all;
    for (int k = 0; k < info().leaves; ++k) {
      char name[256];
      int numbers;
      check(nbcore_leaf(get(), k, sizeof name, name, &numbers));
      all.push_back({name, numbers, true});
    }
    return all;
  }
  double closest(int number, int other) const {
    double distance;
    check(nbcore_closest(get(), number, other, &distance));
    return distance;
  }
  nbcore_uncertainty_kind uncertainty() const {
    nbcore_uncertainty_kind kind;
    check(nbcore_uncertainty(get(), &kind));
    return kind;
  }
  void set_precision(int bits) { check(nbcore_set_precision(get(), bits)); }
  void set_skin(double skin) { check(nbcore_set_skin(get(), skin)); }
  void set_max_bytes(std::int64_t bytes) { check(nbcore_set_max_bytes(get(), bytes)); }

  /// Into arrays of the caller's
  void compute(const nbcore_system& system, const nbcore_result& result,
               const nbcore_options& options = Options()) const {
    check(nbcore_compute(get(), &system, &options, &result));
  }
  void compute(const nbcore_system& system, Results& results, const nbcore_options& options = Options()) const {
    std::vector<double*> outputs;
    compute(system, room(system, results, outputs), options);
  }
  /// Sizes the arrays for what is wanted of a system; outputs: memory for the pointers
  nbcore_result room(const nbcore_system& system, Results& r, std::vector<double*>& outputs) const {
    const auto sized = [](std::int64_t n) {
      return static_cast<std::size_t>(n > 0 ? n : 0);
    };  // the call refuses others
    const std::size_t n = sized(system.n), n_all = n + sized(system.n_ghosts);
    nbcore_result result = NBCORE_RESULT;
    const auto array = [](bool wanted, std::size_t size, std::vector<double>& a) {
      a.resize(wanted ? size : 0);
      return wanted ? a.data() : nullptr;
    };
    result.energy = &r.energy;
    result.forces = array(r.want_forces, 3 * n_all, r.forces), result.virial = array(r.want_virial, 9, r.virial);
    result.energies = array(r.want_energies, n, r.energies);
    result.virials = array(r.want_virials, 9 * n_all, r.virials);
    if (r.want_outputs) {
      const std::vector<Array> all = this->outputs();
      r.outputs.resize(all.size()), outputs.resize(all.size());
      for (std::size_t k = 0; k < all.size(); ++k)
        outputs[k] = array(true, static_cast<std::size_t>(all[k].numbers) * (all[k].per_atom ? n : 1), r.outputs[k]);
      result.outputs = outputs.data();
    }
    const bool has_grades = r.want_uncertainty && info().members == 1;
    if (r.want_uncertainty) result.energy_uncertainty = &r.energy_uncertainty;
    result.forces_uncertainty = array(r.want_uncertainty, n, r.forces_uncertainty);
    result.grades = array(has_grades, n, r.grades);
    return result;
  }

 private:
  Handle<nbcore_model, nbcore_free> handle_;
};

/// nbcore_levels: the states of ghosts are exchanged by the caller, see nbcore.h.
class Levels {
 public:
  explicit Levels(const Model& model, const nbcore_options& options = Options()) {
    check(nbcore_levels_new(model.get(), &options, handle_.address()));
  }
  std::size_t row_bytes(int level) const {
    std::size_t bytes;
    check(nbcore_levels_row_bytes(handle_.get(), level, &bytes));
    return bytes;
  }
  void begin(const nbcore_system& system, const nbcore_result& result) {
    check(nbcore_levels_begin(handle_.get(), &system, &result));
  }
  void forward(int level) { check(nbcore_levels_forward(handle_.get(), level)); }
  void adjoint(int level) { check(nbcore_levels_adjoint(handle_.get(), level)); }
  void finish() { check(nbcore_levels_finish(handle_.get())); }
  void read_states(int level, const std::vector<int>& atoms, void* rows) {
    check(nbcore_levels_read_states(handle_.get(), level, size(atoms), atoms.data(), rows));
  }
  void write_states(int level, const std::vector<int>& atoms, const void* rows) {
    check(nbcore_levels_write_states(handle_.get(), level, size(atoms), atoms.data(), rows));
  }
  void take_adjoints(int level, const std::vector<int>& atoms, void* rows) {
    check(nbcore_levels_take_adjoints(handle_.get(), level, size(atoms), atoms.data(), rows));
  }
  void add_adjoints(int level, const std::vector<int>& atoms, const void* rows) {
    check(nbcore_levels_add_adjoints(handle_.get(), level, size(atoms), atoms.data(), rows));
  }

 private:
  static std::int64_t size(const std::vector<int>& atoms) { return static_cast<std::int64_t>(atoms.size()); }
  Handle<nbcore_levels, nbcore_levels_free> handle_;
};

}  // namespace c_interface
}  // namespace nbcore
