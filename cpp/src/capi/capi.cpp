// The C ABI: arguments checked and converted, exceptions turned into a status and a message. No numerics here.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>

#include "base/error.hpp"
#include "base/threads.hpp"
#include "nbcore/nbcore.h"
#include "potential/committee.hpp"

namespace {

using namespace nbcore;

thread_local char last_message[2048] = "";  // a fixed buffer: saying that memory is out must not need any
thread_local int last_errno = 0;

struct Interrupted {};  // by the caller's own function

nbcore_status fail(nbcore_status status, const char* text) {
  std::strncpy(last_message, text, sizeof last_message - 1);
  return status;
}

/// Runs f; whatever it throws becomes a status.
template <class F> nbcore_status guarded(F f) noexcept {
  try {
    f();
    return NBCORE_OK;
  } catch (const ShapeError& e) {
    return fail(NBCORE_ESHAPE, e.what());
  } catch (const NonFiniteError& e) {
    return fail(NBCORE_ENONFINITE, e.what());
  } catch (const CellError& e) {
    return fail(NBCORE_ECELL, e.what());
  } catch (const SpeciesError& e) {
    return fail(NBCORE_ESPECIES, e.what());
  } catch (const InputError& e) {
    return fail(NBCORE_EARG, e.what());
  } catch (const ModelFileError& e) {
    return fail(NBCORE_EMODEL, e.what());
  } catch (const OverlapError& e) {
    return fail(NBCORE_EOVERLAP, e.what());
  } catch (const NumericsError& e) {
    return fail(NBCORE_ENUMERICS, e.what());
  } catch (const IoError& e) {
    last_errno = e.code;
    return fail(NBCORE_EIO, e.what());
  } catch (const Interrupted&) {
    return fail(NBCORE_EINTERRUPTED, "interrupted");
  } catch (const std::bad_alloc&) {
    return fail(NBCORE_EMEMORY, "out of memory");
  } catch (const std::exception& e) {
    return fail(NBCORE_EINTERNAL, e.what());
  } catch (...) {
    return fail(NBCORE_EINTERNAL, "unknown exception");
  }
}

// A handle is a number that is counted up, never an address: one that was freed cannot become another model.
std::mutex guard;
std::uintptr_t next_handle = 1;

struct Scheme {
  CompositionScheme scheme;
  bool checked = false;
};

/// A model, and the neighbour lists that its calls keep for one another: one for each that ran at the same time.
struct Model {
  std::shared_ptr<Committee> committee;
  const Potential& potential() const { return committee->first(); }
  std::mutex guard;
  std::vector<std::unique_ptr<VerletList>> lists;
  double skin = 0.5, max_bytes = 0;
  std::int64_t searches = 0;

  int running = 0;  // calls

  Result compute(const Structure& s, EvaluationOptions options) {
    std::unique_ptr<VerletList> list = take(s.positions.size(), options);
    struct Return {  // after an error too
      Model& model;
      std::unique_ptr<VerletList>& list;
      std::int64_t before;
      ~Return() {
        const ShortLock lock(model.guard);
        model.searches += list->searches() - before;
        model.lists.push_back(std::move(list)), --model.running;  // into room that take() has made
      }
    } give_back{*this, list, list->searches()};
    options.kept = list.get();
    return committee->compute(s, options);
  }

