// Tensors of edges, weights times harmonics:
//
//   V[e][lm][c] = w[e][l][c] Y_lm(r_e)
//
// w: even scalars of the edges, a group of channels per l. No weights of its own.
#include "gates/edge_harmonics.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("l_max", 2, 0, max_l_network, "largest l of the harmonics"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::edges;
  static constexpr bool output_on_edges = true;
  static constexpr unsigned inputs_on_edges = 1;
  EdgeWeights weights;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : weights(inputs, around, o.whole("l_max")) {
    l_harmonics = weights.l_max, output = weights.tensors(around);
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>;
  int l_max, row;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>)
      : l_max(rule.weights.l_max), row(padded<Real>(rule.weights.channels)) {}

  template <class Lane> void forward(Block<Real>& b) const {
    each(b, [&](auto dimension, int l, std::int64_t e, Planes<Real> weight, Planes<Real> Y) {
      const Planes<Real> V = b.output.part(l) + e * (2 * l + 1) * row;
      for (int c = 0; c < row; c += w)
        repeat<dimension()>(2 * l + 1, [&](int m) {
          put(V, m * row + c, product(load_scalar<ScalarOf<Lane>>(Y, m), load<Lane>(weight, c)));
        });
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    each(b, [&](auto dimension, int l, std::int64_t e, Planes<Real> weight, Planes<Real> Y) {
      const Planes<Real> V_bar = b.output.part_bar(l) + e * (2 * l + 1) * row,
                         weight_bar = b.inputs[0].part_bar(0) + (e * (l_max + 1) + l) * row;
      Lane along[most_components] = {};
      for (int c = 0; c < row; c += w) {
        Lane sum = load<Lane>(weight_bar, c);
        const Lane x = load<Lane>(weight, c);
        repeat<dimension()>(2 * l + 1, [&](int m) {
          const Lane bar = load<Lane>(V_bar, m * row + c);
          add_product(sum, load_scalar<ScalarOf<Lane>>(Y, m), bar);
          if constexpr (want.edges) add_product(along[m], x, bar);
        });
        put(weight_bar, c, sum);
      }
      if constexpr (want.edges) add_sums(along, 2 * l + 1, b.edges->Y_bar.planes(), e * b.edges->Y_row + l * l);
    });
  }

 private:
  /// f(constant 2l+1, l, edge, its weights of this l, its harmonics)
  template <class F> void each(const Block<Real>& b, F f) const {
    for (int l = 0; l <= l_max; ++l)
      with_dimension(l, [&](auto dimension) {
        for (std::int64_t e = 0; e < b.first[b.n]; ++e)
          f(dimension, l, e, b.inputs[0].part(0) + (e * (l_max + 1) + l) * row,
            b.edges->Y.planes() + (e * b.edges->Y_row + l * l));
      });
  }
};

}  // namespace

NB_GATE(edge_tensors, "Tensors of edges: weights of each l times the harmonics of the direction")

}  // namespace nbcore
