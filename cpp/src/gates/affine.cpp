// A scale for every channel, and for scalars a shift, of each species of the node:
//
//   out^l_m[i][c] = (1 + a^l[z_i][c]) psi^l_m[i][c] + b[z_i][c]          b of even scalars alone: they do not turn
//
// With a and b as calibration sets them from data it standardises features: mean zero, deviation one. A normalisation by
// batches that was frozen after a training is the same map.
#include <array>

#include "gates/gate.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    choice("share", {"species", "all"}, "scales and shifts per species of the node, or the same for all nodes"),
    flag("shift", true, "false: nothing is added to even scalars"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::nodes;
  int n_classes;
  std::vector<std::array<std::int64_t, 2>> first;  // per part the parameters of scale and shift, -1: it has no shift

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : n_classes(o.is("share", "species") ? around.n_species : 1) {
    if (inputs.size() != 1) throw InputError("it takes one input");
    output.assign(inputs[0].begin(), inputs[0].end());
    for (int p = 0; p < int(output.size()); ++p) {
      const Part& part = output[p];
      if (part.complex) throw InputError("it takes real parts only");
      const std::string number = output.size() > 1 ? std::to_string(p) : "";
      const bool shifted = o.flag("shift") && part.l == 0 && part.parity == around.natural(0);
      first.push_back({n_parameters(), -1});
      parameters.push_back({"scale" + number, {n_classes, part.channels()}, 0.0});
      if (!shifted) continue;
      first.back()[1] = n_parameters();
      parameters.push_back({"shift" + number, {n_classes, part.channels()}, 0.0});
    }
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  using V = Simd<Real>;
  struct Place {
    std::ptrdiff_t scale, shift;  // in the packed weights, of class 0; -1: it has no shift
  };
  std::vector<Place> places;
  int n_classes;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>) : n_classes(rule.n_classes) {
    const Layout<Real> layout(rule.output);
    const auto pack = [&](int p, std::int64_t first) {
      const std::ptrdiff_t begin = this->packing.size();
      std::vector<std::int64_t> channel(layout.row(p), -1);
      for (int c = 0; c < layout[p].channels(); ++c) channel[layout.position(p, c)] = c;
      for (int z = 0; z < n_classes; ++z)
        for (const std::int64_t c : channel)
          if (c < 0) this->packing.zeros(1);
          else this->packing.weight(first + std::int64_t(z) * layout[p].channels() + c, 1);
      return begin;
    };
    for (int p = 0; p < layout.size(); ++p) {
      const std::ptrdiff_t scale = pack(p, rule.first[p][0]);
      places.push_back({scale, rule.first[p][1] < 0 ? -1 : pack(p, rule.first[p][1])});
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    each_register(b, [&](int p, std::ptrdiff_t at, std::ptrdiff_t scale, std::ptrdiff_t shift) {
      Lane out = product(load<Lane>(b.inputs[0].own(p), at), Real(1) + weights(b, scale));
      if (shift >= 0) out = value_plus(out, weights(b, shift));
      put(b.output.own(p), at, out);
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    each_register(b, [&](int p, std::ptrdiff_t at, std::ptrdiff_t scale, std::ptrdiff_t shift) {
      const Lane out_bar = load<Lane>(b.output.own_bar(p), at);
      Lane x_bar = load<Lane>(b.inputs[0].own_bar(p), at);
      add_product(x_bar, out_bar, Real(1) + weights(b, scale));
      put(b.inputs[0].own_bar(p), at, x_bar);
      if constexpr (want.parameters) {
        add_gradient(weights_bar(b, scale), out_bar, load<Lane>(b.inputs[0].own(p), at));
        if (shift >= 0) add_gradient(weights_bar(b, shift), out_bar, one<Lane>());
      }
    });
  }

 private:
  static V weights(const Block<Real>& b, std::ptrdiff_t at) { return load_register(b.weights + at); }
  static V& weights_bar(const Block<Real>& b, std::ptrdiff_t at) { return registers(b.weights_bar + at)[0]; }
  /// a + c; a constant has no tangent
  template <class Lane> static Lane value_plus(Lane a, V c) {
    if constexpr (is_dual<Lane>) return {a.value + c, a.dot};
    else return a + c;
  }
  template <class Lane> static Lane one() {
    if constexpr (is_dual<Lane>) return {V{} + Real(1), V{}};
    else return V{} + Real(1);
  }
  /// f(part, element of the state, places of its scale and of its shift or -1) for every register of every node
  template <class F> void each_register(const Block<Real>& b, F f) const {
    const Layout<Real>& layout = *b.output.layout;
    for (int p = 0; p < layout.size(); ++p) {
      const int d = layout[p].dim(), row = layout.row(p);
      for (int z = 0; z < n_classes; ++z) {
        const int from = n_classes == 1 ? 0 : b.species_first[z], to = n_classes == 1 ? b.n : b.species_first[z + 1];
        for (std::ptrdiff_t r = std::ptrdiff_t(from) * d; r < std::ptrdiff_t(to) * d; ++r)
          for (std::ptrdiff_t c = 0; c < row; c += width<Real>)
            f(p, r * row + c, places[p].scale + z * row + c, places[p].shift < 0 ? -1 : places[p].shift + z * row + c);
      }
    }
  }
};

}  // namespace

NB_GATE(affine, "A scale for every channel, and for scalars a shift, per species of the node")

}  // namespace nbcore
