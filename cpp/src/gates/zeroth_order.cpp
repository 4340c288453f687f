// The zeroth-order gate (eq. 10), fused: children's states times harmonics, summed over children.
//
//   A[i][p][m3][c] = sum over children j of i, sum over m1, m2 of  C_p[m1][m2][m3] Y_l2m2(r_ij) w_p[ij][c] H[j][m1][c]
//   w_p[ij][c]     = sum_n W[p][n][c] B_n(r_ij)
//
// Paths p = (part of H, l2, l3). Output part l3 has one group of channels per path (radial "mix"), or with radial "all"
// one group per path and radial function, w = B_n, no parameters: the sums over s of eq. (10) kept apart, to the
// letter.
//
//   forward   channel register outside, then path, then children; the 2l3+1 sums stay in registers
//   adjoint   edge outside, then path, then channel registers; the Gram matrix A_bar (w H) stays in registers, and one
//             transposed reduction per edge turns it into M_bar, Y_bar
//
// Nothing of size edges x channels leaves the scratch of one parent.
#include "gates/gate.hpp"
#include "ops/aggregation.hpp"

namespace nbcore {

namespace {
constexpr int chunk = 32;  // children whose weights and couplings are in scratch at a time

/// w[q] = sum_n W[n] B[q][n] for the children of a chunk. W [n_radial] registers; w with stride w_row (numbers)
template <class Lane, class Real> NB_INLINE void radial_weights(const Real* W, int n_radial, Planes<Real> B, int B_row,
                                                                int n_children, Planes<Real> weights,
                                                                std::ptrdiff_t w_row) {
  using V = Simd<Real>;
  using Scalar = ScalarOf<Lane>;
  const V* W_n = reinterpret_cast<const V*>(W);
  for (int q = 0; q < n_children; ++q) {
    Lane sum = product(W_n[0], load_scalar<Scalar>(B, q * B_row));
    for (int n = 1; n < n_radial; ++n) add_product(sum, W_n[n], load_scalar<Scalar>(B, q * B_row + n));
    store(weights, q * w_row, sum);
  }
}
}  // namespace

template <class Real> class ZerothOrder : public GateOf<ZerothOrder<Real>, Real> {
  using V = Simd<Real>;
  static constexpr int w = width<Real>;
  Couplings<Real> couplings;
  int radial, n_radial, channels, row;  // row: channels of one group, padded

 public:
  ZerothOrder(const Options& spec, const std::vector<std::vector<Part>>& inputs, Surroundings& around) {
    if (inputs.size() != 1) throw InputError("gate zeroth_order: takes one input, the state of the children");
    this->aggregates = true;
    const int l_max = spec.whole("l_max", 3, 0, max_l_network), l_out = spec.whole("l_out", l_max, 0, max_l_network);
    const int l_min = spec.whole("l_min", 0, 0, l_max);
    const std::string mode = spec.get<std::string>("radial_mode", "mix");
    if (mode != "mix" && mode != "all")
      throw InputError(message("gate zeroth_order: radial_mode must be \"mix\" or \"all\", got \"", mode, "\""));
    const Radial basis = radial_option(spec);
    radial = around.radial(basis), n_radial = basis.n;
    around.l_harmonics = std::max(around.l_harmonics, l_max);
    const int copies = mode == "all" ? n_radial : 1;

    channels = inputs[0].empty() ? 0 : inputs[0][0].channels();
    row = padded<Real>(channels);
    const std::vector<Path> paths =
        aggregation_paths("gate zeroth_order: ", inputs[0], l_min, l_max, l_out, around.o3, copies, this->output);
    couplings = Couplings<Real>(paths, l_max, spec.get("scale", 1.0));

    // weights packed [register][path][n][lane]
    const int P = int(paths.size());
    this->packing.resize(std::size_t(row) * P * n_radial);
    if (mode == "mix") this->parameters.push_back({"R", {P, n_radial, channels}});
    for (int p = 0; p < P; ++p)
      for (int n = 0; n < n_radial; ++n)
        for (int c = 0; c < channels; ++c) {
          Packed& to = this->packing[(std::size_t(c / w * P + p) * n_radial + n) * w + c % w];
          if (mode == "mix") to = {(std::int64_t(p) * n_radial + n) * channels + c, 1 / std::sqrt(double(n_radial))};
          else to = {-1, p % copies == n ? 1.0 : 0.0};
        }
  }

  template <class Lane> void forward(Block<Real>& b) const {
    const bool dual = is_dual<Lane>;
    const Edges<Real>& e = *b.edges;
    const Planes<Real> Y = b.edges->Y.planes(), B = b.edges->B[radial].planes();
    const int B_row = e.B_row(radial), P = int(couplings.paths.size()), M_size = couplings.size();
    const Planes<Real> M = b.scratch->take_planes(std::size_t(chunk) * M_size, dual),
                       weights = b.scratch->take_planes(chunk * w, dual);
    const State<Real>& H = b.inputs[0];
    for (int p = 0; p < b.output.layout->size(); ++p) {
      const std::size_t size = std::size_t(b.n) * (*b.output.layout)[p].dim() * b.output.layout->row(p);
      std::memset(b.output.own(p).value, 0, size * sizeof(Real));
      if constexpr (is_dual<Lane>) std::memset(b.output.own(p).dot, 0, size * sizeof(Real));
    }
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t q0 = b.first[i]; q0 < b.first[i + 1]; q0 += chunk) {
        const int n_children = int(std::min<std::int64_t>(chunk, b.first[i + 1] - q0));
        for (int q = 0; q < n_children; ++q)
          contract<Lane>(couplings, Y + (q0 + q) * e.Y_row, M + std::ptrdiff_t(q) * M_size);
        for (int c = 0; c < row; c += w)
          for (int p = 0; p < P; ++p) {
            const Path& path = couplings.paths[p];
            radial_weights<Lane>(b.weights + (std::size_t(c / w) * P + p) * n_radial * w, n_radial, B + q0 * B_row,
                                 B_row, n_children, weights, w);
            const int A_row = b.output.layout->row(path.part3);
            const Planes<Real> A =
                b.output.own(path.part3) + (std::ptrdiff_t(i) * (2 * path.l3 + 1) * A_row + path.slot * row + c);
            with_sizes(path.l3, path.l1, [&]<int d3, int d1>() {
              forward_path<d3, d1, Lane>(2 * path.l3 + 1, 2 * path.l1 + 1, b.child + q0, n_children,
                                         H.part(path.part1) + c, row, M + path.M, M_size, weights, w, A, A_row);
            });
          }
      }
  }

