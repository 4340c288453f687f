#include "potential/domain_levels.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "potential/levels.hpp"

namespace nbcore {

/// A member of the committee
struct DomainLevels::Member {
  explicit Member(const Potential& potential) : potential(potential), size(potential.network().levels()) {}
  virtual ~Member() = default;
  virtual std::size_t row_bytes(int level) const = 0;
  virtual void begin(const PreparedStructure& prepared, const EvaluationOptions& options) = 0;
  virtual void end() = 0;
  virtual void forward(int level) = 0;
  virtual void adjoint(int level) = 0;
  virtual Result finish() = 0;
  virtual void read(bool adjoints, int level, std::span<const std::int32_t> atoms, void* rows, std::size_t stride) = 0;
  virtual void write(bool adjoints, int level, std::span<const std::int32_t> atoms, const void* rows,
                     std::size_t stride) = 0;

  const Potential& potential;
  const int size;  // levels
};

template <class Real> struct DomainLevels::MemberOf : Member {
  using Member::Member;

  std::size_t row_bytes(int level) const override {
    if (level >= size) return 0;
    const std::size_t bytes = sizeof(Real) * Levels<Real>::row_size(potential.network(), level);
    return (bytes + sizeof(double) - 1) / sizeof(double) * sizeof(double);
  }
  void begin(const PreparedStructure& given, const EvaluationOptions& how) override {
    prepared = &given, options = how;
    const std::vector<char> species = given.graph.species_of_parents(atom_set);
    scales = potential.scales(), weights = potential.packed<Real>(species);
    stand_ins = options.radial_splines ? potential.stand_ins<Real>(species, given.graph.n_atoms()) : nullptr;
    to = potential.begin(given, options, *scales);
    levels.emplace(potential.network(), given.graph, *weights, stand_ins.get(), scales->scale, options.threads, space,
                   to);
    levels->begin();
  }
  void end() override { levels.reset(), weights.reset(); }
  void forward(int level) override { levels->forward(level); }
  void adjoint(int level) override { levels->adjoint(level); }
  Result finish() override {
    levels->finish();
    if (to.last_layer) to.last_layer->share_among_atoms(prepared->graph, to.features);
    return potential.result(*prepared, options, *scales, std::move(to));
  }
  void read(bool adjoints, int level, std::span<const std::int32_t> atoms, void* rows, std::size_t stride) override {
    Real* const to = static_cast<Real*>(rows);
    if (adjoints) levels->take_adjoints(level, atoms, to, stride / sizeof(Real));
    else levels->read_states(level, atoms, to, stride / sizeof(Real));
  }
  void write(bool adjoints, int level, std::span<const std::int32_t> atoms, const void* rows,
             std::size_t stride) override {
    const Real* const from = static_cast<const Real*>(rows);
    if (adjoints) levels->add_adjoints(level, atoms, from, stride / sizeof(Real));
    else levels->write_states(level, atoms, from, stride / sizeof(Real));
  }

  const PreparedStructure* prepared = nullptr;
  EvaluationOptions options;
  std::shared_ptr<const Scales> scales;
  std::shared_ptr<const Buffer<Real>> weights;
  std::shared_ptr<const StandIns<Real>> stand_ins;
  EvaluationSpace<Real> space;
  Evaluation to;
  std::optional<Levels<Real>> levels;
};

DomainLevels::DomainLevels(std::shared_ptr<const Committee> committee, const EvaluationOptions& options)
    : committee_(std::move(committee)), options_(options) {
  for (const auto& member : committee_->members()) {
    if (options.precision == Precision::float64) members_.push_back(std::make_unique<MemberOf<double>>(*member));
    else members_.push_back(std::make_unique<MemberOf<float>>(*member));
    levels_ = std::max(levels_, members_.back()->size);
  }
}

DomainLevels::~DomainLevels() = default;

void DomainLevels::check_level(int level) const {
  if (level < 1 || level > levels_) throw InputError(message("levels are 1 to ", levels_, ", got ", level));
}

std::size_t DomainLevels::row_bytes(int level) const {
  check_level(level);
  std::size_t bytes = 0;
  for (const auto& member : members_) bytes += member->row_bytes(level);
  return bytes;
}

void DomainLevels::begin(PreparedStructure prepared, bool virials, bool uncertainty) {
  end();
  prepared_ = std::move(prepared);
  options_.virials = virials, options_.uncertainty = uncertainty;
  EvaluationOptions of_member = options_;
  of_member.uncertainty &= members_.size() == 1;
  for (const auto& member : members_) member->begin(*prepared_, of_member);
  forward_ = 0, adjoint_ = levels_, running_ = true;
}

void DomainLevels::end() {
  running_ = false;
  for (const auto& member : members_) member->end();
}

void DomainLevels::forward(int level) {
  check_level(level);
  if (!running_ || level != forward_ + 1 || level >= levels_)
    throw InputError(message("levels go forward from 1 to ", levels_ - 1,
                             ", one after the other, after each beginning; ",
                             running_ ? message("the last one was ", forward_) : "nothing has begun", ", got ", level));
  running_ = false;  // an error ends the evaluation
  for (const auto& member : members_)
    if (level < member->size) member->forward(level);
  forward_ = level, running_ = true;
}

void DomainLevels::adjoint(int level) {
  check_level(level);
  if (!running_ || forward_ != levels_ - 1 || level != adjoint_)
    throw InputError(
        message("after all went forward, levels go back from ", levels_, " to 1, one after the other; ",
                running_ ? message("forward went ", forward_, " of ", levels_ - 1, ", the next one back is ", adjoint_)
                         : "nothing has begun",
                ", got ", level));
  running_ = false;
  for (const auto& member : members_)
    if (level <= member->size) member->adjoint(level);
  adjoint_ = level - 1, running_ = true;
}

Result DomainLevels::finish() {
  if (!running_ || adjoint_ != 0)
    throw InputError(message("an evaluation finishes when all levels have gone back; ",
                             running_ ? message(adjoint_, " have not") : "nothing has begun"));
  running_ = false;
  std::vector<Result> results;
  for (const auto& member : members_) results.push_back(member->finish());
  if (results.size() == 1) return std::move(results[0]);
  return committee_->mean(results, options_, prepared_->owned(), prepared_->n_ghosts);
}

void DomainLevels::check_atoms(std::span<const std::int32_t> atoms) const {
  const std::size_t n = prepared_->species.size();
  for (std::int32_t i : atoms)
    if (i < 0 || std::size_t(i) >= n) throw InputError(message("no atom ", i, " among ", n));
}

void DomainLevels::check_states(int level, std::span<const std::int32_t> atoms) const {
  check_level(level);
  if (!running_ || forward_ < level || adjoint_ < levels_)
    throw InputError(message("states of level ", level, " are there when it has gone forward, until levels go back"));
  check_atoms(atoms);
}

void DomainLevels::check_adjoints(int level, std::span<const std::int32_t> atoms) const {
  check_level(level);
  if (!running_ || adjoint_ != level || level == levels_)
    throw InputError(message("adjoints of the states of level ", level, " are exchanged when level ", level + 1,
                             " has gone back, before level ", level, " does"));
  check_atoms(atoms);
}

template <class F> void DomainLevels::each_row(int level, F f) {
  std::size_t at = 0;
  for (const auto& member : members_)
    if (const std::size_t bytes = member->row_bytes(level); bytes > 0) f(*member, at), at += bytes;
}

void DomainLevels::read_states(int level, std::span<const std::int32_t> atoms, void* rows) {
  check_states(level, atoms);
  each_row(level, [&](Member& member, std::size_t at) {
    member.read(false, level, atoms, static_cast<char*>(rows) + at, row_bytes(level));
  });
}
void DomainLevels::write_states(int level, std::span<const std::int32_t> atoms, const void* rows) {
  check_states(level, atoms);
  each_row(level, [&](Member& member, std::size_t at) {
    member.write(false, level, atoms, static_cast<const char*>(rows) + at, row_bytes(level));
  });
}
void DomainLevels::take_adjoints(int level, std::span<const std::int32_t> atoms, void* rows) {
  check_adjoints(level, atoms);
  each_row(level, [&](Member& member, std::size_t at) {
    member.read(true, level, atoms, static_cast<char*>(rows) + at, row_bytes(level));
  });
}
void DomainLevels::add_adjoints(int level, std::span<const std::int32_t> atoms, const void* rows) {
  check_adjoints(level, atoms);
  each_row(level, [&](Member& member, std::size_t at) {
    member.write(true, level, atoms, static_cast<const char*>(rows) + at, row_bytes(level));
  });
}

}  // namespace nbcore
