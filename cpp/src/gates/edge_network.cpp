// A layer of a network at every edge, behind the product of the child's state with functions of the distance (the
// interactions of deep tensor neural networks, arXiv:1609.08259):
//
//   out[i][c] = scale * sum over children j of  f(r_ij) a(z_ij[c]),    z_ij = sum_k W[k][c] H[j][k] w_ij[k]
//   w_ij[k]   = sum_n R[n][k] B_n(r_ij) + b[k]
//
// and with `skip` a second state of the node is added as it is.
// a is a function of ops/activations.hpp. The functions B have no envelope; the envelope f multiplies what comes out,
// so that an edge that leaves takes nothing with it. Children of one parent are taken 32 at a time, as rows of matrix
// products; the adjoint computes them once more.
#include <algorithm>
#include <cmath>

#include "gates/gate.hpp"
#include "ops/activations.hpp"
#include "ops/mixing.hpp"

namespace nbcore {

namespace {

constexpr int chunk = 32;  // children that are in scratch at a time

const OptionTable options = {
    whole("channels", 64, 1, 4096, "channels of the output"),
    choice("function", {"tanh", "silu", "ssp", "celu", "softplus"},
           "of the layer: tanh x, x / (1 + exp(-x)), ln((1 + exp x) / 2), max(x, (exp(10 x) - 1) / 10), ln(1 + exp x)"),
    radial_functions("radial functions, whose envelope multiplies the layer"),
    real("scale", 1.0, "factor of the sum"),
    flag("skip", false, "true: a second input is added as it is; it has the channels of the output"),
};

struct Rule : GateRule {
  static constexpr Reads reads = Reads::children;
  Activation function;
  double scale;
  bool skip;
  int n, K, channels;  // radial functions, channels of the children and of the output

