// The environment of a node, a sum over its edges of weights times harmonics:
//
//   A[i][lm][c] = scale * sum over edges e of i of  w[e][l][c] Y_lm(r_e)
//
// w: even scalars of the edges, a group of channels per l. With l_max 0 it is the plain sum of scalars of edges, as of
// their energies. No weights of its own.
#include "gates/edge_harmonics.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("l_max", 2, 0, max_l_network, "largest l of the harmonics; 0: the sum of the scalars themselves"),
    real("scale", 1.0, "factor of the sum, one over the root of the usual number of neighbours, say"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::edges;
  static constexpr unsigned inputs_on_edges = 1;
  EdgeWeights weights;
  double scale;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : weights(inputs, around, o.whole("l_max")), scale(o.real("scale")) {
    l_harmonics = weights.l_max, output = weights.tensors(around);
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>;
  int l_max, row;
  Real scale;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace>)
      : l_max(rule.weights.l_max), row(padded<Real>(rule.weights.channels)), scale(Real(rule.scale)) {}

  template <class Lane> void forward(Block<Real>& b) const {
    each(b, [&](auto dimension, int l, int i) {
      const Planes<Real> A = b.output.own(l) + std::ptrdiff_t(i) * (2 * l + 1) * row;
      for (int c = 0; c < row; c += w) {
        Lane sum[most_components] = {};
        for (std::int64_t e = b.first[i]; e < b.first[i + 1]; ++e) {
          const Lane x = load<Lane>(weight(b.inputs[0].part(0), e, l), c);
          const Planes<Real> Y = b.edges->Y.planes() + (e * b.edges->Y_row + l * l);
          repeat<dimension()>(2 * l + 1, [&](int m) { add_product(sum[m], load_scalar<ScalarOf<Lane>>(Y, m), x); });
        }
        repeat<dimension()>(2 * l + 1, [&](int m) { put(A, m * row + c, product(scale, sum[m])); });
      }
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    each(b, [&](auto dimension, int l, int i) {
      const Planes<Real> A_bar = b.output.own_bar(l) + std::ptrdiff_t(i) * (2 * l + 1) * row;
      for (std::int64_t e = b.first[i]; e < b.first[i + 1]; ++e) {
        const Planes<Real> x = weight(b.inputs[0].part(0), e, l), x_bar = weight(b.inputs[0].part_bar(0), e, l),
                           Y = b.edges->Y.planes() + (e * b.edges->Y_row + l * l);
        Lane along[most_components] = {};
        for (int c = 0; c < row; c += w) {
          Lane sum{};
          const Lane scaled = product(scale, load<Lane>(x, c));
          repeat<dimension()>(2 * l + 1, [&](int m) {
            const Lane bar = load<Lane>(A_bar, m * row + c);
            add_product(sum, load_scalar<ScalarOf<Lane>>(Y, m), bar);
            if constexpr (want.edges) add_product(along[m], scaled, bar);
          });
          Lane all = load<Lane>(x_bar, c);
          add_product(all, scale, sum);
          put(x_bar, c, all);
        }
        if constexpr (want.edges) add_sums(along, 2 * l + 1, b.edges->Y_bar.planes(), e * b.edges->Y_row + l * l);
      }
    });
  }

 private:
  Planes<Real> weight(Planes<Real> x, std::int64_t e, int l) const { return x + (e * (l_max + 1) + l) * row; }
  /// f(constant 2l+1, l, node)
  template <class F> void each(const Block<Real>& b, F f) const {
    for (int l = 0; l <= l_max; ++l)
      with_dimension(l, [&](auto dimension) {
        for (int i = 0; i < b.n; ++i) f(dimension, l, i);
      });
  }
};

}  // namespace

NB_GATE(environment, "Sum over the edges of a node of weights times harmonics: its environment")

}  // namespace nbcore
