// Evaluations of the C ABI.
#include "capi/request.hpp"

namespace {

using namespace nbcore;
using namespace nbcore::capi;

Result compute_domain(const Committee& committee, Domain domain, const EvaluationOptions& options) {
  if (options.max_bytes > 0)
    throw InputError("max_bytes: bounds of memory are for whole structures, without ghosts and list; set it to 0");
  int levels = 0;
  for (const auto& member : committee.members()) levels = std::max(levels, member->network().levels());
  return committee.compute(prepare(std::move(domain), committee.first(), levels, Ghosts::recomputed, options), options);
}

/// uncertain: the call promises uncertainties, whatever is wanted of them
nbcore_status compute(const nbcore_model* model, const nbcore_system* given, const nbcore_options* given_options,
                      const nbcore_result* given_result, bool uncertain) {
  return guarded([&] {
    const auto kept = models.find(model);
    const nbcore_options asked = checked(given_options);
    const nbcore_system system = checked(given);
    const nbcore_result wanted = checked(given_result);
    Domain domain = domain_of(*kept, system);
    EvaluationOptions options = how(*kept, asked);
    options.uncertainty = uncertain || wants_uncertainty(wanted), options.virials = wanted.virials != nullptr;
    check_wanted(*kept, wanted);
    const Interrupt interrupt(asked);
    const Result result = kept->with_kept_list(domain.n_atoms(), options, [&](const EvaluationOptions& with_list) {
      if (is_whole(system)) return kept->committee->compute(domain.structure, with_list);
      return compute_domain(*kept->committee, std::move(domain), with_list);
    });
    write(result, *kept, system, wanted);
  });
}

/// What the functions with many arguments ask for
struct Arguments {
  nbcore_system system = NBCORE_SYSTEM;
  nbcore_result result = NBCORE_RESULT;

  Arguments(nbcore_scheme* scheme, int64_t n, const double* positions, const int* numbers, const double* cell,
            const int* pbc, double* energy, double* forces, double* virial, double* energies) {
    system.scheme = scheme, system.n = n, system.positions = positions, system.numbers = numbers;
    system.cell = cell, system.pbc = pbc;
    result.energy = energy, result.forces = forces, result.virial = virial, result.energies = energies;
  }
};

}  // namespace

nbcore_status nbcore_compute(const nbcore_model* model, const nbcore_system* system, const nbcore_options* options,
                             const nbcore_result* result) {
  return compute(model, system, options, result, false);
}

nbcore_status nbcore_evaluate(const nbcore_model* model, int64_t n, const double* positions, const int* numbers,
                              const double* cell, const int* pbc, int threads, double* energy, double* forces,
                              double* virial, double* energies) {
  nbcore_options options = NBCORE_OPTIONS;
  options.threads = threads;
  return nbcore_evaluate_with(model, nullptr, n, positions, numbers, cell, pbc, &options, energy, forces, virial,
                              energies);
}

nbcore_status nbcore_evaluate_scheme(const nbcore_model* model, nbcore_scheme* scheme, int64_t n,
                                     const double* positions, const int* numbers, const double* cell, const int* pbc,
                                     int threads, double* energy, double* forces, double* virial, double* energies) {
  const nbcore_status status = guarded([&] { schemes.find(scheme); });
  if (status != NBCORE_OK) return status;
  nbcore_options options = NBCORE_OPTIONS;
  options.threads = threads;
  return nbcore_evaluate_with(model, scheme, n, positions, numbers, cell, pbc, &options, energy, forces, virial,
                              energies);
}

nbcore_status nbcore_evaluate_with(const nbcore_model* model, nbcore_scheme* scheme, int64_t n, const double* positions,
                                   const int* numbers, const double* cell, const int* pbc,
                                   const nbcore_options* options, double* energy, double* forces, double* virial,
                                   double* energies) {
  const Arguments a(scheme, n, positions, numbers, cell, pbc, energy, forces, virial, energies);
  return compute(model, &a.system, options, &a.result, false);
}

nbcore_status nbcore_evaluate_uncertainty(const nbcore_model* model, nbcore_scheme* scheme, int64_t n,
                                          const double* positions, const int* numbers, const double* cell,
                                          const int* pbc, const nbcore_options* options, double* energy, double* forces,
                                          double* virial, double* energies, double* energy_uncertainty,
                                          double* forces_uncertainty, double* grades) {
  Arguments a(scheme, n, positions, numbers, cell, pbc, energy, forces, virial, energies);
  a.result.energy_uncertainty = energy_uncertainty, a.result.forces_uncertainty = forces_uncertainty;
  a.result.grades = grades;
  return compute(model, &a.system, options, &a.result, true);
}
