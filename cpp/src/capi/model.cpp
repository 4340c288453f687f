// Models of the C ABI: loading, freeing, questions and settings.
#include <algorithm>
#include <cmath>

#include "base/build_info.hpp"
#include "capi/handles.hpp"
#include "potential/model_file.hpp"

namespace nbcore::capi {

namespace {

thread_local char last_message[2048] = "";  // a fixed buffer: saying that memory is out must not need any
thread_local int last_errno = 0;

/// From a description's {"C-H": 0.99, ...}
std::vector<double> closest_of(const Potential& potential) {
  const std::vector<int>& species = potential.species();
  std::vector<double> closest(species.size() * species.size());
  const Options d(potential.description());
  if (!d.is<Options>("shortest_distances")) return closest;
  const auto pairs = d.get<Options>("shortest_distances");
  for (std::size_t a = 0; a < species.size(); ++a)
    for (std::size_t b = 0; b < species.size(); ++b) {
      const auto found = pairs.number(chemical_symbol(species[a]) + "-" + chemical_symbol(species[b]));
      if (found && *found > 0) closest[a * species.size() + b] = closest[b * species.size() + a] = *found;
    }
  return closest;
}

void add(const ModelFile& file, const std::string& name, nbcore_model** model) {
  auto committee = Committee::from_file(file, name);
  if (!committee->first().has_energy())
    throw ModelFileError(message(name, ": this model has covariant outputs alone, no energy and no forces"));
  auto made = std::make_shared<Model>();
  made->closest = closest_of(committee->first());
  try {
    made->golden = golden_cases(file);
  } catch (const ModelFileError& e) {  // a model computes without them
    made->golden_error = message(name, ": ", e.what());
  }
  made->name = name, made->committee = std::move(committee);
  models.add(std::move(made), model);
}

/// The first `capacity` bytes of a text, with a zero at the end
void copy(const std::string& text, int capacity, char* to) {
  if (capacity < 0) throw InputError(message("capacity must not be negative, got ", capacity));
  if (to == nullptr || capacity == 0) return;
  const std::size_t n = std::min(text.size(), static_cast<std::size_t>(capacity) - 1);
  std::memcpy(to, text.data(), n), to[n] = 0;
}

void check_index(int k, std::size_t n, const char* what) {
  if (k < 0 || static_cast<std::size_t>(k) >= n)
    throw InputError(message("k: this model has ", n, " ", what, ", there is no number ", k));
}

std::vector<const Network::Slot*> leaves_of(const Network& network) {
  std::vector<const Network::Slot*> leaves;
  for (const Network::Slot& slot : network.slots())
    if (slot.level == 0) leaves.push_back(&slot);
  return leaves;
}

}  // namespace

nbcore_status fail(nbcore_status status, const char* text, int error_number) {
  std::strncpy(last_message, text, sizeof last_message - 1);
  if (error_number != 0) last_errno = error_number;
  return status;
}

Handles<Model> models("model");

EvaluationOptions Model::defaults() {
  EvaluationOptions options = potential().defaults();
  const ShortLock lock(guard);
  options.skin = skin, options.max_bytes = max_bytes;
  return options;
}

std::unique_ptr<VerletList> Model::take(std::size_t n_atoms) {
  const ShortLock lock(guard);
  lists.reserve(lists.size() + static_cast<std::size_t>(running_) + 1);
  auto best = std::find_if(lists.begin(), lists.end(), [&](const auto& l) { return l->n_atoms() == n_atoms; });
  if (best == lists.end() && !lists.empty()) --best;
  std::unique_ptr<VerletList> list;
  if (best == lists.end()) list = std::make_unique<VerletList>();
  else list = std::move(*best), lists.erase(best);
  ++running_;
  return list;
}

void Model::give_back(std::unique_ptr<VerletList> list, std::int64_t searches_before) {
  const ShortLock lock(guard);
  searches += list->searches() - searches_before;
  lists.push_back(std::move(list)), --running_;  // into room that take() has made
}

}  // namespace nbcore::capi

using namespace nbcore;
using namespace nbcore::capi;

const char* nbcore_version(void) { return NBCORE_VERSION; }

const char* nbcore_message(void) { return last_message; }

int nbcore_errno(void) { return last_errno; }

nbcore_status nbcore_load(const char* path, nbcore_model** model) {
  return guarded([&] {
    require(path, "path"), require(model, "model");
    add(read_model_file(path), path, model);
  });
}

nbcore_status nbcore_load_memory(const void* bytes, size_t n, nbcore_model** model) {
  return guarded([&] {
    require(bytes, "bytes"), require(model, "model");
    add(read_model_bytes({static_cast<const char*>(bytes), n}), "the model in memory", model);
  });
}

nbcore_status nbcore_free(nbcore_model* model) {
  return guarded([&] { models.free(model); });
}

nbcore_status nbcore_cutoff(const nbcore_model* model, double* cutoff) {
  return guarded([&] {
    const auto kept = models.find(model);
    require(cutoff, "cutoff");
    *cutoff = kept->potential().cutoff();
  });
}

nbcore_status nbcore_species(const nbcore_model* model, int capacity, int* numbers, int* n) {
  return guarded([&] {
    const auto kept = models.find(model);
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
    const auto kept = models.find(model);
    require(digest, "digest");
    const std::string found = kept->committee->digest();
    std::memcpy(digest, found.c_str(), found.size() + 1);
  });
}