 private:
  std::unique_ptr<VerletList> take(std::size_t n_atoms, EvaluationOptions& options) {
    const ShortLock lock(guard);
    options.skin = skin, options.max_bytes = max_bytes;
    lists.reserve(lists.size() + static_cast<std::size_t>(running) + 1);
    auto best = std::find_if(lists.begin(), lists.end(), [&](const auto& l) { return l->n_atoms() == n_atoms; });
    if (best == lists.end() && !lists.empty()) --best;
    std::unique_ptr<VerletList> list;
    if (best == lists.end()) list = std::make_unique<VerletList>();
    else list = std::move(*best), lists.erase(best);
    ++running;
    return list;
  }
};

template <class T> using Handles = std::map<std::uintptr_t, std::shared_ptr<T>>;
Handles<Model> models;
Handles<Scheme> schemes;

template <class T> std::shared_ptr<T> find(const Handles<T>& handles, const void* handle, const char* what) {
  if (handle == nullptr) throw InputError(message(what, " is NULL"));
  const ShortLock lock(guard);
  const auto found = handles.find(reinterpret_cast<std::uintptr_t>(handle));
  if (found == handles.end()) throw InputError(message(what, " is no handle of a loaded ", what, "; was it freed?"));
  return found->second;
}
std::shared_ptr<Model> find(const nbcore_model* model) { return find(models, model, "model"); }

void require(const void* argument, const char* name) {
  if (argument == nullptr) throw InputError(message(name, " is NULL"));
}

int n_threads(int asked) {
  if (asked < 0 || asked > most_threads)
    throw InputError(message("threads must be between 0 and ", most_threads, ", got ", asked));
  if (asked > 0) return asked;
  for (const char* name : {"NBCORE_NUM_THREADS", "OMP_NUM_THREADS"}) {
    const char* text = std::getenv(name);
    if (text == nullptr) continue;
    std::string_view first = text;  // OpenMP's may be a list, a number per level
    first = first.substr(0, first.find(','));
    while (!first.empty() && std::isspace(static_cast<unsigned char>(first.front()))) first.remove_prefix(1);
    while (!first.empty() && std::isspace(static_cast<unsigned char>(first.back()))) first.remove_suffix(1);
    if (first.empty()) continue;
    int n = 0;
    const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), n);
    if (error != std::errc() || end != first.data() + first.size() || n < 1 || n > most_threads)
      throw InputError(message(name, " must be a whole number from 1 to ", most_threads, ", got \"", text, "\""));
    return n;
  }
  return 1;
}

Structure structure(std::int64_t n, const double* positions, const int* numbers, const double* cell, const int* pbc) {
  if (n < 0 || n > INT32_MAX) throw ShapeError(message("n must be between 0 and 2147483647, got ", n));
  if (n > 0) require(positions, "positions"), require(numbers, "numbers");
  Structure s;
  for (int k = 0; k < 3 && pbc != nullptr; ++k) {
    if (pbc[k] != 0 && pbc[k] != 1) throw InputError(message("pbc[", k, "] must be 0 or 1, got ", pbc[k]));
    if (pbc[k] == 1 && cell == nullptr) throw CellError(message("cell is NULL, but pbc[", k, "] is 1"));
    s.pbc[k] = pbc[k] == 1;
  }
  for (int k = 0; k < 9 && cell != nullptr; ++k) s.cell[k / 3][k % 3] = cell[k];
  s.positions.resize(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) s.positions[i] = {positions[3 * i], positions[3 * i + 1], positions[3 * i + 2]};
  s.numbers.assign(numbers, numbers + n);
  return s;
}

}  // namespace

const char* nbcore_version(void) { return NBCORE_VERSION; }

const char* nbcore_message(void) { return last_message; }

int nbcore_errno(void) { return last_errno; }

nbcore_status nbcore_load(const char* path, nbcore_model** model) {
  return guarded([&] {
    require(path, "path");
    require(model, "model");
    std::shared_ptr<Committee> committee = Committee::load(path);
    if (!committee->first().has_energy())
      throw ModelFileError(message(path, ": this model has covariant outputs alone, no energy and no forces"));
    auto made = std::make_shared<Model>();
    made->committee = std::move(committee);
    const ShortLock lock(guard);
    models.emplace(next_handle, std::move(made));
    *model = reinterpret_cast<nbcore_model*>(next_handle++);
  });
}

nbcore_status nbcore_free(nbcore_model* model) {
  return guarded([&] {
    if (model == nullptr) return;
    const auto kept = find(model);  // freed after the lock is given back, or by the last call that runs
    const ShortLock lock(guard);
    models.erase(reinterpret_cast<std::uintptr_t>(model));
  });
}