  template <class Lane, Want want> void adjoint(Block<Real>& b) const {
    using Scalar = ScalarOf<Lane>;
    const bool dual = is_dual<Lane>;
    Edges<Real>& e = *b.edges;
    const Planes<Real> Y = e.Y.planes(), B = e.B[radial].planes(), Y_bar = e.Y_bar.planes(),
                       B_bar = e.B_bar[radial].planes();
    const int B_row = e.B_row(radial), P = int(couplings.paths.size()), M_size = couplings.size();
    const std::ptrdiff_t w_row = std::ptrdiff_t(P) * row;  // weights of one child: [path][channel]
    const Planes<Real> M = b.scratch->take_planes(M_size, dual), M_bar = b.scratch->take_planes(M_size, dual);
    const Planes<Real> weights = b.scratch->take_planes(chunk * w_row, dual),
                       Gram = b.scratch->take_planes(std::size_t(M_size) * w, dual);
    std::memset(Gram.value, 0, sizeof(Real) * M_size * w);  // gaps between l2 stay zero
    if (dual) std::memset(Gram.dot, 0, sizeof(Real) * M_size * w);
    const State<Real>& H = b.inputs[0];
    for (int i = 0; i < b.n; ++i)
      for (std::int64_t q0 = b.first[i]; q0 < b.first[i + 1]; q0 += chunk) {
        const int n_children = int(std::min<std::int64_t>(chunk, b.first[i + 1] - q0));
        // the weights once more: cheaper than keeping edges x channels from the forward sweep
        for (int c = 0; c < row; c += w)
          for (int p = 0; p < P; ++p)
            radial_weights<Lane>(b.weights + (std::size_t(c / w) * P + p) * n_radial * w, n_radial, B + q0 * B_row,
                                 B_row, n_children, weights + (p * row + c), w_row);
        for (int q = 0; q < n_children; ++q) {
          contract<Lane>(couplings, Y + (q0 + q) * e.Y_row, M);
          for (int p = 0; p < P; ++p) {
            const Path& path = couplings.paths[p];
            const int A_row = b.output.layout->row(path.part3), d1 = 2 * path.l1 + 1;
            with_sizes(path.l3, path.l1, [&]<int d3, int d1_>() {
              adjoint_path<d3, d1_, want.edges, Lane>(
                  2 * path.l3 + 1, d1, row, H.part(path.part1) + std::ptrdiff_t(b.child[q0 + q]) * d1 * row,
                  H.part_bar(path.part1) + std::ptrdiff_t(b.child_bar[q0 + q]) * d1 * row, M + path.M,
                  b.output.own_bar(path.part3) + (std::ptrdiff_t(i) * (2 * path.l3 + 1) * A_row + path.slot * row),
                  A_row, weights + (q * w_row + p * row), Gram + std::ptrdiff_t(path.M) * w);
            });
          }
          if constexpr (want.edges) contract_adjoint<Lane>(couplings, Gram, M_bar, Y_bar + (q0 + q) * e.Y_row);
        }
        // w_bar now stands in place of w:  B_bar[q][n] += sum_pc W[p][n][c] w_bar,  W_bar[p][n][c] += sum_q B[q][n]
        // w_bar
        if constexpr (want.edges)
          for (int q = 0; q < n_children; ++q) {
            V value[max_radial + w] = {}, dot[max_radial + w] = {};
            for (int c = 0; c < row; c += w)
              for (int p = 0; p < P; ++p) {
                const V* W = reinterpret_cast<const V*>(b.weights + (std::size_t(c / w) * P + p) * n_radial * w);
                const Lane w_bar = load<Lane>(weights, q * w_row + p * row + c);
                for (int n = 0; n < n_radial; ++n) {
                  value[n] += W[n] * value_of(w_bar);
                  if constexpr (is_dual<Lane>) dot[n] += W[n] * w_bar.dot;
                }
              }
            add_lane_sums<Real>(value, n_radial, B_bar.value + (q0 + q) * B_row);
            if constexpr (is_dual<Lane>) add_lane_sums<Real>(dot, n_radial, B_bar.dot + (q0 + q) * B_row);
          }
        if constexpr (want.parameters)
          for (int c = 0; c < row; c += w)
            for (int p = 0; p < P; ++p) {
              V* W_bar = reinterpret_cast<V*>(b.weights_bar + (std::size_t(c / w) * P + p) * n_radial * w);
              V sum[max_radial];
              for (int n = 0; n < n_radial; ++n) sum[n] = W_bar[n];
              for (int q = 0; q < n_children; ++q) {
                const Lane w_bar = load<Lane>(weights, q * w_row + p * row + c);
                for (int n = 0; n < n_radial; ++n)
                  add_gradient(sum[n], w_bar, load_scalar<Scalar>(B, (q0 + q) * B_row + n));
              }
              for (int n = 0; n < n_radial; ++n) W_bar[n] = sum[n];
            }
      }
  }
};

NB_GATE(ZerothOrder, "zeroth_order",
        "Aggregation of children (eq. 10): A = sum_j C Y(r_ij) w(|r_ij|) H_j, one group of channels per path", R"({
  "l_max": {"type": "int", "default": 3, "doc": "largest l of the harmonics"},
  "l_min": {"type": "int", "default": 0, "doc": "smallest l of the harmonics"},
  "l_out": {"type": "int", "default": 3, "doc": "largest l of the output"},
  "radial": {"type": "radial", "default": {}, "doc": "radial basis"},
  "radial_mode": {"type": "str", "default": "mix", "doc": "mix: weights over the radial functions, per path and channel; all: one group of channels per radial function"},
  "scale": {"type": "float", "default": 1.0, "doc": "factor of the sum"}})")

}  // namespace nbcore
