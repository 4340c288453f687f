// What a gate is, apart from how it is computed: its options, the parts of its output, its parameters, what it wants to
// know of the edges. A rule knows no type of number, and changes nothing around it: it says what it needs, and the
// network sees to it. A network is rules first; kernels are made from them when somebody wants to compute.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gates/radial_options.hpp"
#include "ops/aggregation.hpp"
#include "ops/edges.hpp"
#include "ops/features.hpp"

namespace nbcore {

struct GateType;

/// The states that a gate reads: the parts of each
using States = std::vector<std::span<const Part>>;

/// A named array of weights in the flat parameter vector. Initial values are normal with the given deviation.
struct ParameterInfo {
  std::string name;
  std::vector<std::int64_t> shape;
  double deviation = 1.0;
  /// Its numbers; bounded where a rule is made, so that sums of many do not overflow
  std::int64_t size() const {
    std::int64_t n = 1;
    for (auto d : shape) n *= d;
    return n;
  }
};

/// What a rule may know of the nodes that it is for
struct Surroundings {
  int n_species = 1;         // of its nodes
  bool own_children = true;  // its nodes are each other's children, as atoms are
  int n_child_species = 1;   // of their children
  bool o3 = true;            // parity tracked; else SO(3) alone

  /// (-1)^l, or 0 where parity is not tracked
  int natural(int l) const { return !o3 ? 0 : l % 2 ? -1 : 1; }
};

/// Which edges a gate runs over, if any: a gate that reads states of others begins a new level. `edges` is a gate that
/// reads those of its own nodes: their geometry, and states that belong to edges, within a level.
enum class Reads { nodes, children, pairs, edges };

/// Sums over children that are known by their species z alone, per part of the output, l = 0, 1, ...: numbers of the
/// gate's parameters behind  out[lm][c] = factor sum_j Y_lm sum_n h_n(r_j) R[n][c] E[z_j][c]
struct SpeciesSums {
  struct Part {
    std::int64_t R;
    double factor;
    int parity;
  };
  std::vector<Part> parts;
  std::int64_t E;
  int n_radial, channels;
};
/// A state of one group of channels per part, l = 0, 1, ..., mixed by a matrix [K][N] per part, which is scale times
/// parameters from `first` on, and `step` further for each species of the node (0: one for all)
struct LinearMap {
  struct Part {
    std::int64_t first, step;
    double scale;
    int parity, K, N;
  };
  std::vector<Part> parts;
};

struct GateRule {
  const GateType* type = nullptr;
  std::vector<Part> output;
  std::vector<ParameterInfo> parameters;  // behind the gate's own those of its radial networks
  std::vector<double> gains;              // constant factors of the output parts, for gates that have such
  int l_harmonics = 0;                    // largest l of the harmonics of the edges
  std::vector<Radial> radials;            // functions of the edges' lengths, as the kernels number them
  std::int64_t terms = 0;                 // paths or products that kernels have tables of

  // Of gates that read `edges`: which of its states belong to edges, not to nodes; the inputs as bits. A gate of nodes
  // has no need of this: with states of edges as inputs, it runs on edges as if these were its nodes.
  static constexpr bool output_on_edges = false;
  static constexpr unsigned inputs_on_edges = 0;

  virtual ~GateRule() = default;
  /// Where the gate is one of these, see mixed_sums.hpp
  virtual std::optional<SpeciesSums> species_sums() const { return {}; }
  virtual std::optional<LinearMap> linear_map() const { return {}; }
  std::int64_t n_parameters() const {
    std::int64_t n = 0;
    for (const ParameterInfo& p : parameters) n += p.size();
    return n;
  }
  /// First parameter of the layers of the network `radial`, see radial_network.hpp
  std::int64_t first_of_network(int radial) const;
  /// Counts what kernels will have tables of; InputError where that is out of hand
  void count_terms(std::int64_t n);
};

inline constexpr std::int64_t most_terms = most_paths;

/// InputError where this is no state: l, parity, channels, their bounds
void check_state(std::span<const Part> parts, bool o3);

/// The rule that a specification {"gate": NAME, options} names. InputError begins with the gate and says which option
/// or input does not fit.
std::unique_ptr<GateRule> make_rule(const Options& spec, const States& inputs, const Surroundings& around);

}  // namespace nbcore