  Rule(const OptionValues& o, const States& inputs, const Surroundings& around)
      : function(activation_named(o.text("function"))),
        scale(o.real("scale")),
        skip(o.flag("skip")),
        channels(o.whole("channels")) {
    if (inputs.size() != 1u + skip)
      throw InputError(skip ? "with skip it takes two inputs, the state of the children and what is added"
                            : "it takes one input, the state of the children");
    const std::span<const Part> H = inputs[0];
    if (H.size() != 1 || H[0].l != 0 || H[0].parity != around.natural(0) || H[0].groups != 1)
      throw InputError("its input must be one part of even scalars, with one group of channels");
    Radial radial = radial_of(o);
    if (radial.network()) throw InputError("radial: its functions are those of a basis, layers are none of them");
    radial.after = true;  // the envelope is function n
    radials = {radial}, n = radial.n, K = H[0].group;
    parameters = {{"R", {n, K}}, {"b", {K}, 0.0}, {"W", {K, channels}}};
    output = {{0, around.natural(0), 1, channels}};
    if (skip && (inputs[1].size() != 1 || inputs[1][0].l != 0 || inputs[1][0].parity != output[0].parity ||
                 inputs[1][0].groups != 1 || inputs[1][0].group != channels))
      throw InputError("with skip the second input must have the channels of the output, even scalars");
  }
};

template <class Real> class Kernels : public KernelsOf<Kernels<Real>, Real> {
  static constexpr int w = width<Real>;
  Activation function;
  Real scale;
  bool skip;
  int radial, n, K, N, B_row;              // rows of z and of the output, padded
  std::ptrdiff_t at_b = 0, at_W = 0;       // among the packed weights, R before them
  std::ptrdiff_t at_W_transposed = 0;      // among the copies, R transposed before it
  struct Rows {                            // of the children of a chunk
    Planes<Real> filters, product, layer;  // w, H w, z
  };

 public:
  Kernels(const Rule& rule, const States&, std::span<const RadialPlace> places)
      : function(rule.function),
        scale(Real(rule.scale)),
        skip(rule.skip),
        radial(places[0].set),
        n(rule.n),
        K(padded<Real>(rule.K)),
        N(padded<Real>(rule.channels)),
        B_row(padded<Real>(rule.n + 1)) {
    const double scale_R = 1 / std::sqrt(double(n)), scale_W = 1 / std::sqrt(double(rule.K));
    const std::int64_t first_b = std::int64_t(n) * rule.K, first_W = first_b + rule.K;
    const auto R = [&](Packing& in, int of_n, int k) {
      if (of_n >= n || k >= rule.K) in.zeros(1);
      else in.weight(std::int64_t(of_n) * rule.K + k, scale_R);
    };
    const auto W = [&](Packing& in, int k, int c) {
      if (k >= rule.K || c >= rule.channels) in.zeros(1);
      else in.weight(first_W + std::int64_t(k) * rule.channels + c, scale_W);
    };
    each_packed<Real>(n, K, [&](int of_n, int k) { R(this->packing, of_n, k); });
    at_b = this->packing.size();
    for (int k = 0; k < rule.K; ++k) this->packing.weight(first_b + k, 1);
    this->packing.fill_to(at_b + K);
    at_W = this->packing.size();
    each_packed<Real>(K, N, [&](int k, int c) { W(this->packing, k, c); });
    each_packed<Real>(K, B_row, [&](int k, int of_n) { R(this->copies, of_n, k); });
    at_W_transposed = this->copies.size();
    each_packed<Real>(N, K, [&](int c, int k) { W(this->copies, k, c); });
  }

  template <class Lane> void forward(Block<Real>& b) const {
    const Rows x = take(b, is_dual<Lane>);
    b.output.template clear<Lane>(0, b.n);
    if (skip) copy(written<Lane>(b.inputs[1].own(0)), std::ptrdiff_t(b.n) * N, written<Lane>(b.output.own(0)));
    with_activation(function, [&](auto f) {
      each_chunk(b, [&](int i, std::int64_t q0, int children) {
        layer<Lane>(b, q0, children, x);
        const Planes<Real> out = b.output.own(0) + std::ptrdiff_t(i) * N;
        for (int c = 0; c < N; c += w) {
          Lane sum = load<Lane>(out, c);
          for (int q = 0; q < children; ++q)
            add_product(sum, envelope<Lane>(b, q0 + q),
                        activation<f()>(load<Lane>(x.layer, std::ptrdiff_t(q) * N + c)).value);
          put(out, c, sum);
        }
      });
    });
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    const Rows x = take(b, is_dual<Lane>);
    const Planes<Real> bars = b.scratch->take_planes(std::size_t(chunk) * K, is_dual<Lane>);
    const Planes<Real> B = b.edges->B[radial].planes(), B_bar = b.edges->B_bar[radial].planes();
    const State<Real>& H = b.inputs[0];
    if (skip)
      for_lanes(std::ptrdiff_t(b.n) * N, [&](std::ptrdiff_t k) {
        written<Lane>(b.inputs[1].own_bar(0))[k] += written<Lane>(b.output.own_bar(0))[k];
      });
    with_activation(function, [&](auto f) {
      each_chunk(b, [&](int i, std::int64_t q0, int children) {
        layer<Lane>(b, q0, children, x);
        const Planes<Real> out_bar = b.output.own_bar(0) + std::ptrdiff_t(i) * N;
        for (int q = 0; q < children; ++q) {  // z turns into its adjoint
          Lane along{};
          const auto e = envelope<Lane>(b, q0 + q);
          for (int c = 0; c < N; c += w) {
            const std::ptrdiff_t at = std::ptrdiff_t(q) * N + c;
            const auto [value, slope] = activation<f()>(load<Lane>(x.layer, at));
            const Lane bar = load<Lane>(out_bar, c);
            add_product(along, bar, value);
            store(x.layer, at, product(e, product(bar, slope)));
          }
          if constexpr (want.edges) add_scalar(B_bar, (q0 + q) * B_row + n, product(scale, lane_sum(along)));
        }
        plane<Lane>([&](auto p) { mix<false>(p(x.layer), N, b.copies + at_W_transposed, p(bars), K, children, N, K); });
        if constexpr (want.parameters) gradient<Lane>(x.product, K, x.layer, N, b.weights_bar + at_W, children, K, N);
        for (int q = 0; q < children; ++q) {  // of H w to those of both
          const Planes<Real> h = H.part(0) + std::ptrdiff_t(b.child[q0 + q]) * K;
          const Planes<Real> h_bar = H.part_bar(0) + std::ptrdiff_t(b.child_bar[q0 + q]) * K;
          for (int k = 0; k < K; k += w) {
            const std::ptrdiff_t at = std::ptrdiff_t(q) * K + k;
            const Lane bar = load<Lane>(bars, at);
            Lane sum = load<Lane>(h_bar, k);
            add_product(sum, bar, load<Lane>(x.filters, at));
            put(h_bar, k, sum);
            const Lane w_bar = product(bar, load<Lane>(h, k));
            store(bars, at, w_bar);
            if constexpr (want.parameters) {
              if constexpr (is_dual<Lane>) registers(b.weights_bar + at_b + k)[0] += w_bar.dot;
              else registers(b.weights_bar + at_b + k)[0] += w_bar;
            }
          }
        }
        if constexpr (want.edges)
          plane<Lane>(
              [&](auto p) { mix<true>(p(bars), K, b.copies, p(B_bar) + q0 * B_row, B_row, children, K, B_row); });
        if constexpr (want.parameters) gradient<Lane>(B + q0 * B_row, B_row, bars, K, b.weights_bar, children, n, K);
      });
    });
  }

 private:
  /// f(plane of planes) for the values and, of duals, for the tangents: maps that are linear
  template <class Lane, class F> static void plane(F f) {
    f([](const Planes<Real>& x) { return x.value; });
    if constexpr (is_dual<Lane>) f([](const Planes<Real>& x) { return x.dot; });
  }
  template <class Lane>
  static void gradient(Planes<Real> A, int lda, Planes<Real> C_bar, int ldc, Real* W_bar, int rows, int K, int N) {
    if constexpr (is_dual<Lane>)
      mix_gradient<2, Real>({{A.dot, C_bar.value}, {A.value, C_bar.dot}}, lda, ldc, W_bar, rows, K, N);
    else mix_gradient(A.value, lda, C_bar.value, ldc, W_bar, rows, K, N);
  }
  Rows take(Block<Real>& b, bool dual) const {
    return {b.scratch->take_planes(std::size_t(chunk) * K, dual), b.scratch->take_planes(std::size_t(chunk) * K, dual),
            b.scratch->take_planes(std::size_t(chunk) * N, dual)};
  }
  /// f(parent, first edge, children) for up to 32 children at a time
  template <class F> void each_chunk(const Block<Real>& b, F f) const {
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t q0 = b.first[i]; q0 < b.first[i + 1]; q0 += chunk)
        f(i, q0, int(std::min<std::int64_t>(chunk, b.first[i + 1] - q0)));
  }
  /// scale times the envelope of an edge
  template <class Lane> ScalarOf<Lane> envelope(const Block<Real>& b, std::int64_t edge) const {
    return product(scale, load_scalar<ScalarOf<Lane>>(b.edges->B[radial].planes(), edge * B_row + n));
  }
  /// w, H w and z of the children from q0 on
  template <class Lane> void layer(const Block<Real>& b, std::int64_t q0, int children, const Rows& x) const {
    const Planes<Real> B = b.edges->B[radial].planes() + q0 * B_row;
    for (int q = 0; q < children; ++q) {
      copy(b.weights + at_b, K, x.filters.value + std::ptrdiff_t(q) * K);
      if constexpr (is_dual<Lane>) fill(x.filters.dot + std::ptrdiff_t(q) * K, K, 0);
    }
    plane<Lane>([&](auto p) { mix<true>(p(B), B_row, b.weights, p(x.filters), K, children, n, K); });
    for (int q = 0; q < children; ++q) {
      const Planes<Real> h = b.inputs[0].part(0) + std::ptrdiff_t(b.child[q0 + q]) * K;
      for (int k = 0; k < K; k += w) {
        const std::ptrdiff_t at = std::ptrdiff_t(q) * K + k;
        store(x.product, at, product(load<Lane>(h, k), load<Lane>(x.filters, at)));
      }
    }
    plane<Lane>([&](auto p) { mix<false>(p(x.product), K, b.weights + at_W, p(x.layer), N, children, K, N); });
  }
};

}  // namespace

NB_GATE(edge_network, "A layer of a network at every edge on the child's state times functions of the distance, summed")

}  // namespace nbcore
