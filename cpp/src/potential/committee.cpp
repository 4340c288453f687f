#include "potential/committee.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "potential/model_file.hpp"
#include "potential/sha256.hpp"

namespace nbcore {

namespace {

/// to += factor x, element by element
void add(double factor, std::span<const double> x, std::vector<double>& to) {
  to.resize(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) to[k] += factor * x[k];
}

void add(double factor, const Vec3& x, Vec3& to) {
  for (int c = 0; c < 3; ++c) to[c] += factor * x[c];
}

}  // namespace

Committee::Committee(std::vector<std::shared_ptr<Potential>> members, std::optional<UncertaintyScales> scales)
    : members_(std::move(members)) {
  if (members_.empty()) throw InputError("a committee needs members");
  const auto outputs = [](const Potential& p) {
    std::vector<std::tuple<std::string, int, bool>> all;
    for (const Network::Output& o : p.network().outputs()) all.emplace_back(o.name, o.components, o.per_atom);
    return all;
  };
  const GraphNeeds needs(first().species(), first().network(), first().r_min());
  for (std::size_t k = 1; k < members_.size(); ++k) {
    const Potential& other = *members_[k];
    std::string what = needs.difference(GraphNeeds(other.species(), other.network(), other.r_min()));
    if (what.empty() && (other.has_energy() != first().has_energy() || outputs(other) != outputs(first())))
      what = "what they give: energies and outputs";
    if (!what.empty()) throw InputError(message("member ", k, " of the committee differs from the first in ", what));
  }
  set_scales(std::move(scales));
}

void Committee::set_scales(std::optional<UncertaintyScales> scales) {
  if (scales && scales->forces.size() != first().species().size())
    throw InputError("uncertainty: one scale of forces per element is needed");
  scales_ = std::move(scales);
}

std::string Committee::digest() const {
  if (members_.size() == 1) return first().digest();
  Sha256 sha;
  for (const auto& member : members_) sha.update(std::string_view(member->digest()));
  if (scales_) sha.update({&scales_->energy, 1}), sha.update(std::span<const double>(scales_->forces));
  return sha.hex();
}

std::shared_ptr<Committee> Committee::load(const std::string& path) { return from_file(read_model_file(path), path); }

std::shared_ptr<Committee> Committee::from_file(const ModelFile& file, const std::string& name) {
  const auto json = nlohmann::json::parse(file.description);
  std::shared_ptr<Committee> committee;
  try {
    if (!json.contains("committee")) {
      committee = std::make_shared<Committee>(std::vector{Potential::from_file(file)}, std::nullopt);
    } else {
      const Options d(file.description);
      std::vector<std::shared_ptr<Potential>> members;
      for (const Options& of_member : d.get<std::vector<Options>>("committee")) {
        const std::string before = message("member_", members.size(), ".");
        ModelFile member{of_member.text(), {}, file.memory};
        for (const Tensor& t : file.tensors)
          if (t.name.starts_with(before)) member.tensors.push_back({t.name.substr(before.size()), t.shape, t.data});
        try {
          members.push_back(Potential::from_file(member));
        } catch (const InputError& e) {
          throw InputError(message("member ", members.size(), ": ", e.what()));
        }
      }
      if (members.empty()) throw InputError("a committee needs members");
      std::optional<UncertaintyScales> scales;
      if (d.has("uncertainty")) scales = committee_scales(d.get<Options>("uncertainty"), members[0]->species());
      committee = std::make_shared<Committee>(std::move(members), std::move(scales));
    }
  } catch (const InputError& e) {
    throw ModelFileError(message(name, ": ", shown(e.what(), 1000)));
  }
  return committee;
}

Result Committee::compute(const Structure& s, const EvaluationOptions& options) const {
  if (members_.size() == 1) return first().compute(s, options);
  EvaluationOptions plain = options;
  plain.uncertainty = plain.features = false;
  if (options.max_bytes == 0) {
    const PreparedStructure prepared = first().prepare(s, options);
    return compute(prepared, options);
  }
  std::vector<Result> results;  // one after the other, so that the bound holds
  for (const auto& member : members_) results.push_back(member->compute(s, plain));
  return mean(results, options, first().species_of(s.numbers));
}

Result Committee::compute(const PreparedStructure& prepared, const EvaluationOptions& options) const {
  if (members_.size() == 1) return first().compute(prepared, options);
  EvaluationOptions plain = options;
  plain.uncertainty = plain.features = false;
  std::vector<Result> results;
  for (const auto& member : members_) results.push_back(member->compute(prepared, plain));
  return mean(results, options, prepared.owned(), prepared.n_ghosts);
}

Result Committee::mean(const std::vector<Result>& results, const EvaluationOptions& options,
                       std::span<const int> species, std::size_t n_ghosts) const {
  if (options.uncertainty && n_ghosts > 0)
    throw InputError(
        "the uncertainty of a committee is the spread of whole forces; those of one domain with ghosts are "
        "not whole before others have added theirs");
  if (options.uncertainty && (!scales_ || !first().has_energy()))
    throw InputError("this committee was never compared with data: `nbcore uncertainty MODEL DATA` does it");
  const double share = 1.0 / double(results.size());
  Result mean;
  mean.forces.resize(results[0].forces.size()), mean.virials.resize(results[0].virials.size());
  mean.outputs.resize(results[0].outputs.size());
  for (const Result& r : results) {
    mean.energy += share * r.energy;
    add(share, r.energies, mean.energies);
    for (std::size_t i = 0; i < r.forces.size(); ++i) add(share, r.forces[i], mean.forces[i]);
    for (int a = 0; a < 3; ++a) add(share, r.virial[a], mean.virial[a]);
    for (std::size_t i = 0; i < r.virials.size(); ++i)
      for (int a = 0; a < 3; ++a) add(share, r.virials[i][a], mean.virials[i][a]);
    for (std::size_t k = 0; k < r.outputs.size(); ++k) add(share, r.outputs[k], mean.outputs[k]);
  }
  if (!options.uncertainty) return mean;
  std::vector<double> spreads(species.size());  // RMS over components, of deviations with n - 1
  for (const Result& r : results)
    for (std::size_t i = 0; i < spreads.size(); ++i)
      for (int c = 0; c < 3; ++c) {
        const double d = r.forces[i][c] - mean.forces[i][c];
        spreads[i] += d * d / (3.0 * double(results.size() - 1));
      }
  for (double& x : spreads) x = std::sqrt(x);
  mean.uncertainty = scales_->of(std::move(spreads), species);
  return mean;
}

}  // namespace nbcore
