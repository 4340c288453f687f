// What a potential keeps for its evaluations: weights as the kernels want them, tables and mixed sums, for the elements
// that were there.
#include <algorithm>

#include "base/threads.hpp"
#include "potential/potential.hpp"

namespace nbcore {

template <class Real> std::shared_ptr<const Buffer<Real>> Potential::pack(const std::vector<char>& species) const {
  compare_parameters();
  Memory<Real>& of = memory<Real>();
  PackedClasses missing{!of.is_packed, std::vector<char>(species_.size(), 1)};
  if (!of.is_packed) of.packed_species.assign(species_.size(), 0);
  for (std::size_t k = 0; k < species_.size(); ++k)
    missing.classes[k] = (species.empty() || species[k]) && !of.packed_species[k];
  const bool more = std::any_of(missing.classes.begin(), missing.classes.end(), [](char c) { return c; });
  if (!missing.common && !more) return of.packed;
  // whoever uses the old weights keeps them; who uses these does not read what is added
  if (missing.common && (!of.packed || of.packed.use_count() > 1)) of.packed = std::make_shared<Buffer<Real>>();
  network_->engine<Real>().pack(parameters_.data(), *of.packed, missing), of.is_packed = true;
  for (std::size_t k = 0; k < species_.size(); ++k) of.packed_species[k] |= missing.classes[k];
  return of.packed;
}

template <class Real> std::shared_ptr<const Buffer<Real>> Potential::packed(const std::vector<char>& species) const {
  const ShortLock lock(guard_);
  return pack<Real>(species);
}
template std::shared_ptr<const Buffer<double>> Potential::packed(const std::vector<char>&) const;
template std::shared_ptr<const Buffer<float>> Potential::packed(const std::vector<char>&) const;

template <class Real>
std::shared_ptr<const StandIns<Real>> Potential::stand_ins(const std::vector<char>& species, int n_atoms) const {
  constexpr std::size_t few_species = 6;
  constexpr int fewest_atoms = 64;  // for which the matrices of mixed sums pay with the first evaluation
  if (!has_radial_networks_) return nullptr;
  const ShortLock lock(guard_);
  std::vector<char> wanted(species_.size(), 0);
  const auto weights = pack<Real>(wanted);
  Memory<Real>& of = memory<Real>();
  bool more = !of.stand_ins;
  if (network_->radials_see_elements())
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      const bool there = of.stand_ins && of.stand_in_species[k];
      wanted[k] = species.empty() || species[k], more |= wanted[k] && !there;
    }
  if (more && of.stand_ins && species_.size() <= few_species)  // those of before are not thrown away
    for (std::size_t k = 0; k < wanted.size(); ++k) wanted[k] |= of.stand_in_species[k];
  if (more) {
    of.stand_ins =
        std::make_shared<const StandIns<Real>>(network_->stand_ins<Real>(parameters_.data(), *weights, wanted));
    of.stand_in_species = wanted, of.mixed.reset();
  }
  // by the structure alone, whatever was evaluated before: the same bits
  const auto there = std::count_if(species.begin(), species.end(), [](char c) { return c != 0; });
  if (!has_mixed_sums_ || n_atoms < fewest_atoms || there > MixedSums<Real>::most_species) return of.stand_ins;
  if (!of.mixed) of.mixed_species.assign(species_.size(), 0);
  std::vector<char> both = of.mixed_species;
  for (std::size_t k = 0; k < both.size(); ++k) both[k] |= species[k];
  if (!of.mixed || both != of.mixed_species) {
    if (std::count(both.begin(), both.end(), 1) > MixedSums<Real>::most_species) both = species;
    auto mixed = std::make_shared<StandIns<Real>>(*of.stand_ins);
    network_->mix_sums(parameters_.data(), both, *mixed);
    of.mixed = std::move(mixed), of.mixed_species = both;
  }
  return of.mixed;
}
template std::shared_ptr<const StandIns<double>> Potential::stand_ins(const std::vector<char>&, int) const;
template std::shared_ptr<const StandIns<float>> Potential::stand_ins(const std::vector<char>&, int) const;

}  // namespace nbcore
