// Several potentials, trained apart, over one neighbour list and one graph: their mean, and their spread as a measure of
// its errors (uncertainty.hpp). A potential alone is a committee of one.
#pragma once
#include "potential/potential.hpp"

namespace nbcore {

class Committee {
 public:
  /// InputError where there are none, where their elements, cutoffs or outputs differ, or where some have energies and
  /// others not; scales: none where it was never compared with data
  Committee(std::vector<std::shared_ptr<Potential>> members, std::optional<UncertaintyScales> scales);
  /// From the model file of a committee {"committee": [descriptions], "uncertainty": ...}, with the arrays of member k
  /// as member_k.NAME, or of a potential; ModelFileError
  static std::shared_ptr<Committee> load(const std::string& path);
  /// From what was read; `name` is what errors call it
  static std::shared_ptr<Committee> from_file(const ModelFile& file, const std::string& name);

  const std::vector<std::shared_ptr<Potential>>& members() const { return members_; }
  const Potential& first() const { return *members_[0]; }
  const std::optional<UncertaintyScales>& scales() const { return scales_; }
  void set_scales(std::optional<UncertaintyScales> scales);
  /// SHA-256 of all that decides what it computes; of one member its own
  std::string digest() const;

  /// The means over the members. InputError where the uncertainty is wanted that nobody knows.
  Result compute(const Structure& s, const EvaluationOptions& options) const;
  Result compute(const PreparedStructure& prepared, const EvaluationOptions& options) const;
  /// Of what each of its members gives; n_ghosts: of a domain, see there
  Result mean(const std::vector<Result>& results, const EvaluationOptions& options, std::span<const int> species,
              std::size_t n_ghosts = 0) const;

 private:
  std::vector<std::shared_ptr<Potential>> members_;
  std::optional<UncertaintyScales> scales_;
};

}  // namespace nbcore