nbcore_status nbcore_cutoff(const nbcore_model* model, double* cutoff) {
  return guarded([&] {
    const auto kept = find(model);
    require(cutoff, "cutoff");
    *cutoff = kept->potential().cutoff();
  });
}

nbcore_status nbcore_species(const nbcore_model* model, int capacity, int* numbers, int* n) {
  return guarded([&] {
    const auto kept = find(model);
    require(n, "n");
    if (capacity < 0) throw InputError(message("capacity must not be negative, got ", capacity));
    if (capacity > 0) require(numbers, "numbers");
    const auto& species = kept->potential().species();
    for (std::size_t k = 0; k < species.size() && k < static_cast<std::size_t>(capacity); ++k) numbers[k] = species[k];
    *n = static_cast<int>(species.size());
  });
}

nbcore_status nbcore_digest(const nbcore_model* model, char digest[65]) {
  return guarded([&] {
    const auto kept = find(model);
    require(digest, "digest");
    std::memcpy(digest, kept->committee->digest().c_str(), kept->committee->digest().size() + 1);
  });
}

nbcore_status nbcore_set_precision(nbcore_model* model, int bits) {
  return guarded([&] {
    const auto kept = find(model);
    if (bits != 64 && bits != 32) throw InputError(message("precision must be 64 or 32 bits, got ", bits));
    for (const auto& member : kept->committee->members())
      member->set_precision(bits == 64 ? Precision::float64 : Precision::float32);
  });
}

nbcore_status nbcore_set_skin(nbcore_model* model, double skin) {
  return guarded([&] {
    const auto kept = find(model);
    if (!(skin >= 0 && std::isfinite(skin))) throw InputError(message("skin must be 0 or more, got ", skin));
    const ShortLock lock(kept->guard);
    kept->skin = skin;
    kept->lists.clear();
  });
}

nbcore_status nbcore_set_max_bytes(nbcore_model* model, int64_t bytes) {
  return guarded([&] {
    const auto kept = find(model);
    if (bytes < 0) throw InputError(message("bytes must be 0 (no bound) or more, got ", bytes));
    const ShortLock lock(kept->guard);
    kept->max_bytes = static_cast<double>(bytes);
  });
}

nbcore_status nbcore_uncertainty(const nbcore_model* model, nbcore_uncertainty_kind* kind) {
  return guarded([&] {
    const auto kept = find(model);
    require(kind, "kind");
    const Committee& committee = *kept->committee;
    if (committee.members().size() > 1) *kind = committee.scales() ? NBCORE_COMMITTEE : NBCORE_NO_UNCERTAINTY;
    else *kind = kept->potential().uncertainty() ? NBCORE_LAST_LAYER : NBCORE_NO_UNCERTAINTY;
  });
}

nbcore_status nbcore_searches(const nbcore_model* model, int64_t* searches) {
  return guarded([&] {
    const auto kept = find(model);
    require(searches, "searches");
    const ShortLock lock(kept->guard);
    *searches = kept->searches;
  });
}

