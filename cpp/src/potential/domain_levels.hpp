// A committee level by level on one domain whose ghosts' states the host exchanges: the levels of its members
// (levels.hpp), in double or in single precision, with what they need, kept from step to step.
//
//   levels.begin(prepare(domain, ..., Ghosts::exchanged, ...));
//   for (k = 1 .. levels() - 1)  levels.forward(k);  read_states(k, atoms) -> write_states(k, their ghosts elsewhere)
//   for (k = levels() .. 1)      levels.adjoint(k);  take_adjoints(k - 1, ghosts) -> add_adjoints(k - 1, their owners)
//   levels.finish();             forces on ghosts are to be added to those of their owners
//
// Leaf states (level 0) are inputs: nothing is exchanged for them, and nothing after the adjoint of level 1.
#pragma once
#include "potential/committee.hpp"
#include "potential/domain.hpp"

namespace nbcore {

class DomainLevels {
 public:
  /// How all evaluations are done; what they want besides the energy is said to begin()
  DomainLevels(std::shared_ptr<const Committee> committee, const EvaluationOptions& options);
  ~DomainLevels();

  const Committee& committee() const { return *committee_; }
  /// Of the member that has most
  int levels() const { return levels_; }
  /// What the states of one atom take that others read after this level, in bytes: whole doubles
  std::size_t row_bytes(int level) const;

  /// virials, uncertainty: what the result is to have. Everything before is forgotten, after errors too.
  void begin(PreparedStructure prepared, bool virials, bool uncertainty);
  /// Nothing is running any more.
  void end();
  void forward(int level);
  void adjoint(int level);
  Result finish();

  /// Rows of row_bytes() each, of atoms by their places in the domain; adjoints are zero after they were taken
  void read_states(int level, std::span<const std::int32_t> atoms, void* rows);
  void write_states(int level, std::span<const std::int32_t> atoms, const void* rows);
  void take_adjoints(int level, std::span<const std::int32_t> atoms, void* rows);
  void add_adjoints(int level, std::span<const std::int32_t> atoms, const void* rows);

 private:
  struct Member;
  template <class Real> struct MemberOf;
  void check_level(int level) const;
  void check_states(int level, std::span<const std::int32_t> atoms) const;
  void check_adjoints(int level, std::span<const std::int32_t> atoms) const;
  void check_atoms(std::span<const std::int32_t> atoms) const;
  /// f(member, where its part of a row stands) where it has one
  template <class F> void each_row(int level, F f);

  std::shared_ptr<const Committee> committee_;
  EvaluationOptions options_;
  int levels_ = 0;
  std::vector<std::unique_ptr<Member>> members_;
  std::optional<PreparedStructure> prepared_;
  int forward_ = 0, adjoint_ = 0;  // the last level that went forward, the next one back; 0: all
  bool running_ = false;
};

}  // namespace nbcore
