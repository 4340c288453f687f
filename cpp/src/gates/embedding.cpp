// The species of a node as a state: scalars that are the node's row in a table of weights,
//
//   out[i][c] = E[species of i][c]
//
// A constant per species in a sum of mixings, or a factor of other states. It knows no positions: its adjoint is that of
// its weights.
#include <algorithm>

#include "gates/gate.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("channels", 64, 1, 4096, "channels of the output"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  int n_species;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around) : n_species(around.n_species) {
    if (!inputs.empty()) throw InputError("it takes no input");
    output = {{0, around.natural(0), 1, o.whole("channels")}};
    parameters = {{"E", {n_species, o.whole("channels")}}};
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  int row, n_species;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>) : n_species(rule.n_species) {
    const Layout<Real> layout(rule.output);
    const std::int64_t channels = layout[0].channels();
    row = layout.row(0);
    for (std::int64_t z = 0; z < n_species; ++z) {
      for (std::int64_t c = 0; c < channels; ++c) this->packing.weight(z * channels + c, 1);
      this->packing.fill_to((z + 1) * row);
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    Real* out = written<Lane>(b.output.own(0));
    if constexpr (is_dual<Lane>) {  // weights have no tangents
      fill(out, std::ptrdiff_t(b.n) * row, 0);
    } else {
      for (int z = 0; z < n_species; ++z)
        for (int i = b.species_first[z]; i < b.species_first[z + 1]; ++i)
          copy(b.weights + std::ptrdiff_t(z) * row, row, out + std::ptrdiff_t(i) * row);
    }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    if constexpr (want.parameters) {
      const Real* bar = written<Lane>(b.output.own_bar(0));
      for (int z = 0; z < n_species; ++z)
        for (int i = b.species_first[z]; i < b.species_first[z + 1]; ++i)
          for_lanes(row, [&](std::ptrdiff_t c) { b.weights_bar[z * row + c] += bar[std::ptrdiff_t(i) * row + c]; });
    }
  }
};

}  // namespace

NB_GATE(embedding, "The species of a node as a state: a row of a table of weights")

}  // namespace nbcore