namespace {

/// Where the uncertainties of a call go
struct Wanted {
  double *energy, *forces, *grades;
};

/// The options of a call, those that the caller leaves open from the model
nbcore_options checked(const nbcore_options* given) {
  nbcore_options options = NBCORE_OPTIONS;
  if (given == nullptr) return options;
  // callers of older releases have shorter ones, those of newer ones may ask for what is not known here
  if (given->size < offsetof(nbcore_options, interrupt) || given->size > sizeof options)
    throw InputError(message("options: size must be sizeof(nbcore_options), at most ", sizeof options, ", got ",
                             given->size, "; begin with nbcore_options options = NBCORE_OPTIONS;"));
  std::memcpy(&options, given, given->size);
  if (options.precision != 0 && options.precision != 64 && options.precision != 32)
    throw InputError(message("precision must be 64 or 32 bits, or 0 for that of the model, got ", options.precision));
  return options;
}

nbcore_status evaluate(const nbcore_model* model, nbcore_scheme* scheme, bool with_scheme, int64_t n,
                       const double* positions, const int* numbers, const double* cell, const int* pbc,
                       const nbcore_options* given, double* energy, double* forces, double* virial, double* energies,
                       const Wanted* wanted = nullptr) {
  return guarded([&] {
    const auto kept = find(model);
    const nbcore_options options = checked(given);
    Structure s = structure(n, positions, numbers, cell, pbc);
    if (with_scheme) {
      const auto parts = find(schemes, scheme, "scheme");
      const ShortLock lock(guard);
      if (!parts->checked) parts->scheme.check();
      parts->checked = true;
      s.scheme = std::shared_ptr<const CompositionScheme>(parts, &parts->scheme);
    }
    EvaluationOptions how = kept->potential().defaults();
    how.threads = n_threads(options.threads);
    if (options.precision != 0) how.precision = options.precision == 64 ? Precision::float64 : Precision::float32;
    how.uncertainty = wanted != nullptr;
    if (wanted != nullptr && wanted->grades != nullptr && kept->committee->members().size() > 1)
      throw InputError("grades: a committee has none; give NULL");
    std::optional<Watch> watch;
    if (options.interrupt != nullptr)
      watch.emplace([&] {
        if (options.interrupt(options.interrupt_data) != 0) throw Interrupted();
      });
    const Result result = kept->compute(s, how);
    if (energy != nullptr) *energy = result.energy;
    for (std::size_t i = 0; i < result.forces.size() && forces != nullptr; ++i)
      for (int k = 0; k < 3; ++k) forces[3 * i + k] = result.forces[i][k];
    for (int k = 0; k < 9 && virial != nullptr; ++k) virial[k] = result.virial[k / 3][k % 3];
    for (std::size_t i = 0; i < result.energies.size() && energies != nullptr; ++i) energies[i] = result.energies[i];
    if (wanted == nullptr) return;
    if (wanted->energy != nullptr) *wanted->energy = result.uncertainty->energy;
    const auto copy = [](const std::vector<double>& from, double* to) {
      if (to != nullptr) std::copy(from.begin(), from.end(), to);
    };
    copy(result.uncertainty->forces, wanted->forces), copy(result.uncertainty->grades, wanted->grades);
  });
}

}  // namespace

nbcore_status nbcore_evaluate(const nbcore_model* model, int64_t n, const double* positions, const int* numbers,
                              const double* cell, const int* pbc, int threads, double* energy, double* forces,
                              double* virial, double* energies) {
  nbcore_options options = NBCORE_OPTIONS;
  options.threads = threads;
  return evaluate(model, nullptr, false, n, positions, numbers, cell, pbc, &options, energy, forces, virial, energies);
}

nbcore_status nbcore_evaluate_scheme(const nbcore_model* model, nbcore_scheme* scheme, int64_t n,
                                     const double* positions, const int* numbers, const double* cell, const int* pbc,
                                     int threads, double* energy, double* forces, double* virial, double* energies) {
  nbcore_options options = NBCORE_OPTIONS;
  options.threads = threads;
  return evaluate(model, scheme, true, n, positions, numbers, cell, pbc, &options, energy, forces, virial, energies);
}

nbcore_status nbcore_evaluate_with(const nbcore_model* model, nbcore_scheme* scheme, int64_t n, const double* positions,
                                   const int* numbers, const double* cell, const int* pbc,
                                   const nbcore_options* options, double* energy, double* forces, double* virial,
                                   double* energies) {
  return evaluate(model, scheme, scheme != nullptr, n, positions, numbers, cell, pbc, options, energy, forces, virial,
                  energies);
}

nbcore_status nbcore_evaluate_uncertainty(const nbcore_model* model, nbcore_scheme* scheme, int64_t n,
                                          const double* positions, const int* numbers, const double* cell,
                                          const int* pbc, const nbcore_options* options, double* energy, double* forces,
                                          double* virial, double* energies, double* energy_uncertainty,
                                          double* forces_uncertainty, double* grades) {
  const Wanted wanted{energy_uncertainty, forces_uncertainty, grades};
  return evaluate(model, scheme, scheme != nullptr, n, positions, numbers, cell, pbc, options, energy, forces, virial,
                  energies, &wanted);
}

