// What a call asks for: options, a system and where its results go, checked and converted.
#pragma once
#include <optional>

#include "capi/handles.hpp"

namespace nbcore::capi {

nbcore_options checked(const nbcore_options* options);
nbcore_system checked(const nbcore_system* system);
nbcore_result checked(const nbcore_result* result);

/// The options of a call, those that the caller leaves open from the model
EvaluationOptions how(Model& model, const nbcore_options& options);

/// Asks the caller's `interrupt` while it lives, if there is one.
struct Interrupt {
  explicit Interrupt(const nbcore_options& options);
  std::optional<Watch> watch;
};

/// Is it a whole structure, without ghosts and list of the caller's?
inline bool is_whole(const nbcore_system& s) { return s.n_ghosts == 0 && s.first == nullptr; }
/// Arrays are copied, but for the list, which must outlive the domain.
Domain domain_of(const Model& model, const nbcore_system& system);

inline bool wants_uncertainty(const nbcore_result& r) {
  return r.energy_uncertainty != nullptr || r.forces_uncertainty != nullptr || r.grades != nullptr;
}
/// InputError where a result is wanted that this model never has
void check_wanted(const Model& model, const nbcore_result& wanted);
/// Writes all that is wanted, or throws InputError and writes nothing.
void write(const Result& result, const Model& model, const nbcore_system& system, const nbcore_result& wanted);

}  // namespace nbcore::capi
