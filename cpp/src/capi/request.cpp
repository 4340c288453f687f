#include "capi/request.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace nbcore::capi {

namespace {

/// 0: from the environment, else one
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

void check_numbers_of_atoms(const nbcore_system& s) {
  for (const auto& [name, n] : {std::pair("n", s.n), std::pair("n_ghosts", s.n_ghosts), std::pair("n_rows", s.n_rows)})
    if (n < 0 || n > INT32_MAX) throw ShapeError(message(name, " must be between 0 and 2147483647, got ", n));
  if (s.n + s.n_ghosts > INT32_MAX)
    throw ShapeError(message("n + n_ghosts must be at most 2147483647, got ", s.n + s.n_ghosts));
}

Structure structure_of(const Model& model, const nbcore_system& s) {
  const std::int64_t n = s.n + s.n_ghosts;
  if (n > 0) require(s.positions, "positions"), require(s.numbers, "numbers");
  Structure structure;
  for (int k = 0; k < 3 && s.pbc != nullptr; ++k) {
    if (s.pbc[k] != 0 && s.pbc[k] != 1) throw InputError(message("pbc[", k, "] must be 0 or 1, got ", s.pbc[k]));
    if (s.pbc[k] == 1 && s.cell == nullptr) throw CellError(message("cell is NULL, but pbc[", k, "] is 1"));
    structure.pbc[k] = s.pbc[k] == 1;
  }
  for (int k = 0; k < 9 && s.cell != nullptr; ++k) structure.cell[k / 3][k % 3] = s.cell[k];
  structure.positions.resize(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i)
    structure.positions[i] = {s.positions[3 * i], s.positions[3 * i + 1], s.positions[3 * i + 2]};
  structure.numbers.assign(s.numbers, s.numbers + n);
  if (s.scheme != nullptr) {
    const auto parts = schemes.find(s.scheme);
    const ShortLock lock(parts->guard);
    if (!parts->checked) parts->scheme.check();
    parts->checked = true;
    structure.scheme = std::shared_ptr<const CompositionScheme>(parts, &parts->scheme);
  }
  int leaf = 0;
  for (const Network::Slot& slot : model.potential().network().slots()) {
    if (slot.level != 0 || s.leaves == nullptr) continue;
    const double* from = s.leaves[leaf++];
    require(from, ("leaves[" + std::to_string(leaf - 1) + "], the leaf state " + slot.name + ",").c_str());
    structure.leaves[slot.name].assign(from, from + n * slot.parts[0].dim() * slot.parts[0].channels());
  }
  return structure;
}

}  // namespace

nbcore_options checked(const nbcore_options* given) {
  const nbcore_options options =
      checked<nbcore_options>(given, NBCORE_OPTIONS, offsetof(nbcore_options, interrupt), "options", "NBCORE_OPTIONS");
  if (options.precision != 0 && options.precision != 64 && options.precision != 32)
    throw InputError(message("precision must be 64 or 32 bits, or 0 for that of the model, got ", options.precision));
  if (!(options.skin >= 0 && std::isfinite(options.skin)) && options.skin != -1)
    throw InputError(message("skin must be 0 or more, or -1 for that of the model, got ", options.skin));
  if (options.max_bytes < -1)
    throw InputError(
        message("max_bytes must be 0 (no bound) or more, or -1 for that of the model, got ", options.max_bytes));
  return options;
}

nbcore_system checked(const nbcore_system* given) {
  require(given, "system");
  const auto system = checked<nbcore_system>(given, NBCORE_SYSTEM, sizeof(nbcore_system), "system", "NBCORE_SYSTEM");
  check_numbers_of_atoms(system);
  return system;
}

nbcore_result checked(const nbcore_result* given) {
  require(given, "result");
  return checked<nbcore_result>(given, NBCORE_RESULT, sizeof(nbcore_result), "result", "NBCORE_RESULT");
}

