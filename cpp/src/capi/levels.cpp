// Levels of the C ABI.
#include "capi/request.hpp"

namespace nbcore::capi {

namespace {

/// Evaluations of one host
struct Host {
  Host(std::shared_ptr<Model> model, const nbcore_options& options, const EvaluationOptions& how)
      : model(std::move(model)), options(options), how(how), levels(this->model->committee, how) {}

  std::shared_ptr<Model> model;
  nbcore_options options;
  EvaluationOptions how;
  VerletList list;
  DomainLevels levels;
  nbcore_system system = NBCORE_SYSTEM;  // its sizes
  nbcore_result result = NBCORE_RESULT;
  std::atomic_flag busy;
};

Handles<Host> hosts("levels");

/// f(host), with its watch, while no other call has it
template <class F> nbcore_status with_host(const nbcore_levels* levels, F f) {
  return guarded([&] {
    const auto host = hosts.find(levels);
    if (host->busy.test_and_set()) throw InputError("levels: another call with this handle is running");
    struct Done {
      Host& host;
      ~Done() { host.busy.clear(); }
    } done{*host};
    const Interrupt interrupt(host->options);
    f(*host);
  });
}

std::span<const std::int32_t> atoms_of(std::int64_t n, const int* atoms, const void* rows) {
  if (n < 0 || n > INT32_MAX) throw ShapeError(message("n must be between 0 and 2147483647, got ", n));
  if (n > 0) require(atoms, "atoms"), require(rows, "rows");
  return {atoms, static_cast<std::size_t>(n)};
}

}  // namespace

}  // namespace nbcore::capi

using namespace nbcore;
using namespace nbcore::capi;

nbcore_status nbcore_levels_new(const nbcore_model* model, const nbcore_options* given, nbcore_levels** levels) {
  return guarded([&] {
    const auto kept = models.find(model);
    require(levels, "levels");
    const nbcore_options options = checked(given);
    if (kept->potential().network().sets().size() > 1)
      throw InputError("model: it works on a composition scheme; levels are for models on atoms and their neighbours");
    if (options.max_bytes > 0)
      throw InputError("max_bytes: bounds of memory are for whole structures, without ghosts; set it to 0 or -1");
    hosts.add(std::make_shared<Host>(kept, options, how(*kept, options)), levels);
  });
}

nbcore_status nbcore_levels_row_bytes(const nbcore_levels* levels, int level, size_t* bytes) {
  return with_host(levels, [&](Host& host) {
    require(bytes, "bytes");
    *bytes = host.levels.row_bytes(level);
  });
}

nbcore_status nbcore_levels_begin(nbcore_levels* levels, const nbcore_system* given, const nbcore_result* wanted) {
  return with_host(levels, [&](Host& host) {
    host.levels.end();
    const nbcore_system system = checked(given);
    host.result = checked(wanted), host.system = system;
    check_wanted(*host.model, host.result);
    EvaluationOptions how = host.how;
    how.kept = &host.list;
    host.levels.begin(
        prepare(domain_of(*host.model, system), host.model->potential(), host.levels.levels(), Ghosts::exchanged, how),
        host.result.virials != nullptr, wants_uncertainty(host.result));
  });
}

nbcore_status nbcore_levels_forward(nbcore_levels* levels, int level) {
  return with_host(levels, [&](Host& host) { host.levels.forward(level); });
}

nbcore_status nbcore_levels_adjoint(nbcore_levels* levels, int level) {
  return with_host(levels, [&](Host& host) { host.levels.adjoint(level); });
}

nbcore_status nbcore_levels_finish(nbcore_levels* levels) {
  return with_host(levels, [&](Host& host) { write(host.levels.finish(), *host.model, host.system, host.result); });
}

nbcore_status nbcore_levels_read_states(nbcore_levels* levels, int level, int64_t n, const int* atoms, void* rows) {
  return with_host(levels, [&](Host& host) { host.levels.read_states(level, atoms_of(n, atoms, rows), rows); });
}

nbcore_status nbcore_levels_write_states(nbcore_levels* levels, int level, int64_t n, const int* atoms,
                                         const void* rows) {
  return with_host(levels, [&](Host& host) { host.levels.write_states(level, atoms_of(n, atoms, rows), rows); });
}

nbcore_status nbcore_levels_take_adjoints(nbcore_levels* levels, int level, int64_t n, const int* atoms, void* rows) {
  return with_host(levels, [&](Host& host) { host.levels.take_adjoints(level, atoms_of(n, atoms, rows), rows); });
}

nbcore_status nbcore_levels_add_adjoints(nbcore_levels* levels, int level, int64_t n, const int* atoms,
                                         const void* rows) {
  return with_host(levels, [&](Host& host) { host.levels.add_adjoints(level, atoms_of(n, atoms, rows), rows); });
}

nbcore_status nbcore_levels_free(nbcore_levels* levels) {
  return guarded([&] { hosts.free(levels); });
}