nbcore_status nbcore_check_golden(const nbcore_model* model, int* cases, double* difference) {
  return guarded([&] {
    const auto kept = models.find(model);
    require(cases, "cases"), require(difference, "difference");
    if (!kept->golden_error.empty()) throw ModelFileError(kept->golden_error);
    const Potential& first = kept->potential();
    if (first.network().sets().size() > 1 && !kept->golden.empty())
      throw InputError("model: its golden cases have composition schemes, which nbcore.check_golden in Python makes");
    double largest = 0;
    for (std::size_t k = 0; k < kept->golden.size(); ++k) try {
        largest = std::max(largest, check_golden(first, kept->golden[k]));
      } catch (const Error& e) {
        throw ModelFileError(message(kept->name, ": golden case ", k, ": ", e.what()));
      }
    *cases = static_cast<int>(kept->golden.size()), *difference = largest;
  });
}

nbcore_status nbcore_get_info(const nbcore_model* model, nbcore_info* info) {
  return guarded([&] {
    const auto kept = models.find(model);
    require(info, "info");
    nbcore_info filled = checked<nbcore_info>(info, NBCORE_INFO, sizeof(nbcore_info), "info", "NBCORE_INFO");
    static const std::string kernel_set = build_info().kernel_set;
    const Potential& first = kept->potential();
    filled.cutoff = first.cutoff(), filled.r_min = first.r_min();
    for (const auto& member : kept->committee->members())
      filled.levels = std::max(filled.levels, member->network().levels());
    filled.ghost_range = filled.levels * filled.cutoff;
    filled.species = static_cast<int>(first.species().size());
    filled.outputs = static_cast<int>(first.network().outputs().size());
    filled.leaves = static_cast<int>(leaves_of(first.network()).size());
    filled.members = static_cast<int>(kept->committee->members().size());
    filled.scheme = first.network().sets().size() > 1;
    filled.energy_unit = "eV", filled.length_unit = "Angstrom", filled.kernel_set = kernel_set.c_str();
    std::memcpy(info, &filled, filled.size);
  });
}

nbcore_status nbcore_output(const nbcore_model* model, int k, int capacity, char* name, int* numbers, int* per_atom) {
  return guarded([&] {
    const auto kept = models.find(model);
    const auto& outputs = kept->potential().network().outputs();
    check_index(k, outputs.size(), "outputs");
    copy(outputs[k].name, capacity, name);
    if (numbers != nullptr) *numbers = outputs[k].per_atom ? outputs[k].width : outputs[k].components;
    if (per_atom != nullptr) *per_atom = outputs[k].per_atom;
  });
}

nbcore_status nbcore_leaf(const nbcore_model* model, int k, int capacity, char* name, int* numbers) {
  return guarded([&] {
    const auto kept = models.find(model);
    const auto leaves = leaves_of(kept->potential().network());
    check_index(k, leaves.size(), "leaf states");
    copy(leaves[k]->name, capacity, name);
    if (numbers != nullptr) *numbers = leaves[k]->parts[0].dim() * leaves[k]->parts[0].channels();
  });
}

nbcore_status nbcore_closest(const nbcore_model* model, int number, int other, double* distance) {
  return guarded([&] {
    const auto kept = models.find(model);
    require(distance, "distance");
    const std::vector<int> pair = kept->potential().species_of({number, other});
    *distance = kept->closest[pair[0] * kept->potential().species().size() + pair[1]];
  });
}

nbcore_status nbcore_set_precision(nbcore_model* model, int bits) {
  return guarded([&] {
    const auto kept = models.find(model);
    if (bits != 64 && bits != 32) throw InputError(message("precision must be 64 or 32 bits, got ", bits));
    for (const auto& member : kept->committee->members())
      member->set_precision(bits == 64 ? Precision::float64 : Precision::float32);
  });
}

nbcore_status nbcore_set_skin(nbcore_model* model, double skin) {
  return guarded([&] {
    const auto kept = models.find(model);
    if (!(skin >= 0 && std::isfinite(skin))) throw InputError(message("skin must be 0 or more, got ", skin));
    const ShortLock lock(kept->guard);
    kept->skin = skin;
    kept->lists.clear();
  });
}

nbcore_status nbcore_set_max_bytes(nbcore_model* model, int64_t bytes) {
  return guarded([&] {
    const auto kept = models.find(model);
    if (bytes < 0) throw InputError(message("bytes must be 0 (no bound) or more, got ", bytes));
    const ShortLock lock(kept->guard);
    kept->max_bytes = static_cast<double>(bytes);
  });
}

nbcore_status nbcore_uncertainty(const nbcore_model* model, nbcore_uncertainty_kind* kind) {
  return guarded([&] {
    const auto kept = models.find(model);
    require(kind, "kind");
    const Committee& committee = *kept->committee;
    if (committee.members().size() > 1) *kind = committee.scales() ? NBCORE_COMMITTEE : NBCORE_NO_UNCERTAINTY;
    else *kind = kept->potential().uncertainty() ? NBCORE_LAST_LAYER : NBCORE_NO_UNCERTAINTY;
  });
}

nbcore_status nbcore_searches(const nbcore_model* model, int64_t* searches) {
  return guarded([&] {
    const auto kept = models.find(model);
    require(searches, "searches");
    const ShortLock lock(kept->guard);
    *searches = kept->searches;
  });
}
