// Group norm (Wu, He, arXiv:1803.08494) of scalars, each group of channels by itself, node by node: nothing is kept from
// one node, structure or training to another, so that what it does is fixed by its input alone.
//
//   out[g][c] = (1 + gain[g][c]) (psi[g][c] - mean over c) / sqrt(mean over c of (psi[g][c] - mean)^2 + epsilon) + shift[g][c]
//
// A group without a spread gives its shift. Where a neighbourhood vanishes, at the cutoff, the spread has to fall below
// sqrt(epsilon) before its norm does: smooth, but steep.
#include "gates/gate.hpp"
#include "ops/layer_norm.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    real("epsilon", 1e-5, 0, 1e3, "added to the variance", true),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  double epsilon;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around) : epsilon(o.real("epsilon")) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    if (inputs[0].size() != 1 || inputs[0][0].l != 0 || inputs[0][0].parity != around.natural(0))
      throw InputError("its input must be one part of even scalars");
    if (inputs[0][0].group < 2) throw InputError("a norm needs groups of at least two channels");
    output.assign(inputs[0].begin(), inputs[0].end());
    for (const char* name : {"gain", "shift"}) parameters.push_back({name, {output[0].groups, output[0].group}, 0.0});
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  double epsilon;
  int groups, group, row;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>)
      : epsilon(rule.epsilon),
        groups(rule.output[0].groups),
        group(rule.output[0].group),
        row(padded<Real>(rule.output[0].group)) {
    const std::int64_t n = std::int64_t(groups) * group;
    for (int g = 0; g < groups; ++g) {  // as LayerNorm has them
      this->packing.constants(1, group);
      this->packing.zeros(row - group);
      for (std::int64_t first : {std::int64_t(0), n}) {
        for (int c = 0; c < group; ++c) this->packing.weight(first + std::int64_t(g) * group + c, 1);
        this->packing.zeros(row - group);
      }
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    const Planes<Real> z = b.scratch->take_planes(row, is_dual<Lane>);
    each_group(b, [&](std::ptrdiff_t at, int g) {
      copy<Lane>(b.inputs[0].own(0) + at, z);
      norm(b, g).template forward<Lane>(z, {});
      for (int c = 0; c < row; c += width<Real>) put(b.output.own(0), at + c, load<Lane>(z, c));
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    const bool dual = is_dual<Lane>;
    const Planes<Real> z = b.scratch->take_planes(row, dual), y = b.scratch->take_planes(row, dual);
    each_group(b, [&](std::ptrdiff_t at, int g) {
      copy<Lane>(b.inputs[0].own(0) + at, z);
      const LayerNorm<Real> of = norm(b, g);
      const auto s = of.template forward<Lane>(z, y);
      copy<Lane>(b.output.own_bar(0) + at, z);
      of.template adjoint<Lane>(z, y, s, want.parameters ? b.weights_bar + 3 * std::ptrdiff_t(g) * row : nullptr);
      const Planes<Real> x_bar = b.inputs[0].own_bar(0) + at;
      for (int c = 0; c < row; c += width<Real>) put(x_bar, c, load<Lane>(x_bar, c) + load<Lane>(z, c));
    });
  }

 private:
  LayerNorm<Real> norm(const Block<Real>& b, int g) const {
    return {b.weights + 3 * std::ptrdiff_t(g) * row, group, row, epsilon};
  }
  /// The channels of a group, zeros where its row is filled up
  template <class Lane> void copy(Planes<Real> from, Planes<Real> to) const {
    for (int c = 0; c < row; c += width<Real>) store(to, c, load<Lane>(from, c));
    fill(to.value + group, row - group, 0);
    if constexpr (is_dual<Lane>) fill(to.dot + group, row - group, 0);
  }
  /// f(first element of the group of a node, group)
  template <class F> void each_group(const Block<Real>& b, F f) const {
    for (int i = 0; i < b.n; ++i)
      for (int g = 0; g < groups; ++g) f((std::ptrdiff_t(i) * groups + g) * row, g);
  }
};

}  // namespace

NB_GATE(group_norm,
        "Group norm of scalars: each group of channels with mean 0 and variance 1, times gains, plus shifts")

}  // namespace nbcore
