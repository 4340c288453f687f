// Scalars of edges that know the distance and both elements:
//
//   x[e][c] = sum over n of  B_n(r_e) W[z of the node][z of its neighbour][n][c]
//
// with W scaled by one over the root of the number of radial functions.
#include <cmath>

#include "gates/gate.hpp"

namespace nbcore {

namespace {

const OptionTable options = {
    whole("channels", 64, 1, 4096, "scalars of an edge"),
    radial_functions("radial basis"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::edges;
  static constexpr bool output_on_edges = true;
  int channels, n_species, n_child_species;

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : channels(o.whole("channels")), n_species(around.n_species), n_child_species(around.n_child_species) {
    if (!inputs.empty()) throw InputError("its children are leaves; it takes no inputs");
    radials = {radial_of(o)};
    output = {{0, around.natural(0), 1, channels}};
    parameters.push_back({"W", {n_species, n_child_species, radials[0].width(), channels}});
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>;
  int radial, n_radial, B_row, channels, row, n_child_species;

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace> places)
      : radial(places[0].set),
        n_radial(rule.radials[0].width()),
        B_row(padded<Real>(n_radial)),
        channels(rule.channels),
        row(padded<Real>(channels)),
        n_child_species(rule.n_child_species) {
    const double scale = 1 / std::sqrt(double(n_radial));
    for (std::int64_t pair = 0; pair < std::int64_t(rule.n_species) * n_child_species; ++pair) {
      const std::int64_t first = pair * n_radial * channels;
      for (int n = 0; n < n_radial; ++n) {  // W [pair][n][channel]
        for (int c = 0; c < channels; ++c) this->packing.weight(first + std::int64_t(n) * channels + c, scale);
        this->packing.zeros(row - channels);
      }
      for (int c = 0; c < channels; ++c) {  // its transpose [pair][channel][n]
        for (int n = 0; n < n_radial; ++n) this->copies.weight(first + std::int64_t(n) * channels + c, scale);
        this->copies.zeros(B_row - n_radial);
      }
    }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    each_edge(b, [&](std::int64_t e, std::int64_t pair) {
      const Planes<Real> x = b.output.part(0) + e * row, B = b.edges->B[radial].planes() + e * B_row;
      const Real* W = b.weights + pair * n_radial * row;
      for (int c = 0; c < row; c += w) {
        Lane sum{};
        for (int n = 0; n < n_radial; ++n)
          add_product(sum, load_scalar<ScalarOf<Lane>>(B, n), load_register(W + n * row + c));
        put(x, c, sum);
      }
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    const bool radial_too = this->wants_radial(want);
    each_edge(b, [&](std::int64_t e, std::int64_t pair) {
      const Planes<Real> x_bar = b.output.part_bar(0) + e * row, B = b.edges->B[radial].planes() + e * B_row,
                         B_bar = b.edges->B_bar[radial].planes() + e * B_row;
      if (radial_too) {
        const Real* W = b.copies + pair * channels * B_row;
        for (int n = 0; n < B_row; n += w) {
          Lane sum = load<Lane>(B_bar, n);
          for (int c = 0; c < channels; ++c)
            add_product(sum, load_scalar<ScalarOf<Lane>>(x_bar, c), load_register(W + c * B_row + n));
          store(B_bar, n, sum);
        }
      }
      if constexpr (want.parameters)
        for (int n = 0; n < n_radial; ++n) {
          const ScalarOf<Lane> B_n = load_scalar<ScalarOf<Lane>>(B, n);
          Real* W_bar = b.weights_bar + (pair * n_radial + n) * row;
          for (int c = 0; c < row; c += w) {
            Simd<Real> sum = load_register(W_bar + c);
            add_gradient(sum, B_n, load<Lane>(x_bar, c));
            store_register(W_bar + c, sum);
          }
        }
    });
  }

 private:
  /// f(edge, number of its pair of elements)
  template <class F> void each_edge(const Block<Real>& b, F f) const {
    for (int z = 0; z < b.n_species; ++z)
      for (int i = b.species_first[z]; i < b.species_first[z + 1]; ++i)
        for (std::int64_t e = b.first[i]; e < b.first[i + 1]; ++e)
          f(e, std::int64_t(z) * n_child_species + b.child_species[e]);
  }
};

}  // namespace

NB_GATE(edge_embedding, "Scalars of edges: radial functions with weights per pair of elements")

}  // namespace nbcore