EvaluationOptions how(Model& model, const nbcore_options& options) {
  EvaluationOptions how = model.defaults();
  how.threads = n_threads(options.threads);
  if (options.precision != 0) how.precision = options.precision == 64 ? Precision::float64 : Precision::float32;
  if (options.skin >= 0) how.skin = options.skin;
  if (options.max_bytes >= 0) how.max_bytes = static_cast<double>(options.max_bytes);
  return how;
}

Interrupt::Interrupt(const nbcore_options& options) {
  if (options.interrupt == nullptr) return;
  watch.emplace([ask = options.interrupt, data = options.interrupt_data] {
    if (ask(data) != 0) throw Interrupted();
  });
}

Domain domain_of(const Model& model, const nbcore_system& s) {
  Domain domain;
  if (s.half != 0 && s.half != 1) throw InputError(message("half must be 0 or 1, got ", s.half));
  if (s.n_rows > 0) require(s.first, "first");
  if (s.n_rows == 0 && s.n > 0 && (s.first != nullptr || s.neighbours != nullptr || s.shifts != nullptr))
    throw InputError("n_rows is 0, but a list is given: set it to n, or leave out first, neighbours and shifts");
  if (s.first != nullptr && (s.n_rows > 0 || s.n == 0)) {
    const auto n_rows = static_cast<std::size_t>(s.n_rows);
    if (s.first[n_rows] > 0) require(s.neighbours, "neighbours");
    if (s.shifts != nullptr) require(s.cell, "shifts are given, but cell");
    domain.list = HostList{{s.first, n_rows + 1}, s.neighbours, s.shifts, s.half == 1};
  }
  domain.structure = structure_of(model, s);
  domain.n_ghosts = static_cast<std::size_t>(s.n_ghosts);
  if (s.owners != nullptr) domain.owners = {s.owners, domain.n_ghosts};
  return domain;
}

void check_wanted(const Model& model, const nbcore_result& wanted) {
  if (wanted.grades != nullptr && model.committee->members().size() > 1)
    throw InputError("grades: a committee has none; give NULL");
}

void write(const Result& r, const Model& model, const nbcore_system& system, const nbcore_result& to) {
  const auto& outputs = model.potential().network().outputs();
  for (std::size_t k = 0; k < outputs.size() && to.outputs != nullptr; ++k)
    if (to.outputs[k] != nullptr && r.outputs[k].empty() && outputs[k].charges)
      throw InputError(message("outputs[", k, "]: ", outputs[k].name,
                               " multiplies charges by positions, which says nothing "
                               "of a structure with periods, ghosts or images; give NULL"));
  if (to.energy != nullptr) *to.energy = r.energy;
  // of ghosts that are images of owned atoms there is nothing left: theirs are with the atoms
  const auto n = static_cast<std::size_t>(system.n + system.n_ghosts);
  if (to.forces != nullptr) std::fill_n(to.forces, 3 * n, 0.0);
  for (std::size_t i = 0; i < r.forces.size() && to.forces != nullptr; ++i)
    for (int k = 0; k < 3; ++k) to.forces[3 * i + k] = r.forces[i][k];
  for (int k = 0; k < 9 && to.virial != nullptr; ++k) to.virial[k] = r.virial[k / 3][k % 3];
  if (to.virials != nullptr) std::fill_n(to.virials, 9 * n, 0.0);
  for (std::size_t i = 0; i < r.virials.size() && to.virials != nullptr; ++i)
    for (int k = 0; k < 9; ++k) to.virials[9 * i + k] = r.virials[i][k / 3][k % 3];
  const auto copy = [](const std::vector<double>& from, double* to) {
    if (to != nullptr) std::copy(from.begin(), from.end(), to);
  };
  copy(r.energies, to.energies);
  for (std::size_t k = 0; k < outputs.size() && to.outputs != nullptr; ++k) copy(r.outputs[k], to.outputs[k]);
  if (!r.uncertainty) return;
  if (to.energy_uncertainty != nullptr) *to.energy_uncertainty = r.uncertainty->energy;
  copy(r.uncertainty->forces, to.forces_uncertainty), copy(r.uncertainty->grades, to.grades);
}

}  // namespace nbcore::capi