nbcore_status nbcore_scheme_new(int64_t n_atoms, nbcore_scheme** scheme) {
  return guarded([&] {
    require(scheme, "scheme");
    if (n_atoms < 0 || n_atoms > INT32_MAX)
      throw ShapeError(message("n_atoms must be between 0 and 2147483647, got ", n_atoms));
    auto made = std::make_shared<Scheme>();
    made->scheme.n_atoms = static_cast<int>(n_atoms);
    const ShortLock lock(guard);
    schemes.emplace(next_handle, std::move(made));
    *scheme = reinterpret_cast<nbcore_scheme*>(next_handle++);
  });
}

nbcore_status nbcore_scheme_add(nbcore_scheme* scheme, const char* name, const char* children, int64_t n_nodes,
                                const int* classes, const int64_t* atom_first, const int* atoms,
                                const double* coefficients, const int* atom_images, const int64_t* child_first,
                                const int* child, const int* child_images) {
  return guarded([&] {
    const auto kept = find(schemes, scheme, "scheme");
    require(name, "name"), require(children, "children");
    require(atom_first, "atom_first"), require(child_first, "child_first");
    if (n_nodes < 0 || n_nodes > INT32_MAX)
      throw ShapeError(message("n_nodes must be between 0 and 2147483647, got ", n_nodes));
    const std::int64_t n_atoms = atom_first[n_nodes], n_children = child_first[n_nodes];
    for (const auto& [name, n] : {std::pair("atom_first", n_atoms), std::pair("child_first", n_children)})
      if (n < 0 || n > INT32_MAX)
        throw ShapeError(message(name, " must end with a number from 0 to 2147483647, got ", n));
    if (n_atoms > 0) require(atoms, "atoms"), require(coefficients, "coefficients");
    if (n_children > 0) require(child, "child");
    const auto images = [](const int* from, std::int64_t n) {
      std::vector<Image> to(n, Image{});
      for (std::int64_t k = 0; k < n && from != nullptr; ++k) to[k] = {from[3 * k], from[3 * k + 1], from[3 * k + 2]};
      return to;
    };
    SchemeSet set;
    set.name = name, set.children = children;
    set.classes.assign(n_nodes, 0);
    if (classes != nullptr) set.classes.assign(classes, classes + n_nodes);
    set.atom_first.assign(atom_first, atom_first + n_nodes + 1);
    set.child_first.assign(child_first, child_first + n_nodes + 1);
    set.atom.assign(atoms, atoms + n_atoms), set.coefficient.assign(coefficients, coefficients + n_atoms);
    set.child.assign(child, child + n_children);
    set.image = images(atom_images, n_atoms), set.child_image = images(child_images, n_children);
    const ShortLock lock(guard);
    if (kept->checked) throw InputError("scheme: it has been used already; make another one");
    kept->scheme.sets.push_back(std::move(set));
  });
}

nbcore_status nbcore_scheme_reference(nbcore_scheme* scheme, const double* places) {
  return guarded([&] {
    const auto kept = find(schemes, scheme, "scheme");
    require(places, "places");
    const ShortLock lock(guard);
    if (kept->checked) throw InputError("scheme: it has been used already; make another one");
    kept->scheme.reference.resize(kept->scheme.n_atoms);
    for (int i = 0; i < kept->scheme.n_atoms; ++i)
      kept->scheme.reference[i] = {places[3 * i], places[3 * i + 1], places[3 * i + 2]};
  });
}

nbcore_status nbcore_scheme_free(nbcore_scheme* scheme) {
  return guarded([&] {
    if (scheme == nullptr) return;
    const auto kept = find(schemes, scheme, "scheme");
    const ShortLock lock(guard);
    schemes.erase(reinterpret_cast<std::uintptr_t>(scheme));
  });
}
